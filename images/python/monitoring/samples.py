"""Rows as columns: the reference that a model was trained on, and what was logged of its answers."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from monitoring import distances, objects, store
from monitoring.distances import Counts, Values
from monitoring.drift_config import SCORE, Reference
from monitoring.windows import DAY

BUCKET: Final = "data"
KEY: Final = "reference/{model}.parquet"
TIME: Final = "event_time"

Columns = dict[str, Values]


@dataclass(frozen=True)
class Sample:
    """Features and score of some rows, in the order of time."""

    columns: Columns
    times: Values
    # A reference is counted once, however many windows are compared with it.
    counted: dict[str, Counts] = field(init=False, default_factory=dict, repr=False, compare=False)

    @property
    def rows(self) -> int:
        return len(self.times)

    def counts(self, name: str) -> Counts:
        if name not in self.counted:
            self.counted[name] = distances.count(self.columns[name])
        return self.counted[name]

    def between(self, start: datetime, end: datetime) -> Sample:
        inside = (self.times >= np.datetime64(start, "us")) & (self.times < np.datetime64(end, "us"))
        return self.take(inside)

    def take(self, which: Any) -> Sample:
        return Sample({name: values[which] for name, values in self.columns.items()}, self.times[which])

    def plus(self, other: Sample) -> Sample:
        joined = {name: np.concatenate([values, other.columns[name]]) for name, values in self.columns.items()}
        return Sample(joined, np.concatenate([self.times, other.times]))


def numeric(values: Values) -> bool:
    return bool(values.dtype != object)


def from_parquet(content: bytes) -> Sample:
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(content))
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        columns[name] = texts(column) if str(column.type) in ("string", "large_string") else column.to_numpy()
    times = columns.pop(TIME).astype("datetime64[us]")
    return Sample({name: values if values.dtype == object else values.astype("float64") for name, values in columns.items()}, times)


def texts(column: Any) -> Values:
    """Returns a column of texts in which equal ones are the same object, which is what makes them quick to count."""
    encoded = column.combine_chunks().dictionary_encode()
    names = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
    found: Values = names[encoded.indices.fill_null(len(names) - 1).to_numpy()]
    return found


def training(model: str) -> Sample:
    """Returns what the model was trained on, with the scores that it gives; it lies beside the model in the object store."""
    return from_parquet(stored(model))


def stored(model: str) -> bytes:
    return objects.read(BUCKET, KEY.format(model=model))


def fingerprint(sample: Sample) -> str:
    """Returns a digest of the inputs. The scores are left out, because their last digits depend on the processor."""
    known = hashlib.sha256(sample.times.tobytes())
    for name, values in sorted(sample.columns.items()):
        if name != SCORE:
            known.update(name.encode() + ("\n".join(values.tolist()).encode() if values.dtype == object else values.tobytes()))
    return f"sha256:{known.hexdigest()}"


def recorded(model: str) -> Mapping[str, Any]:
    """Returns what the training data of a model was when the lab was made: fingerprint, and the mean of the scores."""
    found: dict[str, Mapping[str, Any]] = json.loads(Path(__file__).with_name("reference.json").read_text())
    return found[model]


def logged(connection: Any, model: str, start: datetime, end: datetime, last_rows: int = 0) -> Sample:
    """Returns what was logged from start up to end, or the last rows of it."""
    query = "SELECT event_time, score, features FROM predictions WHERE model = %s AND event_time >= %s AND event_time < %s"
    order = f" ORDER BY event_time DESC, request_id DESC LIMIT {int(last_rows)}" if last_rows else " ORDER BY event_time, request_id"
    found = store.rows(connection, query + order, (model, start, end))
    if last_rows:
        found.reverse()
    if not found:
        return Sample({SCORE: np.array([], dtype="float64")}, np.array([], dtype="datetime64[us]"))
    names = list(found[0][2])
    columns = {name: column([row[2].get(name) for row in found]) for name in names}
    columns[SCORE] = np.array([row[1] for row in found], dtype="float64")
    return Sample(columns, np.array([row[0] for row in found], dtype="datetime64[us]"))


def column(values: list[Any]) -> Values:
    if any(isinstance(value, str) for value in values):
        return np.array([None if value is None else str(value) for value in values], dtype=object)
    return np.array([np.nan if value is None else value for value in values], dtype="float64")


class References:
    """Finds the reference of a window; a fixed one is read once."""

    def __init__(self, connection: Any, model: str, rule: Reference) -> None:
        self.connection, self.model, self.rule = connection, model, rule
        self.fixed: Sample | None = None

    def before(self, moment: datetime) -> Sample:
        """Returns the reference for a window that begins at the moment."""
        if self.rule.last_rows:
            return logged(self.connection, self.model, datetime.min, moment, self.rule.last_rows)
        if self.rule.last_days:
            return logged(self.connection, self.model, moment - self.rule.last_days * DAY, moment)
        if self.fixed is None:
            self.fixed = self.days(self.rule)
        return self.fixed

    def days(self, rule: Reference) -> Sample:
        """Returns the days of the training data, and of the log where they go beyond."""
        assert rule.start and rule.end
        known = training(self.model)
        sample = known.between(rule.start, rule.end)
        last = known.times[-1].astype(datetime) if known.rows else datetime.min
        if rule.end > last + DAY:
            later = logged(self.connection, self.model, max(rule.start, last), rule.end)
            sample = sample.plus(later) if later.rows else sample
        return sample


def grouped(reference: Sample, current: Sample, name: str, keep: int | None) -> tuple[Counts, Counts]:
    """Returns the counts of a feature in both, with the reference's rare levels pooled where the configuration says so."""
    one, other = reference.counts(name), current.counts(name)
    if keep and not one.numeric:
        names = one.frequent(keep)
        one, other = one.pooled(names), other.pooled(names)
    return one, other
