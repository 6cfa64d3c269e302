"""What `drift` is told to watch: drift.yaml in ConfigMap drift-config.

models:
  flight-delay:
    reference: {from: 2013-01-01, until: 2013-03-16}   # or {last_rows: 300}, {last_days: 7}: what was logged before the window
    window: 7d                                         # or 5000 rows
    min_rows: 1000                                     # a window with fewer rows is not judged
    group: {dest: 20}                                  # keep the 20 most frequent levels, call the rest "other"
    method: {numeric: wasserstein, categorical: jensenshannon}
    threshold: 0.1                                     # a number, or from the weeks of the reference:
                                                       # {floor: 0.1, sd: 3} is their mean + 3 SD, {floor: 0.1, quantile: 0.95} is theirs;
                                                       # the floor is the least that matters
    features:                                          # exceptions; the model's answer is the feature `score`
      temp: {method: wasserstein, threshold: 2.0}
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import yaml
from labtools import kubernetes
from labtools.errors import ToolError

from monitoring import distances, windows
from monitoring.windows import Length

SCORE: Final = "score"
# Where a Job finds its configuration; elsewhere it is read from the ConfigMap.
DIRECTORY: Final = Path("/etc/monitoring")
NUMERIC: Final = "numeric"
CATEGORICAL: Final = "categorical"
METHODS: Final = {NUMERIC: "wasserstein", CATEGORICAL: "jensenshannon"}


@dataclass(frozen=True)
class Threshold:
    """A number, or a rule about the weeks of the reference."""

    fixed: float | None = None
    floor: float = 0.0
    sd: float | None = None
    quantile: float | None = None


@dataclass(frozen=True)
class Reference:
    """Fixed days, or what came right before the window."""

    start: datetime | None = None
    end: datetime | None = None
    last_rows: int = 0
    last_days: int = 0


@dataclass(frozen=True)
class Feature:
    method: str
    threshold: Threshold


@dataclass(frozen=True)
class Model:
    """How one model is watched."""

    name: str
    reference: Reference
    window: Length
    min_rows: int
    group: Mapping[str, int]
    method: Mapping[str, str]
    threshold: Threshold
    features: Mapping[str, Mapping[str, Any]]
    digest: str

    def feature(self, name: str, numeric: bool) -> Feature:
        own = self.features.get(name, {})
        method = str(own.get("method", self.method[NUMERIC if numeric else CATEGORICAL]))
        if method not in distances.METHODS:
            raise ToolError(f"{self.name}, {name}: there is no method {method}; there are {', '.join(distances.METHODS)}")
        if not numeric and method in distances.NUMBERS_ONLY:
            raise ToolError(f"{self.name}, {name}: {method} is for numbers, and {name} holds text")
        limit = threshold(own["threshold"], f"{self.name}, {name}") if "threshold" in own else self.threshold
        return Feature(method, limit)


def text_of(config_map: str, key: str, variable: str) -> str:
    """Returns a configuration's text from the file that a Job has, else from the ConfigMap."""
    path = Path(os.environ.get(variable) or DIRECTORY / key)
    if path.exists():
        return path.read_text()
    found = kubernetes.get("configmap", config_map)
    text = (found or {}).get("data", {}).get(key)
    if text is None:
        raise ToolError(f"ConfigMap {config_map} has no key {key}" if found else f"there is no ConfigMap {config_map}")
    return str(text)


def models_of(text: str, key: str) -> dict[str, Mapping[str, Any]]:
    """Returns the models of a configuration, checked no further than that they are mappings."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ToolError(f"{key} is no YAML: {' '.join(str(error).split())}") from error
    models = document.get("models") if isinstance(document, dict) else None
    if not isinstance(models, dict) or not models or not all(isinstance(model, dict) for model in models.values()):
        raise ToolError(f"{key} needs `models`, with at least one model")
    return models


def digest_of(part: object) -> str:
    return hashlib.sha256(repr(part).encode()).hexdigest()[:12]


def read() -> dict[str, Model]:
    return parse(text_of("drift-config", "drift.yaml", "DRIFT_CONFIG"))


def parse(text: str) -> dict[str, Model]:
    return {name: model(name, part) for name, part in models_of(text, "drift.yaml").items()}


KEYS: Final = {"reference", "window", "min_rows", "group", "method", "threshold", "features"}


def model(name: str, part: Mapping[str, Any]) -> Model:
    if unknown := set(part) - KEYS:
        raise ToolError(f"{name}: there is no setting {sorted(unknown)[0]}; there are {', '.join(sorted(KEYS))}")
    if missing := {"reference", "window", "threshold"} - set(part):
        raise ToolError(f"{name}: drift.yaml does not say its {sorted(missing)[0]}")
    method = {**METHODS, **mapping(part.get("method", {}), f"{name}, method")}
    if unknown := set(method) - set(METHODS):
        raise ToolError(f"{name}, method: {sorted(unknown)[0]} is neither {NUMERIC} nor {CATEGORICAL}")
    group = mapping(part.get("group", {}), f"{name}, group")
    if not all(isinstance(keep, int) and keep > 0 for keep in group.values()):
        raise ToolError(f"{name}, group: a feature needs the number of levels to keep")
    features = mapping(part.get("features", {}), f"{name}, features")
    for feature, own in features.items():
        if unknown := set(mapping(own, f"{name}, {feature}")) - {"method", "threshold"}:
            raise ToolError(f"{name}, {feature}: there is no setting {sorted(unknown)[0]}; there are method and threshold")
    least = part.get("min_rows", 0)
    if not isinstance(least, int) or least < 0:
        raise ToolError(f"{name}, min_rows: {least!r} is no number of rows")
    limit = threshold(part["threshold"], name)
    return Model(name, reference(part["reference"], name), windows.length(part["window"]), least, group, method, limit, features, digest_of(part))


def mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ToolError(f"{where}: {value!r} must be a mapping")
    return value


def threshold(value: object, where: str) -> Threshold:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Threshold(fixed=float(value))
    rule = mapping(value, f"{where}, threshold")
    if set(rule) - {"floor", "sd", "quantile"} or len({"sd", "quantile"} & set(rule)) != 1:
        raise ToolError(f"{where}: a threshold is a number, or a floor with one of sd and quantile")
    return Threshold(floor=float(rule.get("floor", 0)), sd=rule.get("sd"), quantile=rule.get("quantile"))


def reference(value: object, where: str) -> Reference:
    rule = mapping(value, f"{where}, reference")
    if set(rule) == {"from", "until"}:
        return Reference(start=day(rule["from"]), end=day(rule["until"]))
    if len(rule) == 1 and isinstance(number := next(iter(rule.values())), int) and number > 0:
        if "last_rows" in rule:
            return Reference(last_rows=number)
        if "last_days" in rule:
            return Reference(last_days=number)
    raise ToolError(f"{where}: a reference is {{from: DAY, until: DAY}}, {{last_rows: N}} or {{last_days: N}}")


def day(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day) if isinstance(value, date) else windows.moment(str(value))
