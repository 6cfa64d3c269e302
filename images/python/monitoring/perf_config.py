"""What `perf` is told to judge: perf.yaml in ConfigMap perf-config.

    models:
      flight-delay:
        window: 7d
        label_delay: 48h              # a window is complete when so much time has passed since its end
        labels: |                     # one row for each prediction of a window:
          SELECT score, label, known  # its score; 1, 0 or null; whether its outcome has been released
          FROM ...                    # %(model)s, %(start)s and %(end)s stand for the window
        limits:                       # a window outside of them is degraded
          calibration_ratio: [0.667, 1.5]
        min_coverage: 0.9             # a window with fewer outcomes is neither degraded nor well: the count of windows stands still

Limits are of calibration_ratio (late flights for each that was expected), brier, auc or error_rate (of answers at 0.5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from labtools.errors import ToolError

from monitoring import windows
from monitoring.drift_config import digest_of, mapping, models_of, text_of
from monitoring.windows import Length

METRICS: Final = ("calibration_ratio", "brier", "auc", "error_rate")
KEYS: Final = {"window", "label_delay", "labels", "limits", "min_coverage"}
UNITS: Final = {"h": "hours", "d": "days"}


@dataclass(frozen=True)
class Model:
    """How one model's performance is judged."""

    name: str
    window: Length
    label_delay: timedelta
    labels: str
    limits: Mapping[str, tuple[float, float]]
    min_coverage: float
    digest: str


def read() -> dict[str, Model]:
    return parse(text_of("perf-config", "perf.yaml", "PERF_CONFIG"))


def parse(text: str) -> dict[str, Model]:
    return {name: model(name, part) for name, part in models_of(text, "perf.yaml").items()}


def model(name: str, part: Mapping[str, Any]) -> Model:
    if unknown := set(part) - KEYS:
        raise ToolError(f"{name}: there is no setting {sorted(unknown)[0]}; there are {', '.join(sorted(KEYS))}")
    if missing := {"window", "label_delay", "labels"} - set(part):
        raise ToolError(f"{name}: perf.yaml does not say its {sorted(missing)[0]}")
    limits = {}
    for metric, bounds in mapping(part.get("limits", {}), f"{name}, limits").items():
        if metric not in METRICS:
            raise ToolError(f"{name}: there are limits of {', '.join(METRICS)}, and none of {metric}")
        if not isinstance(bounds, list) or len(bounds) != 2 or not all(isinstance(bound, int | float) for bound in bounds):
            raise ToolError(f"{name}, {metric}: {bounds!r} must be [lowest, highest]")
        limits[metric] = (float(bounds[0]), float(bounds[1]))
    coverage = float(part.get("min_coverage", 0))
    return Model(name, windows.length(part["window"]), delay(part["label_delay"], name), str(part["labels"]), limits, coverage, digest_of(part))


def delay(text: object, where: str) -> timedelta:
    if found := re.fullmatch(r"(\d+) *([hd])", str(text).strip()):
        return timedelta(**{UNITS[found[2]]: int(found[1])})
    raise ToolError(f"{where}: label_delay is {text!r}; it must be like 48h or 2d")
