"""The rules of the lab's solution and of its near-misses, on the recorded cases."""

from __future__ import annotations

import json
from pathlib import Path

import programs
import pytest
import yaml
from labtools import cases, rules

LAB = Path(__file__).parents[4] / "labs" / "drift-monitor"
FIXTURES = Path(__file__).parents[2] / "monitoring" / "fixtures"


@pytest.fixture(autouse=True)
def promtool() -> None:
    programs.need("promtool")


@pytest.mark.parametrize(
    ("path", "name", "wrong"),
    [
        ("solutions/rules-drift.yaml", "drift", set()),
        ("solutions/rules-perf.yaml", "perf", set()),
        ("near-misses/rules-drift-absence.yaml", "drift", {"frozen"}),
        ("near-misses/rules-drift-page.yaml", "drift", {"season", "score", "two-windows"}),
        ("near-misses/rules-perf-no-guard.yaml", "perf", {"low-coverage"}),
    ],
)
def test_rules(path: str, name: str, wrong: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cases, "FIXTURES", FIXTURES)
    file = tmp_path / "rules.yaml"
    file.write_text(next(iter(yaml.safe_load((LAB / path).read_text())["data"].values())))
    rules.main(["test", "--fixtures", name, "--file", str(file), "--json"])
    found = json.loads(capsys.readouterr().out)["cases"]
    assert {case["name"] for case in found if not case["agree"]} == wrong
