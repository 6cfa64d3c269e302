"""The numbers that the lab relies on, measured again on the real data. Where one moves, briefs, tolerances and fixtures have to follow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gates import challenger_policy, recorded
from gates.evidence import Evidence
from make_fixtures import EVERYTHING, Maker, days

REPOSITORY = Path(__file__).parents[4]
FIXTURES = Path(__file__).parents[2] / "gates" / "fixtures" / "retrain"
LAB = REPOSITORY / "labs" / "retraining"

# AUC and Brier differences to the champion, as measured; what decides a case must be farther from its limit than the tolerance.
MEASURED = {
    "july-60d": (0.081, -0.0746),
    "may-60d": (-0.0067, -0.0196),
    "sept-60d": (0.0404, 0.0127),
    "lga-all-zero": (0.0066, -0.0398),
    "inverted-30pct": (0.0804, -0.0747),
    "leaky": (0.2528, -0.1953),
    "overlap": (0.1341, -0.1111),
    "tiny-gate": (0.0646, -0.0687),
    "same-model": (0.0, 0.0),
    "missing-tags": (0.081, -0.0746),
}
TOLERANCE = 0.002


@pytest.fixture(scope="module")
def cases() -> dict[str, recorded.Case]:
    return {case.name: case for case in recorded.cases(FIXTURES)}


def policy(name: str) -> challenger_policy.Policy:
    import yaml

    return challenger_policy.parse(yaml.safe_load((LAB / name).read_text())["data"]["gate.yaml"])


def test_recorded_numbers(cases: dict[str, recorded.Case]) -> None:
    assert cases.keys() == MEASURED.keys()
    for name, (auc, brier) in MEASURED.items():
        evidence = cases[name].evidence
        assert evidence.auc_diff == pytest.approx(auc, abs=TOLERANCE), name
        assert evidence.brier_diff == pytest.approx(brier, abs=TOLERANCE), name
    assert cases["july-60d"].evidence.rows == 12683
    assert cases["july-60d"].evidence.auc_lower_bound == pytest.approx(0.0746, abs=0.003)
    assert cases["may-60d"].evidence.auc_lower_bound == pytest.approx(-0.0102, abs=0.003)
    assert {part.name: round(part.brier_diff, 3) for part in cases["lga-all-zero"].evidence.slices}["LGA"] == 0.049


def test_the_recorded_cases_are_made_of_the_data(flights: Path) -> None:
    described, arrays = Maker(flights).make()
    assert described == json.loads((FIXTURES / recorded.CASES).read_text())
    with np.load(FIXTURES / recorded.SCORES) as found:
        assert set(found.files) == arrays.keys()
        for name, values in arrays.items():
            # Another processor may round the last of 16 bits otherwise.
            assert np.abs(found[name].astype(int) - values.astype(int)).max() <= 2, name


def test_the_solution_judges_all_right(cases: dict[str, recorded.Case]) -> None:
    rules = policy("solutions/gate.yaml")
    assert {name: rules.judge(case.evidence).verdict in case.accepted for name, case in cases.items()} == dict.fromkeys(cases, True)
    rules = policy("alternatives/gate-stricter.yaml")
    assert sum(rules.judge(case.evidence).verdict in case.accepted for case in cases.values()) >= 8
    assert [name for name, case in cases.items() if rules.judge(case.evidence).verdict == "promote"] == ["july-60d"]


@pytest.mark.parametrize(
    ("name", "released"),
    [
        ("near-misses/gate-auc-only.yaml", {"july-60d", "sept-60d", "lga-all-zero", "inverted-30pct", "same-model"}),
        ("near-misses/gate-equal.yaml", {"july-60d", "same-model"}),
        ("near-misses/gate-recorded.yaml", {"july-60d", "inverted-30pct"}),
    ],
)
def test_the_near_misses_release_what_they_must_not(cases: dict[str, recorded.Case], name: str, released: set[str]) -> None:
    rules = policy(name)
    found = {name for name, case in cases.items() if rules.judge(case.evidence).verdict == "promote"}
    assert found == released


def scored(maker: Maker, model: Any, start: str, end: str) -> tuple[Any, Any]:
    from lab import train

    rows = maker.labelled(start, end)
    return rows["late"].to_numpy("float64"), model.predict_proba(train.inputs(EVERYTHING, rows))[:, 1]


def test_what_happens_after_the_promotion(flights: Path) -> None:
    from lab import train

    maker = Maker(flights)
    winter, _ = maker.fit(*train.WINTER[0])
    july, _ = maker.fit(*days("2013-06-30")[:2])
    late, scores = scored(maker, july, "2013-07-03", "2013-07-15")
    assert (len(late), late.mean() / scores.mean(), ((scores - late) ** 2).mean()) == (11568, pytest.approx(1.272, abs=0.02), pytest.approx(0.189, abs=0.003))
    # Every week up to September is well, and two of September are worse than with the model before.
    worse = []
    for start, end in weeks("2013-07-09", "2013-09-24"):
        late, scores = scored(maker, july, start, end)
        _, shadow = scored(maker, winter, start, end)
        if start < "2013-09-03":
            assert 0.7 < late.mean() / scores.mean() < 1.49, start
        worse.append(bool(((scores - late) ** 2).mean() > ((shadow - late) ** 2).mean()))
    assert worse == [False] * 8 + [True, False, True, True]
    # So the champion of October is the winter model again, and the challenger of September does not beat it.
    train_start, train_end, gate_start, gate_end = days("2013-09-30")
    september, _ = maker.fit(train_start, train_end)
    late, scores = scored(maker, september, gate_start, gate_end)
    _, champion = scored(maker, winter, gate_start, gate_end)
    evidence = Evidence(late, np.full(len(late), "all", dtype=object), scores, champion, agreement=1.0)
    assert evidence.brier_diff == pytest.approx(0.0047, abs=0.001)
    assert policy("solutions/gate.yaml").judge(evidence).verdict == "hold"


def weeks(first: str, last: str) -> list[tuple[str, str]]:
    from datetime import date, timedelta

    found, start = [], date.fromisoformat(first)
    while start <= date.fromisoformat(last):
        found.append((start.isoformat(), (start + timedelta(days=6)).isoformat()))
        start += timedelta(days=7)
    return found
