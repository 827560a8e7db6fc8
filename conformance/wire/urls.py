"""Where a request goes: its path hung on the base URL, for the transport and for printed commands alike."""

from __future__ import annotations

from urllib.parse import quote


def join_url(base_url: str, path: str) -> str:
    """A request's path hung on the base URL: its path prefix and its query are kept, slashes are not doubled.

    `https://h/p/v1/?v=2` and `/models?limit=1` give `https://h/p/v1/models?v=2&limit=1`. Nothing in `path` can change
    the origin.
    """
    head, _, base_query = base_url.partition("#")[0].partition("?")
    route, _, query = quote(path, safe="/?&=%:@!$'()*+,;~-._[]").partition("?")
    queries = "&".join(part for part in (base_query, query) if part)
    return f"{head.rstrip('/')}/{route.lstrip('/')}" + (f"?{queries}" if queries else "")
