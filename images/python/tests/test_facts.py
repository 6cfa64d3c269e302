"""The facts that briefs, thresholds and messages rest on, measured again on the real data with the champion of winter.

Where one moves, because of a library, the data or a recipe, the texts and tolerances of the labs have to follow. What the labs rely on
beside these is measured in test_data.py (the recorded runs), retraining/test_numbers.py (challengers) and monitoring/ (windows).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lab import data, train
from monitoring import distances, sea
from sklearn.metrics import brier_score_loss, roc_auc_score

CHAMPION = train.RECIPES[1]
# A score from which a flight counts as risky: the highest fifth of the training days.
RISKY = 0.329
# Differences that another processor or a patch of a library may make; what a lab decides by is farther from its limits.
EXACT = 0.002


@dataclass(frozen=True)
class Year:
    """All flights of 2013 that have a label, with the champion's scores, and its two parts of winter."""

    rows: pd.DataFrame
    champion: train.Result

    def scores(self, rows: pd.DataFrame) -> Any:
        return self.champion.pipeline.predict_proba(train.inputs(CHAMPION, rows))[:, 1]

    def month(self, number: int) -> pd.DataFrame:
        return self.rows[self.rows["date"].dt.month == number]

    def weeks(self) -> dict[str, pd.DataFrame]:
        """Returns the whole weeks of the year from Tuesday to Monday, by their first day."""
        first = pd.Timestamp("2013-01-01")
        number = (self.rows["date"] - first).dt.days // 7
        return {str((first + pd.Timedelta(days=7 * week)).date()): part for week, part in self.rows.groupby(number) if week < 52}


@pytest.fixture(scope="module")
def year(flights: Path) -> Year:
    champion = train.fit(CHAMPION, flights)
    rows = train.labelled(data.load("2013-01-01", "2013-12-31", flights))
    return Year(rows.assign(score=champion.pipeline.predict_proba(train.inputs(CHAMPION, rows))[:, 1]), champion)


def ratio(rows: pd.DataFrame) -> float:
    return float(rows["late"].mean() / rows["score"].mean())


@pytest.mark.parametrize(("month", "auc"), [(4, 0.642), (5, 0.677), (6, 0.652), (7, 0.672), (9, 0.604), (11, 0.647)])
def test_auc_of_the_months(year: Year, month: int, auc: float) -> None:
    rows = year.month(month)
    assert roc_auc_score(rows["late"], rows["score"]) == pytest.approx(auc, abs=EXACT)


@pytest.mark.parametrize(("month", "found"), [(3, 1.06), (4, 1.79), (6, 2.72), (7, 3.67), (11, 1.00)])
def test_calibration_of_the_months(year: Year, month: int, found: float) -> None:
    assert ratio(year.month(month)) == pytest.approx(found, abs=0.01)


def test_calibration_of_the_weeks(year: Year) -> None:
    """Within winter no week looks degraded by a limit of 1.5, and in April two in a row do."""
    ratios = {start: ratio(rows) for start, rows in year.weeks().items()}
    winter = [found for start, found in ratios.items() if start < "2013-03-26"]
    assert (min(winter), max(winter)) == (pytest.approx(0.736, abs=0.01), pytest.approx(1.226, abs=0.01))
    assert (ratios["2013-04-09"], ratios["2013-04-16"]) == (pytest.approx(1.742, abs=0.01), pytest.approx(2.347, abs=0.01))


def test_late_flights_depend_on_the_weather(year: Year) -> None:
    """A week has from 7 to 48 % of them, and days differ ten times as much as chance would have it."""
    rates = [rows["late"].mean() for rows in year.weeks().values()]
    assert (min(rates), max(rates)) == (pytest.approx(0.074, abs=EXACT), pytest.approx(0.478, abs=EXACT))
    days = year.rows.groupby("date")["late"].agg(["mean", "count"])
    late = year.rows["late"].mean()
    assert days["mean"].std() == pytest.approx(0.147, abs=EXACT)
    assert days["mean"].std() > 10 * np.sqrt(late * (1 - late) / days["count"].mean())


