"""Stored completions from creation to deletion: by id and by list, updated, side by side, and at the limits."""

from __future__ import annotations

from conformance.probes import build
from conformance.probes.base import Base, Effort, Probe, Scenario, Session, register
from conformance.probes.story import PLANTED, Story, story
from conformance.wire.stored import list_path, path_of
from conformance.wire.strict_json import Json

_NEEDS = frozenset({"storage"})
_SECOND = 1.1
"""Seconds after which the next record has a later time of creation."""
_ODD_KEY, _ODD_VALUE = "odd ]&%/= ké", "a b&c=d%20+ü"
"""Characters that a query string has other plans for."""


def _has(base: Base, route: str) -> bool:
    return route in (base.dialect.convention("storage.routes") or ())


def _body(base: Base, prompt: str = build.GREETING, **fields: Json) -> dict[str, Json]:
    return base.body(prompt, limit=32, **{**build.BARE, **fields})


def _history(base: Base, **fields: Json) -> dict[str, Json]:
    """A request with several messages of all roles, one of them in parts."""
    messages: list[Json] = [
        {"role": "system", "content": f"Be brief. {build.UNICODE}"},
        build.user(build.WEATHER),
        build.called(build.call("call_paris", "get_weather", '{"location":"Paris"}')),
        build.result("call_paris", '{"temp": 18}'),
        {"role": "user", "content": [{"type": "text", "text": "And in short?"}]},
    ]
    tools = {"tools": [build.WEATHER_TOOL]} if "tools" in base.capabilities else {}
    if "tools" not in base.capabilities:
        messages = [messages[0], messages[1], {"role": "assistant", "content": "Mild."}, messages[4]]
    return base.body(*messages, limit=64, **{**build.BARE, **tools, **fields})


def _life(session: Session) -> None:
    """One record by its id: found, shown, updated, its messages, deleted, and gone."""
    with story(session, "life") as told:
        made = session.send(
            told.request(_history(session.base), colour="red", empty="", odd=build.UNICODE, long="v" * 300), fresh=True
        )
        first = told.made(made)
        if first is None:
            told.tell([made])
        if first is None or not told.retrieve(first).is_success:
            return
        _look(told, first)
        _foreign(told, first)
        told.update(first, {"metadata": {told.tag[0]: told.tag[1], "colour": "blue", "more": "x" * 300}})
        told.retrieve(first, told.shows_the_update(first))
        told.list(("colour", "blue"))
        told.list(("colour", "red"))
        _refused_updates(told, first)
        told.delete(first)
        told.messages(first)
        told.update(first, {"metadata": {"late": "x"}})
        told.deleted_again(first)
        told.list()
    session.send(build.get(path_of("chatcmpl-doesNotExist0123456789")), fresh=True)


def _look(told: Story, stored_id: str) -> None:
    told.messages(stored_id)
    told.messages(stored_id, limit=2)
    told.messages(stored_id, order="desc")
    kept = told.messages(stored_id, limit=1).document.value
    last = kept.get("last_id") if isinstance(kept, dict) else None
    if isinstance(last, str):
        told.messages(stored_id, limit=2, after=last)


def _refused_updates(told: Story, stored_id: str) -> None:
    """None of these may change anything."""
    full: Json = {f"k{number}": "v" for number in range(17)}
    for body in (
        {},
        {"model": "another"},
        {"metadata": full},
        {"metadata": {"k" * 65: "v"}},
        {"metadata": {"k": "v" * 513}},
    ):
        told.update(stored_id, body)
    told.retrieve(stored_id, told.shows_the_update(stored_id))


def _foreign(told: Story, stored_id: str) -> None:
    """What another project's key sees of it."""
    if told.base.second_key:
        other = build.get(path_of(stored_id), auth="second")
        told.tell([told.session.send(other, fresh=True)], stored_id)


def _planted(session: Session) -> None:
    """One record that stays, where the user asks for it: `revisit` looks at it later."""
    if session.base.plant:
        told = Story(session, "planted")
        made = told.create(_body(session.base), **{PLANTED: "yes"})
        if made is not None:
            told.retrieve(made)


