"""How good scores were, once it is known what came true. NumPy only."""

from __future__ import annotations

from typing import Any

import numpy as np

Values = np.ndarray[Any, Any]


def auc(labels: Values, scores: Values) -> float | None:
    """Returns the probability that a positive has a higher score than a negative; ties count half."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[place]
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def measures(labels: Values, scores: Values) -> dict[str, float | None]:
    """Returns what the limits of perf.yaml are about; nothing where there are no labels."""
    if not len(labels):
        return dict.fromkeys(("calibration_ratio", "brier", "auc", "error_rate"))
    return {
        "calibration_ratio": float(labels.mean() / scores.mean()),
        "brier": float(np.mean((scores - labels) ** 2)),
        "auc": auc(labels, scores),
        "error_rate": float(np.mean((scores >= 0.5) != (labels == 1))),
    }
