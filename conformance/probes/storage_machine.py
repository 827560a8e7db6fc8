"""Random lives of stored completions: a state machine whose model is the ledger, shrunk to the shortest way to trouble.

The machine asserts nothing itself. Where the run can judge on the way, a call that no store may answer so ends the
example, and Hypothesis looks for the shortest sequence of calls that shows it; what is sent while looking is evidence
like everything else.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule, run_state_machine_as_test

from conformance.probes import build
from conformance.probes.base import Base, Effort, Probe, Session, register
from conformance.probes.story import Story, story
from conformance.wire.strict_json import Json

_EXAMPLES = {Effort.QUICK: 0, Effort.STANDARD: 3, Effort.THOROUGH: 15}
_STEPS = 12
_CREATIONS = {Effort.QUICK: 0, Effort.STANDARD: 8, Effort.THOROUGH: 80}
"""Completions that may be made."""
_MORE = 60
"""Completions that may be made besides, to look for the shortest sequence once there is a violation."""
_COLOURS = st.sampled_from(("red", "blue", ""))
_NAMES = st.sampled_from(("colour", "shape", "odd ]&%= é"))
_PAIRS = st.dictionaries(_NAMES, _COLOURS, max_size=2)


class Diverged(Exception):
    """A call was answered as no store may answer it."""


class _Purse:
    """How many completions may be made yet: more, once there is something to shrink."""

    def __init__(self, effort: Effort) -> None:
        self.left = _CREATIONS[effort]
        self.found = False

    def diverged(self) -> Diverged:
        if not self.found:
            self.found = True
            self.left += _MORE
        return Diverged()


def _bodies(base: Base) -> list[dict[str, Json]]:
    plain = base.body(build.GREETING, limit=32, **build.BARE)
    made = [plain]
    if build.takes_many(base):
        made.append({**plain, "n": 2})
    if "tools" in base.capabilities:
        forced = build.named("get_weather")
        made.append(base.body(build.WEATHER, tools=[build.WEATHER_TOOL], tool_choice=forced, limit=64, **build.BARE))
    return made + ([build.streamed(body) for body in made] if "streaming" in base.capabilities else [])


def machine(told: Story, purse: _Purse) -> type[RuleBasedStateMachine]:
    """The machine of one story."""
    bodies = _bodies(told.base)

    class Life(RuleBasedStateMachine):
        """Calls in any order, on records that this machine made."""

        records = Bundle("records")

        def __init__(self) -> None:
            super().__init__()
            told.begin_again()

        @initialize(target=records, form=st.integers(0, len(bodies) - 1), pairs=_PAIRS)
        def begin(self, form: int, pairs: dict[str, str]) -> Any:
            return self.store(form, pairs)

        @rule(target=records, form=st.integers(0, len(bodies) - 1), pairs=_PAIRS)
        def create(self, form: int, pairs: dict[str, str]) -> Any:
            return self.store(form, pairs)

        def store(self, form: int, pairs: dict[str, str]) -> Any:
            if purse.left <= 0:
                return multiple()
            purse.left -= 1
            made = told.create(bodies[form], **pairs)
            return made if made is not None and told.retrieve(made).is_success else multiple()

        @rule(record=records)
        def retrieve(self, record: str) -> None:
            record_is = told.ledger.records[record]
            if record_is.deleted:
                told.retrieve(record, lambda exchange: not exchange.is_success)
            else:
                told.retrieve(record, told.shows_the_update(record) if record_is.updates else None)

        @rule(record=records, limit=st.sampled_from((0, 1, 3)), falling=st.booleans())
        def messages(self, record: str, limit: int, falling: bool) -> None:
            given: dict[str, str | int] = {"limit": limit} if limit else {}
            told.messages(record, **(given | ({"order": "desc"} if falling else {})))

        @rule(record=records, pairs=_PAIRS)
        def update(self, record: str, pairs: dict[str, str]) -> None:
            told.update(record, {"metadata": dict([told.tag]) | pairs})

        @rule(record=records)
        def delete(self, record: str) -> None:
            if told.ledger.records[record].deleted:
                told.deleted_again(record)
            else:
                told.delete(record)

        @rule(pairs=_PAIRS, order=st.sampled_from(("", "asc", "desc")), by_model=st.booleans())
        def list(self, pairs: dict[str, str], order: str, by_model: bool) -> None:
            given = {"order": order} if order else {}
            told.list(*pairs.items(), tagged=True, **(given | ({"model": told.base.model} if by_model else {})))

        @rule(limit=st.integers(1, 3), order=st.sampled_from(("asc", "desc")))
        def walk(self, limit: int, order: str) -> None:
            told.walk(limit, order=order)

    return Life


def _lives(session: Session) -> None:
    base = session.base
    if "list" not in (base.dialect.convention("storage.routes") or ()):
        return
    with story(session, "machine") as told:
        purse = _Purse(base.effort)
        told.diverged = purse.diverged
        chosen = seed(base.seed)(machine(told, purse))
        try:
            run_state_machine_as_test(
                chosen,
                settings=settings(
                    max_examples=_EXAMPLES[base.effort],
                    stateful_step_count=_STEPS,
                    phases=(Phase.generate, Phase.shrink),
                    database=None,
                    deadline=None,
                    print_blob=False,
                    verbosity=Verbosity.quiet,
                    report_multiple_bugs=False,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        except (Diverged, HypothesisException):
            # What was found is in the evidence; a flaky answer is one of many there.
            return


register(
    Probe(
        "storage_machine",
        "storage",
        ("storage",),
        scenario=_lives,
        at=Effort.STANDARD,
        upper=400,
        costly=(0, 8, 80),
        needs=frozenset({"storage"}),
        summary="Random lives of stored completions, shrunk to the shortest sequence of calls.",
    )
)
