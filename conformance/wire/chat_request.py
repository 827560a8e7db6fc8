"""A typed view of a chat-completions request body: what it demands, read from the request, never from a label."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from conformance.wire.strict_json import Json, is_integer


class Choosing(StrEnum):
    """The form of `tool_choice`."""

    OMITTED = "omitted"
    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"
    CUSTOM = "custom"
    ALLOWED = "allowed_tools"
    MALFORMED = "malformed"


@dataclass(frozen=True)
class DeclaredTool:
    """A well-formed function tool. `parameters` is None where absent or no object."""

    position: int
    name: str
    parameters: dict[str, Json] | None
    strict: bool


@dataclass(frozen=True)
class ChatRequest:
    """The parsed body. Properties answer None (or an empty tuple) where the field is absent or malformed."""

    body: dict[str, Json]

    def __hash__(self) -> int:
        return id(self)

    @property
    def model(self) -> Json:
        """As sent."""
        return self.body.get("model")

    @property
    def messages(self) -> list[dict[str, Json]]:
        """The messages that are objects."""
        found = self.body.get("messages")
        return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []

    @property
    def stream(self) -> bool | None:
        """True or false where it is a boolean; false where absent or null; None where it is anything else."""
        value = self.body.get("stream")
        return value if isinstance(value, bool) else (False if value is None else None)

    @property
    def include_usage(self) -> bool:
        """`stream_options.include_usage` is true."""
        options = self.body.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    @property
    def n(self) -> int | None:
        """How many choices are asked for; None where malformed."""
        value = self.body.get("n")
        return 1 if value is None else (value if is_integer(value) else None)

    @property
    def token_limit(self) -> int | None:
        """The bound on generated tokens: `max_completion_tokens` before `max_tokens`."""
        for field in ("max_completion_tokens", "max_tokens"):
            value = self.body.get(field)
            if is_integer(value):
                return value
        return None

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop sequences."""
        value = self.body.get("stop")
        if isinstance(value, str):
            return (value,)
        return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()

    @cached_property
    def tools(self) -> tuple[DeclaredTool, ...]:
        """The well-formed function tools, in order."""
        found = self.body.get("tools")
        tools: list[DeclaredTool] = []
        for position, item in enumerate(found if isinstance(found, list) else ()):
            function = item.get("function") if isinstance(item, dict) and item.get("type") == "function" else None
            if isinstance(function, dict) and isinstance(function.get("name"), str) and function["name"]:
                parameters = function.get("parameters")
                tools.append(
                    DeclaredTool(
                        position,
                        function["name"],
                        parameters if isinstance(parameters, dict) else None,
                        function.get("strict") is True,
                    )
                )
        return tuple(tools)

    @cached_property
    def tool_names(self) -> frozenset[str]:
        """The names of all declared tools, custom ones included."""
        names = {tool.name for tool in self.tools}
        found = self.body.get("tools")
        for item in found if isinstance(found, list) else ():
            custom = item.get("custom") if isinstance(item, dict) and item.get("type") == "custom" else None
            if isinstance(custom, dict) and isinstance(custom.get("name"), str):
                names.add(custom["name"])
        return frozenset(names)

    def tool(self, name: Json) -> DeclaredTool | None:
        """The first function tool of this name."""
        return next((tool for tool in self.tools if tool.name == name), None)

    @cached_property
    def choosing(self) -> Choosing:
        """The form of `tool_choice`; null counts as omitted."""
        value = self.body.get("tool_choice")
        if value is None:
            return Choosing.OMITTED
        if isinstance(value, str):
            return Choosing(value) if value in ("auto", "none", "required") else Choosing.MALFORMED
        if not isinstance(value, dict):
            return Choosing.MALFORMED
        for kind, form in (("function", Choosing.NAMED), ("custom", Choosing.CUSTOM)):
            inner = value.get(kind)
            if value.get("type") == kind and isinstance(inner, dict) and isinstance(inner.get("name"), str):
                return form
        if value.get("type") == "allowed_tools" and isinstance(value.get("allowed_tools"), dict):
            return Choosing.ALLOWED
        return Choosing.MALFORMED

    @property
    def chosen_name(self) -> str | None:
        """The function (or custom tool) that a named `tool_choice` names."""
        if self.choosing in (Choosing.NAMED, Choosing.CUSTOM):
            value = self.body["tool_choice"]
            name: str = value[value["type"]]["name"]
            return name
        return None

    @property
    def parallel(self) -> bool | None:
        """`parallel_tool_calls` where it is a boolean."""
        value = self.body.get("parallel_tool_calls")
        return value if isinstance(value, bool) else None

    @property
    def format_type(self) -> str | None:
        """`response_format.type` where it is a string."""
        value = self.body.get("response_format")
        found = value.get("type") if isinstance(value, dict) else None
        return found if isinstance(found, str) else None

    @property
    def wants_logprobs(self) -> bool:
        """`logprobs` is true."""
        return self.body.get("logprobs") is True
