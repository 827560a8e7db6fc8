"""Tool choice: what `auto`, `none`, `required`, a named function and a subset of tools demand, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

from conformance.rules.base import NOT_APPLICABLE, Reason, Terms, Vacuous, Verdicts, at_body, at_status, rule
from conformance.rules.calls import at_call, at_choice, called, chat_of, choices_of, has_tools, must_call
from conformance.rules.refusals import declined, error_object, must_refuse
from conformance.rules.tool_markup import leaked
from conformance.wire.chat_request import ChatRequest, Choosing
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Json, show
from conformance.wire.traces import Contrast, Single, Trace

_ASKED_AND_ANSWERED = (Facet.REQUEST, Facet.STATUS, Facet.BODY)
_REFUSED = (Facet.REQUEST, Facet.STATUS)


def _mentions_tools(chat: ChatRequest) -> bool:
    """Tools in any form, the old `functions` included."""
    return chat.body.get("tools") is not None or chat.body.get("functions") is not None


def _choosing(*forms: Choosing) -> Callable[[Single, Terms], bool]:
    """Requests with declared tools and one of these forms of `tool_choice`."""
    return lambda trace, terms: has_tools(chat_of(trace.exchange)) and chat_of(trace.exchange).choosing in forms


def _about_tool_choice(trace: Contrast) -> bool:
    return trace.about == "/tool_choice" and all(has_tools(chat_of(item)) for item in trace.exchanges)


@rule(
    "tool_choice.omitted.is_taken_like_auto",
    on=Contrast,
    reads=(Facet.REQUEST, Facet.STATUS),
    when=lambda trace, terms: (
        _about_tool_choice(trace)
        and {chat_of(item).choosing for item in trace.exchanges} == {Choosing.OMITTED, Choosing.AUTO}
    ),
)
def omitted_is_taken_like_auto(trace: Contrast, terms: Terms) -> Verdicts:
    """With tools, a request without tool_choice is taken wherever the same request with "auto" is."""
    taken = [item for item in trace.exchanges if item.answer is not None]
    turned = [item for item in trace.exchanges if item.status in (400, 405, 422, 501)]
    if len(taken) == 1 and len(turned) == 1:
        yield at_status(turned[0], 'omitted tool_choice and "auto" are taken alike when tools are given')
    elif len(taken) != 2:
        yield Vacuous(Reason.NO_CONTROL)
    elif called(taken[0]) != called(taken[1]):
        yield Vacuous(Reason.MODEL_FREE)


@rule(
    "tool_choice.omitted.makes_no_call_without_tools",
    on=Single,
    reads=(Facet.REQUEST, Facet.BODY),
    when=lambda trace, terms: (
        trace.exchange.request.chat is not None
        and not _mentions_tools(chat_of(trace.exchange))
        and trace.exchange.answer is not None
    ),
)
def makes_no_call_without_tools(trace: Single, terms: Terms) -> Verdicts:
    """Without tools the answer holds no tool calls."""
    for choice in choices_of(trace.exchange):
        for call in choice.calls:
            yield at_call(trace.exchange, call, "no tool calls: the request declares no tools", show(call.name))


@rule(
    "tool_choice.auto.leaves_no_markup",
    on=Single,
    reads=_ASKED_AND_ANSWERED,
    when=_choosing(Choosing.OMITTED, Choosing.AUTO, Choosing.REQUIRED, Choosing.NAMED),
)
def auto_leaves_no_markup(trace: Single, terms: Terms) -> Verdicts:
    """Where calls are allowed, the text holds no unparsed tool-call markup; a call that the limit cut may look so."""
    if any(choice.cut for choice in choices_of(trace.exchange)):
        yield Vacuous(Reason.CUT_BY_LIMIT)
    else:
        yield from _no_markup(trace.exchange, terms)


@rule(
    "tool_choice.none.leaves_no_markup",
    on=Single,
    reads=_ASKED_AND_ANSWERED,
    when=_choosing(Choosing.NONE),
)
def none_leaves_no_markup(trace: Single, terms: Terms) -> Verdicts:
    """Under "none" the text holds no raw tool-call markup."""
    yield from _no_markup(trace.exchange, terms)


def _no_markup(exchange: Exchange, terms: Terms) -> Verdicts:
    reason = declined(exchange, terms)
    if reason is not None:
        yield reason
    elif not any(choice.text for choice in choices_of(exchange)):
        yield NOT_APPLICABLE
    for choice in choices_of(exchange):
        markup = leaked(choice.text, chat_of(exchange))
        if markup is not None:
            yield at_choice(exchange, choice, "text without tool-call markup", markup)


def _none_may_show(trace: Trace, terms: Terms) -> bool:
    if isinstance(trace, Contrast) and not _about_tool_choice(trace):
        return False
    return any(has_tools(chat_of(item)) and chat_of(item).choosing is Choosing.NONE for item in trace.exchanges)


@rule("tool_choice.none.makes_no_call", on=Contrast, reads=_ASKED_AND_ANSWERED, when=_none_may_show, also=(Single,))
def none_makes_no_call(trace: Trace, terms: Terms) -> Verdicts:
    """With tool_choice "none" the answer holds no tool calls, though the same prompt would call."""
    forbidden = [item for item in trace.exchanges if chat_of(item).choosing is Choosing.NONE]
    for exchange in forbidden:
        yield from (
            at_call(exchange, call, 'no tool calls under tool_choice "none"', f"a call to {show(call.name)}")
            for choice in choices_of(exchange)
            for call in choice.calls
        )
    for exchange in forbidden:
        reason = declined(exchange, terms)
        if reason is not None:
            yield reason
    if not any(called(item) for item in trace.exchanges if chat_of(item).choosing is not Choosing.NONE):
        yield Vacuous(Reason.NO_CONTROL, "the other request called nothing either")


@rule("tool_choice.required.calls_a_tool", on=Single, reads=_ASKED_AND_ANSWERED, when=_choosing(Choosing.REQUIRED))
def required_calls_a_tool(trace: Single, terms: Terms) -> Verdicts:
    """With tool_choice "required" every choice holds at least one tool call."""
    yield from must_call(trace.exchange, terms, 'at least one tool call under tool_choice "required"')


def _without_tools(form: Choosing) -> Callable[[Single, Terms], bool]:
    return lambda trace, terms: (
        chat_of(trace.exchange).choosing is form
        and trace.exchange.request.chat is not None
        and not _mentions_tools(chat_of(trace.exchange))
    )


@rule(
    "tool_choice.required.needs_tools",
    on=Single,
    reads=(Facet.REQUEST, Facet.STATUS),
    when=_without_tools(Choosing.REQUIRED),
)
def required_needs_tools(trace: Single, terms: Terms) -> Verdicts:
    """Tool_choice "required" without tools is refused."""
    yield from must_refuse(trace.exchange, '400: tool_choice "required" needs tools')


@rule(
    "tool_choice.auto.needs_tools", on=Single, reads=(Facet.REQUEST, Facet.STATUS), when=_without_tools(Choosing.AUTO)
)
def auto_needs_tools(trace: Single, terms: Terms) -> Verdicts:
    """Tool_choice "auto" without tools is refused."""
    yield from must_refuse(trace.exchange, '400: tool_choice "auto" needs tools')


def _flags(exchange: Exchange, terms: Terms) -> list[Json] | dict[str, Json] | None:
    """The listed model's capability flags, or None where it has none, or the dialect no flag for `required`."""
    row = terms.facts.row(chat_of(exchange).model)
    metadata = row.get(terms.dialect.convention("model.metadata")) if row is not None else None
    flags = metadata.get("capabilities") if isinstance(metadata, dict) else None
    known = terms.dialect.convention("tool_choice.capability_flag") is not None
    return flags if known and isinstance(flags, (list, dict)) else None


