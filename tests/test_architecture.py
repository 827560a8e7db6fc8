"""The laws of the layout, read from the source itself: which room may know of which, and what a module may be."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from functools import cache
from pathlib import Path

import yaml

PACKAGE = Path(__file__).parents[1] / "conformance"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
LONGEST = 400
"""Lines of code: without blank lines, comments and docstrings."""

ROOMS = {
    "wire": {"wire"},
    "dialects": {"dialects"},
    "catalogue": {"catalogue", "wire"},
    "rules": {"rules", "wire", "dialects"},
    "verdict": {"verdict", "rules", "wire", "catalogue", "dialects"},
    "reporting": {"reporting", "verdict", "rules", "wire", "catalogue", "dialects"},
    "probes": {"probes", "wire", "dialects", "sources", "catalogue"},
    "transport": {"transport", "wire", "dialects"},
    "sources": {"sources", "wire", "dialects"},
    "reference": {"reference", "wire", "dialects"},
}
"""Which rooms the modules of a room may import. `suite`, `plugin` and `cli` use everything, and nothing uses them."""

RIM = {"suite", "plugin", "cli", "__main__"}

BANNED = {
    "rules": {"httpx", "pytest", "hypothesis", "time", "random", "socket", "asyncio", "threading", "subprocess", "os"}
    | {"secrets", "uuid", "urllib.request", "http", "ssl", "requests", "starlette", "uvicorn"},
    "wire": {"httpx", "pytest", "hypothesis", "time", "random", "socket", "asyncio", "threading", "subprocess", "os"}
    | {"requests", "starlette", "uvicorn", "yaml"},
    "verdict": {"httpx", "socket", "random", "subprocess"},
    "sources": {"httpx", "socket", "asyncio", "subprocess", "requests"},
}
"""Modules that a room must not import, by name or by the package's first name."""

OUTSIDE = {"catalogue": {"jsonschema_rs", "jsonschema", "yaml"}, "dialects": {"jsonschema_rs", "jsonschema", "yaml"}}
"""The only packages from elsewhere that data rooms may use."""

SOCKETS = {"httpx", "socket", "ssl", "requests", "http.client", "urllib.request", "uvicorn"}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


@cache
def imported(path: Path) -> set[str]:
    """Every module that is named by an import, in functions and under TYPE_CHECKING too."""
    found: set[str] = set()
    package = name(path).split(".") if path.name == "__init__.py" else name(path).split(".")[:-1]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            # `from conformance import rules` names a room, `from conformance.rules.base import Rule` a module.
            found |= {f"{base}.{alias.name}" for alias in node.names} if base == "conformance" else {base}
    return found


def own_rooms(path: Path) -> set[str]:
    """The rooms that a module imports from."""
    return {module.split(".")[1] for module in imported(path) if module.startswith("conformance.")} - {"__version__"}


def matches(module: str, names: set[str]) -> bool:
    return any(module == banned or module.startswith(f"{banned}.") for banned in names)


def each(*rooms: str) -> list[Path]:
    return [path for path in MODULES if not rooms or room(path) in rooms]


def broken(found: dict[str, object]) -> dict[str, object]:
    """What is left over, by module: empty where the law holds."""
    return {module: left for module, left in found.items() if left}


def test_there_is_something_to_judge() -> None:
    assert {room(path) for path in MODULES} >= set(ROOMS)
    assert len(MODULES) > 50


def test_every_room_has_its_law() -> None:
    assert {room(path) for path in MODULES} - {""} <= set(ROOMS) | RIM


def test_arrows_point_one_way() -> None:
    assert broken({name(path): own_rooms(path) - ROOMS[room(path)] for path in each(*ROOMS)}) == {}


def test_the_suite_does_not_know_who_calls_it() -> None:
    assert broken({name(path): own_rooms(path) & {"cli", "__main__"} for path in each("suite")}) == {}


def test_rooms_stay_clean_of_what_they_must_not_touch() -> None:
    def touched(path: Path) -> set[str]:
        return {module for module in imported(path) if matches(module, BANNED[room(path)])}

    assert broken({name(path): touched(path) for path in each(*BANNED)}) == {}


def test_data_rooms_need_little() -> None:
    known = set(sys.stdlib_module_names) | {"conformance"}

    def needed(path: Path) -> set[str]:
        return {module.split(".")[0] for module in imported(path)} - known - OUTSIDE[room(path)]

    assert broken({name(path): needed(path) for path in each(*OUTSIDE)}) == {}


