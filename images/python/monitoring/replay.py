"""Plays recorded traffic up to a virtual moment: `replay --until D [--no-halt]`, `replay --stream sea --until end`, `replay --again D`.

It sends what is scheduled between now and D to the predictor, releases the labels that are known by then, and moves the clock last, so
a replay that was cut off can be repeated: rows have ids, and sending one again replaces it. At the end of each week, and at D, it stands
still until the jobs that judge windows have run (halts.py); --no-halt leaves that to their next run.

`--again D` sends what was sent from D to now once more, for a log with holes or wrong values. ConfigMap `feeds` says how the data comes
in: `weather: fahrenheit` (or celsius), `labels: released` (or stopped). Labels that were held back are released by the next replay, also
by one that goes nowhere.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lab import contract
from labtools import deployment, kubernetes, output
from labtools.errors import ToolError
from labtools.output import Result

from monitoring import flights, sea, store, windows
from monitoring.halts import Halts
from monitoring.traffic import Sender, bodies

if TYPE_CHECKING:
    import pandas as pd

CONFIG_MAP: Final = "feeds"
# The log is written beside the answers, so the last rows may come a moment after them.
LOG_SECONDS: Final = 60.0
STALL_SECONDS: Final = 3.0
POLL_SECONDS: Final = 0.1
LABEL_INSERT: Final = "INSERT INTO labels (request_id, label, arr_delay, released_at) VALUES %s ON CONFLICT (request_id) DO NOTHING"
# A day that was begun before is added to; a whole day counts as it was sent last.
SENT: Final = """
INSERT INTO replay_log (stream, day, sent) VALUES (%s, %s, %s)
ON CONFLICT (stream, day) DO UPDATE SET sent = excluded.sent + CASE WHEN %s THEN 0 ELSE replay_log.sent END, sent_at = now()
"""


@dataclass(frozen=True)
class Stream:
    """Where rows come from and which model they are for."""

    name: str
    model: str
    features: tuple[str, ...]
    texts: tuple[str, ...]
    load: Callable[[datetime, datetime], pd.DataFrame]
    released: Callable[[datetime, datetime], list[tuple[str, int | None, float | None, datetime]]]


@dataclass(frozen=True)
class Feeds:
    """How the data comes in."""

    celsius: bool = False
    labels: bool = True


def streams(directory: Path | None = None) -> dict[str, Stream]:
    options = {"directory": directory} if directory else {}
    known = Stream(
        store.FLIGHTS,
        flights.MODEL,
        flights.FEATURES,
        contract.CATEGORICAL,
        lambda start, end: flights.load(start, end, **options),
        lambda first, until: flights.released(first, until, **options),
    )
    return {known.name: known, sea.MODEL: Stream(sea.MODEL, sea.MODEL, sea.FEATURES, (), sea.load, sea.released)}


def feeds() -> Feeds:
    data = (kubernetes.get("configmap", CONFIG_MAP) or {}).get("data") or {}
    return Feeds(celsius=data.get("weather", "fahrenheit") == "celsius", labels=data.get("labels", "released") != "stopped")


class Replay:
    """Plays a stream. What is done up to a moment is committed with the clock at that moment."""

    def __init__(self, connection: Any, stream: Stream, feed: Feeds, sender: Sender) -> None:
        self.connection, self.stream, self.feed, self.sender = connection, stream, feed, sender
        self.sent = self.labels = 0

    def to(self, until: datetime) -> None:
        """Plays from the clock to the moment."""
        now = store.now(self.connection, self.stream.name)
        self.play(now, until)
        self.release(until)
        store.set_now(self.connection, until, self.stream.name)
        self.connection.commit()

    def again(self, since: datetime) -> None:
        """Sends what was sent since that day once more."""
        now = store.now(self.connection, self.stream.name)
        self.play(datetime.combine(since, datetime.min.time()), now)
        self.connection.commit()

    def play(self, start: datetime, end: datetime) -> None:
        rows = self.stream.load(start, end)
        if not len(rows):
            return
        if self.feed.celsius and self.stream.name == store.FLIGHTS:
            rows = flights.celsius(rows)
        begin = store.rows(self.connection, "SELECT clock_timestamp()")[0][0]
        self.connection.commit()
        self.sender.send(bodies(rows, self.stream.features, self.stream.texts))
        self.await_log(start, end, begin, len(rows))
        self.sent += len(rows)
        for day, count in Counter(rows["event_time"].dt.date.tolist()).items():
            whole = datetime.combine(day, datetime.min.time()) >= start
            store.run(self.connection, SENT, (self.stream.name, day, count, whole))

    def await_log(self, start: datetime, end: datetime, begin: datetime, count: int) -> None:
        """Waits until the rows are in the log; not for long where nothing more comes, because logging may be off."""
        query = "SELECT count(*) FROM predictions WHERE model = %s AND event_time >= %s AND event_time < %s AND logged_at >= %s"
        deadline = time.monotonic() + LOG_SECONDS
        seen, since = -1, time.monotonic()
        while time.monotonic() < min(deadline, since + STALL_SECONDS):
            found = int(store.rows(self.connection, query, (self.stream.model, start, end, begin))[0][0])
            self.connection.commit()
            if found >= count:
                return
            if found != seen:
                seen, since = found, time.monotonic()
            time.sleep(POLL_SECONDS)
        output.say(f"{count} rows were sent, and {max(seen, 0)} of them are in the log of predictions")

    def release(self, until: datetime) -> None:
        """Releases the labels that are known at the moment, for everything since the first row that was logged or sent."""
        if not self.feed.labels:
            return
        first = self.first()
        if first is None:
            return
        have = {row[0] for row in store.rows(self.connection, "SELECT request_id FROM labels WHERE released_at >= %s", (first,))}
        missing = [label for label in self.stream.released(first, until) if label[0] not in have]
        store.insert(self.connection, LABEL_INSERT, missing)
        self.labels += len(missing)

    def first(self) -> datetime | None:
        query = "SELECT least((SELECT min(event_time) FROM predictions WHERE model = %s), (SELECT min(day)::timestamp FROM replay_log WHERE stream = %s))"
        moment: datetime | None = store.rows(self.connection, query, (self.stream.model, self.stream.name))[0][0]
        return moment


def parser() -> output.Parser:
    top = output.Parser(prog="replay", description="Plays recorded traffic up to a moment of the lab's time.")
    what = top.add_mutually_exclusive_group(required=True)
    what.add_argument("--until", help="a date, days from now such as +7d, or end (of stream sea)")
    what.add_argument("--again", metavar="SINCE", help="send what was sent from this date to now once more")
    top.add_argument("--stream", default=store.FLIGHTS, choices=sorted(streams()), help="whose traffic (flights)")
    top.add_argument("--no-halt", action="store_true", help="do not wait at the end of each week for the jobs that judge it")
    return top


def run(options: argparse.Namespace) -> Result:
    begin = time.monotonic()
    stream = streams()[options.stream]
    with store.connected() as connection, store.locked(connection, f"replay {stream.name}"):
        replay = Replay(connection, stream, feeds(), Sender(stream.model))
        start = store.now(connection, stream.name)
        halts = Halts()
        if options.again:
            settle()
            replay.again(windows.moment(options.again))
        else:
            until = end_of(options.until, start, stream)
            if until < start:
                raise ToolError(f"the clock says {windows.short(start)} already; a replay goes forward only (--again sends a part once more)")
            if not options.no_halt:
                halts.begin()
            for moment in steps(start, until, halt=not options.no_halt):
                settle()
                replay.to(moment)
                # Also at the end: the labels of a window are complete some days after it.
                if not options.no_halt and moment > start:
                    halts.at(moment)
        now = store.now(connection, stream.name)
    seconds = round(time.monotonic() - begin, 1)
    data = {"stream": stream.name, "from": start.isoformat(), "now": now.isoformat(), "sent": replay.sent, "labels": replay.labels}
    data |= {"halts": halts.count, "failed_jobs": halts.failed, "seconds": seconds}
    text = f"{replay.sent} rows sent, {replay.labels} labels released, {halts.count} halts, {seconds} s; the clock of {stream.name} says {windows.short(now)}"
    if halts.failed:
        text += f"\nfailed: {', '.join(halts.failed)}; see kubectl logs job/{halts.failed[0]}"
    return Result(data, text)


def settle() -> None:
    """Waits for what a rollout before this one has left: rows that an old pod answers are logged as it logs, or not at all."""
    if not deployment.wait_drained():
        output.say("a pod of predictor does not end; it may answer some of the rows")


def end_of(text: str, now: datetime, stream: Stream) -> datetime:
    if text != "end":
        return windows.moment(text, now)
    if stream.name != sea.MODEL:
        raise ToolError(f"stream {stream.name} has no end; name a date")
    return max(now, sea.END)


def steps(start: datetime, until: datetime, halt: bool) -> list[datetime]:
    """Returns the moments at which the clock is moved; without halts four weeks at a time, so that a replay that is cut off keeps most."""
    ends = windows.ends(start, until)
    found = ends if halt else ends[3::4]
    return found if found and found[-1] == until else [*found, until]


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(parser().parse_args(arguments), run)


if __name__ == "__main__":
    output.run_to_end(main)
