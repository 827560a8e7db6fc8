"""Secrets, overwritten by asterisks of equal length, so that offsets, lengths and JSON stay valid.

A secret is looked for as it is and in the forms in which servers echo it: JSON-escaped, percent-encoded, base64.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import AnyStr
from urllib.parse import quote, quote_plus

from conformance.wire.exchange import Exchange, Headers, Request
from conformance.wire.strict_json import Json

SHORTEST = 6
"""Characters. Shorter values are masked only where a header's name gives them away: elsewhere they are words."""

CREDENTIAL_HEADERS = frozenset(
    {
        "api-key",
        "authorization",
        "cookie",
        "ocp-apim-subscription-key",
        "proxy-authorization",
        "set-cookie",
        "x-api-key",
        "x-auth-token",
        "x-goog-api-key",
    }
)
"""Fields whose values are credentials whatever they say, in lower case."""

_SCHEME = re.compile(r"(?:Bearer|Basic|Digest|Token) +", re.IGNORECASE)
_RISKY = "\"'&<>+/`=-_.:~!@#$%^*()"


def _json_forms(secret: str) -> set[str]:
    plain = json.dumps(secret, ensure_ascii=False)[1:-1]
    forms = {plain, json.dumps(secret)[1:-1], plain.replace("/", "\\/")}
    for template in ("\\u{:04x}", "\\u{:04X}"):
        # Encoders that make JSON safe for HTML escape some punctuation; others escape all that is not alphanumeric.
        for risky in ("<>&", "\"'&<>+`", _RISKY):
            forms.add("".join(template.format(ord(c)) if c in risky else json.dumps(c)[1:-1] for c in secret))
    # Once more for JSON in a string of JSON: gateways quote the answer of what is behind them.
    return forms | {json.dumps(form)[1:-1] for form in forms}


def _percent_forms(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    forms = {quote(raw, safe=""), quote(raw, safe="/"), quote(raw, safe=":/?#[]@!$&'()*+,;="), quote_plus(raw)}
    return forms | {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in forms}


def _base64_forms(secret: str) -> set[str]:
    """The characters that the secret alone decides, at each of the three alignments inside longer data."""
    raw = secret.encode("utf-8", "surrogatepass")
    forms: set[str] = set()
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw).decode()
        first = (0, 2, 3)[shift]
        last = len(text) - (0, 3, 2)[(shift + len(raw)) % 3]
        if last - first >= SHORTEST:
            forms |= {text[first:last], text[first:last].replace("+", "-").replace("/", "_")}
    return forms


def forms_of(secret: str) -> frozenset[str]:
    """Every form of a secret that is looked for."""
    return frozenset({secret} | _json_forms(secret) | _percent_forms(secret) | _base64_forms(secret))


def _mask(data: AnyStr, forms: Iterable[AnyStr], star: AnyStr) -> AnyStr:
    spans: list[tuple[int, int]] = []
    for form in forms:
        at = data.find(form)
        while at >= 0:
            spans.append((at, at + len(form)))
            at = data.find(form, at + 1)
    if not spans:
        return data
    parts: list[AnyStr] = []
    done = 0
    for start, stop in sorted(spans):
        if stop > done:
            start = max(start, done)
            parts += [data[done:start], star * (stop - start)]
            done = stop
    parts.append(data[done:])
    return data[:0].join(parts)


@dataclass(frozen=True)
class Secrets:
    """What must not be written: `values` wherever they occur, and all values of the headers in `names`.

    Names are compared without case; `CREDENTIAL_HEADERS` are always among them.
    """

    values: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Secrets({len(self.values)} hidden)"

    @cached_property
    def _forms(self) -> tuple[str, ...]:
        return tuple(sorted({form for value in self.values if len(value) >= SHORTEST for form in forms_of(value)}))

    @cached_property
    def _byte_forms(self) -> tuple[bytes, ...]:
        return tuple(form.encode("utf-8", "surrogatepass") for form in self._forms)

    @cached_property
    def _names(self) -> frozenset[str]:
        return CREDENTIAL_HEADERS | {name.lower() for name in self.names}

    def text(self, text: str) -> str:
        """The text with every secret overwritten, of equal length in characters."""
        return _mask(text, self._forms, "*")

    def data(self, data: bytes) -> bytes:
        """The bytes with every secret overwritten, of equal length."""
        return _mask(data, self._byte_forms, b"*")

    def json(self, value: Json) -> Json:
        """A JSON value with every secret overwritten in its strings and keys."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.json(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.json(item) for item in value]
        return value

    def headers(self, headers: Headers) -> Headers:
        """Credential headers masked whole but for their scheme, the others wherever they hold a secret."""
        return tuple((name, self._header(name, value)) for name, value in headers)

    def _header(self, name: str, value: str) -> str:
        if name.lower() not in self._names:
            return self.text(value)
        scheme = _SCHEME.match(value)
        kept = scheme.end() if scheme else 0
        return value[:kept] + "*" * (len(value) - kept)

    def request(self, request: Request) -> Request:
        """The request without secrets.

        Where a probe gave credentials of its own (`as_given`) it made them up, and rules about keys read them: there
        only known secrets are overwritten.
        """
        made_up = tuple((name, self.text(value)) for name, value in request.headers)
        return replace(
            request,
            path=self.text(request.path),
            headers=made_up if request.auth == "as_given" else self.headers(request.headers),
            body=None if request.body is None else self.data(request.body),
        )

    def exchange(self, exchange: Exchange) -> Exchange:
        """The exchange without secrets: masked on the joined body, so that it does not matter how it was cut."""
        return replace(
            exchange,
            request=self.request(exchange.request),
            headers=self.headers(exchange.headers),
            body=self.data(exchange.body),
            note=None if exchange.note is None else self.text(exchange.note),
        )
