"""Distances between two samples of a feature, the very numbers that Evidently gives for methods of the same name.

Evidently takes many seconds to import, and a monitor that only needs a number does not need it; a test holds both together. NumPy only.

    wasserstein     how far the values moved, in standard deviations of the reference; numbers only
    jensenshannon   between the shares of bins or levels, 0 to 0.83
    psi             population stability index of the same shares
    ks              p-value of the Kolmogorov-Smirnov test: drift is a value BELOW the threshold; numbers only
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

Values = np.ndarray[Any, Any]

# Evidently's: few different numbers are levels, and shares of zero get a trace.
LEVELS: Final = 20
LEAST_STD: Final = 0.001
LEAST_SHARE: Final = 0.0001
TRACE: Final = 10**6

NUMBERS_ONLY: Final = ("wasserstein", "ks")
# Below the threshold is drift.
P_VALUES: Final = ("ks",)


@dataclass(frozen=True, eq=False)
class Counts:
    """The different values of a sample in their order, and how many rows have each. What is missing is left out."""

    values: Values
    rows_of: Values

    @property
    def numeric(self) -> bool:
        return bool(self.values.dtype != object)

    @cached_property
    def rows(self) -> int:
        return int(self.rows_of.sum())

    @cached_property
    def std(self) -> float:
        mean = np.sum(self.values * self.rows_of) / self.rows
        return float(np.sqrt(np.sum((self.values - mean) ** 2 * self.rows_of) / self.rows))

    def below(self, limits: Values) -> Values:
        """Returns the share of rows with a value up to each limit."""
        up_to = np.concatenate([[0], np.cumsum(self.rows_of)])
        found: Values = up_to[np.searchsorted(self.values, limits, "right")] / self.rows
        return found

    def frequent(self, keep: int) -> frozenset[str]:
        """Returns the most frequent levels; of equally frequent ones the first by name."""
        order = sorted(zip(self.rows_of.tolist(), self.values.tolist(), strict=True), key=lambda level: (-level[0], level[1]))
        return frozenset(name for _, name in order[:keep])

    def pooled(self, names: Collection[str]) -> Counts:
        """Calls all levels but these one level."""
        found: Counter[str] = Counter()
        for name, rows in zip(pooled(self.values, names).tolist(), self.rows_of.tolist(), strict=True):
            found[name] += rows
        return of_levels(found)


def count(values: Values) -> Counts:
    """Counts the values of a sample: numbers, or texts as objects, where all else is missing."""
    if values.dtype != object:
        return Counts(*np.unique(values[np.isfinite(values)], return_counts=True))
    return of_levels(Counter({name: rows for name, rows in Counter(values.tolist()).items() if isinstance(name, str)}))


def of_levels(found: Counter[str]) -> Counts:
    names = sorted(found)
    return Counts(np.array(names, dtype=object), np.array([found[name] for name in names], dtype="int64"))


def pooled(values: Values, names: Collection[str]) -> Values:
    """Calls all levels but these "other"; what is missing stays so."""
    return np.array([value if value in names else "other" if isinstance(value, str) else None for value in values.tolist()], dtype=object)


def wasserstein(reference: Counts, current: Counts) -> float:
    """Returns the area between the two distribution functions, in standard deviations."""
    both = np.union1d(reference.values, current.values)
    apart = np.abs(reference.below(both[:-1]) - current.below(both[:-1]))
    return float(np.sum(apart * np.diff(both))) / max(reference.std, LEAST_STD)


def jensenshannon(reference: Counts, current: Counts) -> float:
    p, q = shares(reference, current)
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    return float(np.sqrt(max((entropy(p, middle) + entropy(q, middle)) / 2, 0.0)))


def entropy(p: Values, q: Values) -> float:
    some = p > 0
    return float(np.sum(p[some] * np.log(p[some] / q[some])))


def psi(reference: Counts, current: Counts) -> float:
    p, q = (traced(values) for values in shares(reference, current))
    return float(np.sum((p - q) * np.log(p / q)))


def traced(values: Values) -> Values:
    least = values[values != 0].min()
    return np.where(values == 0, least / TRACE if least <= LEAST_SHARE else LEAST_SHARE, values)


def ks(reference: Counts, current: Counts) -> float:
    from scipy.stats import ks_2samp

    rows = (np.repeat(sample.values, sample.rows_of) for sample in (reference, current))
    return float(ks_2samp(*rows)[1])


def shares(reference: Counts, current: Counts) -> tuple[Values, Values]:
    """Returns the share of each bin or level in both samples."""
    if reference.numeric and len(reference.values) > LEVELS:
        low, high = min(reference.values[0], current.values[0]), max(reference.values[-1], current.values[-1])
        edges = sturges(low, high, reference.rows + current.rows)
        return binned(reference, edges), binned(current, edges)
    levels = np.union1d(reference.values, current.values)
    return placed(reference, levels), placed(current, levels)


def binned(sample: Counts, edges: Values) -> Values:
    found: Values = np.histogram(sample.values, edges, weights=sample.rows_of)[0] / sample.rows
    return found


def placed(sample: Counts, levels: Values) -> Values:
    found = np.zeros(len(levels))
    found[np.searchsorted(levels, sample.values)] = sample.rows_of / sample.rows
    return found


def sturges(low: float, high: float, rows: int) -> Values:
    """Returns numpy.histogram_bin_edges(values, "sturges") for so many floats between low and high, which must not be equal."""
    width = (high - low) / (np.log2(rows) + 1)
    return np.linspace(low, high, int(np.ceil((high - low) / width)) + 1)


METHODS: Final[dict[str, Callable[[Counts, Counts], float]]] = {
    "wasserstein": wasserstein,
    "jensenshannon": jensenshannon,
    "psi": psi,
    "ks": ks,
}


def distance(method: str, reference: Counts, current: Counts) -> float | None:
    """Returns the distance, or nothing where one of the samples has no values."""
    return METHODS[method](reference, current) if reference.rows and current.rows else None


def drifted(method: str, value: float | None, threshold: float) -> bool:
    if value is None:
        return False
    return value <= threshold if method in P_VALUES else value >= threshold
