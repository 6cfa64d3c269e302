"""Judges one window of a model against its reference: a distance for each feature and for the score, and whether it is drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
from labtools.errors import ToolError

from monitoring import distances, samples, windows
from monitoring.drift_config import SCORE, Model, Threshold
from monitoring.samples import Sample

OK: Final = "ok"
DRIFT: Final = "drift"
INSUFFICIENT: Final = "insufficient"
# Fewer say nothing about how much the weeks of a reference differ.
LEAST_WEEKS: Final = 4


@dataclass(frozen=True)
class Finding:
    """What was found for one feature."""

    feature: str
    method: str
    value: float | None
    threshold: float
    flagged: bool


class Judge:
    """Applies a model's configuration. Thresholds that are rules are computed once, for a reference that is fixed."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.reference: Sample | None = None
        self.limits: dict[str, float] = {}
        self.whole_weeks: list[Sample] = []

    def features(self, reference: Sample) -> list[str]:
        return [*(name for name in reference.columns if name != SCORE), SCORE]

    def distance(self, reference: Sample, current: Sample, name: str) -> float | None:
        feature = self.model.feature(name, samples.numeric(reference.columns[name]))
        return distances.distance(feature.method, *samples.grouped(reference, current, name, self.model.group.get(name)))

    def threshold(self, reference: Sample, name: str) -> float:
        rule = self.model.feature(name, samples.numeric(reference.columns[name])).threshold
        if rule.fixed is not None:
            return rule.fixed
        self.remember(reference)
        if name not in self.limits:
            self.limits[name] = limit(rule, self.weekly(reference, name))
        return self.limits[name]

    def remember(self, reference: Sample) -> None:
        """Forgets what was computed of another reference."""
        if self.reference is not reference:
            self.reference, self.limits, self.whole_weeks = reference, {}, []

    def weekly(self, reference: Sample, name: str) -> list[float]:
        """Returns the distance of each whole week of the reference from all of it: what the seasons alone do."""
        found = [value for week in self.weeks(reference) if (value := self.distance(reference, week, name)) is not None]
        if len(found) < LEAST_WEEKS:
            raise ToolError(f"{self.model.name}: a threshold from the weeks of the reference needs {LEAST_WEEKS} of them; it has {len(found)}")
        return found

    def weeks(self, reference: Sample) -> list[Sample]:
        """Returns the whole weeks of the reference."""
        self.remember(reference)
        if not self.whole_weeks:
            if not reference.rows:
                raise ToolError(f"{self.model.name}: the reference has no rows")
            first, last = (moment.astype("datetime64[us]").item() for moment in (reference.times[0], reference.times[-1]))
            # A week that begins or ends with the reference's days is whole, whatever the first flight's hour.
            whole = windows.of_days(first.replace(hour=0, minute=0, second=0, microsecond=0), last + timedelta(hours=12))
            self.whole_weeks = [reference.between(week.start, week.end) for week in whole]
        return self.whole_weeks

    def judge(self, reference: Sample, current: Sample) -> tuple[str, list[Finding]]:
        """Returns the verdict with a finding for each feature; a window that is too small has neither."""
        if current.rows < self.model.min_rows or not current.rows:
            return INSUFFICIENT, []
        if not reference.rows:
            return INSUFFICIENT, []
        findings = []
        for name in self.features(reference):
            if name not in current.columns:
                raise ToolError(f"{self.model.name}: the log has no feature {name}")
            method = self.model.feature(name, samples.numeric(reference.columns[name])).method
            value = self.distance(reference, current, name)
            bound = self.threshold(reference, name)
            findings.append(Finding(name, method, value, bound, distances.drifted(method, value, bound)))
        return (DRIFT if any(finding.flagged for finding in findings) else OK), findings


def limit(rule: Threshold, weekly: list[float]) -> float:
    """Returns the threshold that a rule gives for these weeks."""
    if rule.sd is not None:
        return max(rule.floor, float(np.mean(weekly) + rule.sd * np.std(weekly, ddof=1)))
    return max(rule.floor, float(np.quantile(np.array(weekly), rule.quantile or 0.0)))


def data_of(verdict: str, findings: list[Finding], reference: Sample, current: Sample, model: Model, before: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the history keeps; `before` is what it keeps of the window before, whose counts go on."""
    counts = {name: int(feature["consecutive"]) for name, feature in before.get("features", {}).items()}
    features = {
        finding.feature: {
            "method": finding.method,
            "value": finding.value,
            "threshold": finding.threshold,
            "flagged": finding.flagged,
            "consecutive": counts.get(finding.feature, 0) + 1 if finding.flagged else 0,
        }
        for finding in findings
    }
    if verdict == INSUFFICIENT:
        # Not judged is neither one more nor the end of it.
        features = {name: {**feature, "value": None, "flagged": False} for name, feature in before.get("features", {}).items()}
    return {"rows": current.rows, "reference_rows": reference.rows, "verdict": verdict, "features": features, "config": model.digest}