def test_only_one_room_has_sockets() -> None:
    def opened(path: Path) -> set[str]:
        return {module for module in imported(path) if matches(module, SOCKETS)}

    rooms = set(ROOMS) - {"transport"}
    found = broken({name(path): opened(path) for path in each(*rooms)})
    # The reference endpoint is served by one adapter, and by nothing else in its room.
    assert len([module for module in found if module.startswith("conformance.reference.")]) <= 1
    assert {module for module in found if not module.startswith("conformance.reference.")} == set()


def test_every_module_says_what_it_is() -> None:
    assert [name(path) for path in MODULES if not (ast.get_docstring(tree(path)) or "").strip()] == []


def code_lines(path: Path) -> int:
    """Lines that hold a token of code."""
    strings = {
        line
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type not in layout:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - strings)


def test_modules_are_small() -> None:
    long = [path for path in MODULES if path.read_text("utf-8").count("\n") >= LONGEST]
    assert {name(path): count for path in long if (count := code_lines(path)) >= LONGEST} == {}


def calls(path: Path, method: str) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method
    ]


def test_nobody_on_the_wire_splits_at_every_line_end_of_unicode() -> None:
    """`str.splitlines` splits at U+2028, form feed and others, where event streams and JSONL have no line end."""
    rooms = each("wire", "sources", "reference", "rules")
    assert broken({name(path): calls(path, "splitlines") for path in rooms}) == {}


@cache
def provider_names() -> set[str]:
    """The names of all dialects but that of the protocol itself, which is named after its first provider."""
    found = {yaml.safe_load(file.read_text("utf-8"))["name"] for file in (PACKAGE / "dialects").glob("*.yaml")}
    return found - {"openai"}


def words(node: ast.AST) -> Counter[str]:
    return Counter(
        inner.value.lower()
        for inner in ast.walk(node)
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
    )


def named(path: Path) -> list[str]:
    """Provider names among the strings of a module, apart from the `dialects=` of a registered fault or variation."""
    found = words(tree(path))
    if room(path) == "reference":
        given = [
            node.value for node in ast.walk(tree(path)) if isinstance(node, ast.keyword) and node.arg == "dialects"
        ]
        by_name = {value.id for value in given if isinstance(value, ast.Name)}
        for node in tree(path).body:
            if isinstance(node, ast.Assign) and {ast.unparse(target) for target in node.targets} <= by_name:
                given.append(node.value)
        for value in given:
            found -= words(value)
    return sorted(provider for provider in provider_names() if found[provider])


def test_providers_are_named_in_data_only() -> None:
    assert provider_names()
    assert broken({name(path): named(path) for path in MODULES}) == {}


def test_rules_do_not_ask_which_dialect_it_is() -> None:
    """A rule reads a limit, a word or a convention of the dialect, never its name."""

    def asked(path: Path) -> list[int]:
        return [
            node.lineno
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Attribute)
            and node.attr in ("name", "lineage")
            and isinstance(node.value, (ast.Attribute, ast.Name))
            and (node.value.attr if isinstance(node.value, ast.Attribute) else node.value.id) == "dialect"
        ]

    assert broken({name(path): asked(path) for path in each("rules", "wire")}) == {}


UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")


def test_nothing_is_left_for_later() -> None:
    assert [name(path) for path in MODULES if UNFINISHED.search(path.read_text("utf-8"))] == []


def test_the_measures_can_fail(tmp_path: Path) -> None:
    """The helpers above see what they are to find: otherwise every law would hold of anything."""
    path = tmp_path / "probe.py"
    path.write_text(
        '"""A."""\n\n# comment\nimport os.path\n\n\ndef f():\n    """D.\n\n    E.\n    """\n'
        '    from conformance.cli import main\n\n    return "a\\nb".splitlines(), """x\ny"""\n'
    )
    assert code_lines(path) == 5
    assert calls(path, "splitlines") == [14]
    nodes = {node.module for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom)}
    assert nodes == {"conformance.cli"}
    assert code_lines(path) < 13 <= path.read_text("utf-8").count("\n")
    assert words(tree(path))["a\nb"] == 1
    assert matches("os.path", {"os"})
    assert not matches("ospath", {"os"})
