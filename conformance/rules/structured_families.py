"""Keywords of JSON Schema by what a provider promises to enforce, and schemas weakened to some of them.

A weakened schema holds of every value of which the whole schema holds, so a value that breaks it breaks the promise
about exactly those keywords. Weakening never reaches below a negation: what cannot be weakened safely is dropped.
"""

from __future__ import annotations

from collections.abc import Callable

from conformance.rules.schema_check import complaint, valid, well_formed
from conformance.wire import strict_json
from conformance.wire.strict_json import Json, is_number

STRUCTURE = frozenset({"type", "required", "additionalProperties", "enum", "const", "anyOf", "$ref", "$defs"})
PATTERNS = frozenset({"pattern"})
BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems"})
FORMATS = frozenset({"format"})

_FRAME = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "prefixItems", "patternProperties"}
)
_FRAME_REST = frozenset({"anyOf", "allOf", "$ref", "$defs", "definitions"})
_VALUES = frozenset({"enum", "const"})
_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_ONES = frozenset({"items", "additionalProperties"})
_DEEPEST = 60


def weakened(schema: Json, families: frozenset[str], *, values: bool = True, depth: int = 0) -> Json:
    """The schema with its structure and the given keywords only; `values` keeps enum and const. Total."""
    if not isinstance(schema, dict):
        return schema
    if depth > _DEEPEST:
        return True
    kept = _FRAME | _FRAME_REST | families | (_VALUES if values else frozenset())

    def inner(item: Json) -> Json:
        return weakened(item, families, values=values, depth=depth + 1)

    made: dict[str, Json] = {}
    for word, value in schema.items():
        if word == "oneOf" and isinstance(value, list):
            # Some branch holds where exactly one does. Beside an anyOf both have to hold.
            branches = {"anyOf": [inner(item) for item in value]}
            made = {**made, "allOf": [*made.get("allOf", []), branches]}
        elif word not in kept:
            continue
        elif word in _MAPS and isinstance(value, dict):
            made[word] = {name: inner(item) for name, item in value.items()}
        elif word == "allOf" and isinstance(value, list):
            made["allOf"] = [*made.get("allOf", []), *map(inner, value)]
        elif word in _LISTS and isinstance(value, list):
            made[word] = [inner(item) for item in value]
        elif word in _ONES:
            made[word] = inner(value)
        else:
            made[word] = value
    return made


def uses(schema: Json, words: frozenset[str]) -> bool:
    """One of these keywords stands where weakening keeps it."""
    weak, bare = weakened(schema, words), weakened(schema, frozenset())
    return not strict_json.equal(weak, bare)


