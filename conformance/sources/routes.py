"""From a recorded URL to the path that rules know: relative to an unknown base URL, with its query."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_ROUTES = (re.compile(r"(?:/deployments/[^/]+)?/chat/completions(?=/|$)"), re.compile(r"/models(?=/|$)"))


def relative_path(url: str) -> str:
    """`/chat/completions…` or `/models…` with the query, whatever prefix stands before; other paths whole.

    Chat comes first: some hosts serve it below a path that holds `/models/`. A deployment that the URL names stays in
    the path, as it stands for the body's model.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    path = parts.path or "/"
    for route in _ROUTES:
        found = route.search(path)
        if found:
            path = path[found.start() :]
            break
    return f"{path}?{parts.query}" if parts.query else path
