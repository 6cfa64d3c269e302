"""Tries a configuration on windows about which everything is known.

The recorded windows are drawn from the training data with a seed, so that chance is all that moves them, or chance and one shift that was
put in. They say what a threshold does to statistical noise; what the seasons do, the weeks of the reference say.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from labtools.errors import ToolError
from labtools.output import Result

from monitoring import drift_config, flights, history, samples
from monitoring.drift_config import SCORE, Model
from monitoring.judge import INSUFFICIENT, Judge
from monitoring.samples import Sample

MODEL: Final = flights.MODEL
FIXTURES: Final = Path("/opt/lab/fixtures")
SETS: Final = ("quiet", "shifted", "small")
# Windows that show what chance does.
DRAWS: Final = 40
DRAW_SEED: Final = 5
SCORE_TOLERANCE: Final = 0.0005


def configured(name: str) -> Model:
    models = drift_config.read()
    if name not in models:
        raise ToolError(f"the configuration has no model {name}; it has {', '.join(models)}")
    return models[name]


def trusted(model: str) -> Sample:
    """Returns the training data, if it is what the lab was made with."""
    known, recorded = samples.training(model), samples.recorded(model)
    score = float(np.mean(known.columns[SCORE]))
    if samples.fingerprint(known) != recorded["fingerprint"] or abs(score - recorded["mean_score"]) > SCORE_TOLERANCE:
        raise ToolError(f"s3://{samples.BUCKET}/{samples.KEY.format(model=model)} is not the training data of this lab any more")
    return known


def draw(known: Sample, rows: int, generator: np.random.Generator) -> Sample:
    return known.take(np.sort(generator.choice(known.rows, rows, replace=False)))


def changed(window: Sample, known: Sample, case: Mapping[str, Any], generator: np.random.Generator) -> Sample:
    """Puts the case's shift into a window."""
    name = case.get("feature")
    if name is None:
        return window
    values = window.columns[name].copy()
    if "shift" in case:
        values = values + case["shift"] * float(np.nanstd(known.columns[name]))
    else:
        names = [level for level, _ in Counter(known.columns[name].tolist()).most_common()]
        mirrored = dict(zip(names, reversed(names), strict=True))
        chosen = generator.random(len(values)) < case["swap"]
        values = np.array([mirrored[value] if swap else value for value, swap in zip(values, chosen, strict=True)], dtype=object)
    return Sample({**window.columns, name: values}, window.times)


def fixed_of(model: Model, known: Sample) -> Sample | None:
    """Returns the days of the reference, if it does not slide."""
    return known.between(model.reference.start, model.reference.end) if model.reference.start and model.reference.end else None


class Trial:
    """The configured reference in a world that consists of drawn windows. A fixed one is shared by trials, and so is what a judge knows of it."""

    def __init__(self, judge: Judge, known: Sample, fixed: Sample | None, seed: int) -> None:
        self.model, self.judge, self.fixed = judge.model, judge, fixed
        # What was logged before the first window.
        self.before = draw(known, 2000, np.random.Generator(np.random.PCG64(seed + 1_000_000)))

    def window(self, window: Sample) -> tuple[str, list[str], dict[str, Any]]:
        """Returns the verdict, what was flagged and all findings; the window is the past of the next one."""
        reference = self.fixed
        if reference is None:
            reference = self.before
            if self.model.reference.last_rows:
                reference = reference.take(slice(-self.model.reference.last_rows, None))
        cut = window.take(slice(None, self.model.window.rows)) if self.model.window.rows else window
        verdict, findings = self.judge.judge(reference, cut)
        self.before = window
        return verdict, [finding.feature for finding in findings if finding.flagged], {finding.feature: finding for finding in findings}


def fixtures(model: str, names: Sequence[str]) -> Result:
    """Judges the recorded windows of these sets; the answer has a field for each."""
    judge, known = Judge(configured(model)), trusted(model)
    fixed = fixed_of(judge.model, known)
    data: dict[str, Any] = {}
    lines = []
    for name in names:
        files = sorted((FIXTURES / name).glob("*.json")) if name in SETS else []
        if not files:
            raise ToolError(f"there are no recorded windows {name!r}; there are {', '.join(SETS)}")
        judged = [one(judge, known, fixed, json.loads(path.read_text())) for path in files]
        cases = [case for case, _ in judged]
        data[name] = {"cases": cases}
        for _, more in judged:
            data[name] |= more
        lines += [f"{'ok ' if case['agree'] else 'NOT'} {name}, {case['words']}: {said(case)}; expected: {case['expected']}" for case in cases]
    return Result(data, "\n".join(lines))


