"""Requests that are certainly wrong: each kind of fault is refused. One rule for each row, all of one form."""

from __future__ import annotations

from collections.abc import Callable

from conformance.rules.base import Reason, Terms, Vacuous, Verdicts, at_status, rule
from conformance.rules.blemishes import blemishes
from conformance.rules.checks import NOT_ABOUT_THE_BODY, keyed_chat, lone
from conformance.rules.conditions import ok
from conformance.rules.refusals import carries_error, explains_itself
from conformance.wire.exchange import Facet, Request
from conformance.wire.traces import Single


def _never(request: Request) -> bool:
    return False


def _refuses(requirement: str, title: str, *about: str, unless: Callable[[Request], bool] = _never) -> None:
    """Register the rule that a request with this fault gets no completion, `unless` something else makes up for it."""

    def when(trace: Single, terms: Terms) -> bool:
        chat = keyed_chat(trace.exchange)
        return (
            chat is not None
            and not unless(trace.exchange.request)
            and any(item.about in about for item in blemishes(chat.body, terms.dialect))
        )

    def check(trace: Single, terms: Terms) -> Verdicts:
        exchange, chat = trace.exchange, trace.exchange.request.chat
        faults = [item for item in blemishes(chat.body if chat else {}, terms.dialect) if item.about in about]
        if ok(exchange) and not carries_error(exchange):
            for item in faults[:3]:
                yield at_status(exchange, f"400, as {item.path} is wrong: {item.kind.replace('_', ' ')}")
        elif (exchange.status or 0) >= 500 and not explains_itself(exchange):
            yield Vacuous(Reason.TRANSPORT, f"status {exchange.status}")
        elif exchange.status in NOT_ABOUT_THE_BODY or lone(exchange, terms) is None:
            yield Vacuous(Reason.NO_CONTROL, f"status {exchange.status}, which something else may have caused")

    check.__doc__ = title
    rule(requirement, on=Single, reads=(Facet.REQUEST, Facet.STATUS, Facet.BODY), when=when)(check)


_refuses(
    "requests.model.is_checked",
    "A missing, mistyped or empty model is refused, but where the URL names a deployment.",
    "model",
    unless=lambda request: request.names_a_deployment,
)
_refuses("requests.messages.are_checked", "Missing, mistyped or empty messages are refused.", "messages")
_refuses("requests.messages.are_bounded", "More messages than are allowed are refused.", "messages_count")
_refuses("requests.role.is_checked", "An unknown, mistyped or missing role is refused.", "role")
_refuses("requests.content.is_checked", "System and user messages need text or well-formed parts.", "content")
_refuses("requests.assistant_content.is_checked", "An assistant message needs content or calls.", "assistant_content")
_refuses("requests.tool_message.is_checked", "A tool message needs content and tool_call_id.", "tool_message")
_refuses("requests.name.is_checked", "A message's name that is no string is refused.", "name")
_refuses("requests.token_limit.is_checked", "A token limit that is no positive integer is refused.", "token_limit")
_refuses("requests.n.is_checked", "An n that is no integer in the documented range is refused.", "n")
_refuses("requests.stop.is_checked", "A stop that is no string and no short list of strings is refused.", "stop")
_refuses("requests.temperature.is_checked", "A temperature out of range or mistyped is refused.", "temperature")
_refuses("requests.top_p.is_checked", "A top_p out of range or mistyped is refused.", "top_p")
_refuses("requests.seed.is_checked", "A seed that is no integer is refused.", "seed")
_refuses("requests.user.is_checked", "A user that is no string is refused.", "user")
_refuses("requests.penalties.are_checked", "Penalties out of range or mistyped are refused.", "penalties")
_refuses("requests.logit_bias.is_checked", "A logit_bias that is no map of tokens to biases is refused.", "logit_bias")
_refuses("requests.stream.is_checked", "A stream that is no boolean is refused.", "stream")
_refuses("requests.stream_options.need_a_stream", "stream_options without a stream are refused.", "stream_options")
_refuses("requests.service_tier.is_checked", "An unknown service_tier is refused.", "service_tier")
_refuses("requests.reasoning_effort.is_checked", "An unknown reasoning_effort is refused.", "reasoning_effort")
