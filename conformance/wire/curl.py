"""A request as a command for a POSIX shell, which anybody can run: nothing of ours, and no key, is in it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping

from conformance.wire.exchange import Headers, Request
from conformance.wire.urls import join_url

_SAFE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_LONGEST_ARGUMENT = 100_000
"""Bytes; Linux takes 131072 in one argument (MAX_ARG_STRLEN)."""


def quote(text: str) -> str:
    """One word of a POSIX shell command, taken literally."""
    return text if _SAFE.fullmatch(text) else "'" + text.replace("'", "'\\''") + "'"


def _body(body: bytes) -> tuple[str, str]:
    """What goes before `curl` and the arguments that send these bytes.

    `--data-raw` because `--data-binary` would read a file where the body begins with an at sign.
    """
    try:
        text: str | None = body.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    if text is not None and not _CONTROL.search(text) and len(body) <= _LONGEST_ARGUMENT:
        return "", f"--data-raw {quote(text)}"
    coded = base64.b64encode(body).decode("ascii")
    if len(coded) <= _LONGEST_ARGUMENT:
        return f"printf %s {quote(coded)} | base64 -d | ", "--data-binary @-"
    # A here-document has no bound on its size. Lines of 76 characters are what every base64 decodes.
    rows = "\n".join(coded[at : at + 76] for at in range(0, len(coded), 76))
    return f"base64 -d <<'BODY' |\n{rows}\nBODY\n", "--data-binary @-"


def curl(
    request: Request,
    base_url: str,
    *,
    key_variable: str = "OPENAI_API_KEY",
    header_variables: Mapping[str, str] | None = None,
    headers: Headers = (),
    streamed: bool | None = None,
) -> str:
    """The command that sends this request below `base_url`.

    The key is taken from the environment, as are the headers that `header_variables` (name to variable) names, so
    that no secret is in the text. `headers` are more headers of the run. `-N` shows a stream as it arrives; whether
    the request asks for one is read from it unless `streamed` says so. Characters that no header may hold are left out.
    """
    chat = request.chat
    wants_stream = streamed if streamed is not None else chat is not None and chat.stream is True
    before, data = ("", "") if request.body is None else _body(request.body)
    words = ["curl", "-sS", "-i"]
    if wants_stream:
        words.append("-N")
    if request.method != ("GET" if request.body is None else "POST"):
        # A HEAD by -X would wait for a body that never comes.
        words += ["-I"] if request.method == "HEAD" else ["-X", quote(request.method)]
    # Brackets and braces in a URL are a range to curl.
    words += ["--globoff", quote(_line(join_url(base_url, request.path)))]
    words += _header_words(request, key_variable, header_variables or {}, headers)
    if data:
        words.append(data)
    return before + " ".join(words)


def _line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "", text)


def _header_words(request: Request, key_variable: str, variables: Mapping[str, str], more: Headers) -> Iterable[str]:
    named = {name.lower() for name, _ in request.headers}
    if request.auth == "key" and "authorization" not in named:
        yield f'-H "Authorization: Bearer ${key_variable}"'
    elif request.auth == "second" and "authorization" not in named:
        yield '-H "Authorization: Bearer $SECOND_API_KEY"'
    elif request.auth == "x-api-key" and "x-api-key" not in named:
        yield f'-H "X-Api-Key: ${key_variable}"'
    if request.body is not None and "content-type" not in named:
        yield "-H 'Content-Type: application/json'"
    for name, variable in variables.items():
        if name.lower() not in named:
            yield f'-H {quote(_line(name) + ": ")}"${variable}"'
    hidden = {name.lower() for name in variables}
    for name, value in (*request.headers, *(pair for pair in more if pair[0].lower() not in named | hidden)):
        # curl sends a field with an empty value only where a semicolon ends it.
        yield "-H " + quote(f"{_line(name)}: {_line(value)}" if value else f"{_line(name)};")
