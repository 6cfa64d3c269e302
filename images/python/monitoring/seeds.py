"""What the seeds of the monitoring labs are made of: stored models, their training data with scores, and the database `lab` as a file.

For build stages only. The same files come out of every build on a machine; on another processor the last digits of a score may differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lab import contract, lineage

from monitoring import sea, store
from monitoring.samples import TIME

if TYPE_CHECKING:
    import pandas as pd

# Enough to see every column's type.
SAMPLE_ROWS: Final = 100
CODES: Final = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def write_model(model: Any, sample: pd.DataFrame, target: Path, manifest: Mapping[str, str]) -> None:
    """Writes a model as the server reads it from the object store."""
    import cloudpickle
    import yaml
    from mlflow.models import infer_signature

    target.mkdir(parents=True)
    (target / "model.pkl").write_bytes(cloudpickle.dumps(model))
    signature = infer_signature(sample, model.predict_proba(sample))
    description = {"flavors": {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}}, "signature": signature.to_dict()}
    (target / "MLmodel").write_text(yaml.safe_dump(description))
    said = {**manifest, "git_sha": lineage.git_sha(), "digest": lineage.file_digest(target / "model.pkl")}
    (target / "manifest.json").write_text(json.dumps(said, indent=2) + "\n")


def inputs(rows: pd.DataFrame, features: Sequence[str]) -> pd.DataFrame:
    """Returns a model's input; numbers are floats, so that a missing value does not change a column's type."""
    return rows[list(features)].astype({name: "float64" for name in features if name not in contract.CATEGORICAL})


def scored(model: Any, rows: pd.DataFrame, features: Sequence[str]) -> pd.DataFrame:
    """Returns the inputs with the scores and the times of the rows."""
    columns = inputs(rows, features)
    return columns.assign(score=model.predict_proba(columns)[:, 1], **{TIME: rows[TIME]})


def write_reference(model: Any, rows: pd.DataFrame, features: Sequence[str], target: Path) -> None:
    """Keeps what a model was trained on beside its scores, as the reference of its monitors."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    target.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(scored(model, rows, features), preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, target, compression="zstd", compression_level=9)


def sea_training() -> pd.DataFrame:
    """Returns what the model of stream sea learned from, dated before the stream begins."""
    import pandas as pd

    rows = sea.training()
    step = pd.Timedelta(minutes=5)
    return rows.assign(**{TIME: pd.date_range(end=pd.Timestamp(sea.START) - step, periods=len(rows), freq=step)})


def predictions(name: str, version: str, model: Any, rows: pd.DataFrame, features: Sequence[str], logged_at: str) -> Iterable[Sequence[Any]]:
    """Yields what the server would have logged of these rows."""
    columns = inputs(rows, features)
    scores = model.predict_proba(columns)[:, 1]
    records = columns.astype(object).where(columns.notna(), None).to_dict("records")
    for request_id, moment, score, record in zip(rows["request_id"], rows[TIME], scores, records, strict=True):
        yield name, request_id, version, float(score), moment, json.dumps(record), logged_at


def write_sql(target: Path, tables: Mapping[str, tuple[str, Iterable[Sequence[Any]]]]) -> None:
    """Writes a dump of the database `lab`: its tables, and rows for some of them as (columns, rows)."""
    with target.open("w") as dump:
        dump.write("SET client_min_messages = warning;\n")
        dump.write(store.DDL)
        for table, (columns, rows) in tables.items():
            dump.write(f"COPY {table} ({columns}) FROM stdin;\n")
            for row in rows:
                dump.write("\t".join(encoded(value) for value in row) + "\n")
            dump.write("\\.\n")
        dump.write("ANALYZE;\n")


def encoded(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return "".join(CODES.get(letter, letter) for letter in str(value))


def sent(stream: str, rows: pd.DataFrame, sent_at: str) -> Iterable[Sequence[Any]]:
    """Yields the days of the log of what was sent."""
    for day, count in rows.groupby(rows[TIME].dt.date).size().items():
        yield stream, day, int(count), sent_at
