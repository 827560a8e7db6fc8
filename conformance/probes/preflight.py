"""The first few requests of a run: is there an endpoint, which model, and which optional fields does it take?

At most eight requests. What they show becomes the base that every probe builds on; what makes a run pointless becomes
`NoVerdict`, with one sentence that says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from conformance.dialects.model import Dialect
from conformance.probes.base import Ask, Base, Effort
from conformance.probes.build import get, post
from conformance.wire.exchange import End, Exchange, Request
from conformance.wire.facts import Facts, derive
from conformance.wire.strict_json import Json

REQUESTS = 8
"""At most so many."""
_MODEL_TRIES = 3
_PROMPT = "Say hello in one word."
_ROOM = 32
"""Tokens for the first completion."""
_MORE_ROOM = 2048
"""Tokens for a model that spent all of `_ROOM` without a visible word."""
_OTHER_KINDS = re.compile(
    r"embed|rerank|whisper|tts|speech|audio|transcri|dall-?e|image|diffusion|moderation|realtime|babbage|davinci",
    re.IGNORECASE,
)
_NOWHERE = (404, 405, 501)
_LIMITS = ("max_completion_tokens", "max_tokens")

Send = Callable[[Request, int], Exchange | None]
"""Sends a request under an ordinal; None where nothing may be sent any more."""


class NoVerdict(Exception):
    """There is nothing to certify; the message is one sentence for the user."""


@dataclass(frozen=True)
class Ready:
    """What preflight found: the base for all probes, and the requests that it sent, for replays."""

    base: Base
    opening: tuple[Ask, ...]


class _Flight:
    """Sends within the bound and keeps what was sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.asks: list[Ask] = []
        self.exchanges: list[Exchange] = []

    @property
    def left(self) -> int:
        return REQUESTS - len(self.asks)

    def send(self, request: Request, ordinal: int = 0) -> Exchange:
        exchange = self._send(request, ordinal)
        if exchange is None:
            raise NoVerdict("nothing could be sent: the budget was spent before the first completion")
        self.asks.append(Ask(request, ordinal=ordinal))
        self.exchanges.append(exchange)
        return exchange


def _looks_like_a_page(exchange: Exchange) -> bool:
    return exchange.media_type == "text/html" or exchange.body.lstrip()[:9].lower().startswith((b"<!doctype", b"<html"))