def contradicts_itself(schema: Json, depth: int = 0) -> bool:
    """No value can satisfy some part of the schema, as far as that is plain to see: nobody can be asked for one."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return schema is False
    properties, required, least, most = (schema.get(key) for key in ("properties", "required", "minimum", "maximum"))
    known = properties if isinstance(properties, dict) else {}
    closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    if closed and isinstance(required, list) and not set(map(str, required)) <= known.keys():
        return True
    if schema.get("enum") == [] or (is_number(least) and is_number(most) and least > most):
        return True
    if is_number(low := schema.get("minItems")) and is_number(high := schema.get("maxItems")) and low > high:
        return True
    below: list[Json] = list(known.values())
    for word in ("$defs", "definitions"):
        below += schema[word].values() if isinstance(schema.get(word), dict) else ()
    for word in ("anyOf", "oneOf", "allOf"):
        below += schema[word] if isinstance(schema.get(word), list) else ()
    if isinstance(schema.get("items"), dict):
        below.append(schema["items"])
    return any(contradicts_itself(item, depth + 1) for item in below)


Verdict = tuple[bool | None, str]
"""Whether a value keeps to a family (None: uncertain, or another family is broken), and why not."""


def structure(schema: Json, value: Json) -> Verdict:
    """Types, properties, enums, alternatives and references."""
    weak = weakened(schema, frozenset())
    fits = valid(weak, value)
    return fits, complaint(weak, value) if fits is False else ""


def family(schema: Json, value: Json, words: frozenset[str]) -> Verdict:
    """The structure and these keywords; a value whose structure is wrong already says nothing of them."""
    if valid(weakened(schema, frozenset()), value) is not True:
        return None, ""
    weak = weakened(schema, words)
    fits = valid(weak, value)
    return fits, complaint(weak, value) if fits is False else ""


def formats(schema: Json, value: Json) -> Verdict:
    """The structure and `format`."""
    if valid(weakened(schema, frozenset()), value) is not True:
        return None, ""
    return well_formed(weakened(schema, FORMATS), value), "a string does not have its format"


def rest(schema: Json, value: Json) -> Verdict:
    """Everything else: the whole schema, where all the other families hold."""
    if valid(weakened(schema, PATTERNS | BOUNDS), value) is not True:
        return None, ""
    fits = valid(schema, value)
    return fits, complaint(schema, value) if fits is False else ""


def has_rest(schema: Json) -> bool:
    """Some keyword asserts what no family covers."""
    known = _FRAME | _FRAME_REST | _VALUES | PATTERNS | BOUNDS | FORMATS
    silent = frozenset({"title", "description", "default", "examples", "$schema", "$id", "$comment", "deprecated"})
    return _any_word(schema, lambda word: word not in known | silent)


def _any_word(schema: Json, test: Callable[[str], bool], depth: int = 0) -> bool:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return False
    for word, value in schema.items():
        if test(word):
            return True
        below: list[Json] = []
        if word in _MAPS and isinstance(value, dict):
            below = list(value.values())
        elif word in _LISTS and isinstance(value, list):
            below = value
        elif word in _ONES:
            below = [value]
        if any(_any_word(item, test, depth + 1) for item in below):
            return True
    return False


def fractions_for_integers(schema: Json, value: Json) -> list[str]:
    """Pointers of numbers that are spelled like fractions (1.0) where the schema allows no number but integers.

    Each is nudged off the integers: where the weakened schema then no longer holds, an integer was asked for.
    """
    weak = weakened(schema, frozenset(), values=False)
    if valid(weak, value) is not True:
        return []
    found: list[str] = []
    for place in _integral_floats(value, ())[:_MOST]:
        if valid(weak, _nudged(value, place)) is False:
            found.append("".join(f"/{strict_json.escape_pointer(str(part))}" for part in place))
    return found


_MOST = 50
"""Numbers that are looked at in one answer."""
Place = tuple[str | int, ...]


def _integral_floats(value: Json, place: Place) -> list[Place]:
    if isinstance(value, float) and value.is_integer():
        return [place]
    if len(place) > _DEEPEST:
        return []
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in _integral_floats(item, (*place, key))]
    if isinstance(value, list):
        return [found for key, item in enumerate(value) for found in _integral_floats(item, (*place, key))]
    return []


def _nudged(value: Json, place: Place) -> Json:
    if not place:
        return value + 0.5 if abs(value) < 2**50 else 0.5
    copied = value.copy()
    copied[place[0]] = _nudged(value[place[0]], place[1:])
    return copied


def out_of_order(root: Json, schema: Json, value: Json, resolve: Callable[[Json, str], Json], depth: int = 0) -> Json:
    """(keys as sent, keys in schema order) of the first object whose keys are in another order, else None.

    Only schemas that a value certainly belongs to are followed: properties, items, references.
    """
    for _ in range(_DEEPEST):
        if not isinstance(schema, dict) or not isinstance(schema.get("$ref"), str):
            break
        schema = resolve(root, schema["$ref"])
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return None
    properties = schema.get("properties")
    if isinstance(value, dict) and isinstance(properties, dict):
        sent = [key for key in value if key in properties]
        wanted = [key for key in properties if key in value]
        if sent != wanted:
            return sent, wanted
        below = [(properties[key], value[key]) for key in wanted]
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        below = [(schema["items"], item) for item in value]
    else:
        below = []
    return next((bad for part, item in below if (bad := out_of_order(root, part, item, resolve, depth + 1))), None)