def said(case: Mapping[str, Any]) -> str:
    value = case.get("value")
    return case["found"] if value is None else f"{case['found']} ({case['method']} {value:.2f}, threshold {case['threshold']:.2f})"


def one(judge: Judge, known: Sample, fixed: Sample | None, case: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    generator = np.random.Generator(np.random.PCG64(case["seed"]))
    trial = Trial(judge, known, fixed, case["seed"])
    verdicts, flags, all_findings = [], [], []
    for _ in range(case["windows"]):
        verdict, flagged, findings = trial.window(changed(draw(known, case["rows"], generator), known, case, generator))
        verdicts.append(verdict)
        flags.append(flagged)
        all_findings.append(findings)
    base = {"name": case["name"], "words": case["words"]}
    if case["windows"] == 1:
        found = verdicts[0]
        return {**base, "rows": case["rows"], "found": found, "expected": INSUFFICIENT, "agree": found == INSUFFICIENT}, {}
    if feature := case.get("feature"):
        first = next((number + 1 for number, flagged in enumerate(flags) if feature in flagged), None)
        last = all_findings[-1].get(feature)
        shown = {"feature": feature, "verdict": verdicts[-1], "flagged_at": first}
        if last is not None:
            shown |= {"method": last.method, "value": last.value, "threshold": last.threshold}
        found = f"flagged in window {first}" if first else "not judged" if verdicts[-1] == INSUFFICIENT else "not flagged"
        return {**base, **shown, "found": found, "expected": "flagged in window 1 or 2", "agree": first is not None}, {}
    alarms = sum(bool(flagged) for flagged in flags)
    insufficient = sum(verdict == INSUFFICIENT for verdict in verdicts)
    most = {"windows": case["windows"], "windows_alarmed": alarms, "windows_insufficient": insufficient, "rows": case["rows"]}
    if counts := Counter(name for flagged in flags for name in flagged):
        name = counts.most_common(1)[0][0]
        values = [findings[name].value for findings in all_findings if name in findings and findings[name].value is not None]
        example = next(findings[name] for findings in all_findings if name in findings)
        most |= {"feature": name, "method": example.method, "threshold": example.threshold, "noise": float(np.quantile(values, 0.95))}
    agree = alarms <= 2 and not insufficient
    return {**base, "found": f"{alarms} of {case['windows']} windows alarm", "expected": "2 at most", "agree": agree}, most


def noise(name: str) -> Result:
    """Shows, for each feature, what chance does to 2000 rows and what the weeks of the reference do."""
    model, known = configured(name), samples.training(name)
    if model.reference.start is None:
        raise ToolError(f"{name}: the reference slides, so it has no weeks of its own to compare; calibrate with fixed days")
    fixed = fixed_of(model, known)
    assert fixed is not None
    judge = Judge(model)
    if not fixed.rows:
        raise ToolError(f"{name}: no training data lies between these days")
    generator = np.random.Generator(np.random.PCG64(DRAW_SEED))
    drawn = [draw(known, 2000, generator) for _ in range(DRAWS)]
    found = []
    for feature in judge.features(fixed):
        chance = [value for window in drawn if (value := judge.distance(fixed, window, feature)) is not None]
        weeks = judge.weekly(fixed, feature)
        found.append(
            {
                "feature": feature,
                "method": model.feature(feature, samples.numeric(fixed.columns[feature])).method,
                "chance_p95": float(np.quantile(chance, 0.95)),
                "weeks": len(weeks),
                "weeks_mean": float(np.mean(weeks)),
                "weeks_sd": float(np.std(weeks, ddof=1)),
                "weeks_max": float(np.max(weeks)),
                "mean_plus_3sd": float(np.mean(weeks) + 3 * np.std(weeks, ddof=1)),
                "threshold": judge.threshold(fixed, feature),
            }
        )
    rows = [{key: f"{value:.3f}" if isinstance(value, float) else value for key, value in line.items()} for line in found]
    header = ("feature", "method", "chance_p95", "weeks_mean", "weeks_sd", "weeks_max", "mean_plus_3sd", "threshold")
    text = f"{fixed.rows} rows of reference; 2000 rows drawn from it {DRAWS} times, and its {found[0]['weeks']} whole weeks\n"
    return Result({"model": name, "rows": fixed.rows, "features": found}, text + history.table(header, rows))
