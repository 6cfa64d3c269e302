"""Keeps Evidently's report of a window in the object store, where `labctl open` shows it: s3://reports/drift/MODEL.html."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any, Final

from labtools import output

from monitoring import distances, history, samples
from monitoring.drift_config import SCORE, Model
from monitoring.history import Judged
from monitoring.samples import Sample

BUCKET: Final = "reports"
PREFIX: Final = "drift"


def frames(reference: Sample, current: Sample, model: Model) -> tuple[Any, Any, list[str], list[str]]:
    """Returns reference and window as Evidently takes them, with the names of numbers and of texts."""
    import pandas as pd

    names = [*(name for name in reference.columns if name != SCORE), SCORE]
    numbers = [name for name in names if samples.numeric(reference.columns[name])]
    one, other = (pd.DataFrame({name: sample.columns[name] for name in names}) for sample in (reference, current))
    for name, keep in model.group.items():
        if name in names and name not in numbers:
            levels = reference.counts(name).frequent(keep)
            one[name], other[name] = (distances.pooled(sample.columns[name], levels) for sample in (reference, current))
    return one, other, numbers, [name for name in names if name not in numbers]


def snapshot(reference: Sample, current: Sample, model: Model, thresholds: dict[str, float]) -> Any:
    """Lets Evidently judge with the same methods and thresholds."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    one, other, numbers, texts = frames(reference, current, model)
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
    # Evidently refuses a column without values; the history has no distance for it either.
    names = [name for name in [*numbers, *texts] if reference.counts(name).rows and current.counts(name).rows]
    wanted = [ValueDrift(column=name, method=model.feature(name, name in numbers).method, threshold=thresholds[name]) for name in names]
    datasets = [Dataset.from_pandas(frame, data_definition=definition) for frame in (other, one)]
    return Report(wanted).run(*datasets)


def keep(name: str, judged: Judged, reference: Sample, current: Sample, model: Model) -> None:
    """Writes the report of a window that was judged; without Evidently in the image, only the numbers."""
    import boto3

    s3 = boto3.client("s3", region_name="us-east-1")
    numbers = json.dumps(history.describe(judged)).encode()
    s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}.json", Body=numbers, ContentType="application/json")
    thresholds = {feature: found["threshold"] for feature, found in judged.data["features"].items()}
    if not thresholds or judged.data["verdict"] == "insufficient":
        return
    try:
        found = snapshot(reference, current, model, thresholds)
    except ModuleNotFoundError:
        output.say("Evidently is not installed here, so there is no report")
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "report.html"
        found.save_html(str(path))
        content = path.read_bytes()
    s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}.html", Body=io.BytesIO(content), ContentType="text/html; charset=utf-8")
