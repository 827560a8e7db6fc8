"""Tool definitions: which entries, names, descriptions and numbers of tools are refused, and which are taken."""

from __future__ import annotations

import re
from functools import lru_cache

from conformance.rules.base import Reason, Terms, Vacuous, Verdicts, at_body, at_status, rule
from conformance.rules.calls import chat_of, has_tools
from conformance.rules.refusals import broke_down, must_accept, must_refuse, names
from conformance.rules.tool_entries import entries, functions, some_entry, some_function, sound
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Json, is_integer, show
from conformance.wire.traces import Single

_ASKED = (Facet.REQUEST, Facet.STATUS)
_JUDGED = (Facet.REQUEST, Facet.STATUS, Facet.BODY)
_TYPES = ("function", "custom")
_NAMED = (".name", "name'", 'name"', "name`", "function name", "tool name", "name of the function", "name must")
"""How refusals speak of the name of a function: the bare word is part of too many sentences."""


@rule(
    "tools.value.non_array_is_refused",
    on=Single,
    reads=_ASKED,
    when=lambda trace, terms: (
        chat_of(trace.exchange).body.get("tools") is not None
        and not isinstance(chat_of(trace.exchange).body.get("tools"), list)
    ),
)
def non_array_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A `tools` that is no array is refused."""
    yield from must_refuse(trace.exchange, "400: tools is an array")


def _is_untyped(entry: Json) -> bool:
    """No object, or a function under no known type. Tools of other shapes may be a provider's own."""
    return not isinstance(entry, dict) or (entry.get("type") not in _TYPES and isinstance(entry.get("function"), dict))


@rule(
    "tools.entry.unknown_type_is_refused",
    on=Single,
    reads=_ASKED,
    when=some_entry(_is_untyped),
)
def unknown_type_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A tool without a type, or of an unknown one, is refused."""
    yield from must_refuse(trace.exchange, '400: the type of a tool is "function"')


@rule(
    "tools.entry.needs_its_function",
    on=Single,
    reads=_ASKED,
    when=some_entry(
        lambda entry: (
            isinstance(entry, dict) and entry.get("type") == "function" and not isinstance(entry.get("function"), dict)
        )
    ),
)
def entry_needs_its_function(trace: Single, terms: Terms) -> Verdicts:
    """A tool of type function without a function object is refused."""
    yield from must_refuse(trace.exchange, "400: a tool has a function object")


def _is_nameless(function: dict[str, Json]) -> bool:
    return not isinstance(function.get("name"), str) or not function["name"]


@rule("tools.name.is_required", on=Single, reads=_ASKED, when=some_function(_is_nameless))
def name_is_required(trace: Single, terms: Terms) -> Verdicts:
    """A function without a non-empty string as name is refused."""
    yield from must_refuse(trace.exchange, "400: a function has a name")


@lru_cache(maxsize=32)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _names(exchange: Exchange) -> list[str]:
    return [function["name"] for function in functions(exchange) if not _is_nameless(function)]


def _breaks_pattern(name: str, terms: Terms) -> bool:
    pattern = terms.dialect.limit("tool_name.pattern")
    return isinstance(pattern, str) and (_pattern(pattern).search(name) is None or name.endswith("\n"))


@rule(
    "tools.name.pattern_is_enforced",
    on=Single,
    reads=_ASKED,
    when=lambda trace, terms: any(_breaks_pattern(name, terms) for name in _names(trace.exchange)),
)
def name_pattern_is_enforced(trace: Single, terms: Terms) -> Verdicts:
    """A function name with other characters than letters, digits, underscores and dashes is refused."""
    odd = next(name for name in _names(trace.exchange) if _breaks_pattern(name, terms))
    yield from must_refuse(trace.exchange, f"400: {show(odd, 40)} does not match the pattern of names")


def _longest(exchange: Exchange, terms: Terms) -> int:
    """How much longer the longest well-formed name is than the limit; 0 means exactly as long, -1 anything else."""
    limit = terms.dialect.limit("tool_name.max_length")
    if not is_integer(limit) or any(_breaks_pattern(name, terms) for name in _names(exchange)):
        return -1
    return max((len(name) - limit for name in _names(exchange)), default=-1)


def _is_unusual(name: str) -> bool:
    """It has a dash, or begins with something else than a letter: what careless patterns forget."""
    return "-" in name or not name[0].isalpha()


def _are_all_sound(names: list[str], terms: Terms) -> bool:
    """All match the pattern, none is as long as the limit, of which another row speaks."""
    longest = terms.dialect.limit("tool_name.max_length")
    short = all(len(name) < (longest if is_integer(longest) else 64) for name in names)
    return short and len(set(names)) == len(names) and not any(_breaks_pattern(name, terms) for name in names)


@rule(
    "tools.name.pattern_is_accepted",
    on=Single,
    reads=_JUDGED,
    when=lambda trace, terms: (
        has_tools(chat_of(trace.exchange))
        and terms.dialect.limit("tool_name.pattern") is not None
        and _are_all_sound(_names(trace.exchange), terms)
        and any(map(_is_unusual, _names(trace.exchange)))
    ),
)
def name_pattern_is_accepted(trace: Single, terms: Terms) -> Verdicts:
    """A function name of letters, digits, underscores and dashes is taken, in whatever order they stand."""
    yield from must_accept(trace.exchange, terms, _NAMED, "2xx: the name matches the documented pattern")


@rule(
    "tools.name.too_long_is_refused",
    on=Single,
    reads=_ASKED,
    when=lambda trace, terms: _longest(trace.exchange, terms) > 0,
)
def too_long_name_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A function name beyond the documented length is refused."""
    limit = terms.dialect.limit("tool_name.max_length")
    yield from must_refuse(trace.exchange, f"400: a name has at most {limit} characters")


