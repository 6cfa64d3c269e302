"""The model as KServe serves it: columns in, probabilities out, and what Prometheus gets to know of them.

It must be imported after `model_server.bare_kserve`.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

import numpy as np
import pandas as pd
from kserve.errors import InvalidInput
from kserve.model import Model
from kserve.protocol.infer_type import InferInput, InferOutput, InferRequest, InferResponse
from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics
from registry import Column, Stored

OUTPUT: Final = "probability"
# From this score on a flight is called late.
LATE_SCORE: Final = 0.5
SCORE_BUCKETS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
TEXT_TYPE: Final = "BYTES"

disable_created_metrics()  # type: ignore[no-untyped-call]
PREDICTIONS = Counter("predictions", "Predicted rows by outcome, and requests that failed", ["model", "version", "outcome"])
SCORES = Histogram("prediction_score", "Predicted probabilities", ["model", "version"], buckets=SCORE_BUCKETS)
INFO = Gauge("model_info", "The model in memory", ["model", "version", "run_id", "digest"])


class Predictor(Model):  # type: ignore[misc]
    """One fitted pipeline behind the Open Inference Protocol."""

    def __init__(self, name: str, stored: Stored, pipeline: Any) -> None:
        super().__init__(name)
        self.pipeline = pipeline
        self.columns = stored.columns
        self.version = stored.version
        self.requests = 0
        self.late, self.on_time, self.failed = (PREDICTIONS.labels(name, stored.version, outcome) for outcome in ("late", "ontime", "error"))
        self.scores = SCORES.labels(name, stored.version)
        INFO.labels(name, stored.version, stored.run_id, stored.digest).set(1)
        self.ready = True

    def get_input_types(self) -> list[dict[str, Any]]:
        return [{"name": column.name, "datatype": TEXT_TYPE if column.text else "FP64", "shape": [-1]} for column in self.columns]

    def get_output_types(self) -> list[dict[str, Any]]:
        return [{"name": OUTPUT, "datatype": "FP64", "shape": [-1]}]

    def predict(self, payload: Any, headers: dict[str, str] | None = None) -> InferResponse:  # noqa: ARG002
        self.requests += 1
        try:
            rows = self.rows(payload)
            scores = self.pipeline.predict_proba(rows)[:, 1]
        except Exception:
            self.failed.inc()
            raise
        late = int((scores >= LATE_SCORE).sum())
        self.late.inc(late)
        self.on_time.inc(len(scores) - late)
        for score in scores:
            self.scores.observe(score)
        output = InferOutput(OUTPUT, [len(scores)], "FP64", data=scores.tolist())
        # The protocol lets a client leave the id out; KServe's answer does not.
        return InferResponse(response_id=payload.id or uuid.uuid4().hex, model_name=self.name, model_version=self.version, infer_outputs=[output])

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
