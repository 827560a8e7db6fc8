"""How close a whole run comes to what latency allows: `python -m benchmarks.wall`.

A run against `conformance serve` with a given latency, beside the ideal: requests × latency ÷ concurrency, or the
longest chain of requests that wait for each other, whichever is more. Ratios are from one run each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conformance.reference.endpoint import KEY
from conformance.reference.server import start_process

LATENCIES = (0.0, 0.05, 0.5)


def measure(latency: float, effort: str, concurrency: int) -> dict[str, float]:
    """One run; seconds, requests, and the ideal in seconds."""
    with tempfile.TemporaryDirectory() as folder, start_process(latency=latency) as base_url:
        report = Path(folder) / "report"
        command = [sys.executable, "-m", "conformance", "run", "--base-url", base_url, "--effort", effort]
        command += ["--concurrency", str(concurrency), "--report", str(report), "--no-progress", "-q"]
        started = time.monotonic()
        done = subprocess.run(
            command,
            env={**os.environ, "OPENAI_API_KEY": KEY},
            capture_output=True,
            text=True,
            check=False,
            timeout=1800,
        )
        seconds = time.monotonic() - started
        if done.returncode != 0:
            raise SystemExit(f"the run ended with {done.returncode}: {done.stderr[-500:]}")
        run = json.loads((report / "report.json").read_text("utf-8"))["run"]
    return {"seconds": seconds, "requests": run["requests"], "ideal": run["requests"] * latency / concurrency}


def main() -> int:
    """Print one row per latency."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--effort", default="standard")
    parser.add_argument("--concurrency", type=int, default=8)
    options = parser.parse_args()
    print("| latency | requests | wall | ideal | wall − wall at 0 s | ratio to ideal |")
    print("|---|---|---|---|---|---|")
    floor = None
    for latency in LATENCIES:
        row = measure(latency, options.effort, options.concurrency)
        floor = row["seconds"] if floor is None else floor
        ratio = f"{row['seconds'] / row['ideal']:.2f}" if row["ideal"] else "–"
        print(
            f"| {latency} s | {row['requests']:.0f} | {row['seconds']:.1f} s | {row['ideal']:.1f} s | "
            f"{row['seconds'] - floor:.1f} s | {ratio} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
