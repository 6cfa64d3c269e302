"""Flights with the labels that were released for them, as a trainer, a gate and an auditor read them.

Features come from the data set, labels from the table: what a label says there is what a model learns, right or wrong. The
data set knows what really happened, so both can be compared.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from lab import contract, data
from monitoring import flights, store

if TYPE_CHECKING:
    import pandas as pd

DATASET_DIRECTORY: Final = data.DIRECTORY
RELEASED: Final = """
SELECT request_id, label FROM labels
WHERE request_id >= %s AND request_id < %s AND released_at <= %s AND label IS NOT NULL
"""


@dataclass(frozen=True)
class Labelled:
    """The flights of some days that have a released label (column `late`); `flights` is how many have an outcome at all."""

    rows: pd.DataFrame
    flights: int
    digest: str

    @property
    def disagreements(self) -> int:
        """How many labels say something else than the flight's arrival."""
        return int((self.rows[contract.TARGET] != self.rows["truth"]).sum())

    @property
    def agreement(self) -> float:
        return 1 - self.disagreements / len(self.rows) if len(self.rows) else 0.0

    @property
    def share(self) -> float:
        """The part of the flights with an outcome that a model learns from."""
        return len(self.rows) / self.flights if self.flights else 0.0


def load(connection: Any, start: date, end: date, cutoff: datetime) -> Labelled:
    """Returns the flights from start to end, both days included, whose labels were released by the cutoff."""
    rows = flights.load(datetime.combine(start, time()), datetime.combine(end + timedelta(days=1), time()), DATASET_DIRECTORY)
    after = (end + timedelta(days=1)).isoformat()
    labels = dict(store.rows(connection, RELEASED, (start.isoformat(), after, cutoff)))
    known = rows["label"].notna()
    with_outcome = rows[known & (rows["released_at"] <= cutoff)]
    found = rows[known].assign(**{contract.TARGET: rows.loc[known, "request_id"].map(labels)})
    found = found[found[contract.TARGET].notna()]
    found = found.assign(truth=found["label"].astype("int64")).astype({contract.TARGET: "int64"}).reset_index(drop=True)
    return Labelled(found, len(with_outcome), digest(found))


def digest(rows: pd.DataFrame) -> str:
    """Returns the digest of what a model learns from: the data set, which flights, and what was said of each."""
    hasher = hashlib.sha256(f"{data.digest(DATASET_DIRECTORY)}\n".encode())
    for request_id, late in sorted(zip(rows["request_id"].tolist(), rows[contract.TARGET].tolist(), strict=True)):
        hasher.update(f"{request_id} {late}\n".encode())
    return f"sha256:{hasher.hexdigest()}"
