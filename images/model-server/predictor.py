"""The model as KServe serves it: columns in, probabilities out, and what Prometheus gets to know of them.

It must be imported after `model_server.bare_kserve`.
"""

from __future__ import annotations

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pandas as pd
from kserve.errors import InvalidInput
from kserve.model import Model
from kserve.protocol.infer_type import InferInput, InferOutput, InferRequest, InferResponse
from prediction_log import Entry, PredictionLog
from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics
from registry import Column, Stored

OUTPUT: Final = "probability"
# From this score on a flight is called late: the top 20 % of the scores in training.
LATE_SCORE: Final = 0.329
# So many requests are scored side by side; more would only share the same CPU.
THREADS: Final = 8
SCORE_BUCKETS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
TEXT_TYPE: Final = "BYTES"
# Columns that no model reads, for the log: what a row is called, and when it happens in the time of the caller.
ID_COLUMN: Final = "request_id"
TIME_COLUMN: Final = "event_time"

disable_created_metrics()  # type: ignore[no-untyped-call]
PREDICTIONS = Counter("predictions", "Predicted rows by outcome, and requests that failed", ["model", "version", "outcome"])
SCORES = Histogram("prediction_score", "Predicted probabilities", ["model", "version"], buckets=SCORE_BUCKETS)
INFO = Gauge("model_info", "The model in memory", ["model", "version", "run_id", "digest"])


class Predictor(Model):  # type: ignore[misc]
    """One fitted pipeline behind the Open Inference Protocol."""

    def __init__(self, name: str, stored: Stored, pipeline: Any, log: PredictionLog | None = None) -> None:
        super().__init__(name)
        self.pipeline = pipeline
        self.log = log
        self.columns = stored.columns
        self.version = stored.version
        self.requests = 0
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="score")
        self.late, self.on_time, self.failed = (PREDICTIONS.labels(name, stored.version, outcome) for outcome in ("late", "ontime", "error"))
        self.scores = SCORES.labels(name, stored.version)
        INFO.labels(name, stored.version, stored.run_id, stored.digest).set(1)
        self.ready = True

    def get_input_types(self) -> list[dict[str, Any]]:
        return [{"name": column.name, "datatype": TEXT_TYPE if column.text else "FP64", "shape": [-1]} for column in self.columns]

    def get_output_types(self) -> list[dict[str, Any]]:
        return [{"name": OUTPUT, "datatype": "FP64", "shape": [-1]}]

    async def predict(self, payload: Any, headers: dict[str, str] | None = None) -> InferResponse:  # noqa: ARG002
        """Scores beside the event loop: a model that takes its time must not keep the probes from their answer."""
        self.requests += 1
        return await asyncio.get_running_loop().run_in_executor(self.pool, self.score, payload)

    def score(self, payload: Any) -> InferResponse:
        try:
            rows = self.rows(payload)
            # The protocol lets a client leave the id out; KServe's answer does not.
            request_id = payload.id or uuid.uuid4().hex
            named = names(payload, request_id, len(rows)) if self.log else None
            scores = self.pipeline.predict_proba(rows)[:, 1]
        except Exception:
            self.failed.inc()
            raise
        late = int((scores >= LATE_SCORE).sum())
        self.late.inc(late)
        self.on_time.inc(len(scores) - late)
        for score in scores:
            self.scores.observe(score)
        if self.log and named:
            self.log.put(self.entries(rows, scores, named))
        output = InferOutput(OUTPUT, [len(scores)], "FP64", data=scores.tolist())
        return InferResponse(response_id=request_id, model_name=self.name, model_version=self.version, infer_outputs=[output])

    def entries(self, rows: pd.DataFrame, scores: np.ndarray[Any, Any], named: list[tuple[str, datetime]]) -> list[Entry]:
        features = rows.astype(object).where(rows.notna(), None).to_dict("records")
        return [
            Entry(self.name, request_id, self.version, float(score), moment, {str(name): value for name, value in row.items()})
            for (request_id, moment), score, row in zip(named, scores, features, strict=True)
        ]

    def rows(self, payload: Any) -> pd.DataFrame:
        """Returns the request's tensors as the model's input; columns that it does not know are nobody's mistake."""
        if not isinstance(payload, InferRequest):
            raise InvalidInput(f"use the Open Inference Protocol: POST /v2/models/{self.name}/infer")
        given = {tensor.name: tensor for tensor in payload.inputs}
        if missing := [column.name for column in self.columns if column.name not in given]:
            raise InvalidInput(f"missing columns: {', '.join(missing)}")
        values = {column.name: read(column, given[column.name]) for column in self.columns}
        lengths = {name: len(value) for name, value in values.items()}
        if len(set(lengths.values())) != 1 or 0 in lengths.values():
            raise InvalidInput(f"every column needs the same number of rows, at least one; got {lengths}")
        return pd.DataFrame(values)


def names(payload: InferRequest, request_id: str, count: int) -> list[tuple[str, datetime]]:
    """Returns an id and a time for each row: the client's columns, else the request's id, and its parameter event_time or now."""
    given = {tensor.name: tensor for tensor in payload.inputs}
    ids, times = (text_column(name, given[name]) if name in given else None for name in (ID_COLUMN, TIME_COLUMN))
    one = (payload.parameters or {}).get(TIME_COLUMN)
    try:
        moments = [datetime.fromisoformat(text) for text in times or ([str(one)] if one else [])]
    except ValueError as error:
        raise InvalidInput(f"{TIME_COLUMN}: {error}") from error
    moments = moments if times else (moments or [datetime.now(UTC).replace(tzinfo=None)]) * count
    ids = ids or [f"{request_id}-{number}" for number in range(count)]
    if len(ids) != count or len(moments) != count:
        raise InvalidInput(f"{ID_COLUMN} and {TIME_COLUMN} need one value for each of the {count} rows")
    return list(zip(ids, moments, strict=True))


def text_column(name: str, tensor: InferInput) -> list[str]:
    return [str(value) for value in read(Column(name, "string"), tensor)]


def read(column: Column, tensor: InferInput) -> np.ndarray[Any, Any]:
    """Returns one column's values; null stands for a number that was not measured."""
    if (tensor.datatype == TEXT_TYPE) != column.text:
        raise InvalidInput(f"column {column.name} has datatype {tensor.datatype}; it holds {'text (BYTES)' if column.text else 'numbers (FP64)'}")
    try:
        values: np.ndarray[Any, Any] = tensor.as_numpy().ravel()
        if not column.text:
            return values.astype("float64")
        texts = [value.decode() if isinstance(value, bytes) else value for value in values]
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"column {column.name}: {error}") from error
    if not all(isinstance(text, str) for text in texts):
        raise InvalidInput(f"column {column.name}: every value must be text")
    return np.array(texts, dtype=object)
