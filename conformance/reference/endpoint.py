"""The reference endpoint, sans-I/O: one request in, one reply out, every stage open to named changes.

Without changes it is correct in its dialect. Changes are functions at the stages that `stages` describes; several at
one stage apply in order, variations before faults. A REFUSAL hook is asked about each reason to turn the request
down, in the order of the checks, until one stands; last it is asked about None.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.dialects.model import Dialect
from conformance.reference import access, framing, headers, models_list, rendering, stored_routes, validation
from conformance.reference.errors import error_reply
from conformance.reference.model import complete
from conformance.reference.schemas import CAPS, Caps
from conformance.reference.stages import Change, Context, Hook, Refusal, Reply, Stage
from conformance.reference.store import Store, Stored
from conformance.wire import strict_json
from conformance.wire.exchange import Headers, Request
from conformance.wire.strict_json import Json

KEY = "sk-reference-made-up-key"
"""The key that the endpoint accepts unless told otherwise. Made up: it opens nothing."""
SECOND_KEY = "sk-reference-of-another-project"
"""The key of another project, just as made up."""


def _copied(body: dict[str, Json]) -> dict[str, Json]:
    """A copy that hooks may change; of a body too deep to copy, one whose inner values are shared."""
    try:
        return copy.deepcopy(body)
    except RecursionError:
        return dict(body)


@dataclass
class Endpoint:
    """An endpoint of one dialect. `latency` is in seconds before the first byte; `clock` gives Unix time.

    `store` keeps completions: by default one of its own, in memory, where the dialect has storage. `second_key` is that
    of another project, which sees nothing of the first one's completions.
    """

    dialect: Dialect
    faults: Sequence[Change] = ()
    variations: Sequence[Change] = ()
    mind: str = "obedient"
    key: str = KEY
    second_key: str | None = SECOND_KEY
    store: Store | None = None
    clock: Callable[[], float] = time.time
    latency: float = 0.0
    caps: Caps = CAPS
    """How deep and large a schema may be where the dialect states no number."""
    state: dict[str, Any] = field(default_factory=dict)
    """What changes remember between requests."""

    def __post_init__(self) -> None:
        """Sort the changes that this dialect admits by stage."""
        admitted = [
            change
            for change in (*self.variations, *self.faults)
            if not change.dialects or change.dialects & set(self.dialect.lineage)
        ]
        self._hooks: dict[Stage, list[Hook]] = {stage: [] for stage in Stage}
        for change in admitted:
            self._hooks[change.at].append(change.hook)
        self._serials = itertools.count()
        self._owners = {self.key: "first"} | ({self.second_key: "second"} if self.second_key else {})
        if self.store is None and self.dialect.convention("storage.stores"):
            self.store = Store()

    def respond(self, request: Request, now: int | None = None) -> Reply:
        """The answer to one request; `now` is Unix time in seconds, by default the clock's. Never raises by itself."""
        moment = int(self.clock()) if now is None else now
        context = Context(
            request, self.dialect, self.mind, next(self._serials), moment, caps=self.caps, state=self.state
        )
        reply = self._delayed(self._answer(context))
        final: Reply = self._through(Stage.REPLY, reply, context)
        return final

    def _through(self, stage: Stage, value: Any, context: Context) -> Any:
        for hook in self._hooks[stage]:
            value = hook(value, context)
        return value

    def _delayed(self, reply: Reply) -> Reply:
        if not self.latency or not reply.pieces:
            return reply
        (delay, data), *rest = reply.pieces
        return replace(reply, pieces=((delay + self.latency, data), *rest))

    def _answer(self, context: Context) -> Reply:
        refusal = self._refusal(context)
        if refusal is not None:
            return self._refused(refusal, context)
        call = stored_routes.call(context)
        if self.store is not None and call is not None:
            answer = stored_routes.answer(context, call, self.store, self._through)
            return self._sent(self._through(Stage.RECORD, answer, context), context)
        if context.request.route == "/chat/completions":
            return self._completion(context)
        if context.request.route == "/models":
            return self._json(models_list.listing(self.dialect), context)
        model = models_list.find(access.model_id(context.request.route))
        return self._json({} if model is None else models_list.row(model, self.dialect), context)

    def _reasons(self, context: Context) -> Iterator[Refusal]:
        call = stored_routes.call(context)
        yield from access.refuse_credentials(context, self._owners)
        if self.store is not None and call is not None:
            yield from stored_routes.reasons(context, call, self.store)
            return
        yield from access.refuse_route(context)
        if context.request.route != "/chat/completions" or context.request.method != "POST":
            return
        value = context.request.document.value
        context.body = value if isinstance(value, dict) else None
        yield from access.refuse_body(context)
        if context.body is not None:
            yield from validation.reasons(context)

    def _refusal(self, context: Context) -> Refusal | None:
        for reason in self._reasons(context):
            refusal: Refusal | None = self._through(Stage.REFUSAL, reason, context)
            if refusal is not None:
                return refusal
        outcome: Refusal | None = self._through(Stage.REFUSAL, None, context)
        return outcome

    def _refused(self, refusal: Refusal, context: Context) -> Reply:
        context.refusal = refusal
        error = self._through(Stage.ERROR, error_reply(refusal, context), context)
        media_type: Headers = (("content-type", "application/json"),)
        return Reply(
            error.status,
            (*media_type, *error.headers, *headers.common(context)),
            ((0.0, strict_json.dump(error.body)),),
        )

    def _json(self, body: dict[str, Json], context: Context) -> Reply:
        return self._sent(self._through(Stage.BODY, body, context), context)

    def _sent(self, body: Json, context: Context) -> Reply:
        return Reply(
            200,
            (("content-type", "application/json"), *headers.common(context)),
            ((0.0, strict_json.dump(body)),),
        )

    def _completion(self, context: Context) -> Reply:
        asked = context.body or {}
        context.demand = _copied(asked) if self._hooks[Stage.DEMAND] else dict(asked)
        context.demand = self._through(Stage.DEMAND, context.demand, context)
        completion = self._through(Stage.COMPLETION, complete(context), context)
        if context.demand.get("stream") is not True:
            body = self._through(Stage.BODY, rendering.body(completion, context), context)
            self._keep(body, context)
            return self._sent(body, context)
        chunks = self._through(Stage.CHUNKS, rendering.chunks(completion, context), context)
        frames = self._through(Stage.FRAMES, [framing.frame(chunk) for chunk in chunks], context)
        if self._keeps(context):
            self._keep(rendering.as_read(rendering.body(completion, context), b"".join(frames), context), context)
        return Reply(
            200,
            (
                ("content-type", "text/event-stream; charset=utf-8"),
                *headers.stream_only(context),
                *headers.common(context),
            ),
            framing.writes(frames),
        )

    def _keeps(self, context: Context) -> bool:
        return self.store is not None and stored_routes.asks_to_keep(context)

    def _keep(self, body: dict[str, Json], context: Context) -> None:
        """Keep a completion as its client reads it, so that a change of the answer is one of the record too."""
        if self.store is None or not self._keeps(context):
            return
        record: Stored | None = self._through(Stage.KEEP, stored_routes.record(body, context), context)
        if record is not None:
            self.store.put(record)