def _lacks_capability(exchange: Exchange, terms: Terms) -> bool:
    """The model is listed, and its capability flags do not hold the one that `required` needs."""
    flag, flags = terms.dialect.convention("tool_choice.capability_flag"), _flags(exchange, terms)
    if isinstance(flags, dict):
        return not flags.get(flag)
    return flags is not None and flag not in flags


def _without_capability(*forms: Choosing) -> Callable[[Single, Terms], bool]:
    wanted = _choosing(*forms)
    return lambda trace, terms: wanted(trace, terms) and _lacks_capability(trace.exchange, terms)


def _refusal_code(terms: Terms) -> tuple[str | None, ...]:
    return terms.dialect.error("tool_choice_required_unsupported").codes


@rule(
    "tool_choice.required.is_refused_without_capability",
    on=Single,
    reads=(Facet.REQUEST, Facet.STATUS),
    when=_without_capability(Choosing.REQUIRED),
)
def required_is_refused_without_capability(trace: Single, terms: Terms) -> Verdicts:
    """Tool_choice "required" is refused for a model whose capabilities lack the flag for it."""
    yield from must_refuse(trace.exchange, "400: the model's capabilities lack the flag for tool_choice required")


@rule(
    "tool_choice.required.is_accepted_with_capability",
    on=Single,
    reads=_ASKED_AND_ANSWERED,
    when=lambda trace, terms: (
        _choosing(Choosing.REQUIRED)(trace, terms)
        and _flags(trace.exchange, terms) is not None
        and not _lacks_capability(trace.exchange, terms)
    ),
)
def required_is_accepted_with_capability(trace: Single, terms: Terms) -> Verdicts:
    """Tool_choice "required" is not refused for want of a capability that the model's row lists."""
    reason = declined(trace.exchange, terms)
    if reason is not None and error_object(trace.exchange).get("code") in _refusal_code(terms):
        yield at_status(trace.exchange, "2xx: the model's capabilities hold the flag for tool_choice required")
    elif reason is not None:
        yield reason


