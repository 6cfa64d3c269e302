"""Watches a service from a client's side: `probe --rps R [--seconds S] [-- COMMAND ...]`.

It sends requests to the model server at a steady rate, for S seconds or while COMMAND runs, and counts which version answered.
The rate is open-loop: a request goes out when it is due, whether or not the ones before were answered, and its time counts from
then on. So a server that stands still shows as slow requests, not as fewer.

Each request is a connection of its own and is never repeated. That is what many independent clients look like to a Service:
every request is balanced anew, meets whichever pod is ready at that moment, and a pod that leaves too early is a failed request.
A client with one kept-alive connection would stay with one pod and see a rollout only when that pod closes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import FrameType
from typing import Any, Final

from labtools import output, predictor, rows
from labtools.errors import ToolError
from labtools.output import Result

# A client gives up then.
REQUEST_SECONDS: Final = 10.0
MOST_THREADS: Final = 256
SECONDS: Final = 10.0
COMMAND_SECONDS: Final = 600.0
# What an interrupted command may take to clean up.
CLEANUP_SECONDS: Final = 240.0


@dataclass
class Tally:
    """What the requests met. Times in seconds."""

    begin: float = field(default_factory=time.monotonic)
    versions: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    failed: int = 0
    first_error: str | None = None
    first_failed: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, version: str, due: float) -> None:
        with self.lock:
            self.versions[version] += 1
            self.latencies.append(time.monotonic() - due)

    def lost(self, reason: str, due: float) -> None:
        with self.lock:
            self.failed += 1
            if self.first_error is None or due < self.first_failed:
                self.first_failed = due
                moment = datetime.fromtimestamp(time.time() - (time.monotonic() - due), UTC)
                self.first_error = f"{due - self.begin:.1f} s after the start ({moment:%H:%M:%S} UTC): {reason}"

    def summary(self) -> dict[str, Any]:
        found = sorted(self.latencies)
        n = len(found) + self.failed
        middle, high = (round(1000 * found[min(int(share * len(found)), len(found) - 1)], 1) if found else None for share in (0.5, 0.95))
        counts = dict(sorted(self.versions.items()))
        return {"n": n, "failed": self.failed, "first_error": self.first_error, "p50_ms": middle, "p95_ms": high, "versions": counts}


def send(url: str, rps: float, ended: threading.Event, seconds: float) -> Tally:
    """Sends requests at the rate until the event is set or the time is over, and waits for the last answers."""
    tally = Tally()

    def one(number: int, due: float) -> None:
        try:
            tally.answered(predictor.ask(rows.one(number), url, REQUEST_SECONDS).version, due)
        except ToolError as error:
            tally.lost(str(error), due)

    with ThreadPoolExecutor(max_workers=max(1, min(MOST_THREADS, int(rps * REQUEST_SECONDS)))) as pool:
        number = 0
        while (due := tally.begin + number / rps) < tally.begin + seconds:
            if ended.wait(max(due - time.monotonic(), 0)):
                break
            pool.submit(one, number, due)
            number += 1
    return tally


class Command:
    """The command that is watched, and its end."""

    def __init__(self, arguments: Sequence[str], ended: threading.Event) -> None:
        self.begin = time.monotonic()
        self.seconds = 0.0
        self.stdout = ""
        try:
            environment = os.environ | {output.JSON_VARIABLE: "1"}
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment)
        except OSError as error:
            raise ToolError(f"{arguments[0]}: {error.strerror}") from error
        self.reader = threading.Thread(target=self._read, args=(ended,), daemon=True)
        self.reader.start()

    def _read(self, ended: threading.Event) -> None:
        self.stdout, _ = self.process.communicate()
        self.seconds = time.monotonic() - self.begin
        ended.set()

    def stop(self) -> None:
        """Asks a command that still runs to end, and lets it clean up."""
        if self.process.poll() is None:
            self.process.terminate()
        self.reader.join(CLEANUP_SECONDS)
        if self.process.poll() is None:
            self.process.kill()
            self.reader.join()

    def summary(self) -> dict[str, Any]:
        said = None
        with contextlib.suppress(ValueError):
            said = json.loads(self.stdout)
        return {"exit": self.process.returncode, "seconds": round(self.seconds, 1), "json": said if isinstance(said, dict) else None}


def parser() -> output.Parser:
    usage = "%(prog)s --rps R [--seconds S] [--url URL] [--json] [-- COMMAND ...]"
    top = output.Parser(prog="probe", description="Sends requests at a steady rate and counts which version answers.", usage=usage)
    top.add_argument("--rps", type=positive, required=True, help="requests per second")
    top.add_argument("--seconds", type=positive, help=f"how long ({SECONDS:g}); with COMMAND: how long it may take ({COMMAND_SECONDS:g})")
    top.add_argument("--url", default=predictor.default_url(), help=f"the model server ({predictor.DEFAULT_URL})")
    top.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return top


def positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be a positive number")
    return number


@contextmanager
def passing_on(stop: Callable[[], None]) -> Iterator[None]:
    """Makes the signals that would end this process call `stop` instead."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(options: argparse.Namespace) -> Result:
    arguments = options.command[1:] if options.command[:1] == ["--"] else options.command
    ended = threading.Event()
    with passing_on(ended.set):
        command = Command(arguments, ended) if arguments else None
        tally = send(options.url.rstrip("/"), options.rps, ended, options.seconds or (COMMAND_SECONDS if command else SECONDS))
        if command is not None:
            command.stop()
    return describe(tally, command)


def describe(tally: Tally, command: Command | None) -> Result:
    data = tally.summary()
    versions = ", ".join(f"version {number}: {count}" for number, count in data["versions"].items())
    lines = [f"{data['n']} requests, {data['failed']} failed, p50 {data['p50_ms']} ms, p95 {data['p95_ms']} ms", versions or "no answers"]
    if data["first_error"]:
        lines.append(f"first error {data['first_error']}")
    if command is None:
        return Result(data, "\n".join(lines))
    ran = command.summary()
    said = ran["json"] or {}
    data |= {"command": ran, "seconds_to_old_version": said.get("seconds_to_old_version")}
    lines.append(f"command ended with {ran['exit']} after {ran['seconds']} s")
    lines += [f"  {name}: {value}" for name, value in said.items()]
    return Result(data, "\n".join(lines), output.DONE if ran["exit"] == 0 else output.FAILED)


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(parser().parse_args(arguments), run)


if __name__ == "__main__":
    sys.exit(main())