def _lists(session: Session) -> None:
    """A few records of different times, models and metadata: filters, pages, orders and limits."""
    base = session.base
    with story(session, "lists") as told:
        red, round_ = f"{base.run_id}-red", ("shape", "round")
        first = told.create(_body(base), colour=red, shape="round", **{_ODD_KEY: _ODD_VALUE})
        session.wait(_SECOND)
        if first is None or not told.retrieve(first).is_success:
            return
        told.create(_body(base, "Say goodbye in one word."), colour=red, shape="square")
        told.create(_body(base, "Name a colour."), colour="blue", shape="round")
        colour = ("colour", red)
        told.list()
        told.list(colour, tagged=False)
        told.list(colour, round_)
        told.list((_ODD_KEY, _ODD_VALUE))
        told.list(("colour", "none"))
        for order in ("asc", "desc"):
            told.list(order=order)
            told.walk(2, order=order)
        told.walk(1)
        told.walk(3)
        told.list(limit=2)
        told.list(model=base.model)
        told.list(model="no-such-model")
        for odd in ("0", "101", "x"):
            told.odd(limit=odd)
        told.odd(order="up")
        told.odd(after="chatcmpl-doesNotExist0123456789")
        session.send(build.get(list_path()), fresh=True)
        told.delete(first)
        told.list()
        told.walk(1, order="asc")


def _streamed(session: Session) -> None:
    """What was streamed is stored too; and what did not ask for it is not."""
    base = session.base
    with story(session, "streams") as told:
        if "streaming" in base.capabilities:
            made = told.create(build.streamed(_body(base, f"Repeat exactly: {build.UNICODE}")), mode="stream")
            if made is not None and told.retrieve(made).is_success:
                told.messages(made)
    if base.dialect.convention("storage.stores") == "always":
        return
    for body in (_body(base), _body(base, store=False)):
        exchange = session.send(build.post(body))
        if exchange.answer is not None and isinstance(exchange.answer.id, str):
            told.tell([session.send(build.get(path_of(exchange.answer.id)))], exchange.answer.id, [exchange])


def _limits(session: Session) -> None:
    """Metadata at its limits and one beyond; values that are no strings; metadata and store in odd company."""
    base = session.base
    with story(session, "limits") as told:
        filled: dict[str, Json] = {f"key-{number}": "v" for number in range(13)}
        longest: tuple[dict[str, Json], ...] = (
            {**filled, "k" * 64: "v" * 512, "empty": ""},
            {"é" * 64: "日" * 512},
        )
        for pairs in longest:
            made = told.create(_body(base), **pairs)
            if made is not None:
                told.retrieve(made)
        values: tuple[Json, ...] = (1, True, None, ["a"], {"a": "b"})
        beyond: list[dict[str, Json]] = [
            {f"key-{number}": "v" for number in range(16)},
            {"k" * 65: "v"},
            {"long": "v" * 513},
            *({"value": value} for value in values),
        ]
        for wrong in beyond:
            told.create(_body(base), **wrong)
        told.made(session.send(build.post(_body(base, store="yes")), fresh=True))
        told.made(session.send(build.post(_body(base, metadata={"colour": "red"})), fresh=True))


def _forms(session: Session) -> None:
    """Records of many forms: several choices, tool calls, cut and long text, in both modes, and updates after those."""
    base = session.base
    with story(session, "forms") as told:
        bodies = [_body(base, build.COUNT, n=2)] if build.takes_many(base) else []
        if "tools" in base.capabilities:
            bodies.append(base.body(build.CITIES, tools=[build.WEATHER_TOOL], tool_choice=build.named("get_weather")))
        texts = [base.body(build.LONG, limit=limit, **build.BARE) for limit in (3, 160)]
        if "streaming" in base.capabilities:
            bodies += [build.streamed(body) for body in bodies]
            texts += [build.streamed(body) for body in texts]
        for number, body in enumerate(bodies):
            made = told.create(body, number=str(number))
            if made is None or not told.retrieve(made).is_success:
                continue
            told.messages(made)
            for colour in ("red", "blue"):
                told.update(made, {"metadata": {told.tag[0]: told.tag[1], "colour": colour}})
                told.retrieve(made, told.shows_the_update(made))
            told.messages(made)
        told.list(("colour", "blue"))
        told.list(("colour", "red"))
        for body in texts:
            made = told.create(body)
            if made is not None:
                told.retrieve(made)