@rule(
    "tool_choice.required.refusal_has_its_code",
    on=Single,
    reads=_ASKED_AND_ANSWERED,
    when=_without_capability(Choosing.REQUIRED),
)
def required_refusal_has_its_code(trace: Single, terms: Terms) -> Verdicts:
    """The refusal of "required" for want of the capability carries the documented code."""
    exchange = trace.exchange
    if exchange.status not in (400, 422):
        yield NOT_APPLICABLE
        return
    code = error_object(exchange).get("code")
    if code not in _refusal_code(terms):
        wanted = " or ".join(map(str, _refusal_code(terms)))
        yield at_body(exchange, "/error/code", wanted, show(code))


@rule(
    "tool_choice.auto.is_accepted_without_capability",
    on=Single,
    reads=_ASKED_AND_ANSWERED,
    when=_without_capability(Choosing.AUTO, Choosing.NAMED),
)
def auto_is_accepted_without_capability(trace: Single, terms: Terms) -> Verdicts:
    """A model without the flag for "required" still takes "auto" and a named choice."""
    reason = declined(trace.exchange, terms)
    if reason is not None and error_object(trace.exchange).get("code") in _refusal_code(terms):
        yield at_status(trace.exchange, '2xx: only "required" needs the capability')
    elif reason is not None:
        yield reason


@rule("tool_choice.named.calls_the_function", on=Single, reads=_ASKED_AND_ANSWERED, when=_choosing(Choosing.NAMED))
def named_calls_the_function(trace: Single, terms: Terms) -> Verdicts:
    """A named tool_choice yields a call of that function, and of no other declared one."""
    exchange, chat = trace.exchange, chat_of(trace.exchange)
    name = chat.chosen_name
    if name not in chat.tool_names:
        yield NOT_APPLICABLE
        return
    yield from must_call(exchange, terms, f"a call to {show(name)}, the function that tool_choice names")
    for choice in choices_of(exchange):
        for call in choice.calls:
            if call.name != name and isinstance(call.name, str) and call.name in chat.tool_names:
                yield at_call(exchange, call, f"only calls to {show(name)}", f"a call to {show(call.name)}")


@rule("tool_choice.named.calls_once", on=Single, reads=_ASKED_AND_ANSWERED, when=_choosing(Choosing.NAMED))
def named_calls_once(trace: Single, terms: Terms) -> Verdicts:
    """A named tool_choice yields exactly one call."""
    exchange = trace.exchange
    if not called(exchange):
        yield declined(exchange, terms) or NOT_APPLICABLE
        return
    for choice in choices_of(exchange):
        if len(choice.calls) > 1:
            yield at_call(
                exchange, choice.calls[1], "exactly one call for a named tool_choice", f"{len(choice.calls)} calls"
            )


@rule(
    "tool_choice.named.unknown_function_is_refused",
    on=Single,
    reads=(Facet.REQUEST, Facet.STATUS),
    when=lambda trace, terms: (
        chat_of(trace.exchange).choosing is Choosing.NAMED
        and chat_of(trace.exchange).chosen_name not in chat_of(trace.exchange).tool_names
    ),
)
def unknown_function_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A tool_choice that names a function which is not among the tools is refused."""
    chat = chat_of(trace.exchange)
    yield from must_refuse(trace.exchange, f"400: no tool is called {show(chat.chosen_name)}")


def _malformed(test: Callable[[Json], bool]) -> Callable[[Single, Terms], bool]:
    """Requests with good tools and a tool_choice of which the test is true."""
    return lambda trace, terms: (
        has_tools(chat_of(trace.exchange))
        and chat_of(trace.exchange).choosing is Choosing.MALFORMED
        and test(chat_of(trace.exchange).body.get("tool_choice"))
    )


def _is_flat(value: Json) -> bool:
    return isinstance(value, dict) and value.get("type") == "function" and isinstance(value.get("name"), str)


def _is_nameless(value: Json) -> bool:
    return isinstance(value, dict) and value.get("type") in ("function", "custom") and not _is_flat(value)


def _is_of_unknown_type(value: Json) -> bool:
    return isinstance(value, dict) and value.get("type") not in ("function", "custom", "allowed_tools")


@rule("tool_choice.named.nameless_is_refused", on=Single, reads=_REFUSED, when=_malformed(_is_nameless))
def nameless_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A tool_choice object without the function's name is refused."""
    yield from must_refuse(trace.exchange, "400: the tool_choice object lacks function.name")


