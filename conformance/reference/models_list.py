"""The models that the reference endpoint lists, and what they can do."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.dialects.model import Dialect
from conformance.wire.strict_json import Json

CREATED = 1_750_000_000
"""When the made-up models were made: Unix time in seconds."""


@dataclass(frozen=True)
class Model:
    """A made-up model. `window` and `cap` are numbers of tokens; `flags` are capability flags."""

    id: str
    kind: str = "chat"
    flags: tuple[str, ...] = ()
    window: int = 128_000
    cap: int = 16_384


MODELS = (
    Model("reference-1", flags=("tool_choice_required", "reasoning_effort")),
    Model("reference-mini", cap=8_192),
    Model("reference-embed", kind="embedding", window=8_192, cap=0),
)
_BY_ID = {model.id: model for model in MODELS}


def find(model_id: Json) -> Model | None:
    """The model of this id."""
    return _BY_ID.get(model_id) if isinstance(model_id, str) else None


def serving(model_id: Json) -> Model:
    """The model that answers a request: the named one, or the first where the endpoint decides."""
    found = find(model_id)
    return found if found is not None and found.kind == "chat" else MODELS[0]


def row(model: Model, dialect: Dialect) -> dict[str, Json]:
    """One row of the list, with the dialect's own keys."""
    made: dict[str, Json] = {"id": model.id, "object": "model", "created": CREATED, "owned_by": "reference"}
    extra = dialect.convention("model.metadata")
    if extra:
        chat = model.kind == "chat"
        pricing = {"currency": "credits", "input_per_million": 75, "output_per_million": 450}
        made |= {
            "kind": model.kind,
            "chat_pricing": pricing if chat else None,
            "embedding_pricing": None if chat else {"currency": "credits", "input_per_million": 20},
        }
        metadata: dict[str, Json] = {"kind": model.kind, "capabilities": list(model.flags)}
        if chat:
            metadata |= {"context_window": model.window, "max_output_tokens_hard_cap": model.cap}
        made[extra] = metadata
    return made


def listing(dialect: Dialect) -> dict[str, Json]:
    """The body of GET /models."""
    return {"object": "list", "data": [row(model, dialect) for model in MODELS]}
