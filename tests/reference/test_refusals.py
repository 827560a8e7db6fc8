"""Every check of the endpoint: what provokes it, and what it says in each dialect."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.reference.checks import CHECKS
from conformance.reference.endpoint import KEY, Endpoint
from conformance.reference.stages import Context, Refusal, Stage
from conformance.reference.store import Stored
from conformance.wire.exchange import Request
from conformance.wire.strict_json import dump
from tests.reference.asking import NOW, PARAMETERS, ask, chat, dialect, make, raw, tool, user

BEARER = ("authorization", f"Bearer {KEY}")
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "21"}
SEVENTEEN = dump({"metadata": {f"k{i}": "v" for i in range(17)}})
KEPT_PATH = "/chat/completions/kept"
GOOD = b'{"model":"reference-1","messages":[{"role":"user","content":"Hi"}]}'


def message(**fields: Any) -> Request:
    return chat(fields)


def strict(schema: Any, **fields: Any) -> Request:
    return chat("Hi", tools=[tool(parameters=schema, strict=True)], **fields)


def formatted(value: Any, **fields: Any) -> Request:
    return chat("Hi, in json", response_format=value, **fields)


def schemed(schema: Any, **more: Any) -> Request:
    return formatted({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, **more}})


def named(name: Any) -> Request:
    declared = {"name": name, "schema": PARAMETERS}
    return formatted({"type": "json_schema", "json_schema": {k: v for k, v in declared.items() if v is not ...}})


def nested(levels: int, leaf: Any) -> Any:
    for _ in range(levels):
        leaf = {"type": "object", "properties": {"a": leaf}, "required": ["a"], "additionalProperties": False}
    return leaf


def allowed(value: Any) -> Request:
    return chat("Hi", tools=[tool()], tool_choice={"type": "allowed_tools", "allowed_tools": value})


def choosing(value: Any, **fields: Any) -> Request:
    return chat("Hi", tools=fields.pop("tools", [tool()]), tool_choice=value, **fields)


def parts(role: str, *items: Any, **more: Any) -> Request:
    return message(role=role, content=list(items), **more)


LOOSE = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
OPTIONAL = {"type": "object", "properties": {"a": {"type": "string"}}, "required": [], "additionalProperties": False}
COMPOSED = {**PARAMETERS, "allOf": [{"minProperties": 1}]}

# (check, dialect, request, param): None as param means that none is named.
CASES: list[tuple[str, str, Request, str | None]] = [
    ("auth.missing_key", "openai", Request(body=GOOD), None),
    ("auth.missing_key", "aurous", Request(body=GOOD), None),
    ("auth.missing_key", "openai", raw(GOOD, "POST", "/chat/completions", ("x-api-key", KEY)), None),
    ("auth.malformed", "openai", raw(GOOD, "POST", "/chat/completions", ("authorization", "Basic x")), None),
    ("auth.malformed", "openai", raw(GOOD, "POST", "/chat/completions", ("authorization", "Bearer")), None),
    ("auth.malformed", "openai", raw(GOOD, "POST", "/chat/completions", ("authorization", "Bearer ")), None),
    ("auth.malformed", "aurous", raw(GOOD, "POST", "/chat/completions", ("authorization", f"Bearer {KEY} x")), None),
    ("auth.malformed", "openai", raw(GOOD, "POST", "/chat/completions", BEARER, BEARER), None),
    ("auth.invalid_key", "openai", raw(GOOD, "POST", "/chat/completions", ("authorization", "Bearer no")), None),
    ("auth.invalid_key", "xerotier", raw(GOOD, "POST", "/models", ("authorization", f"Bearer {KEY}x")), None),
    ("auth.invalid_key", "aurous", raw(GOOD, "POST", "/chat/completions", ("X-Api-Key", "no")), None),
    ("route.unknown", "openai", raw(None, "GET", "/nope"), None),
    ("route.unknown", "aurous", raw(None, "GET", "/completions/cmp_1"), None),
    ("route.method", "openai", raw(b"{}", "PUT"), None),
    ("route.method", "openai", raw(None, "POST", "/models"), None),
    ("route.model", "openai", raw(None, "GET", "/models/no%2Fsuch"), "model"),
    ("route.project", "xerotier", raw(None, "GET", "/other/reference/v1/models"), None),
    ("route.endpoint", "xerotier", raw(None, "GET", "/proj_reference/other/v1/models"), None),
    ("body.too_large", "openai", raw(b" " * (16 * 1024 * 1024 + 1)), None),
    ("body.media_type", "openai", raw(GOOD, "POST", "/chat/completions", BEARER, ("content-type", "text/plain")), None),
    ("body.json", "openai", raw(b'{"model":'), None),
    ("body.json", "xerotier", raw(b"{'model': 1}"), None),
    ("body.json", "openai", raw(b""), None),
    ("body.json", "openai", raw(b'{"temperature": NaN}'), None),
    ("body.object", "openai", raw(b"[]"), None),
    ("body.object", "aurous", raw(b"null"), None),
    ("field.unknown", "openai", chat("Hi", zzz_unknown=1), "zzz_unknown"),
    ("field.unsupported", "openai", chat("Hi", functions=[{"name": "x"}]), "functions"),
    ("model.missing", "openai", chat("Hi", model=...), "model"),
    ("model.type", "openai", chat("Hi", model=5), "model"),
    ("model.type", "openai", chat("Hi", model=None), "model"),
    ("model.empty", "xerotier", chat("Hi", model=""), "model"),
    ("model.length", "aurous", chat("Hi", model="m" * 129), "model"),
    ("model.unknown", "openai", chat("Hi", model="no-such-model"), None),
    ("model.kind", "aurous", chat("Hi", model="reference-embed"), "model"),
    ("messages.missing", "openai", chat(messages=...), "messages"),
    ("messages.type", "openai", chat(messages="hi"), "messages"),
    ("messages.type", "openai", chat(messages=None), "messages"),
    ("messages.type", "openai", chat(messages={}), "messages"),
    ("messages.empty", "openai", chat(), "messages"),
    ("messages.count", "aurous", chat(*["hi"] * 201), "messages"),
    ("message.type", "openai", chat(messages=["hi"]), "messages[0]"),
    ("message.role.missing", "openai", message(content="x"), "messages[0].role"),
    ("message.role.type", "openai", message(role=1, content="x"), "messages[0].role"),
    ("message.role.unknown", "openai", message(role="robot", content="x"), "messages[0].role"),
    ("message.role.unknown", "xerotier", message(role="function", name="f", content="x"), "messages[0].role"),
    ("message.name.type", "openai", message(role="user", content="x", name=5), "messages[0].name"),
    ("message.assistant.empty", "openai", message(role="assistant"), "messages[0].content"),
    ("message.assistant.empty", "openai", message(role="assistant", content=None), "messages[0].content"),
    ("message.content.missing", "openai", message(role="user"), "messages[0].content"),
    ("message.content.missing", "openai", message(role="user", content=None), "messages[0].content"),
    (
        "message.content.missing",
        "openai",
        chat("Hi", CALLS, {"role": "tool", "tool_call_id": "call_1"}),
        "messages[2].content",
    ),
    ("message.content.type", "openai", message(role="user", content=5), "messages[0].content"),
    ("message.content.empty", "openai", message(role="user", content=[]), "messages[0].content"),
    ("message.content.length", "openai", chat("x" * 1_048_577), "messages[0].content"),
    ("message.part.type", "openai", parts("user", "hi"), "messages[0].content[0]"),
    ("message.part.kind", "openai", parts("user", {"type": "bogus"}), "messages[0].content[0].type"),
    ("message.part.kind", "openai", parts("user", {}), "messages[0].content[0].type"),
    ("message.part.kind", "openai", parts("system", {"type": "image_url"}), "messages[0].content[0].type"),
    ("message.part.text", "openai", parts("user", {"type": "text"}), "messages[0].content[0].text"),
    ("message.part.modality", "openai", parts("user", {"type": "file", "file": {}}), "messages[0].content[0]"),
    (
        "message.tool_part.kind",
        "openai",
        chat("Hi", CALLS, {**RESULT, "content": [{"type": "image_url", "image_url": {"url": "https://x.example/a"}}]}),
        "messages[2].content[0].type",
    ),
    (
        "message.image_url",
        "openai",
        parts("user", {"type": "image_url", "image_url": {"url": "not a url"}}),
        "messages[0].content[0].image_url.url",
    ),
    ("message.tool_calls.type", "openai", message(role="assistant", tool_calls={}), "messages[0].tool_calls"),
    (
        "message.tool_calls.empty",
        "openai",
        message(role="assistant", content="x", tool_calls=[]),
        "messages[0].tool_calls",
    ),
    (
        "message.tool_calls.count",
        "openai",
        chat(messages=[{**CALLS, "tool_calls": [{**CALL, "id": f"c{i}"} for i in range(129)]}]),
        "messages[0].tool_calls",
    ),
    (
        "message.tool_calls.shape",
        "openai",
        chat("Hi", {**CALLS, "tool_calls": [{**CALL, "id": ""}]}),
        "messages[1].tool_calls[0].id",
    ),
    (
        "message.tool_calls.shape",
        "openai",
        chat("Hi", {**CALLS, "tool_calls": [{"id": "call_1", "type": "function"}]}, RESULT),
        "messages[1].tool_calls[0].function",
    ),
    (
        "message.tool_call_id.missing",
        "openai",
        chat("Hi", CALLS, {"role": "tool", "content": "1"}),
        "messages[2].tool_call_id",
    ),
    (
        "message.tool_call_id.type",
        "openai",
        chat("Hi", CALLS, {**RESULT, "tool_call_id": 1}),
        "messages[2].tool_call_id",
    ),
    ("order.tool_without_calls", "openai", chat("Hi", RESULT), "messages.[1].role"),
    (
        "order.unknown_call_id",
        "aurous",
        chat("Hi", CALLS, {**RESULT, "tool_call_id": "call_zzz"}),
        "messages.[2].tool_call_id",
    ),
    (
        "order.missing_results",
        "xerotier",
        chat("Hi", {**CALLS, "tool_calls": [CALL, {**CALL, "id": "call_2"}]}, RESULT, "and?"),
        "messages.[3].role",
    ),
    ("order.missing_results", "openai", chat("Hi", CALLS), "messages.[2].role"),
    ("order.missing_results", "openai", chat("Hi", CALLS, "wait", RESULT), "messages.[2].role"),
    *[
        (f"{name}.type", "openai", chat("Hi", **{name: value}), name)
        for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty")
        for value in ("1", True, [])
    ],
    *[
        (f"{name}.range", "openai", chat("Hi", **{name: value}), name)
        for name, values in {
            "temperature": (-0.1, 2.1),
            "top_p": (-0.1, 1.1),
            "presence_penalty": (-2.1, 2.1),
            "frequency_penalty": (-2.1, 2.1),
            "n": (0, 129),
            "max_tokens": (0, -1),
            "max_completion_tokens": (0,),
            "seed": (2**63, -(2**63) - 1),
        }.items()
        for value in values
    ],
    *[
        (f"{name}.type", "openai", chat("Hi", **{name: value}), name)
        for name in ("n", "max_tokens", "max_completion_tokens", "seed")
        for value in (1.5, "1", True, 1.0)
    ],
    ("temperature.range", "openai", raw(GOOD[:-1] + b',"temperature":1e999}'), "temperature"),
    ("top_logprobs.type", "xerotier", chat("Hi", logprobs=True, top_logprobs="3"), "top_logprobs"),
    ("top_logprobs.range", "openai", chat("Hi", logprobs=True, top_logprobs=21), "top_logprobs"),
    ("top_logprobs.range", "openai", chat("Hi", logprobs=True, top_logprobs=-1), "top_logprobs"),
    ("top_logprobs.needs_logprobs", "openai", chat("Hi", top_logprobs=3), "top_logprobs"),
    ("top_logprobs.needs_logprobs", "xerotier", chat("Hi", top_logprobs=3, logprobs=False), "top_logprobs"),
    ("max_tokens.above_cap", "openai", chat("Hi", max_tokens=10**9), "max_tokens"),
    ("max_tokens.above_cap", "aurous", chat("Hi", max_tokens=16_385), "max_tokens"),
    ("max_completion_tokens.above_cap", "openai", chat("Hi", max_completion_tokens=16_385), "max_completion_tokens"),
    ("max_tokens.both", "openai", chat("Hi", max_tokens=5, max_completion_tokens=5), "max_tokens"),
    *[
        (f"{name}.type", "openai", chat("Hi", **{name: value}), name)
        for name in ("stream", "logprobs", "store")
        for value in ("true", 1, 5, {})
    ],
    *[
        (f"{name}.type", "openai", chat("Hi", **{name: 5}), name)
        for name in ("user", "safety_identifier", "prompt_cache_key", "service_tier", "verbosity", "reasoning_effort")
    ],
    ("safety_identifier.length", "openai", chat("Hi", safety_identifier="x" * 65), "safety_identifier"),
    ("service_tier.value", "openai", chat("Hi", service_tier="gold"), "service_tier"),
    ("verbosity.value", "openai", chat("Hi", verbosity="loud"), "verbosity"),
    ("reasoning_effort.value", "openai", chat("Hi", reasoning_effort="ultra"), "reasoning_effort"),
    ("reasoning_effort.value", "aurous", chat("Hi", reasoning_effort="ultra"), "reasoning_effort"),
    ("modalities.value", "openai", chat("Hi", modalities=["text", "audio"]), "modalities"),
    ("stop.type", "openai", chat("Hi", stop=5), "stop"),
    ("stop.empty", "openai", chat("Hi", stop=[]), "stop"),
    ("stop.count", "xerotier", chat("Hi", stop=list("abcde")), "stop"),
    ("stop.item", "openai", chat("Hi", stop=[1]), "stop"),
    ("logit_bias.type", "openai", chat("Hi", logit_bias=[]), "logit_bias"),
    ("logit_bias.key", "openai", chat("Hi", logit_bias={"abc": 1}), "logit_bias"),
    ("logit_bias.value", "openai", chat("Hi", logit_bias={"1": "x"}), "logit_bias"),
    ("logit_bias.range", "openai", chat("Hi", logit_bias={"50256": 101}), "logit_bias"),
    ("metadata.type", "openai", chat("Hi", store=True, metadata=[]), "metadata"),
    ("metadata.count", "xerotier", chat("Hi", store=True, metadata={f"k{i}": "v" for i in range(17)}), "metadata"),
    ("metadata.key_length", "openai", chat("Hi", store=True, metadata={"k" * 65: "v"}), "metadata"),
    ("metadata.value", "openai", chat("Hi", store=True, metadata={"k": 1}), "metadata"),
    ("metadata.value_length", "openai", chat("Hi", store=True, metadata={"k": "v" * 513}), "metadata"),
    ("metadata.needs_store", "openai", chat("Hi", metadata={"k": "v"}), "metadata"),
    ("stream_options.type", "openai", chat("Hi", stream=True, stream_options=[]), "stream_options"),
    *[
        (
            f"stream_options.{name}.type",
            "openai",
            chat("Hi", stream=True, stream_options={name: "yes"}),
            f"stream_options.{name}",
        )
        for name in ("include_usage", "include_obfuscation")
    ],
    ("stream_options.without_stream", "openai", chat("Hi", stream_options={"include_usage": True}), "stream_options"),
    ("tools.type", "openai", chat("Hi", tools={}), "tools"),
    ("tools.empty", "openai", chat("Hi", tools=[]), "tools"),
    ("tools.count", "openai", chat("Hi", tools=[tool(f"t{i}") for i in range(129)]), "tools"),
    ("tool.shape", "openai", chat("Hi", tools=["x"]), "tools[0]"),
    ("tool.type.missing", "openai", chat("Hi", tools=[{"function": {"name": "x"}}]), "tools[0].type"),
    ("tool.type.value", "openai", chat("Hi", tools=[{"type": "foo", "function": {"name": "x"}}]), "tools[0].type"),
    ("tool.custom", "openai", chat("Hi", tools=[{"type": "custom", "custom": {"name": "x"}}]), "tools[0].type"),
    ("tool.function", "openai", chat("Hi", tools=[tool(), {"type": "function"}]), "tools[1].function"),
    ("tool.name.missing", "openai", chat("Hi", tools=[{"type": "function", "function": {}}]), "tools[0].function.name"),
    ("tool.name.type", "openai", chat("Hi", tools=[tool(5)]), "tools[0].function.name"),  # type: ignore[arg-type]
    *[
        ("tool.name.pattern", name, chat("Hi", tools=[tool(word)]), "tools[0].function.name")
        for name in ("openai", "xerotier")
        for word in ("", "get weather", "get.weather", "größe", "x\n")
    ],
    ("tool.name.length", "openai", chat("Hi", tools=[tool("x" * 65)]), "tools[0].function.name"),
    ("tool.description.type", "openai", chat("Hi", tools=[tool(description=5)]), "tools[0].function.description"),
    ("tool.strict.type", "openai", chat("Hi", tools=[tool(strict="yes")]), "tools[0].function.strict"),
    *[
        ("tool.parameters.type", "openai", chat("Hi", tools=[tool(parameters=value)]), "tools[0].function.parameters")
        for value in ("x", [], 5, True)
    ],
    *[
        ("tool.parameters.schema", "openai", chat("Hi", tools=[tool(parameters=value)]), "tools[0].function.parameters")
        for value in (
            {"type": "foo"},
            {"properties": []},
            {"required": "a"},
            {"enum": []},
            {"minimum": "1"},
            {"anyOf": {}},
            {"items": 5},
            {"pattern": "("},
            {"$ref": "#/$defs/x"},
            {"$ref": "https://x.example/s"},
            {"minLength": -1},
            {"properties": {"a": {"type": ["string", "foo"]}}},
            {"$ref": 5},
        )
    ],
    (
        "tool.parameters.root",
        "openai",
        chat("Hi", tools=[tool(parameters={"type": "string"})]),
        "tools[0].function.parameters",
    ),
    ("tool.strict.additional_properties", "openai", strict(LOOSE), "tools[0].function.parameters"),
    (
        "tool.strict.additional_properties",
        "xerotier",
        strict({**PARAMETERS, "properties": {"city": LOOSE}, "required": ["city"]}),
        "tools[0].function.parameters",
    ),
    ("tool.strict.required", "openai", strict(OPTIONAL), "tools[0].function.parameters"),
    ("tool.strict.keyword", "openai", strict(COMPOSED), "tools[0].function.parameters"),
    *[("tool_choice.type", "openai", choosing(value), "tool_choice") for value in (1, True, [])],
    *[
        ("tool_choice.value", name, choosing(value), "tool_choice")
        for name in ("openai", "xerotier")
        for value in ("any", "")
    ],
    *[
        ("tool_choice.shape", "openai", choosing(value), param)
        for value, param in (
            ({"type": "function"}, "tool_choice.function.name"),
            ({"type": "extra"}, "tool_choice.type"),
            ({"type": "function", "name": "get_weather"}, "tool_choice.function.name"),
            ({"function": {"name": "get_weather"}}, "tool_choice.type"),
        )
    ],
    ("tool_choice.custom", "openai", choosing({"type": "custom", "custom": {"name": "x"}}), "tool_choice.type"),
    *[
        ("tool_choice.needs_tools", "openai", choosing(value, tools=...), "tool_choice")
        for value in ("required", "auto", {"type": "function", "function": {"name": "x"}})
    ],
    ("tool_choice.unknown_name", "openai", choosing({"type": "function", "function": {"name": "nope"}}), "tool_choice"),
    ("tool_choice.allowed.shape", "openai", allowed(5), "tool_choice.allowed_tools"),
    ("tool_choice.allowed.shape", "openai", allowed({"mode": "auto", "tools": []}), "tool_choice.allowed_tools.tools"),
    (
        "tool_choice.allowed.mode",
        "openai",
        allowed({"mode": "none", "tools": [{"type": "function", "function": {"name": "get_weather"}}]}),
        "tool_choice.allowed_tools.mode",
    ),
    ("tool_choice.required_unsupported", "aurous", choosing("required", model="reference-mini"), "tool_choice"),
    (
        "parallel_tool_calls.type",
        "openai",
        chat("Hi", tools=[tool()], parallel_tool_calls="yes"),
        "parallel_tool_calls",
    ),
    ("parallel_tool_calls.needs_tools", "openai", chat("Hi", parallel_tool_calls=True), "parallel_tool_calls"),
    *[("response_format.type", "openai", formatted(value), "response_format") for value in ([], "json_object")],
    ("response_format.kind.missing", "openai", formatted({}), "response_format.type"),
    ("response_format.kind", "openai", formatted({"type": "xml"}), "response_format.type"),
    ("response_format.json_word", "openai", chat("Hello", response_format={"type": "json_object"}), "messages"),
    (
        "response_format.with_tools",
        "xerotier",
        chat(
            "Hi",
            tools=[tool()],
            response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": PARAMETERS}},
        ),
        "response_format",
    ),
    ("json_schema.shape", "openai", formatted({"type": "json_schema"}), "response_format.json_schema"),
    ("json_schema.name.missing", "aurous", named(...), "response_format.json_schema.name"),
    ("json_schema.name.type", "openai", named(5), "response_format.json_schema.name"),
    ("json_schema.name.pattern", "openai", named("my schema"), "response_format.json_schema.name"),
    ("json_schema.name.pattern", "openai", named(""), "response_format.json_schema.name"),
    ("json_schema.name.length", "openai", named("x" * 65), "response_format.json_schema.name"),
    (
        "json_schema.description.type",
        "openai",
        schemed(PARAMETERS, description=5),
        "response_format.json_schema.description",
    ),
    ("json_schema.strict.type", "openai", schemed(PARAMETERS, strict="true"), "response_format.json_schema.strict"),
    ("json_schema.schema.missing", "openai", schemed(None), "response_format.json_schema.schema"),
    ("json_schema.schema.type", "openai", schemed([]), "response_format"),
    ("json_schema.schema.invalid", "aurous", schemed({"type": "foo"}), "response_format"),
    ("json_schema.reference.remote", "aurous", schemed({"$ref": "https://x.example/schema"}), "response_format"),
    (
        "json_schema.reference.dangling",
        "openai",
        schemed({"properties": {"a": {"$ref": "#/$defs/x"}}}),
        "response_format",
    ),
    *[
        ("json_schema.reference.cycle", "xerotier", schemed({**schema, "type": "object"}), "response_format")
        for schema in (
            {"$ref": "#"},
            {
                "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
                "properties": {"a": {"$ref": "#/$defs/a"}},
            },
        )
    ],
    *[
        ("json_schema.strict.root", "openai", schemed(value, strict=True), "response_format")
        for value in ({"type": "array", "items": {}}, {"type": "string"}, {"anyOf": [PARAMETERS]})
    ],
    ("json_schema.strict.additional_properties", "openai", schemed(LOOSE, strict=True), "response_format"),
    ("json_schema.strict.required", "openai", schemed(OPTIONAL, strict=True), "response_format"),
    ("json_schema.strict.keyword", "openai", schemed(COMPOSED, strict=True), "response_format"),
    ("json_schema.too_deep", "openai", schemed(nested(11, {"type": "string"})), "response_format"),
    ("json_schema.too_deep", "aurous", schemed(nested(200, {"type": "string"})), "response_format"),
    (
        "json_schema.too_large",
        "openai",
        schemed({"type": "object", "properties": {"a": {"enum": [f"v{i}" for i in range(1001)]}}}),
        "response_format",
    ),
    ("json_schema.too_large", "aurous", schemed({"type": "object", "description": "x" * 70_000}), "response_format"),
    ("context.length", "xerotier", chat("word " * 120_000), "messages"),
    *[
        ("storage.unknown_id", name, raw(None, "GET", "/chat/completions/none"), None)
        for name in ("openai", "xerotier", "aurous")
    ],
    ("storage.unknown_id", "xerotier", raw(None, "DELETE", "/chat/completions/none"), None),
    ("storage.unknown_id", "openai", raw(None, "GET", "/chat/completions/none/messages"), None),
    ("storage.finished", "aurous", raw(None, "POST", f"{KEPT_PATH}/cancel"), None),
    ("storage.limit.type", "openai", raw(None, "GET", "/chat/completions?limit=x"), "limit"),
    ("storage.limit.range", "openai", raw(None, "GET", "/chat/completions?limit=0"), "limit"),
    ("storage.limit.range", "xerotier", raw(None, "GET", "/chat/completions?limit=101"), "limit"),
    ("storage.order", "xerotier", raw(None, "GET", "/chat/completions?order=up"), "order"),
    ("storage.after", "openai", raw(None, "GET", "/chat/completions?after=none"), "after"),
    ("storage.update.metadata", "openai", raw(b"{}", "POST", KEPT_PATH), "metadata"),
    ("storage.update.field", "openai", raw(b'{"metadata":{},"model":"x"}', "POST", KEPT_PATH), "model"),
    (
        "metadata.count",
        "xerotier",
        raw(dump({"metadata": {f"k{i}": "v" for i in range(17)}}), "POST", KEPT_PATH),
        "metadata",
    ),
]


def kept(name: str) -> Endpoint:
    """An endpoint that holds one stored completion."""
    endpoint = make(name)
    record = Stored("kept", "first", NOW, "reference-1", {"id": "kept"}, {"messages": []}, {}, NOW, NOW)
    if endpoint.store is not None:
        endpoint.store.put(record)
    return endpoint


@pytest.mark.parametrize(
    ("check", "name", "request_", "param"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_each_check_refuses_with_the_dialects_words(
    check: str, name: str, request_: Request, param: str | None
) -> None:
    seen: list[Refusal] = []

    def watch(refusal: Refusal | None, context: Context) -> Refusal | None:
        if refusal is not None:
            seen.append(refusal)
        return refusal

    endpoint = kept(name)
    endpoint._hooks[Stage.REFUSAL].append(watch)
    exchange = ask(endpoint, request_)

    assert [refusal.check for refusal in seen] == [check]
    form = dialect(name).error(seen[0].kind)
    assert exchange.status == form.statuses[0]
    assert exchange.media_type == "application/json"
    error = exchange.document.value["error"]
    assert error["message"]
    assert not form.types or error["type"] == form.types[0]
    assert not form.codes or error["code"] == form.codes[0]
    assert error["param"] == param
    assert set(dialect(name).convention("error.required")) <= set(error)


def test_every_check_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(CHECKS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_passing_over_a_check_never_raises(case: tuple[str, str, Request, str | None]) -> None:
    check, name, request, _ = case
    endpoint = kept(name)
    endpoint._hooks[Stage.REFUSAL].append(lambda refusal, context: None)
    reply = endpoint.respond(request, NOW)
    assert reply.status == 200, check


ACCEPTED: list[tuple[str, Request]] = [
    *[
        (name, chat("Hi", **{field: None}))
        for name in ("openai", "xerotier", "aurous")
        for field in (
            "temperature",
            "top_p",
            "n",
            "stop",
            "seed",
            "logit_bias",
            "stream",
            "stream_options",
            "tools",
            "tool_choice",
            "max_tokens",
            "response_format",
            "metadata",
            "user",
            "logprobs",
            "top_logprobs",
            "parallel_tool_calls",
        )
    ],
    *[
        ("openai", chat("Hi", **fields))
        for fields in (
            {"temperature": 0},
            {"temperature": 2},
            {"top_p": 1},
            {"top_p": 0},
            {"n": 128},
            {"seed": -1},
            {"stop": list("abcd")},
            {"stop": "x"},
            {"logit_bias": {}},
            {"logit_bias": {"50256": -100}},
            {"presence_penalty": -2},
            {"logprobs": True, "top_logprobs": 0},
            {"logprobs": True, "top_logprobs": 20},
            {"service_tier": "auto"},
            {"user": "u-1"},
            {"max_tokens": 1},
            {"tools": [tool(f"t{i}") for i in range(128)]},
            {"tools": [tool("x" * 64)]},
            {"tools": [tool("a-B_9", parameters=...)]},
            {"tools": [tool(strict=None)]},
            {"tools": [tool(strict=True)]},
            {"tool_choice": "none"},
            {"response_format": {"type": "text"}},
            {"tools": [tool(), tool()]},
            {"store": True, "metadata": {"k" * 64: "v" * 512}},
            {"stream": False},
            {"reasoning_effort": "high"},
        )
    ],
    (
        "openai",
        chat(
            {"role": "developer", "content": "x"},
            {"role": "system", "content": [{"type": "text", "text": "x"}]},
            {"role": "user", "content": "x", "name": "alice"},
        ),
    ),
    ("openai", chat("Hi", CALLS, {**RESULT, "content": [{"type": "text", "text": "21"}]}, "thanks")),
    (
        "openai",
        chat(
            "Hi",
            {**CALLS, "tool_calls": [CALL, {**CALL, "id": "call_2"}]},
            {**RESULT, "tool_call_id": "call_2"},
            RESULT,
        ),
    ),
    ("openai", chat("Hi", {**CALLS, "refusal": None, "annotations": [], "audio": None, "function_call": None}, RESULT)),
    ("openai", chat("Hi", {**CALLS, "tool_calls": [{**CALL, "function": {"name": "x", "arguments": "{bad"}}]}, RESULT)),
    ("openai", raw(GOOD, "POST", "/chat/completions", BEARER, ("content-type", "application/json; charset=utf-8"))),
    ("openai", schemed(nested(10, {"type": "string"}), strict=True)),
    ("xerotier", chat("Hi", model="anything")),
    ("xerotier", chat("Hi", tools=[tool("x" * 65)])),
    ("xerotier", chat("Hi", max_tokens=10**9)),
    ("xerotier", chat("Hi", max_tokens=50, max_completion_tokens=3)),
    ("xerotier", schemed(LOOSE, strict=True)),
    ("xerotier", chat("Hi", zzz_unknown=1)),
    ("aurous", raw(GOOD, "POST", "/chat/completions", ("x-api-key", KEY))),
    ("aurous", chat(*["hi"] * 200)),
    ("aurous", choosing("auto", model="reference-mini")),
    ("aurous", choosing({"type": "function", "function": {"name": "get_weather"}}, model="reference-mini")),
    ("aurous", choosing("required")),
    ("aurous", chat("Hi", model="reference-mini", reasoning_effort="ultra")),
    (
        "aurous",
        schemed(
            {
                "$ref": "#/$defs/d0",
                "$defs": {f"d{i}": nested(20, {"$ref": f"#/$defs/d{i + 1}"} if i < 5 else {}) for i in range(6)},
            }
        ),
    ),
]


@pytest.mark.parametrize(("name", "request_"), ACCEPTED)
def test_what_the_dialect_allows_is_accepted(name: str, request_: Request) -> None:
    exchange = ask(make(name), request_)
    assert exchange.status == 200, exchange.body
    assert exchange.answer is not None
    assert exchange.answer.complete


def test_the_missing_id_is_named() -> None:
    both = {**CALLS, "tool_calls": [CALL, {**CALL, "id": "call_lonely"}]}
    error = ask(make(), chat("Hi", both, RESULT, user("and?"))).document.value["error"]
    assert "call_lonely" in error["message"]
    assert "call_1" not in error["message"]


def test_a_key_is_never_echoed() -> None:
    wrong = "sk-" + "abcdefghij" * 4
    exchange = ask(make(), raw(GOOD, "POST", "/chat/completions", ("authorization", f"Bearer {wrong}")))
    assert wrong.encode() not in exchange.body


def test_refused_streams_are_answered_with_json() -> None:
    exchange = ask(make(), chat("Hi", stream=True, temperature=3))
    assert (exchange.status, exchange.media_type) == (400, "application/json")
