"""Watches a service from a client's side: `probe --rps R [--seconds S] [-- COMMAND ...]`, or `probe --n N`.

It sends requests to the model server, at a steady rate for S seconds or while COMMAND runs, or N of them one after the other, and
counts which version answered (how, is told in `labtools.traffic`). The flights are real ones of March; one in twelve has the code of
a carrier that no model has seen, with `--rows mixed-carriers` every second one.

`probe load-window` watches a pod that takes long to load, `probe calibrate` measures the machine; both are modules of their own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from labtools import calibrate, load_window, output, predictor, rows, traffic
from labtools.errors import ToolError
from labtools.output import Result
from labtools.traffic import Load, Tally

SECONDS: Final = 10.0
COMMAND_SECONDS: Final = 600.0
# What an interrupted command may take to clean up.
CLEANUP_SECONDS: Final = 240.0


class Command:
    """The command that is watched, and its end. The event is set `after` seconds later."""

    def __init__(self, arguments: Sequence[str], ended: threading.Event, after: float = 0) -> None:
        self.begin = time.monotonic()
        self.seconds = 0.0
        self.stdout = ""
        try:
            environment = os.environ | {output.JSON_VARIABLE: "1"}
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment)
        except OSError as error:
            raise ToolError(f"{arguments[0]}: {error.strerror}") from error
        self.reader = threading.Thread(target=self._read, args=(ended, after), daemon=True)
        self.reader.start()

    def _read(self, ended: threading.Event, after: float) -> None:
        self.stdout, _ = self.process.communicate()
        self.seconds = time.monotonic() - self.begin
        ended.wait(after)
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
    usage = "%(prog)s [--rps R] [--seconds S | --n N] [--wanted VERSION] [--header NAME=VALUE] [--rows MIX] [--scaled] [--url URL] [--json] [-- COMMAND ...]"
    others = "Also: probe load-window, probe calibrate; each knows --help."
    top = output.Parser(prog="probe", description="Sends requests and counts which version answers.", usage=usage, epilog=others)
    top.add_argument("--rps", type=positive, help="requests per second")
    top.add_argument("--seconds", type=positive, help=f"how long ({SECONDS:g}); with COMMAND: how long it may take ({COMMAND_SECONDS:g})")
    top.add_argument("--n", type=count, help="how many requests; without --rps as fast as they are answered")
    top.add_argument("--wanted", metavar="VERSION", help=f"end early when none of the first {traffic.WITHOUT} answers is of this version")
    top.add_argument("--header", type=header, action="append", default=[], metavar="NAME=VALUE", help="a header of every request; can be repeated")
    top.add_argument("--rows", choices=sorted(rows.MIXES), default="march", help="which flights (march)")
    top.add_argument("--scaled", action="store_true", help="lower the rate on a slow machine, as much as it is slower than usual")
    top.add_argument("--url", default=predictor.default_url(), help=f"where to send them ({predictor.default_url()})")
    top.add_argument("--during", metavar="COMMAND", help="the command, as one word; the same as -- COMMAND ...")
    top.add_argument("--after", type=float, default=0, metavar="S", help="go on for so many seconds after COMMAND (0)")
    top.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return top


def positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be a positive number")
    return number


def count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be a whole number, at least 1")
    return number


def header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError("must be NAME=VALUE")
    return name, value


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


def command_of(options: argparse.Namespace) -> list[str]:
    if options.during:
        return shlex.split(options.during)
    words: list[str] = options.command
    return words[1:] if words[:1] == ["--"] else words


def run(options: argparse.Namespace) -> Result:
    arguments = command_of(options)
    factor = calibrate.factor() if options.scaled else 1.0
    rps = options.rps / factor if options.rps else None
    seconds = options.seconds or (COMMAND_SECONDS if arguments else None if options.n else SECONDS)
    headers = dict(options.header)
    mix = rows.Mix(options.rows)
    load = Load(options.url.rstrip("/"), rps, seconds, options.n, mix.row, lambda _: headers, options.wanted)
    ended = threading.Event()
    with passing_on(ended.set):
        command = Command(arguments, ended, options.after) if arguments else None
        tally = traffic.send(load, ended)
        if command is not None:
            command.stop()
    return describe(tally, command, {"rps": round(rps, 1), "scale": round(factor, 2)} if options.scaled and rps else {})


def describe(tally: Tally, command: Command | None, more: dict[str, Any]) -> Result:
    data = tally.summary() | more
    versions = ", ".join(f"version {number}: {count}" for number, count in data["versions"].items())
    lines = [f"{data['n']} requests, {data['failed']} failed, p50 {data['p50_ms']} ms, p95 {data['p95_ms']} ms", versions or "no answers"]
    if more:
        lines.append(f"sent at {more['rps']} requests per second; this machine is {more['scale']} times as slow as usual")
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
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["load-window"]:
        return load_window.main(words[1:])
    if words[:1] == ["calibrate"]:
        return calibrate.main(words[1:])
    top = parser()
    options = top.parse_args(words)
    if options.rps is None and options.n is None:
        top.error("say how many requests: --rps or --n")
    if options.rps is None and command_of(options):
        top.error("with COMMAND it needs --rps")
    if options.wanted and command_of(options):
        top.error("--wanted ends the probe early, and with it COMMAND: use one of them")
    return output.main(options, run)


if __name__ == "__main__":
    sys.exit(main())
