"""Legal forms of the models list."""

from __future__ import annotations

from typing import Any

from conformance.reference.stages import Context, Stage, variation
from conformance.wire.strict_json import Json

_SCHEMA = "https://github.com/openai/openai-openapi ListModelsResponse"


def _rows(body: dict[str, Json], context: Context, change: Any) -> dict[str, Json]:
    if not context.request.route.startswith("/models"):
        return body
    if isinstance(body.get("data"), list):
        return {**body, "data": [change(row) for row in body["data"]]}
    return dict(change(body))


@variation("models-more-fields", at=Stage.BODY, legal=f"{_SCHEMA}: additional properties are not excluded")
def models_more_fields(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """Rows tell more: permissions, roots, windows, a shutdown date."""
    more: dict[str, Json] = {
        "permission": [],
        "root": None,
        "parent": None,
        "context_length": 128_000,
        "shutdown_date": None,
    }
    return _rows(body, context, lambda row: {**row, **more})


@variation("models-paged", at=Stage.BODY, legal=f"{_SCHEMA}: additional properties are not excluded")
def models_paged(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """The list carries the keys of a page."""
    if context.request.route != "/models":
        return body
    ids = [row["id"] for row in body["data"]]
    return {**body, "first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None, "has_more": False}


@variation("models-embedding-first", at=Stage.BODY, legal=f"{_SCHEMA}: no order is promised")
def models_embedding_first(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """The embedding model comes first."""
    if context.request.route != "/models":
        return body
    return {**body, "data": sorted(body["data"], key=lambda row: "embed" not in row["id"])}


@variation(
    "models-cap-other-name",
    at=Stage.BODY,
    dialects=("aurous",),
    legal="https://docs.aurous-labs.com/guides/error-handling calls the cap hard_max_tokens",
)
def models_cap_other_name(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """The cap on output tokens stands under its other name."""
    key = context.dialect.convention("model.metadata")

    def change(row: dict[str, Json]) -> dict[str, Json]:
        metadata = dict(row[key])
        if "max_output_tokens_hard_cap" in metadata:
            metadata["hard_max_tokens"] = metadata.pop("max_output_tokens_hard_cap")
        return {**row, key: metadata}

    return _rows(body, context, change)


@variation(
    "models-kind-in-metadata",
    at=Stage.BODY,
    dialects=("aurous",),
    legal="https://docs.aurous-labs.com/api-reference/errors/model_wrong_kind: aurous_metadata.kind",
)
def models_kind_in_metadata(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """The kind stands in the metadata alone."""
    return _rows(body, context, lambda row: {key: value for key, value in row.items() if key != "kind"})


@variation(
    "models-kind-on-top",
    at=Stage.BODY,
    dialects=("aurous",),
    legal="https://docs.aurous-labs.com/guides/openai-drop-in: a top-level kind",
)
def models_kind_on_top(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """The kind stands at the top level alone."""
    key = context.dialect.convention("model.metadata")

    def change(row: dict[str, Json]) -> dict[str, Json]:
        metadata = {name: value for name, value in row[key].items() if name != "kind"}
        return {**row, key: metadata}

    return _rows(body, context, change)
