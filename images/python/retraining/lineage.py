"""Where a version comes from, recomputed: `lineage audit [--version N]`, `lineage repair --days START END`.

The audit believes no tag that it can compute: it reads the released labels again, compares their digest with the recorded one,
and each label with the arrival that it stands for. `repair` writes the labels of some days anew from the arrivals, as they would
have been released by now.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from labtools import output
from labtools.errors import ToolError
from labtools.mlflow_api import Registry, Version
from labtools.output import Result
from monitoring import flights, store

from retraining import dataset, plan
from retraining.trainer import CHALLENGER, LINEAGE

# What a challenger's labels must come to.
AGREEMENT: Final = 0.995
SHARE: Final = 0.9


@dataclass(frozen=True)
class Audit:
    """What the tags of a version say, and what comes out when it is computed again. Numbers are None without the days."""

    missing: list[str]
    gate_days: int | None = None
    overlap_days: int | None = None
    clock: datetime | None = None
    cutoff: datetime | None = None
    gate_end: date | None = None
    labels: int | None = None
    disagreements: int | None = None
    agreement: float | None = None
    flights: int | None = None
    share: float | None = None
    digest_matches: bool | None = None

    @property
    def disjoint(self) -> bool:
        return self.overlap_days == 0

    @property
    def known_in_time(self) -> bool:
        """Whether every label that counts was there when the run began."""
        if self.cutoff is None or self.clock is None or self.gate_end is None:
            return False
        return self.gate_end < self.cutoff.date() and self.cutoff <= self.clock


def audit(connection: Any, tags: Mapping[str, str]) -> Audit:
    """Audits what a version's tags say."""
    missing = [name for name in LINEAGE if not tags.get(name)]
    try:
        days = plan.read(tags)
    except ToolError:
        return Audit(missing)
    learned = dataset.load(connection, days.train_start, days.train_end, days.cutoff)
    return Audit(
        missing=missing,
        gate_days=(days.gate_end - days.gate_start).days + 1,
        overlap_days=max(0, (days.train_end - days.gate_start).days + 1),
        clock=store.now(connection),
        cutoff=days.cutoff,
        gate_end=days.gate_end,
        labels=len(learned.rows),
        disagreements=learned.disagreements,
        agreement=learned.agreement,
        flights=learned.flights,
        share=learned.share,
        digest_matches=learned.digest == tags.get("data_digest"),
    )


def parser() -> output.Parser:
    top = output.Parser(prog="lineage", description="Where a version comes from, computed again.")
    commands = top.add_subparsers(dest="command", required=True, parser_class=output.Parser, metavar="COMMAND")
    look = commands.add_parser("audit", help="compare a version's tags with what can be computed")
    look.add_argument("--version", help=f"a version number (the one that alias {CHALLENGER} names)")
    repair = commands.add_parser("repair", help="write labels anew from the arrivals that they stand for")
    repair.add_argument("--days", nargs=2, type=date.fromisoformat, required=True, metavar=("START", "END"), help="first and last day")
    return top


def run(options: argparse.Namespace) -> Result:
    with store.connected() as connection:
        if options.command == "repair":
            return repair(connection, *options.days)
        registry = Registry()
        number = options.version or registry.aliases().get(CHALLENGER)
        if number is None:
            raise ToolError(f"alias {CHALLENGER} is not set: there is nothing to audit")
        return describe(registry.version(number), connection)


def describe(version: Version, connection: Any) -> Result:
    found = audit(connection, version.tags)
    tags = {name: version.tags.get(name) for name in LINEAGE}
    numbers = {
        name: getattr(found, name)
        for name in ("missing", "gate_days", "overlap_days", "labels", "disagreements", "agreement", "flights", "share", "digest_matches")
    }
    moments = {"clock": found.clock.isoformat() if found.clock else None, "disjoint": found.disjoint, "known_in_time": found.known_in_time}
    data = {"version": version.number, "status": version.status, "tags": tags, **numbers, **moments}
    lines = [f"version {version.number}"] + [f"  {name:13} {value or 'MISSING'}" for name, value in tags.items()]
    if found.labels is not None:
        lines += [
            f"{verdict((found.gate_days or 0) >= plan.GATE_DAYS)} the gate has {found.gate_days} days",
            f"{verdict(found.disjoint)} training and gate share {found.overlap_days} days",
            f"{verdict(found.known_in_time)} labels up to {found.cutoff}, gate to {found.gate_end}, the clock says {found.clock}",
            f"{verdict((found.agreement or 0) >= AGREEMENT)} {found.disagreements} of {found.labels} labels disagree with the arrivals",
            f"{verdict((found.share or 0) >= SHARE)} {found.labels} of {found.flights} flights with an outcome have a label",
            f"{verdict(bool(found.digest_matches))} data_digest {'is that of' if found.digest_matches else 'is not that of'} the labels that are there now",
        ]
    return Result(data, "\n".join(lines))


def verdict(good: bool) -> str:
    return "ok " if good else "NOT"


def repair(connection: Any, start: date, end: date) -> Result:
    """Puts the labels of these days back to what the arrivals say, as far as they are due."""
    first, until = datetime.combine(start, time()), store.now(connection)
    after = datetime.combine(end + timedelta(days=1), time())
    due = flights.load(first, after, dataset.DATASET_DIRECTORY)
    due = due[due["released_at"] <= until]
    labels = flights.none_for_missing(due["label"])
    delays = flights.none_for_missing(due["arr_delay"])
    values = [
        (request_id, None if label is None else int(label), None if label is None else delay, moment.to_pydatetime())
        for request_id, label, delay, moment in zip(due["request_id"], labels, delays, due["released_at"], strict=True)
    ]
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE due (LIKE labels) ON COMMIT DROP")
    store.insert(connection, "INSERT INTO due (request_id, label, arr_delay, released_at) VALUES %s", values)
    changed = store.run(
        connection,
        "INSERT INTO labels (request_id, label, arr_delay, released_at) SELECT request_id, label, arr_delay, released_at FROM due"
        " ON CONFLICT (request_id) DO UPDATE SET label = excluded.label, arr_delay = excluded.arr_delay, released_at = excluded.released_at"
        " WHERE (labels.label, labels.arr_delay, labels.released_at) IS DISTINCT FROM (excluded.label, excluded.arr_delay, excluded.released_at)",
    )
    data = {"days": [start.isoformat(), end.isoformat()], "labels": len(values), "changed": changed}
    return Result(data, f"{changed} of {len(values)} labels were wrong or missing")


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(parser().parse_args(arguments), run)


if __name__ == "__main__":
    sys.exit(main())
