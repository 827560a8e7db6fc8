"""Commands are run by the shell itself, against a stand-in for curl that prints what it was given."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.wire.curl import curl, quote
from conformance.wire.exchange import Headers, Request
from conformance.wire.strict_json import dump
from conformance.wire.urls import join_url

BASE = "http://127.0.0.1:9/v1"
_STAND_IN = """#!/bin/sh
for word in "$@"; do printf '%s\\0' "$word"; done
printf 'STDIN\\0'
case " $* " in *" @- "*) cat;; esac
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Any:
    room = tmp_path_factory.mktemp("bin")
    stand_in = room / "curl"
    stand_in.write_text(_STAND_IN)
    stand_in.chmod(stand_in.stat().st_mode | stat.S_IXUSR)
    environment = {"PATH": f"{room}{os.pathsep}{os.environ['PATH']}", "OPENAI_API_KEY": "k $x", "TENANT": "t"}

    def run(command: str, cwd: Path = room) -> tuple[list[str], bytes]:
        # From a file, for Linux bounds a single argument such as that of `sh -c`.
        script = room / "command.sh"
        script.write_text(command, encoding="utf-8", newline="")
        done = subprocess.run(
            ["sh", str(script)], capture_output=True, env=environment, check=True, cwd=cwd, timeout=20
        )
        assert done.stderr == b""
        words, _, rest = done.stdout.partition(b"STDIN\0")
        return [word.decode() for word in words.split(b"\0")[:-1]], rest

    return run


def sent(words: list[str], rest: bytes) -> bytes | None:
    if "--data-raw" in words:
        return words[words.index("--data-raw") + 1].encode()
    return rest if "--data-binary" in words else None


def fields(words: list[str]) -> list[str]:
    return [words[i + 1] for i, word in enumerate(words) if word == "-H"]


def test_a_plain_request_reads_well() -> None:
    request = Request(body=dump({"model": "m", "messages": []}))
    assert curl(request, BASE) == (
        f'curl -sS -i --globoff {BASE}/chat/completions -H "Authorization: Bearer $OPENAI_API_KEY" '
        '-H \'Content-Type: application/json\' --data-raw \'{"model":"m","messages":[]}\''
    )


_AWKWARD = [b"", b"@/etc/passwd", b"'", b"a'b\"c$(id)`id`\\!", b"line\nline\n", b"\x00", b"\xff\xfe", b"-n", b"%s\\n"]
_AWKWARD += ["é\u2028😀".encode(), b"\x1b[31m", b"x" * 99_999, b"'" * 50_000, b"\x00" * 300_000]


@pytest.mark.parametrize("body", _AWKWARD, ids=lambda body: repr(body[:12]))
def test_awkward_bodies_arrive_as_they_are(shell: Any, body: bytes) -> None:
    assert sent(*shell(curl(Request(body=body), BASE))) == body


@settings(max_examples=40, deadline=None)
@given(body=st.binary(max_size=200) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_body_arrives_as_it_is(shell: Any, body: bytes) -> None:
    assert sent(*shell(curl(Request(body=body), BASE))) == body


_VALUES = st.text(
    st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=("Cs", "Cc")), max_size=20
)


@settings(max_examples=40, deadline=None)
@given(value=_VALUES, path=_VALUES)
def test_headers_and_paths_arrive_as_they_are(shell: Any, value: str, path: str) -> None:
    words, _ = shell(curl(Request("GET", f"/models/{path}", (("X-Odd", value),)), BASE))
    assert join_url(BASE, f"/models/{path}") in words
    assert fields(words)[1] == (f"X-Odd: {value}" if value else "X-Odd;")


def test_the_key_comes_from_the_environment_only(shell: Any) -> None:
    command = curl(
        Request("GET", "/models"), BASE, header_variables={"X-Tenant": "TENANT"}, headers=(("x-tenant", "t"),)
    )
    words, _ = shell(command)
    assert fields(words) == ["Authorization: Bearer k $x", "X-Tenant: t"]
    assert "k $x" not in command


@pytest.mark.parametrize(
    ("auth", "headers", "expected"),
    [
        ("none", (), []),
        ("x-api-key", (), ["X-Api-Key: k $x"]),
        ("as_given", (("Authorization", "Bearer wrong"),), ["Authorization: Bearer wrong"]),
        ("key", (("authorization", "Basic x"),), ["authorization: Basic x"]),
    ],
)
def test_other_credentials_are_sent_as_the_request_says(
    shell: Any, auth: str, headers: Headers, expected: list[str]
) -> None:
    words, _ = shell(curl(Request("GET", "/models", headers, auth=auth), BASE))
    assert fields(words) == expected


def test_a_query_of_the_base_url_is_kept(shell: Any) -> None:
    assert "http://h/v1/models?v=2&a=b" in shell(curl(Request("GET", "/models?a=b"), "http://h/v1?v=2"))[0]


def test_streams_are_shown_as_they_arrive(shell: Any) -> None:
    streamed, plain = (Request(body=dump({"stream": stream})) for stream in (True, False))
    assert "-N" in shell(curl(streamed, BASE))[0]
    assert "-N" not in shell(curl(plain, BASE))[0]
    assert "-N" in shell(curl(plain, BASE, streamed=True))[0]


def test_methods_are_those_of_the_request(shell: Any) -> None:
    def method(request: Request) -> str | None:
        words, _ = shell(curl(request, BASE))
        return words[words.index("-X") + 1] if "-X" in words else None

    assert method(Request("GET", "/models")) is None
    assert method(Request("POST", body=b"{}")) is None
    assert method(Request("DELETE", "/chat/completions/x")) == "DELETE"
    assert method(Request("POST", body=None)) == "POST"
    assert method(Request("GET", "/models", body=b"{}")) == "GET"
    assert "-I" in shell(curl(Request("HEAD", "/models"), BASE))[0]


def test_lines_cannot_be_smuggled_into_headers(shell: Any) -> None:
    words, _ = shell(curl(Request("GET", "/models", (("X-A", "b\r\nX-Evil: 1"),)), BASE))
    assert fields(words)[1] == "X-A: bX-Evil: 1"


@given(st.text(max_size=40))
def test_a_quoted_word_is_one_word(text: str) -> None:
    quoted = quote(text)
    # Outside of quotes nothing is left that a shell would read otherwise.
    outside = "".join(quoted.replace("\\'", "").split("'")[::2])
    assert all(character.isalnum() or character in "_@%+=:,./-" for character in outside)


def test_json_bodies_are_left_readable() -> None:
    body = dump({"messages": [{"role": "user", "content": "it's é"}]})
    assert json.dumps("it's é", ensure_ascii=False).replace("'", "'\\''") in curl(Request(body=body), BASE)
