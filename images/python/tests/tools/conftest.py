"""Puts the tools into a lab in miniature."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from miniature import Lab, Run
from servers import serve

HERE = Path(__file__).parent
PYTHON = HERE.parents[1]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    from labtools import candidates, deployment, predictor, rows

    lab = Lab(tmp_path)
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable} -IS\n{(HERE / 'kubectl.py').read_text()}")
    program.chmod(0o755)
    with serve(lab.mlflow) as mlflow, serve(lab.server) as server:
        settings = {"MLFLOW_TRACKING_URI": mlflow, "PREDICTOR_URL": server, "POD_NAMESPACE": "lab-model-registry"}
        settings |= {"LAB_FIXTURES": str(PYTHON / "labtools" / "fixtures")}
        settings |= {"FAKE_CLUSTER": str(lab.file), "PATH": f"{program.parent}:/usr/bin:/bin", "PYTHONPATH": str(PYTHON)}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(candidates, "FIXTURES", PYTHON / "labtools" / "fixtures")
        monkeypatch.setattr(rows, "MARCH", PYTHON / "labtools" / "fixtures" / "march" / "flights.json")
        monkeypatch.setattr(deployment, "PORT", int(server.rsplit(":", 1)[1]))
        monkeypatch.setattr(predictor, "POLL_SECONDS", 0.01)
        yield lab


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls a tool with --json; returns its exit code and its one JSON object."""

    def call(tool: Callable[[Sequence[str]], int], *arguments: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = tool([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return call
