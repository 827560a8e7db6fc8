"""Small servers on loopback that misbehave on purpose: raw sockets, so that any bytes can be sent at any time."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Answer = Callable[[socket.socket, "Toy"], None]


@dataclass
class Toy:
    """A server under way: its base URL and the raw requests that it got."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def sleep(self, seconds: float) -> None:
        """Wait, but not longer than the test lasts."""
        self.closing.wait(seconds)


def read_request(connection: socket.socket) -> bytes:
    """One whole request, head and body; empty where the client closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        more = connection.recv(65536)
        if not more:
            break
        body += more
    return head + b"\r\n\r\n" + body


def reply(
    status: int = 200, body: bytes = b"{}", headers: tuple[str, ...] = ("Content-Type: application/json",)
) -> bytes:
    """A whole answer; the connection stays open."""
    lines = [f"HTTP/1.1 {status} X", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def chunked_head(headers: tuple[str, ...] = ("Content-Type: text/event-stream",)) -> bytes:
    """The head of an answer in chunks."""
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, "Transfer-Encoding: chunked", "", ""]).encode()


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; the empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def answering(data: bytes) -> Answer:
    """Send the same bytes to every request."""

    def answer(connection: socket.socket, toy: Toy) -> None:
        connection.sendall(data)

    return answer


def reset(connection: socket.socket) -> None:
    """Close so that the other side gets a reset instead of an orderly end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


def _talk(connection: socket.socket, answer: Answer, toy: Toy) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(20)
        while not toy.closing.is_set():
            request = read_request(connection)
            if not request:
                return
            toy.requests.append(request)
            answer(connection, toy)
            if connection.fileno() < 0:
                return


@contextlib.contextmanager
def serve(answer: Answer) -> Iterator[Toy]:
    """Answer every request on loopback until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    toy = Toy(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
    threads: list[threading.Thread] = []

    def accept() -> None:
        while not toy.closing.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                thread = threading.Thread(target=_talk, args=(connection, answer, toy), daemon=True)
                threads.append(thread)
                thread.start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield toy
    finally:
        toy.closing.set()
        acceptor.join(5)
        listener.close()
        for thread in threads:
            thread.join(1)
