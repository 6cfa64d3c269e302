"""What a challenger gate looks at: two models' scores for the same labelled flights, and where the candidate comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]

REPLICATES: Final = 200
CONFIDENCE: Final = 0.95
SEED: Final = 7


@dataclass(frozen=True)
class Quality:
    """Of one model on some flights; None where there are too few to say."""

    auc: float | None
    brier: float | None


@dataclass(frozen=True)
class Slice:
    name: str
    rows: int
    brier_diff: float


@dataclass(frozen=True)
class Evidence:
    """Of one candidate against one champion. `late` is 0 or 1 for each flight, scores are probabilities in the same order."""

    late: Array
    origin: Array
    candidate_scores: Array
    champion_scores: Array
    missing_tags: Sequence[str] = ()
    overlap_days: int = 0
    foreign_features: Sequence[str] = ()
    agreement: float | None = None
    recorded_auc: float | None = None
    recorded_brier: float | None = None
    replicates: int = field(default=REPLICATES, repr=False)

    @property
    def rows(self) -> int:
        return len(self.late)

    @cached_property
    def candidate(self) -> Quality:
        return quality(self.late, self.candidate_scores)

    @cached_property
    def champion(self) -> Quality:
        return quality(self.late, self.champion_scores)

    @property
    def auc_diff(self) -> float | None:
        return None if self.candidate.auc is None or self.champion.auc is None else self.candidate.auc - self.champion.auc

    @property
    def brier_diff(self) -> float | None:
        return None if self.candidate.brier is None or self.champion.brier is None else self.candidate.brier - self.champion.brier

    @cached_property
    def slices(self) -> list[Slice]:
        found = []
        for name in sorted(set(self.origin.tolist())):
            mask = self.origin == name
            late = self.late[mask]
            found.append(Slice(name, int(mask.sum()), brier(late, self.candidate_scores[mask]) - brier(late, self.champion_scores[mask])))
        return found

    @cached_property
    def auc_lower_bound(self) -> float | None:
        """The lower end of the confidence interval of the AUC difference, from resampled flights; both models get the same ones."""
        if self.auc_diff is None:
            return None
        weights = resampled(self.rows, self.replicates)
        differences = weighted_auc(self.late, self.candidate_scores, weights) - weighted_auc(self.late, self.champion_scores, weights)
        return float(np.quantile(differences, (1 - CONFIDENCE) / 2))


@cache
def resampled(rows: int, replicates: int) -> Array:
    """Returns how often each row is in each sample. Poisson counts stand for drawing with replacement; counts are exact in 32 bits."""
    counts: Array = np.random.default_rng(SEED).poisson(1.0, size=(replicates, rows)).astype("float32")
    return counts


def brier(late: Array, scores: Array) -> float:
    return float(np.mean((scores - late) ** 2))


def quality(late: Array, scores: Array) -> Quality:
    if len(late) == 0:
        return Quality(None, None)
    if late.min() == late.max():
        return Quality(None, brier(late, scores))
    return Quality(float(weighted_auc(late, scores, np.ones((1, len(late))))[0]), brier(late, scores))


def weighted_auc(late: Array, scores: Array, weights: Array) -> Array:
    """Returns the AUC for each row of weights; equal scores count half."""
    order = np.argsort(scores, kind="stable")
    late, scores, weights = late[order], scores[order], weights[:, order]
    negatives = np.zeros((len(weights), len(late) + 1), dtype=weights.dtype)
    np.cumsum(weights * (1 - late).astype(weights.dtype), axis=1, out=negatives[:, 1:])
    positive = np.flatnonzero(late)
    below, upto = (np.searchsorted(scores, scores[positive], side=side) for side in ("left", "right"))
    own = weights[:, positive]
    ranked = (own * (negatives[:, below] + negatives[:, upto]) / 2).sum(axis=1, dtype="float64")
    result: Array = ranked / (own.sum(axis=1, dtype="float64") * negatives[:, -1])
    return result
