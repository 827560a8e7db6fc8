"""When a request is sent again, and after how long. Every retry is an exchange of its own."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from conformance.wire.exchange import End, Exchange, Request

PASSING = frozenset({429, 502, 503, 504})
"""Statuses that tell of a passing trouble (RFC 9110, section 15.6; RFC 6585, section 4)."""
_NOT_IMPLEMENTED = 501
"""The one server error that no second try can change."""


@dataclass(frozen=True)
class Patience:
    """How often and how long: `wait` bounds one pause, `total` all pauses of one request, in seconds."""

    times: int = 3
    wait: float = 30.0
    total: float = 60.0


def asked_pause(exchange: Exchange, now: float) -> float | None:
    """The seconds that `Retry-After` asks for, as a number or a date; None where it says nothing readable."""
    value = (exchange.header("retry-after") or "").split(",")[0].strip()
    if value.replace(".", "", 1).isdecimal() and value.isascii():
        return float(value)
    whole = (exchange.header("retry-after") or "").strip()
    try:
        return max(0.0, parsedate_to_datetime(whole).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def changes_state(request: Request) -> bool:
    """Sending it twice may do it twice: anything but GET and an unstored completion."""
    if request.method in ("GET", "HEAD"):
        return False
    chat = request.chat
    return request.route != "/chat/completions" or (chat is not None and chat.body.get("store") not in (None, False))


def pause_before_retry(exchange: Exchange, attempt: int, waited: float, now: float, patience: Patience) -> float | None:
    """Seconds to wait before sending again, or None: the answer stands.

    429, 502, 503 and 504 are retried as `Retry-After` says, else after 1, 2, 4 … seconds. Any other 5xx but 501 is sent
    once more at once, and so is what broke or found no connection, unless the request may have changed something: what
    happens twice of two is no accident. `attempt` counts from 1.
    """
    if exchange.status in PASSING and exchange.end is End.COMPLETE:
        if attempt > patience.times:
            return None
        asked = asked_pause(exchange, now)
        pause = float(2 ** (attempt - 1)) if asked is None else asked
        return pause if pause <= patience.wait and waited + pause <= patience.total else None
    accident = exchange.end is End.RESET or (exchange.end is End.NOT_SENT and exchange.status is None)
    failed = exchange.status is not None and exchange.status >= 500 and exchange.status != _NOT_IMPLEMENTED
    again = failed or (accident and not changes_state(exchange.request))
    return 0.0 if attempt == 1 and again else None