def _message(exchange: Exchange) -> str:
    body = exchange.document.value
    error = body.get("error") if isinstance(body, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    if isinstance(text, str) and text:
        return f": {' '.join(text[:200].split())}"
    return " without a completion" if exchange.is_success else ""


def hopeless(exchange: Exchange, has_key: bool) -> str | None:
    """Why a run against this endpoint would say nothing, as one sentence; None where there is hope."""
    if exchange.end is End.NOT_SENT:
        return f"the endpoint cannot be reached ({exchange.note}): check --base-url and that it is running"
    if exchange.status is None:
        return f"the endpoint does not answer ({exchange.note}): check --base-url, or raise the timeouts"
    if exchange.status == 401 or (exchange.status == 403 and not has_key):
        if has_key:
            return f"the key was refused with status {exchange.status}{_message(exchange)}: check --api-key-env"
        return (
            f"the endpoint wants a key (status {exchange.status}): put it into $OPENAI_API_KEY, or name --api-key-env"
        )
    if _looks_like_a_page(exchange):
        return "the endpoint answers with a web page: --base-url probably lacks its path, such as /v1"
    if 300 <= exchange.status < 400:
        target = exchange.header("location") or "nowhere"
        return f"the endpoint redirects to {target[:200]}: redirects are not followed, give that address as --base-url"
    return None


def chat_models(facts: Facts) -> list[str]:
    """The listed models that may answer chat, in the order of the list."""
    found = []
    for row in facts.models or ():
        name, kind = row.get("id"), row.get("type")
        other = isinstance(kind, str) and _OTHER_KINDS.search(kind)
        if isinstance(name, str) and name and not other and not _OTHER_KINDS.search(name):
            found.append(name)
    return found


def _refuses(exchange: Exchange, field: str) -> bool:
    """An error answer that is about this request field: by `param`, or by naming it in the message."""
    body = exchange.document.value
    error = body.get("error") if isinstance(body, dict) else None
    param = error.get("param") if isinstance(error, dict) else None
    if isinstance(param, str) and re.split(r"[.\[]", param, maxsplit=1)[0] == field:
        return True
    return re.search(rf"(?<![A-Za-z_]){field}(?![A-Za-z_])", exchange.body.decode("utf-8", "replace")) is not None


def _without_refused(body: dict[str, Json], exchange: Exchange) -> dict[str, Json]:
    """The body without the optional fields that the answer names; `max_tokens` takes the place of the newer field."""
    refused = [name for name in (*_LIMITS, "temperature", "seed") if name in body and _refuses(exchange, name)]
    if not refused:
        return {name: value for name, value in body.items() if name in ("model", "messages")}
    made = {name: value for name, value in body.items() if name not in refused}
    if "max_completion_tokens" in refused:
        made["max_tokens"] = body["max_completion_tokens"]
    return made


def _complete(flight: _Flight, model: str, has_key: bool) -> Exchange:
    """A completion of this model with as many optional fields as it takes, or the last refusal."""
    body: dict[str, Json] = {
        "model": model,
        "messages": [{"role": "user", "content": _PROMPT}],
        "max_completion_tokens": _ROOM,
        "temperature": 0,
        "seed": 7,
    }
    exchange = flight.send(post(body))
    while exchange.status in (400, 422) and flight.left > 2:
        trouble = hopeless(exchange, has_key)
        if trouble is not None:
            raise NoVerdict(trouble)
        smaller = _without_refused(body, exchange)
        if smaller == body:
            break
        body = smaller
        exchange = flight.send(post(body))
    return exchange


def _body(exchange: Exchange) -> dict[str, Json]:
    chat = exchange.request.chat
    return dict(chat.body) if chat is not None else {}


def _find_model(flight: _Flight, models: Iterable[str], has_key: bool, *, lost: bool) -> Exchange:
    """The first completion that one of the models gave. `lost`: the list of models was not found."""
    refusals: list[str] = []
    for model in models:
        if flight.left < 2:
            break
        exchange = _complete(flight, model, has_key)
        trouble = hopeless(exchange, has_key)
        if trouble is not None:
            raise NoVerdict(trouble)
        if exchange.answer is not None:
            return exchange
        if lost and exchange.status in _NOWHERE and "model" not in _message(exchange).lower():
            raise NoVerdict(
                f"neither /models nor /chat/completions is there (status {exchange.status}{_message(exchange)}): "
                "check the path of --base-url, which commonly ends in /v1"
            )
        refusals.append(f"{model} (status {exchange.status}{_message(exchange)})")
    tried = ", ".join(refusals)
    if not tried and lost:
        raise NoVerdict(
            "GET /models is not there: check the path of --base-url; if it is right, name a model with --model"
        )
    if not tried:
        raise NoVerdict("no model is known: GET /models lists no chat model, so name one with --model")
    raise NoVerdict(f"no plain completion came from {tried}: name a model that answers chat with --model")


def _has_text(exchange: Exchange) -> bool:
    answer = exchange.answer
    return answer is not None and any(choice.text or choice.calls for choice in answer.choices)


def _with_room(flight: _Flight, exchange: Exchange) -> None:
    """Where all tokens went before any visible text: ask once more with room, so that facts know how many it takes."""
    body = _body(exchange)
    field = next((name for name in _LIMITS if name in body), None)
    if field is not None and not _has_text(exchange) and flight.left > 2:
        flight.send(post({**body, field: _MORE_ROOM}))


def _tokens_before_text(exchanges: Iterable[Exchange]) -> int:
    """The tokens that an answer without visible text used up, where the answer does not itself count reasoning."""
    most = 0
    for exchange in exchanges:
        answer = exchange.answer
        if answer is None or _has_text(exchange) or not isinstance(answer.usage, dict):
            continue
        used = answer.usage.get("completion_tokens")
        if isinstance(used, int) and not isinstance(used, bool) and 0 < used <= _MORE_ROOM:
            most = max(most, used)
    return most


def preflight(
    send: Send,
    dialect: Dialect,
    *,
    model: str | None = None,
    has_key: bool = True,
    bad_keys: bool = True,
    effort: Effort = Effort.STANDARD,
    capabilities: frozenset[str] | None = None,
) -> Ready:
    """Look at the endpoint. Raises NoVerdict where a run would say nothing.

    `model` None takes the first listed one that answers. `bad_keys` False leaves out the request without credentials.
    """
    flight = _Flight(send)
    listed = flight.send(get("/models"))
    trouble = hopeless(listed, has_key)
    if trouble is not None and (model is None or listed.status is None):
        raise NoVerdict(trouble)
    lost = listed.status in _NOWHERE
    names = [model] if model is not None else chat_models(derive(flight.exchanges))[:_MODEL_TRIES]
    completed = _find_model(flight, names, has_key, lost=lost)
    _with_room(flight, completed)
    if flight.left > 1:
        flight.send(completed.request, 1)
    if bad_keys and has_key and flight.left > 0:
        flight.send(replace(completed.request, auth="none"))
    facts = derive(flight.exchanges)
    facts = replace(facts, reasoning_tokens=max(facts.reasoning_tokens, _tokens_before_text(flight.exchanges)))
    return Ready(
        Base(
            dialect,
            facts,
            str(_body(completed).get("model")),
            effort,
            dialect.capabilities if capabilities is None else capabilities,
        ),
        tuple(flight.asks),
    )
