"""The data set: weather is two hours old, nothing later leaks in, and the files are the same everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from lab import contract, data, train

FLIGHT = {
    "year": 2013,
    "month": 1,
    "day": 1,
    "dep_time": 517.0,
    "sched_dep_time": 515,
    "dep_delay": 2.0,
    "arr_time": 830.0,
    "sched_arr_time": 819,
    "arr_delay": 11.0,
    "carrier": "UA",
    "flight": 1545,
    "tailnum": "N14228",
    "origin": "EWR",
    "dest": "IAH",
    "air_time": 227.0,
    "distance": 1400,
    "hour": 5,
    "minute": 15,
    "time_hour": "2013-01-01T10:00:00Z",
}
WEATHER = {
    "origin": "EWR",
    "temp": 39.0,
    "dewp": 26.0,
    "humid": 59.0,
    "wind_dir": 270.0,
    "wind_speed": 10.0,
    "wind_gust": None,
    "precip": 0.0,
    "pressure": 1012.0,
    "visib": 10.0,
    "time_hour": "2013-01-01T08:00:00Z",
}


def small(*changes: dict[str, object]) -> pd.DataFrame:
    weather = pd.DataFrame([WEATHER, WEATHER | {"temp": 99.0, "time_hour": "2013-01-01T10:00:00Z"}])
    return data.join(pd.DataFrame([FLIGHT | change for change in changes]), weather)


def test_weather_is_the_one_seen_two_hours_before() -> None:
    assert small({})["temp"].tolist() == [39.0]


def test_a_flight_without_weather_stays() -> None:
    rows = small({}, {"origin": "LGA"})
    assert rows["temp"].isna().tolist() == [False, True]
    assert len(rows) == 2


def test_order_does_not_depend_on_the_source() -> None:
    one, two = {"flight": 1}, {"flight": 2}
    pd.testing.assert_frame_equal(small(one, two), small(two, one))


@pytest.mark.parametrize(("delay", "late"), [(15.0, 0), (16.0, 1), (-20.0, 0), (None, None)])
def test_late_is_more_than_fifteen_minutes(tmp_path: Path, delay: float | None, late: int | None) -> None:
    data.write(small({"arr_delay": delay}), tmp_path)
    value = data.load("2013-01-01", "2013-01-31", tmp_path)[contract.TARGET][0]
    assert (None if value is pd.NA else value) == late


def test_load_takes_whole_days_across_months(tmp_path: Path) -> None:
    data.write(small({"day": 30}, {"day": 31}, {"month": 2}, {"month": 2, "day": 2}), tmp_path)
    assert len(data.load("2013-01-31", "2013-02-01", tmp_path)) == 2


def test_a_difference_from_the_record_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(data, "read", lambda _: small({}))
    monkeypatch.setattr("sys.argv", ["lab.data", "unused", str(tmp_path)])
    assert data.main() == 1
    assert "differs from flights.sha256" in capsys.readouterr().err


def test_the_real_data_set(flights: Path) -> None:
    rows = pd.concat([pd.read_parquet(path) for path in sorted(flights.glob("*.parquet"))])
    assert len(rows) == 336_776
    assert rows["arr_delay"].isna().sum() == 9_430
    assert rows["wind_speed"].max() == pytest.approx(1048.36, abs=0.01)
    assert (rows["distance"] == 17).sum() == 1
    assert data.digest(flights).startswith("sha256:")


@pytest.mark.parametrize("recipe", train.RECIPES, ids=lambda recipe: recipe.name)
def test_reference_numbers(flights: Path, recipe: train.Recipe) -> None:
    result = train.fit(recipe, flights)
    assert result.metrics["auc"] == pytest.approx(recipe.auc, abs=train.TOLERANCE)
    if recipe.name == "winter-lr":
        assert result.metrics["brier"] == pytest.approx(0.1546, abs=0.001)
        assert result.metrics["mean_score"] == pytest.approx(0.202, abs=0.002)
        assert result.metrics["late_rate"] == pytest.approx(0.221, abs=0.001)
        assert result.metrics["holdout_rows"] == 14_495


def test_a_refit_scores_the_same(flights: Path) -> None:
    recipe = train.RECIPES[1]
    first, second = train.fit(recipe, flights), train.fit(recipe, flights)
    rows = train.inputs(recipe, first.holdout)
    assert (first.pipeline.predict_proba(rows) == second.pipeline.predict_proba(rows)).all()


def test_only_the_leaky_run_knows_the_future() -> None:
    leaky = {recipe.name for recipe in train.RECIPES if set(recipe.features) & set(contract.FORBIDDEN)}
    assert leaky == {"winter-leaky"}


def test_the_charts_have_the_same_contract() -> None:
    """The ConfigMap that people read names the columns of the code, in their order, and a request has one value of each."""
    text = (Path(__file__).parents[3] / "charts/model-server/templates/_contract.tpl").read_text()
    features = re.findall(r"- \{name: (\w+), datatype: (\w+),", text)
    assert features == [(name, "BYTES" if name in contract.CATEGORICAL else "FP64") for name in (*contract.NUMERIC, *contract.CATEGORICAL)]
    assert re.findall(r'"name": "(\w+)", "shape": \[1\], "datatype": "(\w+)"', text) == features
    (forbidden,) = re.findall(r"forbidden: \[(.*)\]", text)
    assert tuple(forbidden.split(", ")) == contract.FORBIDDEN
