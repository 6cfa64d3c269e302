"""Requests to the model server as many independent clients send them, and what came back.

At a rate the load is open-loop: a request goes out when it is due, whether or not the ones before were answered, and its time counts
from then on. So a server that stands still shows as slow requests, not as fewer. Without a rate a few clients ask one after the other.

Each request is a connection of its own and is never repeated. That is what many independent clients look like to a Service:
every request is balanced anew, meets whichever pod is ready at that moment, and a pod that leaves too early is a failed request.
A client with one kept-alive connection would stay with one pod and see a rollout only when that pod closes.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from labtools import predictor, rows
from labtools.errors import ToolError

# A client gives up then.
REQUEST_SECONDS: Final = 10.0
MOST_THREADS: Final = 256
# How many clients ask at once where no rate is given.
CLIENTS: Final = 4
# After so many answers a version that should have a tenth of them and had none has none: chance does that once in 37,000 times.
WITHOUT: Final = 100
# So much of a refusal is quoted.
BODY_LENGTH: Final = 160

Headers = Mapping[str, str]
Row = Callable[[int], rows.Table]


@dataclass(frozen=True)
class Failure:
    """A request that got no scores. Status 0: no answer at all."""

    due: float
    status: int
    body: str
    pod: str


@dataclass
class Tally:
    """What the requests met. Times in seconds."""

    begin: float = field(default_factory=time.monotonic)
    versions: Counter[str] = field(default_factory=Counter)
    # When each version answered last.
    last: dict[str, float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, version: str, due: float) -> None:
        now = time.monotonic()
        with self.lock:
            self.versions[version] += 1
            self.last[version] = now
            self.latencies.append(now - due)

    def lost(self, error: ToolError, due: float) -> None:
        if isinstance(error, predictor.RefusedError):
            failure = Failure(due, error.status, error.body[:BODY_LENGTH], error.pod)
        else:
            failure = Failure(due, 0, str(error)[:BODY_LENGTH], "")
        with self.lock:
            self.failures.append(failure)

    def without(self, version: str) -> bool:
        """Whether there were many answers, and none of that version."""
        with self.lock:
            return len(self.latencies) >= WITHOUT and not self.versions[version]

    def first(self) -> Failure | None:
        return min(self.failures, key=lambda failure: failure.due, default=None)

    def describe(self, failure: Failure) -> str:
        moment = datetime.fromtimestamp(time.time() - (time.monotonic() - failure.due), UTC)
        what = f"predictor answered HTTP {failure.status}: {failure.body}" if failure.status else failure.body
        return f"{failure.due - self.begin:.1f} s after the start ({moment:%H:%M:%S} UTC): {what}{f' (pod {failure.pod})' if failure.pod else ''}"

    def summary(self) -> dict[str, Any]:
        found = sorted(self.latencies)
        middle, high = (round(1000 * found[min(int(share * len(found)), len(found) - 1)], 1) if found else None for share in (0.5, 0.95))
        first = self.first()
        data: dict[str, Any] = {"n": len(found) + len(self.failures), "failed": len(self.failures)}
        data |= {"first_error": self.describe(first) if first else None, "p50_ms": middle, "p95_ms": high, "versions": dict(sorted(self.versions.items()))}
        if first:
            codes = Counter(str(failure.status) for failure in self.failures)
            quoted = {"code": first.status, "body": first.body, "pod": first.pod or None, "after_seconds": round(first.due - self.begin, 1)}
            data |= {"first": quoted, "codes": dict(sorted(codes.items()))}
        return data


@dataclass(frozen=True)
class Load:
    """What is sent. Exactly one of seconds and count may be open; `header` gives each request its headers.

    Nothing more is sent when none of the first answers is of the version `wanted`.
    """

    url: str
    rps: float | None
    seconds: float | None
    count: int | None
    row: Row
    header: Callable[[int], Headers]
    wanted: str | None = None


def send(load: Load, ended: threading.Event, tally: Tally | None = None) -> Tally:
    """Sends requests until there were enough, the time is over, or the event is set, and waits for the last answers.

    It sets the event itself when it gives up on the version that is wanted.
    """
    tally = tally or Tally()

    def one(number: int, due: float) -> None:
        try:
            tally.answered(predictor.ask(load.row(number), load.url, REQUEST_SECONDS, load.header(number)).version, due)
        except ToolError as error:
            tally.lost(error, due)
        if load.wanted is not None and tally.without(load.wanted):
            ended.set()

    if load.rps is None:
        in_turn(load, ended, one)
    else:
        when_due(load, load.rps, ended, tally.begin, one)
    return tally


def when_due(load: Load, rps: float, ended: threading.Event, begin: float, one: Callable[[int, float], None]) -> None:
    with ThreadPoolExecutor(max_workers=max(1, min(MOST_THREADS, int(rps * REQUEST_SECONDS)))) as pool:
        number = 0
        while number != load.count:
            due = begin + number / rps
            if load.seconds is not None and due >= begin + load.seconds:
                break
            if ended.wait(max(due - time.monotonic(), 0)):
                break
            pool.submit(one, number, due)
            number += 1


def in_turn(load: Load, ended: threading.Event, one: Callable[[int, float], None]) -> None:
    numbers = iter(range(load.count or 0))
    lock = threading.Lock()

    def client() -> None:
        while not ended.is_set():
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            one(number, time.monotonic())

    with ThreadPoolExecutor(max_workers=CLIENTS) as pool:
        for future in [pool.submit(client) for _ in range(CLIENTS)]:
            future.result()
