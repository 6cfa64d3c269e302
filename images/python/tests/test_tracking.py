"""A recorded run is complete: it can be found, compared, and its model loaded and verified."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from lab import contract, lineage, tracking, train
from sklearn.dummy import DummyClassifier


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow.create_experiment("flight-delay", artifact_location=(tmp_path / "artifacts").as_uri())
    mlflow.set_experiment("flight-delay")
    return tmp_path


def test_log(store: Path) -> None:
    recipe = train.RECIPES[1]
    rows = pd.DataFrame({name: [1.0, 2.0] for name in recipe.numeric} | {name: ["A", "B"] for name in contract.CATEGORICAL})
    rows[contract.TARGET] = [0, 1]
    pipeline = DummyClassifier().fit(rows[recipe.features], rows[contract.TARGET])
    made = tracking.log(recipe, train.Result(pipeline, {"auc": 0.7}, rows, rows), "sha256:" + "0" * 64)

    run = mlflow.get_run(made.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "winter-lr"
    assert run.data.metrics == {"auc": 0.7}
    assert run.data.params["features"].split(",") == recipe.features
    tags = run.data.tags
    assert {"git_sha", "data_digest", "image_digest", "seed", "train_start", "train_end", "validation_status", "author"} <= set(tags)
    assert tags["data_digest"] == "sha256:" + "0" * 64
    assert tags["train_end"] == "2013-03-15"
    assert [item.dataset.name for item in run.inputs.dataset_inputs] == ["flights-2013"]

    stored = next(store.glob(f"artifacts/**/{tracking.MODEL_FILE}"))
    assert tags["model_digest"] == made.model_digest == f"sha256:{hashlib.sha256(stored.read_bytes()).hexdigest()}"
    loaded = mlflow.sklearn.load_model(f"models:/{made.model_id}")
    assert loaded.predict_proba(rows[recipe.features]).shape == (2, 2)


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with Git")
def test_git_sha_is_what_git_says(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", "data.txt"):
        (tmp_path / name).write_text(f"# {name}\n")
    ours = lineage.git_sha(tmp_path)
    for command in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    done = subprocess.run(["git", "write-tree"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ours == done.stdout.strip()


def test_environment_digest_is_stable() -> None:
    assert lineage.environment_digest() == lineage.environment_digest()
    assert len(lineage.environment_digest()) == len("sha256:") + 64
