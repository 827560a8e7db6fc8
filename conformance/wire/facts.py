"""Facts about an endpoint, each derived by a pure function from recorded exchanges.

Probes build on them (a probe never sends an optional field that was refused), rules read them, and `verify` derives
the same facts again from the evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from conformance.wire.exchange import Exchange
from conformance.wire.strict_json import Json


@dataclass(frozen=True)
class Facts:
    """What is known of an endpoint. None means: not seen."""

    models: tuple[dict[str, Json], ...] | None = None
    """The rows of GET /models."""
    model: str | None = None
    """The model under test: the one that most completions were asked of."""
    token_limit_field: str | None = None
    """`max_completion_tokens` or `max_tokens`, whichever was accepted."""
    accepts_temperature: bool | None = None
    accepts_seed: bool | None = None
    key_required: bool | None = None
    """A request without credentials was refused with 401 or 403."""
    deterministic: bool | None = None
    """Two equal requests got equal text."""
    reasoning_tokens: int = 0
    """Tokens that were needed before any visible text."""
    accepted_fields: frozenset[str] = field(default_factory=frozenset)
    """Optional top-level request fields that a successful request carried."""

    def row(self, model: Json) -> dict[str, Json] | None:
        """The listed row of a model id."""
        return next((row for row in self.models or () if row.get("id") == model), None)


def _models(exchanges: Sequence[Exchange]) -> tuple[dict[str, Json], ...] | None:
    for exchange in exchanges:
        if exchange.request.method == "GET" and exchange.request.route == "/models" and exchange.is_success:
            body = exchange.document.value
            data = body.get("data") if isinstance(body, dict) else None
            if isinstance(data, list):
                return tuple(row for row in data if isinstance(row, dict))
    return None


def _key_required(exchanges: Sequence[Exchange]) -> bool | None:
    for exchange in exchanges:
        if exchange.request.auth == "none" and exchange.status is not None:
            return exchange.status in (401, 403)
    return None


def _deterministic(exchanges: Sequence[Exchange]) -> bool | None:
    seen: dict[bytes, list[str]] = {}
    for exchange in exchanges:
        answer = exchange.answer
        if answer is None or not answer.complete or answer.streamed or exchange.request.body is None:
            continue
        chat = exchange.request.chat
        if chat is None or (chat.body.get("temperature") != 0 and chat.body.get("seed") is None):
            continue
        if answer.choices:
            seen.setdefault(exchange.request.body, []).append(answer.choices[0].text)
    repeated = [texts for texts in seen.values() if len(texts) > 1 and any(texts)]
    if not repeated:
        return None
    return all(len(set(texts)) == 1 for texts in repeated)


def _reasoning_tokens(exchanges: Sequence[Exchange]) -> int:
    most = 0
    for exchange in exchanges:
        usage = exchange.answer.usage if exchange.answer is not None else None
        details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
        found = details.get("reasoning_tokens") if isinstance(details, dict) else None
        if isinstance(found, int) and not isinstance(found, bool):
            most = max(most, found)
    return most


def derive(exchanges: Sequence[Exchange]) -> Facts:
    """All facts that the exchanges show, in one pass each; the order of exchanges is the order of sending."""
    accepted: set[str] = set()
    models: dict[str, int] = {}
    for exchange in exchanges:
        chat = exchange.request.chat
        if chat is None or exchange.answer is None:
            continue
        accepted.update(key for key, value in chat.body.items() if value is not None)
        if isinstance(chat.model, str):
            models[chat.model] = models.get(chat.model, 0) + 1
    limit = next((name for name in ("max_completion_tokens", "max_tokens") if name in accepted), None)
    return Facts(
        models=_models(exchanges),
        model=max(models, key=lambda name: models[name]) if models else None,
        token_limit_field=limit,
        accepts_temperature=True if "temperature" in accepted else None,
        accepts_seed=True if "seed" in accepted else None,
        key_required=_key_required(exchanges),
        deterministic=_deterministic(exchanges),
        reasoning_tokens=_reasoning_tokens(exchanges),
        accepted_fields=frozenset(accepted),
    )