@pytest.mark.parametrize(
    ("name", "winter", "later"),
    [
        ("temp", (0.134, 1.614), {"2013-04-09": 2.07, "2013-07-02": 5.20, "2013-10-29": 1.98, "2013-11-12": 1.25}),
        ("score", (0.018, 0.464), {"2013-03-26": 0.464, "2013-06-18": 1.07, "2013-07-16": 1.21, "2013-09-24": 0.93}),
    ],
)
def test_distances_of_the_weeks(year: Year, name: str, winter: tuple[float, float], later: dict[str, float]) -> None:
    """The season moves inputs and scores beyond anything that winter has seen: 0.1 would alarm in nearly every week."""
    learned = year.champion.train.assign(score=year.scores(year.champion.train))
    reference = distances.count(learned[name].to_numpy("float64"))
    found = {start: distances.wasserstein(reference, distances.count(rows[name].to_numpy("float64"))) for start, rows in year.weeks().items()}
    of_winter = [value for start, value in found.items() if start < "2013-04-01"]
    assert (min(of_winter), max(of_winter)) == (pytest.approx(winter[0], abs=0.02), pytest.approx(winter[1], abs=0.02))
    assert {start: found[start] for start in later} == {start: pytest.approx(value, abs=0.02) for start, value in later.items()}
    # The limit of mean and three standard deviations of winter, which the season crosses for good on 9 April.
    limit = float(np.mean(of_winter) + 3 * np.std(of_winter, ddof=1))
    if name == "temp":
        assert next(start for start, value in found.items() if value >= limit) == "2013-04-09"


@pytest.mark.parametrize(("month", "share"), [(3, 0.173), (7, 0.010), (12, 0.189)])
def test_risky_flights_of_the_months(year: Year, month: int, share: float) -> None:
    assert (year.month(month)["score"] >= RISKY).mean() == pytest.approx(share, abs=EXACT)


def test_celsius_by_mistake(year: Year) -> None:
    """The order of the flights stays as it was, so only numbers that see the level of the scores see the mistake."""
    rows = year.champion.holdout
    late, scores = rows["late"], year.scores(rows.assign(temp=(rows["temp"] - 32) * 5 / 9))
    assert roc_auc_score(late, scores) == pytest.approx(0.7065, abs=EXACT)
    assert abs(roc_auc_score(late, scores) - year.champion.metrics["auc"]) < 0.005
    assert scores.mean() == pytest.approx(0.0735, abs=EXACT)
    assert brier_score_loss(late, scores) == pytest.approx(0.1804, abs=0.001)


@pytest.mark.parametrize(("rows", "error"), [(500, 0.027), (1000, 0.020), (2000, 0.013), (14_495, 0.005)])
def test_what_chance_does_to_an_auc(year: Year, rows: int, error: float) -> None:
    """The standard error by the bootstrap; it falls with the root of the number of rows."""
    late, scores = year.champion.holdout["late"].to_numpy(), year.scores(year.champion.holdout)
    generator = np.random.default_rng(train.SEED)
    samples = [generator.choice(len(late), rows) for _ in range(200)]
    assert np.std([roc_auc_score(late[sample], scores[sample]) for sample in samples]) == pytest.approx(error, rel=0.2)


def test_sea_changes_its_meaning_only() -> None:
    """A model that knew the first limit: one label of ten was wrong by chance, then one of five is."""
    rows = sea.load(sea.START, sea.END)
    wrong = (rows["f1"] + rows["f2"] <= sea.LIMITS[0]).astype(int) != rows["label"]
    before = rows["event_time"] < sea.SWITCH
    assert (wrong[before].mean(), wrong[~before].mean()) == (pytest.approx(0.100, abs=0.008), pytest.approx(0.205, abs=0.008))
    moved = (rows["f1"] + rows["f2"] > sea.LIMITS[0]) & (rows["f1"] + rows["f2"] <= sea.LIMITS[1])
    assert moved.mean() == pytest.approx(0.131, abs=0.006)
