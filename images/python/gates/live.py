"""Collects what the challenger gate looks at: scores two versions of the registry on the candidate's own gate days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from lab import contract
from labtools import score
from labtools.errors import ToolError
from labtools.mlflow_api import Registry, RegistryError, Run, Version
from retraining import dataset, plan
from retraining.trainer import LINEAGE

from gates.evidence import Array, Evidence

if TYPE_CHECKING:
    import pandas as pd


def evidence(registry: Registry, connection: Any, candidate: Version, champion: Version) -> Evidence:
    """Returns the evidence about a candidate, from its tags, the released labels and both models' bytes."""
    missing = [tag for tag in LINEAGE if not candidate.tags.get(tag)]
    try:
        days = plan.read(candidate.tags)
    except ToolError:
        nothing = np.zeros(0)
        return Evidence(nothing, np.zeros(0, dtype=object), nothing, nothing, missing)
    learned = dataset.load(connection, days.train_start, days.train_end, days.cutoff)
    held = dataset.load(connection, days.gate_start, days.gate_end, days.cutoff)
    rows, recorded = held.rows, metrics(registry, champion)
    wrong, all_labels = learned.disagreements + held.disagreements, len(learned.rows) + len(rows)
    return Evidence(
        late=rows[contract.TARGET].to_numpy(dtype="float64"),
        origin=rows["origin"].to_numpy(dtype=object),
        candidate_scores=scores(registry, candidate, rows),
        champion_scores=scores(registry, champion, rows),
        missing_tags=missing,
        overlap_days=max(0, (days.train_end - days.gate_start).days + 1),
        foreign_features=foreign(registry.run(candidate.run_id)),
        agreement=1 - wrong / all_labels if all_labels else None,
        recorded_auc=recorded.get("auc"),
        recorded_brier=recorded.get("brier"),
    )


def scores(registry: Registry, version: Version, rows: pd.DataFrame) -> Array:
    """Returns a version's probabilities for flights, by the bytes that the registry has."""
    model = score.load(version.number, registry.version_bytes(version.number))
    if not len(rows):
        return np.zeros(0)
    columns = list(model.feature_names_in_)
    frame = rows[columns].astype({name: "float64" for name in columns if name not in contract.CATEGORICAL})
    found: Array = model.predict_proba(frame)[:, 1]
    return found


def foreign(run: Run) -> list[str]:
    """Returns the features that the contract does not have."""
    return [name for name in run.features if name not in (*contract.NUMERIC, *contract.CATEGORICAL)]


def metrics(registry: Registry, version: Version) -> Mapping[str, float]:
    try:
        return registry.run(version.run_id).metrics
    except RegistryError as error:
        # The run of an old version may be gone.
        if error.status == 404:
            return {}
        raise
