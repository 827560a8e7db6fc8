from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.wire.exchange import Exchange, Request
from conformance.wire.redaction import SHORTEST, Secrets, forms_of
from conformance.wire.strict_json import parse

KEY = 'sk-made/up+key=42 "é"<&>'
SECRETS = Secrets(frozenset({KEY}), frozenset({"X-Tenant"}))

_TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=SHORTEST, max_size=30)


def in_json(text: str, *, ascii_only: bool = True) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1]


ECHOES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "json": in_json,
    "json, unescaped": lambda text: in_json(text, ascii_only=False),
    "json with escaped slashes": lambda text: in_json(text, ascii_only=False).replace("/", "\\/"),
    "json for html": lambda text: in_json(text).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
    "a url": lambda text: quote(text, safe=""),
    "a path": quote,
    "a form": quote_plus,
}


@pytest.mark.parametrize("echo", list(ECHOES.values()), ids=list(ECHOES))
@given(secret=_TEXTS, before=st.text("ab ", max_size=4), after=st.text("ab ", max_size=4))
def test_no_form_of_a_secret_survives(echo: Callable[[str], str], secret: str, before: str, after: str) -> None:
    form = echo(secret)
    data = f"{before}{form}{after}".encode()
    clean = Secrets(frozenset({secret})).data(data)
    assert len(clean) == len(data)
    assert form.encode() not in clean or set(form) == {"*"}
    clean.decode("utf-8")


@given(secret=_TEXTS, before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_no_base64_of_a_secret_survives(secret: str, before: bytes, after: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        coded = encode(before + secret.encode() + after)
        clean = Secrets(frozenset({secret})).data(coded)
        assert len(clean) == len(coded)
        # Read asterisks as any character: what can be decoded must not hold the secret.
        decoded = base64.urlsafe_b64decode(clean.replace(b"*", b"A").replace(b"+", b"-").replace(b"/", b"_"))
        assert secret.encode() not in decoded or set(secret) <= {"\0"}


@given(_TEXTS, st.lists(st.text(max_size=8), max_size=4))
def test_json_stays_json(secret: str, texts: list[str]) -> None:
    for ascii_only in (True, False):
        try:
            body = json.dumps({"a": [*texts, secret, f"x{secret}y"]}, ensure_ascii=ascii_only).encode()
        except UnicodeEncodeError:
            continue
        clean = Secrets(frozenset({secret})).data(body)
        assert len(clean) == len(body)
        assert parse(clean).ok or any(mark in secret for mark in '"{}[]:,\\')


def test_overlapping_secrets_leave_nothing() -> None:
    secrets = Secrets(frozenset({"abcdefgh", "efghijkl"}))
    assert secrets.text("-abcdefghijkl-") == "-************-"
    assert Secrets(frozenset({"aaaaaa"})).text("aaaaaaaa") == "********"


def test_credential_headers_are_masked_whatever_they_hold() -> None:
    headers = (
        ("Authorization", "Bearer abc"),
        ("authorization", "Bearer"),
        ("x-api-key", "1"),
        ("X-TENANT", "7"),
        ("Cookie", "a=b"),
        ("Accept", "text/plain"),
        ("X-Echo", f"key {KEY}!"),
    )
    assert SECRETS.headers(headers) == (
        ("Authorization", "Bearer ***"),
        ("authorization", "******"),
        ("x-api-key", "*"),
        ("X-TENANT", "*"),
        ("Cookie", "***"),
        ("Accept", "text/plain"),
        ("X-Echo", "key " + "*" * len(KEY) + "!"),
    )


def test_an_exchange_is_masked_everywhere_and_keeps_its_lengths() -> None:
    told = f'{{"error": {json.dumps(KEY)}}}'.encode()
    exchange = Exchange(
        "e1",
        Request("GET", f"/models?key={quote(KEY)}", (("api-key", KEY),), KEY.encode()),
        401,
        (("location", f"/x?{quote_plus(KEY)}"), ("set-cookie", "s=1")),
        told,
        ((1.0, 12), (2.0, len(told) - 12)),
        note=f"refused {KEY}",
    )
    clean = SECRETS.exchange(exchange)
    everything = repr(clean) + unquote_plus(repr(clean))
    assert KEY not in everything
    assert "made" not in everything
    assert len(clean.body) == len(told)
    assert clean.pieces == exchange.pieces
    assert clean.document.ok
    assert len(clean.request.path) == len(exchange.request.path)
    assert SECRETS.exchange(clean) == clean


def test_credentials_that_a_probe_made_up_are_kept_for_verify_unless_they_hold_a_secret() -> None:
    headers = (("Authorization", "Bearer sk-nobodys-key"), ("x-api-key", KEY))
    clean = SECRETS.request(Request(headers=headers, auth="as_given"))
    assert clean.headers == (("Authorization", "Bearer sk-nobodys-key"), ("x-api-key", "*" * len(KEY)))
    assert SECRETS.request(Request(headers=headers)).headers[0] == ("Authorization", "Bearer " + "*" * 14)


def test_words_too_short_to_be_secrets_stay_in_bodies() -> None:
    secrets = Secrets(frozenset({"demo"}), frozenset({"X-Env"}))
    assert secrets.data(b"a demo") == b"a demo"
    assert secrets.headers((("x-env", "demo"),)) == (("x-env", "****"),)


def test_secrets_do_not_show_themselves() -> None:
    assert KEY not in repr(SECRETS)
    assert KEY not in f"{SECRETS}"


def test_values_of_any_shape_are_masked() -> None:
    assert SECRETS.json({KEY: [KEY, 1, None, {"a": KEY}]}) == {
        "*" * len(KEY): ["*" * len(KEY), 1, None, {"a": "*" * len(KEY)}]
    }


def test_forms_are_few() -> None:
    assert len(forms_of(KEY)) < 40