def _crowd(session: Session) -> None:
    """Records made side by side, pages while more are made, and two updates of one record at once."""
    base = session.base
    with story(session, "crowd") as told:
        requests = [told.request(_body(base), number=str(number), even=str(number % 2)) for number in range(5)]
        made = [told.made(exchange) for exchange in session.together(requests)]
        found = [name for name in made if name is not None]
        if not found or not told.retrieve(found[0]).is_success:
            return
        told.list()
        told.list(("even", "0"))
        told.walk(2, order="asc")
        told.walk(2, order="desc")
        told.walk(5, order="asc")
        told.walk(2, lambda: told.create(_body(base), number="later"), order="asc")
        told.walk(2, lambda: told.create(_body(base), number="last"), order="desc")
        values = [{"metadata": {told.tag[0]: told.tag[1], "winner": name}} for name in ("one", "two")]
        sent = session.together([build.post(value, path=path_of(found[0])) for value in values])
        for exchange in sent:
            told.updated(exchange, found[0])
        told.retrieve(found[0], told.shows_the_update(found[0]))
        told.delete(found[1])
        told.list(order="desc")
        told.walk(2, order="desc")


def _kept(session: Session) -> None:
    """In a dialect that keeps each completion and shows it by its id alone."""
    base = session.base
    with story(session, "kept") as told:
        bodies = [_body(base)]
        if "tools" in base.capabilities:
            bodies.append(base.body(build.WEATHER, tools=[build.WEATHER_TOOL], tool_choice=build.named("get_weather")))
        bodies += [build.streamed(_body(base))] if "streaming" in base.capabilities else []
        for body in bodies:
            made = told.made(session.send(build.post(body), fresh=True))
            session.wait(_SECOND)
            if made is not None and told.retrieve(made).is_success:
                told.tell([session.send(build.post({}, path=path_of(made, "cancel")), fresh=True)], made)
                _foreign(told, made)
    session.send(build.get(path_of("cmp_01ARZ3NDEKTSV4RRFFQ69G5FAV")), fresh=True)


def _where(route: str, scenario: Scenario) -> Scenario:
    """The scenario in those dialects that have the route."""

    def run(session: Session) -> None:
        if _has(session.base, route):
            scenario(session)

    return run


for _name, _scenario, _at, _upper, _costly, _summary in (
    ("storage_life", _where("list", _life), Effort.QUICK, 120, (1, 1, 1), "A stored completion from first to last."),
    ("storage_lists", _where("list", _lists), Effort.QUICK, 200, (3, 3, 3), "Filters, pages and orders of lists."),
    (
        "storage_streams",
        _where("list", _streamed),
        Effort.QUICK,
        60,
        (2, 2, 2),
        "A stored stream, and what is not stored.",
    ),
    ("storage_limits", _where("list", _limits), Effort.QUICK, 60, (2, 2, 2), "Metadata at its limits and beyond."),
    (
        "storage_forms",
        _where("list", _forms),
        Effort.STANDARD,
        160,
        (0, 8, 8),
        "Choices, tool calls and cut text, stored.",
    ),
    ("storage_crowd", _where("list", _crowd), Effort.STANDARD, 200, (0, 7, 7), "Creations and pages side by side."),
    ("storage_planted", _where("list", _planted), Effort.QUICK, 10, (0, 0, 0), "With --plant: a record that stays."),
    ("storage_kept", _where("cancel", _kept), Effort.QUICK, 20, (3, 3, 3), "What is kept unasked, shown by its id."),
):
    register(
        Probe(
            _name,
            "storage",
            ("storage",),
            scenario=_scenario,
            at=_at,
            upper=_upper,
            costly=_costly,
            needs=_NEEDS,
            summary=_summary,
        )
    )
