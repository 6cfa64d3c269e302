"""A lab in miniature for retraining: the real data, a scratch PostgreSQL, the lab's own MLflow server, and a cluster in a file."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent
NOW = datetime(2013, 7, 3)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_monitoring = load(HERE.parent / "monitoring" / "conftest.py")
cluster, databases, database = _monitoring.cluster, _monitoring.databases, _monitoring.database
for folder in (HERE, HERE.parent / "tools"):
    sys.path.insert(0, str(folder))


@pytest.fixture
def labelled(database: str, flights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # noqa: ARG001
    """The labels as they are known on 3 July, and the clock."""
    from monitoring import flights as stream
    from monitoring import store
    from retraining import dataset, trigger_log

    monkeypatch.setattr(dataset, "DATASET_DIRECTORY", flights)
    with store.connected() as connection:
        store.run(connection, trigger_log.DDL)
        store.insert(
            connection, "INSERT INTO labels (request_id, label, arr_delay, released_at) VALUES %s", stream.released(datetime(2013, 4, 2), NOW, flights)
        )
        store.set_now(connection, NOW)
    yield


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking server with a database of its own; returns its address."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts"), "--serve-artifacts"]
    settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log, cwd=folder)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            if server.poll() is not None:
                pytest.fail(f"the MLflow server ended: {(folder / 'log').read_text()[-300:]}")
            try:
                urllib.request.urlopen(f"{address}/health", timeout=2).close()
                break
            except (urllib.error.URLError, TimeoutError):
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Calls a tool with --json; returns its exit code and its one JSON object."""

    def call(tool: Callable[[Sequence[str]], int], *arguments: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = tool([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return call


RULES = """\
rules:
  - {rule: rows, atLeast: 2000, else: hold}
  - {rule: lineage, else: reject}
  - {rule: labels, agreement: 0.995, else: reject}
  - {rule: plausible, aucBelow: 0.85, else: reject}
  - {rule: slices, by: origin, rows: 500, brierWorseBy: 0.01, else: reject}
  - {rule: brier, betterBy: 0.005, else: hold}
  - {rule: auc, lowerBound: -0.005, else: hold}
"""


@pytest.fixture
def registry(mlflow: str, labelled: None, flights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # noqa: ARG001
    """A registry with the champion of winter as its newest version; older versions may be of other tests."""
    import mlflow as client
    from lab import data, tracking, train
    from labtools.mlflow_api import Registry

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow)
    rules = tmp_path / "gate.yaml"
    rules.write_text(RULES)
    monkeypatch.setenv("GATE_POLICY", str(rules))
    monkeypatch.setattr(train.data, "DIRECTORY", flights)
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable} -IS\n{(HERE.parent / 'tools' / 'kubectl.py').read_text()}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    found = Registry(mlflow)
    if "champion" not in found.aliases():
        client.set_tracking_uri(mlflow)
        client.set_experiment("flight-delay")
        recipe = next(recipe for recipe in train.RECIPES if recipe.name == "winter-lr")
        made = tracking.log(recipe, train.fit(recipe, directory=flights), data.digest(flights))
        client.register_model(f"models:/{made.model_id}", "flight-delay")
        found.set_alias("champion", "1")
    yield found