@rule("tool_choice.named.flat_form_is_refused", on=Single, reads=_REFUSED, when=_malformed(_is_flat))
def flat_form_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A tool_choice object with the name beside its type, as in another API, is refused."""
    yield from must_refuse(trace.exchange, "400: the name stands beside the type, not under function")


@rule("tool_choice.named.unknown_type_is_refused", on=Single, reads=_REFUSED, when=_malformed(_is_of_unknown_type))
def unknown_type_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A tool_choice object of an unknown type is refused."""
    yield from must_refuse(trace.exchange, "400: the tool_choice object's type is unknown")


@rule(
    "tool_choice.value.unknown_word_is_refused",
    on=Single,
    reads=_REFUSED,
    when=_malformed(lambda value: isinstance(value, str)),
)
def unknown_word_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A tool_choice string other than auto, none and required is refused."""
    yield from must_refuse(trace.exchange, '400: tool_choice is "none", "auto", "required" or an object')


@rule(
    "tool_choice.value.wrong_type_is_refused",
    on=Single,
    reads=_REFUSED,
    when=_malformed(lambda value: not isinstance(value, (str, dict))),
)
def wrong_type_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A tool_choice that is neither a string nor an object is refused."""
    yield from must_refuse(trace.exchange, "400: tool_choice is a string or an object")


def _allowed(chat: ChatRequest) -> tuple[Json, frozenset[str]]:
    """The mode and the function names of an allowed_tools choice."""
    inner = chat.body["tool_choice"]["allowed_tools"]
    found = inner.get("tools")
    functions = [
        item["function"]
        for item in (found if isinstance(found, list) else ())
        if isinstance(item, dict) and isinstance(item.get("function"), dict)
    ]
    return inner.get("mode"), frozenset(item["name"] for item in functions if isinstance(item.get("name"), str))


@rule(
    "tool_choice.allowed_tools.bounds_the_calls", on=Single, reads=_ASKED_AND_ANSWERED, when=_choosing(Choosing.ALLOWED)
)
def allowed_tools_bounds_the_calls(trace: Single, terms: Terms) -> Verdicts:
    """An allowed_tools choice that is accepted restricts calls to its subset, and "required" there demands one."""
    exchange, chat = trace.exchange, chat_of(trace.exchange)
    mode, allowed = _allowed(chat)
    if mode not in ("auto", "required") or not allowed:
        yield NOT_APPLICABLE
        return
    if mode == "required":
        yield from must_call(exchange, terms, "at least one call: the allowed tools are required")
    else:
        reason = declined(exchange, terms)
        if reason is not None:
            yield reason
        elif not called(exchange):
            yield Vacuous(Reason.MODEL_FREE)
    for choice in choices_of(exchange):
        for call in choice.calls:
            if isinstance(call.name, str) and call.name in chat.tool_names and call.name not in allowed:
                yield at_call(exchange, call, "only calls to the allowed tools", f"a call to {show(call.name)}")


@rule(
    "tool_choice.allowed_tools.unknown_mode_is_refused",
    on=Single,
    reads=_REFUSED,
    when=lambda trace, terms: (
        _choosing(Choosing.ALLOWED)(trace, terms) and _allowed(chat_of(trace.exchange))[0] not in ("auto", "required")
    ),
)
def unknown_mode_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """An allowed_tools choice whose mode is neither auto nor required is refused."""
    yield from must_refuse(trace.exchange, '400: the mode of allowed_tools is "auto" or "required"')


def _is_misshapen_subset(value: Json) -> bool:
    """An allowed_tools choice whose subset is no list of tools; an empty one is left alone."""
    if not isinstance(value, dict) or value.get("type") != "allowed_tools":
        return False
    inner = value.get("allowed_tools")
    listed = inner.get("tools") if isinstance(inner, dict) else None
    return not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed)


@rule(
    "tool_choice.allowed_tools.malformed_is_refused",
    on=Single,
    reads=_REFUSED,
    when=lambda trace, terms: (
        has_tools(chat_of(trace.exchange)) and _is_misshapen_subset(chat_of(trace.exchange).body.get("tool_choice"))
    ),
)
def malformed_subset_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """An allowed_tools choice without its list of tools is refused."""
    yield from must_refuse(trace.exchange, "400: allowed_tools.tools is an array of tools")


@rule(
    "tool_choice.name.is_declared",
    on=Single,
    reads=(Facet.REQUEST, Facet.BODY),
    when=lambda trace, terms: bool(chat_of(trace.exchange).tool_names) and called(trace.exchange),
)
def name_is_declared(trace: Single, terms: Terms) -> Verdicts:
    """Every called function is one of the declared tools."""
    names = chat_of(trace.exchange).tool_names
    for choice in choices_of(trace.exchange):
        for call in choice.calls:
            if isinstance(call.name, str) and call.name and call.name not in names:
                yield at_call(trace.exchange, call, "the name of a declared tool", show(call.name))
