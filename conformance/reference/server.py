"""Run the reference endpoint on loopback: in this process until stopped, or as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from urllib.parse import urlsplit
from urllib.request import urlopen

import click
import uvicorn

from conformance.dialects.loader import load
from conformance.dialects.model import Dialect
from conformance.reference import faults, variations
from conformance.reference.adapter import application
from conformance.reference.endpoint import KEY, Endpoint
from conformance.reference.minds import MINDS
from conformance.reference.stages import Change
from conformance.reference.store import Store

HOST = "127.0.0.1"
_ROOT = Path(__file__).parents[2]
"""Where the package is importable from, whatever the working directory."""
_READY = "listening at "
_START_SECONDS = 30.0
_STOP_SECONDS = 5.0


def pick(known: dict[str, Change], names: Sequence[str], what: str) -> tuple[Change, ...]:
    """The changes of these names. Raises KeyError with one sentence for the user."""
    for name in names:
        if name not in known:
            raise KeyError(f"no {what} is called {name!r}: `conformance faults` lists them all")
    return tuple(known[name] for name in names)


def endpoint(
    dialect: str | Dialect = "openai",
    fault_names: Sequence[str] = (),
    variation_names: Sequence[str] = (),
    mind: str = "obedient",
    latency: float = 0.0,
    key: str = KEY,
    store: Path | None = None,
    retention: float | None = None,
) -> Endpoint:
    """An endpoint from names. Raises DialectError, KeyError or ValueError with one sentence for the user.

    `store` is the file of stored completions, memory without one; they are gone after `retention` seconds.
    """
    if mind not in MINDS:
        raise KeyError(f"no mind is called {mind!r}: choose one of {', '.join(MINDS)}")
    loaded = load(dialect) if isinstance(dialect, str) else dialect
    kept = Store(store, retention) if loaded.convention("storage.stores") else None
    if kept is not None and store is not None:
        kept.open()
    return Endpoint(
        loaded,
        pick(faults.load(), fault_names, "fault") if fault_names else (),
        pick(variations.load(), variation_names, "variation") if variation_names else (),
        mind,
        key,
        store=kept,
        latency=latency,
    )


class _Server(uvicorn.Server):
    """Tells where it listens as soon as it does."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[int], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Bind, then call back with the port."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started and self.servers:
            self._listening(self.servers[0].sockets[0].getsockname()[1])


def _fetch(url: str) -> None:
    """Call a URL on loopback, for the fault that follows references; never one elsewhere."""
    if urlsplit(url).hostname not in ("127.0.0.1", "localhost"):
        return
    with suppress(OSError, ValueError), urlopen(url, timeout=2.0) as answer:
        answer.read(1 << 16)


def serve(served: Endpoint, port: int = 0, listening: Callable[[str], None] = lambda url: None) -> None:
    """Serve on loopback until interrupted; `listening` gets the base URL once requests are accepted. Port 0: any."""
    base = str(served.dialect.convention("base.path") or "")
    config = uvicorn.Config(
        application(served, _fetch),
        host=HOST,
        port=port,
        log_level="critical",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    _Server(config, lambda bound: listening(f"http://{HOST}:{bound}{base}")).run()


@contextmanager
def start_process(
    dialect: str = "openai",
    faults: Sequence[str] = (),
    variations: Sequence[str] = (),
    mind: str = "obedient",
    latency: float = 0.0,
    port: int = 0,
    store: Path | None = None,
    retention: float | None = None,
) -> Iterator[str]:
    """Serve in a process of its own; yields the base URL, and ends the process whatever happens.

    Raises RuntimeError with the process's last words where it does not come up. It also ends by itself when this
    process dies: it watches its standard input.
    """
    command = [sys.executable, "-m", __name__, "--dialect", dialect, "--model-mind", mind]
    command += ["--latency", str(latency), "--port", str(port), "--until-stdin-closes"]
    command += ["--store", str(store.resolve())] if store is not None else []
    command += ["--retention", str(retention)] if retention is not None else []
    command += [item for name in faults for item in ("--fault", name)]
    command += [item for name in variations for item in ("--vary", name)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])},
    )
    try:
        yield _await_url(process)
    finally:
        _end(process)


def _await_url(process: subprocess.Popen[str]) -> str:
    """The URL that the process announces; its further output is read and dropped, so that it never blocks."""
    lines: Queue[str | None] = Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line.strip())
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    said: list[str] = []
    while True:
        try:
            line = lines.get(timeout=_START_SECONDS)
        except Empty:
            line = None
        if line is None:
            raise RuntimeError(f"the embedded endpoint did not start: {' '.join(said[-3:]) or 'it said nothing'}")
        if line.startswith(_READY):
            return line.removeprefix(_READY)
        said.append(line)


def _end(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_SECONDS)
    if process.stdout is not None:
        process.stdout.close()


def _exit_with_stdin() -> None:
    """End this process when its standard input closes, that is, when its parent is gone."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


@click.command()
@click.option("--dialect", default="openai")
@click.option("--fault", "fault_names", multiple=True)
@click.option("--vary", "variation_names", multiple=True)
@click.option("--model-mind", "mind", default="obedient")
@click.option("--latency", type=float, default=0.0)
@click.option("--port", type=int, default=0)
@click.option("--store", type=click.Path(path_type=Path))
@click.option("--retention", type=float)
@click.option("--until-stdin-closes", "bound", is_flag=True)
def main(
    dialect: str,
    fault_names: tuple[str, ...],
    variation_names: tuple[str, ...],
    mind: str,
    latency: float,
    port: int,
    store: Path | None,
    retention: float | None,
    bound: bool,
) -> None:
    """Serve the reference endpoint and print its base URL."""
    try:
        served = endpoint(dialect, fault_names, variation_names, mind, latency, store=store, retention=retention)
    except (KeyError, ValueError) as error:
        raise click.ClickException(str(error.args[0])) from error
    if bound:
        _exit_with_stdin()
    serve(served, port, lambda url: click.echo(f"{_READY}{url}"))


if __name__ == "__main__":
    main()
