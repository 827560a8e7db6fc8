"""Near misses that real servers sent: what looked like a violation of a rule, and is none, beside what is one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.streams import END, ROLE, TEXT, choice, said

_ASKED = {"request": {"stream_options": {"include_usage": True}}}
_USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
_FILTER = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}
_ERROR = {"error": {"message": "no", "code": 400}}
_ENVELOPE = {"id": "c", "object": "chat.completion.chunk", "created": 1760000000, "model": "example"}


@pytest.mark.parametrize("member", ["id", "object", "created", "model"])
def test_a_chunk_that_annotates_the_prompt_is_no_part_of_the_completion(member: str) -> None:
    kind = {"object": "is_chunk", "created": "is_unix_seconds"}.get(member, "is_a_name")
    stream = [_FILTER, ROLE, TEXT, END]
    assert said(f"stream.{member}.{kind}", {"chunks": stream}) == "held"
    unnamed = {key: value for key, value in _FILTER.items() if key != "prompt_filter_results"}
    assert said(f"stream.{member}.{kind}", {"chunks": [unnamed, ROLE, TEXT, END]}) == "found"
    spoken = {**_FILTER, "choices": ROLE["choices"]}
    assert said(f"stream.{member}.{kind}", {"chunks": [spoken, TEXT, END]}) == "found"
    assert said(f"stream.{member}.{kind}", {"chunks": stream}, "xerotier") == "found"


def test_an_annotation_needs_no_usage_key_but_a_part_of_the_completion_does() -> None:
    rest = [{**chunk, "usage": None} for chunk in (ROLE, TEXT, END)]
    told = {"usage": _USAGE}
    assert said("stream.usage.key_is_in_every_chunk", {**_ASKED, "chunks": [_FILTER, *rest, told]}) == "held"
    assert said("stream.usage.key_is_in_every_chunk", {**_ASKED, "chunks": [ROLE, *rest, told]}) == "found"


@pytest.mark.parametrize(
    ("delta", "verdict"),
    [
        ({"role": "assistant", "content": ""}, "found"),
        ({"role": "assistant", "content": "", "reasoning": None, "reasoning_details": []}, "found"),
        ({"reasoning": "We"}, "not_applicable"),
        ({"reasoning_content": "We"}, "not_applicable"),
        ({"content": "We"}, "not_applicable"),
    ],
)
def test_an_error_after_thoughts_is_no_refusal(delta: dict[str, Any], verdict: str) -> None:
    first = {**_ENVELOPE, **choice(delta)}
    assert said("stream_errors.refusal.has_an_error_status", {"events": [first, _ERROR, "[DONE]"]}) == verdict


@pytest.mark.parametrize(
    ("path", "model", "verdict"),
    [
        ("/deployments/example/chat/completions", None, "not_applicable"),
        ("/deployments/example/chat/completions?api-version=1", "", "not_applicable"),
        ("/chat/completions", None, "found"),
    ],
)
def test_a_deployment_in_the_url_stands_for_the_model(path: str, model: Any, verdict: str) -> None:
    assert said("requests.model.is_checked", {"path": path, "request": {"model": model}}) == verdict


def _usages(plain: dict[str, Any], streamed: dict[str, Any], **request: Any) -> list[dict[str, Any]]:
    one = {"request": request, "top": {"usage": plain}}
    asked = {"request": {**request, **_ASKED["request"]}}
    return [one, one, {**asked, "deltas": [{"role": "assistant", "content": "Hello."}], "usage_chunk": streamed}]


@pytest.mark.parametrize(
    ("plain", "streamed", "verdict"),
    [
        ({**_USAGE, "latency": {"ms": 3}}, _USAGE, "held"),
        (
            {**_USAGE, "prompt_tokens_details": {"cached_tokens": 0, "video_tokens": 0}},
            {**_USAGE, "prompt_tokens_details": {"cached_tokens": 0}},
            "held",
        ),
        ({**_USAGE, "prompt_tokens_details": {"cached_tokens": 0}}, _USAGE, "found"),
        (
            {**_USAGE, "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}},
            {**_USAGE, "prompt_tokens_details": {"cached_tokens": 0}},
            "found",
        ),
    ],
)
def test_members_that_a_server_adds_to_usage_may_differ_by_mode(
    plain: dict[str, Any], streamed: dict[str, Any], verdict: str
) -> None:
    assert said("stream.parity.same_usage_keys", _usages(plain, streamed)) == verdict


@pytest.mark.parametrize(
    ("request_", "verdict"),
    [
        ({}, "found"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "found"),
        ({"tools": [{"type": "web_search"}]}, "model_free"),
        ({"web_search_options": {}}, "model_free"),
    ],
)
def test_what_the_servers_own_tools_find_counts_as_prompt(request_: dict[str, Any], verdict: str) -> None:
    longer = {"prompt_tokens": 19, "completion_tokens": 3, "total_tokens": 22}
    assert said("stream.parity.same_prompt_tokens", _usages(_USAGE, longer, **request_)) == verdict


def _thought(completion: int, reasoning: int) -> dict[str, Any]:
    details = {"reasoning_tokens": reasoning}
    return {**_USAGE, "completion_tokens": completion, "completion_tokens_details": details}


@pytest.mark.parametrize(
    ("plain", "streamed", "verdict"),
    [
        (_thought(37, 270), _thought(37, 272), "held"),
        (_thought(37, 30), _thought(39, 32), "held"),
        (_thought(37, 270), _thought(30, 272), "found"),
    ],
)
def test_reasoning_that_is_counted_apart_is_not_taken_off_again(
    plain: dict[str, Any], streamed: dict[str, Any], verdict: str
) -> None:
    assert said("stream.parity.same_completion_tokens", _usages(plain, streamed)) == verdict


@pytest.mark.parametrize(
    ("request_", "reasoning", "verdict"),
    [
        ({"max_tokens": 10}, 60, "held"),
        ({"max_tokens": 10}, 59, "found"),
        ({"max_completion_tokens": 10}, 60, "found"),
        ({"max_tokens": 10, "max_completion_tokens": 10}, 60, "found"),
    ],
)
def test_only_the_newer_limit_bounds_hidden_reasoning(request_: dict[str, Any], reasoning: int, verdict: str) -> None:
    spec = {"request": request_, "top": {"usage": _thought(70, reasoning)}, "choice": {"finish_reason": "length"}}
    assert said("usage.completion_tokens.are_within_the_limit", spec) == verdict


@pytest.mark.parametrize(
    ("requirement", "error", "verdict"),
    [
        ("errors.code.names_the_fault", {"code": 400}, "not_applicable"),
        ("errors.code.names_the_fault", {"code": "bad"}, "found"),
        ("errors.param.names_the_parameter", {"param": "<absent>"}, "not_applicable"),
        ("errors.param.names_the_parameter", {"param": "model"}, "no_control"),
        ("errors.param.names_the_parameter", {"param": "top_p"}, "found"),
        ("errors.param.names_the_parameter", {"param": None}, "found"),
    ],
)
def test_the_words_of_a_refusal_are_judged_where_they_are_words(
    requirement: str, error: dict[str, Any], verdict: str
) -> None:
    assert said(requirement, {"request": {"temperature": 5}, "status": 400, "error": error}) == verdict


@pytest.mark.parametrize(("finish", "verdict"), [("", "held"), (None, "held"), ("stop", "found")])
def test_a_call_without_any_reason_is_not_accused_twice(finish: str | None, verdict: str) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    spec = {
        "request": {"tools": [{"type": "function", "function": {"name": "f"}}]},
        "message": {"content": None, "tool_calls": [call]},
        "choice": {"finish_reason": finish},
    }
    assert said("finish_reason.free_call.is_tool_calls", spec) == verdict


_VIDEO = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "video_url"}]}]


@pytest.mark.parametrize(
    ("messages", "count", "verdict"),
    [
        (_VIDEO, 0, "found"),
        (_VIDEO, 1, "held"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], 0, "not_applicable"),
        ([{"role": "user", "content": " "}], 0, "not_applicable"),
    ],
)
def test_text_beside_a_picture_counts_as_prompt(messages: list[Any], count: int, verdict: str) -> None:
    usage = {**_USAGE, "prompt_tokens": count, "total_tokens": count + 3}
    spec = {"request": {"messages": messages}, "top": {"usage": usage}}
    assert said("usage.prompt_tokens.count_the_prompt", spec) == verdict


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        ({"audio": {"id": "", "data": "", "expires_at": 0, "transcript": ""}}, "found"),
        ({"audio": {"id": "audio_1"}}, "held"),
        ({"function_call": {"name": "", "arguments": "{}"}}, "held"),
        ({"function_call": {}}, "found"),
        ({"audio": None, "function_call": None}, "held"),
    ],
)
def test_a_member_with_nothing_in_it_is_a_shell(message: dict[str, Any], verdict: str) -> None:
    assert said("response.members.are_no_empty_shells", {"message": {"content": "Hi.", **message}}) == verdict


@pytest.mark.parametrize(("tier", "verdict"), [("gold", "found"), ("", "found"), ("default", "held"), (None, "held")])
def test_tiers_are_judged_in_chunks_too(tier: str | None, verdict: str) -> None:
    assert said("response.service_tier.is_known", {"chunks": [ROLE, TEXT, {**END, "service_tier": tier}]}) == verdict


@pytest.mark.parametrize(
    ("status", "message", "verdict"),
    [
        (400, "some-model is not a valid model ID", "found"),
        (404, "The model `some-model` does not exist", "held"),
        (400, "some-model does not support tools", "not_applicable"),
        (400, "The tool get_weather does not exist", "not_applicable"),
        (429, "some-model: not found upstream", "transport"),
    ],
)
def test_a_refusal_says_itself_that_there_is_no_such_model(status: int, message: str, verdict: str) -> None:
    spec = {"request": {"model": "some-model", "top_k": 5}, "status": status, "error": {"message": message}}
    assert said("requests.unknown_model.gets_404", spec) == verdict


@pytest.mark.parametrize(
    ("kind", "code", "verdict"),
    [
        ("invalid_request_error", "invalid_request_error", "found"),
        ("api_error", "api_error", "found"),
        ("insufficient_quota", "insufficient_quota", "held"),
        ("invalid_request_error", "not_found_error", "held"),
    ],
)
def test_a_code_that_repeats_the_type_says_nothing(kind: str, code: str, verdict: str) -> None:
    assert said("errors.code.is_no_type", {"status": 429, "error": {"type": kind, "code": code}}) == verdict


@pytest.mark.parametrize(
    ("prompt", "text", "verdict"),
    [
        ("Hi", "<think>\nThe user greets.\n</think>\n\nHello.", "found"),
        ("Hi", "\n<think>\n</think>Hello.", "found"),
        ("Hi", "Write <think> before a thought.", "held"),
        ("Which tag comes before a thought, <think> or <b>?", "<think>", "held"),
        ("Hi", "", "model_free"),
        ("Hi", [{"type": "text", "text": "<think>"}], "model_free"),
    ],
)
def test_thoughts_in_the_text_are_those_that_nobody_asked_for(prompt: str, text: Any, verdict: str) -> None:
    spec = {"request": {"messages": [{"role": "user", "content": prompt}]}, "message": {"content": text}}
    assert said("response.reasoning.is_not_in_the_content", spec) == verdict


_TOOLS = [{"type": "function", "function": {"name": f"tool_{number}"}} for number in range(128)]


@pytest.mark.parametrize(
    ("status", "message", "verdict"),
    [
        (400, "registry.example/tiny does not support tools", "refused"),
        (400, "'tools' is not supported by this model.", "refused"),
        (400, "Unsupported parameter: 'tools'", "refused"),
        (404, "No endpoint found that offers 'tools'", "refused"),
        (501, "'tools' are for later", "refused"),
        (400, "Invalid 'tools': array too long.", "found"),
    ],
)
def test_a_model_without_tools_takes_no_128_either(status: int, message: str, verdict: str) -> None:
    error = {"status": status, "error": {"message": message, "param": "tools"}}
    assert said("tools.count.most_are_accepted", {"request": {"tools": _TOOLS}, **error}) == verdict


@pytest.mark.parametrize(
    ("prompt", "verdict"),
    [(9, "found"), (4000, "cut_by_limit")],
)
def test_a_full_context_window_is_a_limit_too(prompt: int, verdict: str) -> None:
    usage = {"prompt_tokens": prompt, "completion_tokens": 3, "total_tokens": prompt + 3}
    answer = {"choice": {"finish_reason": "length"}, "top": {"usage": usage}}
    assert said("finish_reason.length.is_at_the_limit", {"request": {"max_tokens": 300}, **answer}) == verdict


@pytest.mark.parametrize(
    ("param", "message", "verdict"),
    [
        ("tools", "'tools' is not supported by this model.", "refused"),
        ("tools", "Invalid 'tools'.", "found"),
        ("temperature", "'temperature' is not supported.", "held"),
    ],
)
def test_what_is_not_offered_may_be_said_before_what_is_wrong(param: str, message: str, verdict: str) -> None:
    request = {"tools": _TOOLS[:1], "temperature": "hot"}
    error = {"status": 400, "error": {"message": message, "param": param}}
    assert said("errors.param.names_the_parameter", {"request": request, **error}) == verdict
