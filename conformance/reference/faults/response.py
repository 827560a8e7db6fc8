"""Response objects with missing, mistyped or untrue members."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from conformance.reference.rewriting import messages
from conformance.reference.stages import Chosen, Completion, Context, Stage, Token, fault
from conformance.wire.strict_json import Json

Body = dict[str, Json]


def _body_fault(
    name: str,
    violates: str,
    change: Callable[[Body, Context], Body],
    says: str,
    *,
    entails: dict[str, str] | None = None,
    dialects: tuple[str, ...] = (),
    thread: str | None = None,
    condition: str | None = None,
) -> None:
    """Register a fault of the JSON body of unstreamed completions; `says` is its summary."""

    def hook(body: Body, context: Context) -> Body:
        return change(body, context) if context.route == "POST /chat/completions" else body

    hook.__doc__ = says
    fault(
        name,
        at=Stage.BODY,
        violates=[violates],
        entails=entails,
        dialects=dialects,
        thread=thread,
        condition=condition,
    )(hook)


def _set(**members: Json) -> Callable[[Body, Context], Body]:
    """These members over the top level."""
    return lambda body, context: {**body, **members}


def _drop(*keys: str) -> Callable[[Body, Context], Body]:
    """The top level without these keys."""
    return lambda body, context: {key: value for key, value in body.items() if key not in keys}


def _each_message(change: Callable[[Body], Body]) -> Callable[[Body, Context], Body]:
    """Every message changed."""

    def over(body: Body, context: Context) -> Body:
        changed = [{**item, "message": change(item["message"])} for item in body["choices"]]
        return {**body, "choices": changed}

    return over


def _each_choice(change: Callable[[Body, int], Body]) -> Callable[[Body, Context], Body]:
    """Every choice changed; `change` gets its position."""
    return lambda body, context: {**body, "choices": [change(item, at) for at, item in enumerate(body["choices"])]}


_body_fault(
    "ro-id-missing",
    "response.id.is_text",
    _drop("id"),
    "The completion has no id.",
    thread="https://github.com/kevinhermawan/swift-llm-chat-openai/pull/19",
)
_body_fault(
    "ro-id-empty",
    "response.id.is_text",
    _set(id=""),
    "The id of the completion is empty.",
    thread="https://github.com/huggingface/text-generation-inference/issues/2108",
)
_body_fault(
    "ro-object-wrong",
    "response.object.is_chat_completion",
    _set(object="text_completion"),
    "The object of a chat completion is text_completion.",
    thread="https://github.com/huggingface/text-generation-inference/issues/2108",
)
_body_fault(
    "ro-created-milliseconds",
    "response.created.is_in_seconds",
    lambda body, context: {**body, "created": body["created"] * 1000},
    "The time of creation is in milliseconds.",
    entails={"storage.list.descends_by_default": "streamed completions are listed with seconds"},
)
_body_fault("ro-created-missing", "response.created.is_in_seconds", _drop("created"), "There is no time of creation.")
_body_fault(
    "ro-created-constant",
    "response.created.is_now",
    _set(created=1_677_610_602),
    "The time of creation is that of the build.",
)
_body_fault("ro-model-null", "response.model.is_text", _set(model=None), "The model of the completion is null.")
_body_fault(
    "ro-wrapped-data",
    "response.choices.is_an_array",
    lambda body, context: {**{key: value for key, value in body.items() if key != "choices"}, "data": body},
    "The choices stand in a wrapper.",
    thread="https://github.com/smallmain/vscode-unify-chat-provider/pull/71",
)
_body_fault(
    "nc-one-choice-for-many",
    "response.choices.are_n",
    lambda body, context: {**body, "choices": body["choices"][:1]},
    "However large n is, there is one choice.",
    entails={"stream.parity.same_choices": "streamed, there are n"},
    dialects=("openai",),
)
_body_fault(
    "nc-index-zero-unstreamed",
    "response.choices.count_from_zero",
    _each_choice(lambda choice, at: {**choice, "index": 0}),
    "All choices have the index 0.",
    dialects=("openai",),
    thread="https://github.com/BerriAI/litellm/issues/3276",
    condition="only if n is more than 1",
)
_body_fault(
    "nc-index-missing-second",
    "response.choices.count_from_zero",
    _each_choice(lambda choice, at: {key: value for key, value in choice.items() if key != "index" or at == 0}),
    "Only the first choice has an index.",
    dialects=("openai",),
    condition="only the second choice",
)
_body_fault(
    "nc-index-from-one-unstreamed",
    "response.choices.count_from_zero",
    _each_choice(lambda choice, at: {**choice, "index": at + 1}),
    "The indices of choices begin at 1.",
    entails={"stream.parity.same_choices": "streamed, they begin at 0"},
)
_body_fault(
    "nc-two-for-one",
    "response.choices.are_single",
    lambda body, context: {**body, "choices": [*body["choices"], {**body["choices"][0], "index": 1}]},
    "There are two choices where one is promised.",
    entails={
        "stream.parity.same_choices": "streamed, there is one",
        "usage.completion_tokens.count_text": "the second choice says something and is not counted",
    },
    dialects=("aurous",),
)
_body_fault(
    "ro-logprobs-key-missing",
    "response.logprobs.key_is_present",
    _each_choice(
        lambda choice, at: {key: value for key, value in choice.items() if key != "logprobs" or value is not None}
    ),
    "A choice without log probabilities has no key for them.",
    dialects=("openai",),
)
_body_fault(
    "ro-delta-for-message",
    "response.message.is_an_object",
    lambda body, context: {
        **body,
        "choices": [
            {("delta" if key == "message" and _is_plain(choice) else key): value for key, value in choice.items()}
            for choice in body["choices"]
        ],
    },
    "A short text stands under delta, as in a stream.",
    entails={"stream.parity.same_kinds_of_content": "the text is seen in the stream alone"},
    condition="only plain text of one to thirty characters",
)


def _is_plain(choice: Body) -> bool:
    """A short text without calls: what its absence would break elsewhere is kept small."""
    text = choice["message"].get("content")
    return isinstance(text, str) and 0 < len(text) <= 30 and not choice["message"].get("tool_calls")


_body_fault(
    "ro-role-missing",
    "response.role.is_assistant",
    _each_message(lambda message: {key: value for key, value in message.items() if key != "role"}),
    "The message has no role.",
)
_body_fault(
    "ro-content-key-missing",
    "response.content.key_is_present",
    _each_message(
        lambda message: {key: value for key, value in message.items() if key != "content" or value is not None}
    ),
    "A message with calls has no key content.",
    dialects=("openai",),
    condition="only beside tool calls",
)
_body_fault(
    "ro-content-parts",
    "response.content.is_text_or_null",
    _each_message(
        lambda message: (
            {**message, "content": [{"type": "text", "text": message["content"]}]}
            if message.get("content") == "Hello! How can I help you today?"
            else message
        )
    ),
    "The content is an array of parts.",
    entails={"stream.parity.same_kinds_of_content": "the text is seen in the stream alone"},
)
_body_fault(
    "ro-refusal-missing",
    "response.refusal.key_is_present",
    _each_message(lambda message: {key: value for key, value in message.items() if key != "refusal"}),
    "The message has no key refusal.",
    dialects=("openai",),
)
_body_fault(
    "ro-refusal-false",
    "response.refusal.is_text_or_null",
    _each_message(lambda message: {**message, "refusal": False}),
    "The refusal of a message that refuses nothing is false.",
    dialects=("openai",),
)
_body_fault(
    "ro-tool-calls-object",
    "response.tool_calls.is_an_array",
    _each_message(lambda message: message if message.get("tool_calls") else {**message, "tool_calls": {}}),
    "Without calls, tool_calls is an empty object.",
)
_body_fault(
    "ts-empty-tool-calls-array",
    "response.tool_calls.is_not_empty",
    _each_message(lambda message: message if message.get("tool_calls") else {**message, "tool_calls": []}),
    "Without calls, tool_calls is an empty array.",
    dialects=("openai",),
)
_body_fault(
    "ro-fingerprint-number",
    "response.system_fingerprint.is_text_or_null",
    _set(system_fingerprint=4711),
    "The system_fingerprint is a number.",
)
_body_fault(
    "ro-service-tier-unknown",
    "response.service_tier.is_known",
    _set(service_tier="gold"),
    "The service_tier is a word that nobody knows.",
    dialects=("openai",),
)
_body_fault(
    "ro-empty-shells",
    "response.members.are_no_empty_shells",
    _each_message(lambda message: {"audio": {"id": "", "data": ""}, "function_call": {"name": ""}, **message}),
    "Every optional member of a message is there, with nothing in it.",
    dialects=("openai",),
)
_body_fault(
    "ro-status-missing",
    "response.status.is_completed",
    _drop("status"),
    "The completion has no status.",
    dialects=("aurous",),
    entails={"storage.record.has_a_status": "what is kept is what was answered"},
)
_body_fault(
    "ro-annotations-null-text",
    "response.members.keep_their_types",
    _each_message(lambda message: {**message, "annotations": ""}),
    "The annotations of a message without any are an empty string.",
)


@fault("ro-id-constant", at=Stage.COMPLETION, violates=["response.id.is_unique"])
def id_is_constant(completion: Completion, context: Context) -> Completion:
    """All completions have one id."""
    prefix = str(context.dialect.convention("id.prefix"))
    return replace(completion, id=f"{prefix}01HXMQ7Z3K8Y2ABCDEFGHJKMNP")


@fault(
    "ro-id-without-prefix",
    at=Stage.COMPLETION,
    violates=["response.id.has_the_prefix", "response.id.is_a_prefixed_ulid"],
)
def id_without_prefix(completion: Completion, context: Context) -> Completion:
    """Ids are bare UUIDs."""
    text = f"{context.random('id').getrandbits(128):032x}{context.serial}"
    return replace(completion, id=text)


def _with_text(chosen: Chosen, text: str) -> Chosen:
    data = text.encode()
    return replace(chosen, tokens=tuple(Token(data[at : at + 4]) for at in range(0, len(data), 4)))


@fault(
    "ro-null-content",
    at=Stage.BODY,
    violates=["response.content.is_not_null_alone"],
    entails={"stream.parity.same_kinds_of_content": "the text is seen in the stream alone"},
    dialects=("openai",),
    condition="only if n is more than 1, unstreamed",
)
def text_goes_elsewhere(body: Body, context: Context) -> Body:
    """A whole answer stands in reasoning_content, and content is null."""
    if (
        context.route != "POST /chat/completions"
        or context.chat.tools
        or context.chat.stops
        or context.chat.format_type
    ):
        return body
    for message in messages(body):
        if isinstance(message.get("content"), str) and (context.chat.n or 1) > 1:
            message["reasoning_content"], message["content"] = message["content"], None
    return body


@fault(
    "so-eos-in-content",
    at=Stage.COMPLETION,
    violates=["response.content.has_no_end_marker"],
    thread="https://github.com/ggml-org/llama.cpp/issues/6859",
    condition="only plain text that ended by itself",
)
def end_marker_stays(completion: Completion, context: Context) -> Completion:
    """The end-of-turn marker of the chat template stands at the end of the text."""
    if context.chat.format_type or context.chat.stops or context.chat.wants_logprobs or context.chat.token_limit:
        return completion
    changed = tuple(
        _with_text(chosen, f"{chosen.content}</s>") if chosen.finish_reason == "stop" and chosen.content else chosen
        for chosen in completion.choices
    )
    return replace(completion, choices=changed)
