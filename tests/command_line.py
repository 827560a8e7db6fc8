"""The command line as users call it, and small endpoints on loopback that are good for nothing."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEY = "sk-test-0123456789abcdef-not-real"


def environment(**more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PYTEST_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "80", **more}


@dataclass
class Cli:
    """`cli("run", …)` in an empty directory."""

    cwd: Path

    def __call__(self, *arguments, env=None, timeout=120):
        return subprocess.run(
            [sys.executable, "-m", "conformance", *map(str, arguments)],
            cwd=self.cwd,
            env=environment(**(env or {})),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments, env=None):
        return subprocess.Popen(
            [sys.executable, "-m", "conformance", *map(str, arguments)],
            cwd=self.cwd,
            env=environment(**(env or {})),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@dataclass
class Toy:
    """An endpoint that answers every POST with `completion`, or everything with `instead` (status, type, body)."""

    completion: dict
    instead: tuple[int, str, bytes] | None = None
    delay: float = 0.0
    seen: list[tuple[str, dict]] = field(default_factory=list)
    url: str = ""
    closing: threading.Event = field(default_factory=threading.Event)


def _handler(toy):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            toy.seen.append((self.path, dict(self.headers)))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            toy.closing.wait(toy.delay)
            status, kind, data = 200, "application/json", json.dumps(toy.completion).encode()
            if self.command == "GET":
                data = json.dumps({"object": "list", "data": [{"id": "toy-1", "object": "model"}]}).encode()
            if KEY in (self.headers.get("Authorization") or "") and b"echo my key" in body:
                data = json.dumps({**toy.completion, "id": KEY}).encode()
            if toy.instead is not None:
                status, kind, data = toy.instead
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = answer

        def log_message(self, *arguments):
            pass

    return Handler


COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1760000000,
    "model": "toy-1",
    "choices": [{"index": "zero", "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


@contextlib.contextmanager
def served_toy(toy):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(toy))
    server.daemon_threads = True
    toy.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield toy
    finally:
        toy.closing.set()
        server.shutdown()
        server.server_close()
