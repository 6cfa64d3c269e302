"""Writes a training run into MLflow: parameters, metrics, lineage, the data it saw and the model itself.

Whoever trains sets the tracking URI and the experiment; this module only says what a complete record is.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import mlflow
import sklearn
from mlflow.data.pandas_dataset import from_pandas
from mlflow.models import infer_signature

from lab import contract, data, lineage, train

MODEL_FILE: Final = "model.pkl"
# Samples for the model's signature; enough to see every column's type.
SAMPLE_ROWS: Final = 100


@dataclass(frozen=True)
class Record:
    """Where a run and its model ended up."""

    run_id: str
    model_id: str
    model_digest: str


def log(recipe: train.Recipe, result: train.Result, data_digest: str, tags: Mapping[str, str] | None = None) -> Record:
    """Records one finished run in the current experiment."""
    quiet()
    with mlflow.start_run(run_name=recipe.name, tags={**lineage_tags(recipe, data_digest), **(tags or {})}) as run:
        mlflow.log_params(parameters(recipe))
        mlflow.log_metrics(result.metrics)
        columns = [*recipe.features, contract.TARGET]
        seen = from_pandas(result.train[columns], source=str(data.DIRECTORY), name="flights-2013", targets=contract.TARGET)
        mlflow.log_input(seen, context="training", tags={"data_digest": data_digest})
        mlflow.log_dict({"recipe": recipe.name, "holdout": recipe.holdout, "metrics": result.metrics}, "eval/report.json")
        sample = train.inputs(recipe, result.holdout.head(SAMPLE_ROWS))
        model = mlflow.sklearn.log_model(
            result.pipeline,
            name="model",
            # The default format, skops, asks for an allow list with most other models.
            serialization_format="cloudpickle",
            signature=infer_signature(sample, result.pipeline.predict_proba(sample)),
            pyfunc_predict_fn="predict_proba",
            pip_requirements=[f"scikit-learn=={sklearn.__version__}", f"mlflow-skinny=={mlflow.__version__}"],
        )
        with tempfile.TemporaryDirectory() as scratch:
            stored = Path(mlflow.artifacts.download_artifacts(model.model_uri, dst_path=scratch))
            digest = lineage.file_digest(stored / MODEL_FILE)
        mlflow.set_tag("model_digest", digest)
    return Record(run.info.run_id, model.model_id, digest)


def quiet() -> None:
    """Mutes what MLflow would say at each run: the image has no Git and no pip, and flights' columns lack no integers."""
    warnings.filterwarnings("ignore", message="(?s).*Inferred schema contains integer column")
    warnings.filterwarnings("ignore", message="The specified dataset source can be interpreted in multiple ways")
    for name in ("mlflow.utils.git_utils", "mlflow.utils.environment"):
        logging.getLogger(name).setLevel(logging.ERROR)


def parameters(recipe: train.Recipe) -> dict[str, str | float]:
    return {
        "model": "logistic-regression",
        "features": ",".join(recipe.features),
        "C": recipe.regularisation,
        "rare_levels": train.RARE,
        "late_minutes": contract.LATE_MINUTES,
    }


def lineage_tags(recipe: train.Recipe, data_digest: str) -> dict[str, str]:
    """Returns what a run must carry so that it can be made again."""
    return {
        "git_sha": lineage.git_sha(),
        "data_digest": data_digest,
        "image_digest": lineage.environment_digest(),
        "seed": str(train.SEED),
        "train_start": recipe.train[0],
        "train_end": recipe.train[1],
        "holdout_start": recipe.holdout[0],
        "holdout_end": recipe.holdout[1],
        **recipe.tags,
    }