@rule(
    "tools.name.longest_is_accepted",
    on=Single,
    reads=_JUDGED,
    when=lambda trace, terms: has_tools(chat_of(trace.exchange)) and _longest(trace.exchange, terms) == 0,
)
def longest_name_is_accepted(trace: Single, terms: Terms) -> Verdicts:
    """A function name of exactly the documented length is taken."""
    yield from must_accept(trace.exchange, terms, _NAMED, "2xx: the name is as long as the limit allows")


@rule(
    "tools.description.non_string_is_refused",
    on=Single,
    reads=_ASKED,
    when=some_function(
        lambda function: function.get("description") is not None and not isinstance(function["description"], str)
    ),
)
def non_string_description_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A function's description that is no string is refused."""
    yield from must_refuse(trace.exchange, "400: a description is a string")


@rule(
    "tools.description.is_optional",
    on=Single,
    reads=_JUDGED,
    when=sound(lambda function: "description" not in function),
)
def description_is_optional(trace: Single, terms: Terms) -> Verdicts:
    """A function without a description is taken."""
    yield from must_accept(trace.exchange, terms, ("description",), "2xx: the description is optional")


def _surplus(exchange: Exchange, terms: Terms) -> int | None:
    """How many tools there are beyond the documented number, or None where there is none."""
    most = terms.dialect.limit("tools.max")
    return len(entries(exchange)) - most if is_integer(most) else None


@rule(
    "tools.count.most_are_accepted",
    on=Single,
    reads=_JUDGED,
    when=lambda trace, terms: has_tools(chat_of(trace.exchange)) and _surplus(trace.exchange, terms) == 0,
)
def most_tools_are_accepted(trace: Single, terms: Terms) -> Verdicts:
    """As many tools as the limit allows are taken."""
    yield from must_accept(trace.exchange, terms, ("tools",), "2xx: there are as many tools as the limit allows")


@rule(
    "tools.count.too_many_are_refused",
    on=Single,
    reads=_ASKED,
    when=lambda trace, terms: (_surplus(trace.exchange, terms) or 0) > 0,
)
def too_many_tools_are_refused(trace: Single, terms: Terms) -> Verdicts:
    """More tools than the limit allows are refused."""
    yield from must_refuse(trace.exchange, f"400: at most {terms.dialect.limit('tools.max')} tools")


def _no_server_error(exchange: Exchange, terms: Terms) -> Verdicts:
    status = exchange.status or 0
    if status in (502, 503, 504):
        yield Vacuous(Reason.TRANSPORT, f"status {status}")
    elif broke_down(exchange, terms):
        yield at_status(exchange, "2xx or 400")


@rule(
    "tools.empty_list.causes_no_server_error",
    on=Single,
    reads=_ASKED,
    when=lambda trace, terms: chat_of(trace.exchange).body.get("tools") == [],
)
def empty_list_causes_no_server_error(trace: Single, terms: Terms) -> Verdicts:
    """An empty `tools` array is taken or refused, without a server error."""
    yield from _no_server_error(trace.exchange, terms)


@rule(
    "tools.duplicate_names.cause_no_server_error",
    on=Single,
    reads=_ASKED,
    when=lambda trace, terms: len(set(_names(trace.exchange))) < len(_names(trace.exchange)),
)
def duplicate_names_cause_no_server_error(trace: Single, terms: Terms) -> Verdicts:
    """Two tools of one name are taken or refused, without a server error."""
    yield from _no_server_error(trace.exchange, terms)


@rule(
    "tools.custom.is_accepted_or_refused",
    on=Single,
    reads=_JUDGED,
    when=some_entry(
        lambda entry: (
            isinstance(entry, dict)
            and entry.get("type") == "custom"
            and isinstance(entry.get("custom"), dict)
            and isinstance(entry["custom"].get("name"), str)
        )
    ),
)
def custom_is_accepted_or_refused(trace: Single, terms: Terms) -> Verdicts:
    """A custom tool is taken, or refused by an error that names it."""
    status = trace.exchange.status or 0
    if status in (400, 422):
        if not names(trace.exchange, ("type", "custom", "tool")):
            yield at_body(trace.exchange, "/error", "an error that names the custom tool", "another error")
    else:
        yield from _no_server_error(trace.exchange, terms)
