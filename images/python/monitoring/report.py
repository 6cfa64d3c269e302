"""Keeps Evidently's reports in the object store, where `labctl open` shows them.

s3://reports/drift/MODEL.html is that of the window that was judged last, MODEL-drifted.html that of the last one with drift, which a quiet
week after it would hide. The numbers and the days of each lie beside it as .json.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from labtools import output

from monitoring import distances, history, objects, samples
from monitoring.drift_config import SCORE, Model
from monitoring.history import Judged
from monitoring.judge import INSUFFICIENT
from monitoring.samples import Sample

BUCKET: Final = "reports"
PREFIX: Final = "drift"
DRIFTED: Final = "-drifted"


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


@dataclass(frozen=True)
class Found:
    """A window that was judged, with what it was judged by."""

    judged: Judged
    reference: Sample
    current: Sample
    model: Model

    @cached_property
    def page(self) -> bytes:
        """Evidently's report, made once wherever it is kept; empty where there is nothing to report."""
        thresholds = {feature: found["threshold"] for feature, found in self.judged.data["features"].items()}
        if not thresholds or self.judged.data["verdict"] == INSUFFICIENT:
            return b""
        try:
            made = snapshot(self.reference, self.current, self.model, thresholds)
        except ModuleNotFoundError:
            output.say("Evidently is not installed here, so there is no report")
            return b""
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "report.html"
            made.save_html(str(path))
            return path.read_bytes()


def keep(name: str, found: Found) -> None:
    """Writes the report of a window that was judged; without Evidently in the image, only the numbers."""
    objects.write(BUCKET, f"{PREFIX}/{name}.json", json.dumps(history.describe(found.judged)).encode(), "application/json")
    if found.page:
        objects.write(BUCKET, f"{PREFIX}/{name}.html", found.page, "text/html; charset=utf-8")


def keep_all(name: str, last: Found, drifted: Found | None) -> None:
    """Keeps the last window that was judged and, beside it, the last of those that drifted: two reports of a model, however long it is watched."""
    keep(name, last)
    if drifted:
        keep(f"{name}{DRIFTED}", drifted)
