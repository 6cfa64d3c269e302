"""Windows, distances, incidents and what is pushed: no data set and no server."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
import scipy.stats
from labtools.errors import ToolError
from monitoring import cases, distances, drift_config, history, perf_config, push, scores, windows
from monitoring.distances import Values
from monitoring.history import Judged
from monitoring.judge import INSUFFICIENT, Finding, Judge, data_of
from monitoring.samples import Sample
from monitoring.windows import Window

DAY = datetime(2013, 4, 2)


def test_windows_of_days_begin_on_tuesdays() -> None:
    found = windows.of_days(datetime(2013, 3, 16, 5), datetime(2013, 4, 3))
    assert [window.start.strftime("%m-%d") for window in found] == ["03-19", "03-26"]
    assert windows.of_days(DAY, datetime(2013, 4, 9)) == [Window(DAY, datetime(2013, 4, 9))]


def test_windows_of_rows_keep_a_minute_together() -> None:
    times = [datetime(2013, 4, 1, 0, minute) for minute in (0, 1, 2, 2, 2, 3, 4, 5)]
    found = windows.of_rows(times, 3)
    assert [(window.start.minute, window.end.minute) for window in found] == [(0, 3)]
    assert windows.of_rows(times[:3], 3) == []


@pytest.mark.parametrize(("text", "days", "rows"), [("7d", 7, 0), ("1 day", 1, 0), ("5000 rows", 0, 5000)])
def test_lengths(text: str, days: int, rows: int) -> None:
    assert (windows.length(text).days, windows.length(text).rows) == (days, rows)


@pytest.mark.parametrize("text", ["0d", "week", 7, "7"])
def test_no_lengths(text: object) -> None:
    with pytest.raises(ToolError, match="a window is"):
        windows.length(text)


def test_moments() -> None:
    assert windows.moment("+7d", DAY) == datetime(2013, 4, 9)
    assert windows.short(windows.moment("2013-04-01T12:00")) == "2013-04-01T12:00"
    with pytest.raises(ToolError, match="has a zone"):
        windows.moment("2013-04-01T12:00+00:00")
    with pytest.raises(ToolError, match="no date"):
        windows.moment("tomorrow")


def test_distances_by_hand() -> None:
    values = np.array([4.0, 1.0, 2.0, 3.0, 3.0, np.nan])
    same, one_up = distances.count(values), distances.count(values + 1)
    assert (same.rows, same.std) == (5, pytest.approx(np.nanstd(values)))
    assert distances.wasserstein(same, same) == 0
    assert distances.wasserstein(same, one_up) == pytest.approx(1 / np.nanstd(values))
    letters = distances.count(np.array(["a", "a", "b", None], dtype=object))
    assert distances.distance("jensenshannon", letters, distances.count(np.array(["b", "a", "a"], dtype=object))) == 0
    assert distances.distance("jensenshannon", letters, distances.count(np.array(["c"], dtype=object))) == pytest.approx(np.sqrt(np.log(2)))
    assert distances.distance("wasserstein", same, distances.count(np.array([np.nan]))) is None
    assert distances.drifted("ks", 0.01, 0.05)
    assert not distances.drifted("wasserstein", 0.01, 0.05)
    assert not distances.drifted("wasserstein", None, 0.05)


def test_rare_levels_are_pooled() -> None:
    reference = distances.count(np.array(["b", "a", "c", "a", "b", "e", "d"], dtype=object))
    names = reference.frequent(3)
    assert names == {"a", "b", "c"}
    assert distances.pooled(np.array(["d", "a", None], dtype=object), names).tolist() == ["other", "a", None]
    found = reference.pooled(names)
    assert dict(zip(found.values.tolist(), found.rows_of.tolist(), strict=True)) == {"a": 2, "b": 2, "c": 1, "other": 2}


DRAWN = np.random.Generator(np.random.PCG64(1)).normal(size=3000)


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        (DRAWN[:1000], DRAWN[1000:1064]),
        (DRAWN[:2048], DRAWN[:2048]),
        (np.append(np.round(DRAWN[:1000], 1), [np.nan, np.inf]), np.round(DRAWN[1000:], 1) + 0.5),
        (np.arange(21.0), np.full(3, 7.0)),
        (np.arange(21.0), np.array([-1.0, 40.0])),
    ],
)
def test_numbers_are_those_of_numpy_and_scipy(reference: Values, current: Values) -> None:
    counts = [distances.count(values) for values in (reference, current)]
    known = [values[np.isfinite(values)] for values in (reference, current)]
    edges = np.histogram_bin_edges(np.concatenate(known), "sturges")
    for found, values in zip(distances.shares(*counts), known, strict=True):
        assert found.tolist() == (np.histogram(values, edges)[0] / len(values)).tolist()
    assert distances.wasserstein(*counts) == pytest.approx(scipy.stats.wasserstein_distance(*known) / np.std(known[0]), rel=1e-12)
    assert distances.ks(*counts) == scipy.stats.ks_2samp(*known)[1]


def test_few_numbers_are_levels() -> None:
    counts = [distances.count(np.array(values)) for values in ([*range(20), 0.0, -0.0], [5.0, 99.0])]
    one, other = distances.shares(*counts)
    assert (one.tolist(), other.tolist()) == ([3 / 22, *[1 / 22] * 19, 0], [*[0] * 5, 0.5, *[0] * 14, 0.5])


def test_one_number_does_not_move() -> None:
    same = distances.count(np.full(5, 3.0))
    assert [distances.distance(method, same, same) for method in ("wasserstein", "jensenshannon", "psi")] == [0, 0, 0]


def test_what_is_no_text_is_missing_among_texts() -> None:
    values = np.array(["a", None, float("nan"), "b", "a"], dtype=object)
    assert distances.count(values).rows == 3
    assert distances.pooled(values, {"a"}).tolist() == ["a", None, None, "other", "a"]


def test_measures_by_hand() -> None:
    labels, found = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.5, 0.5, 0.9])
    assert scores.auc(labels, found) == pytest.approx(0.875)
    measured = scores.measures(labels, found)
    assert measured["calibration_ratio"] == pytest.approx(1.0)
    assert measured["error_rate"] == pytest.approx(0.25)
    assert scores.auc(np.ones(3), found[:3]) is None
    assert scores.measures(np.array([]), np.array([])) == dict.fromkeys(("calibration_ratio", "brier", "auc", "error_rate"))


CONFIG = "models: {m: {reference: {from: 2013-01-01, until: 2013-03-01}, window: 7d, threshold: 0.1%s}}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: [", "no YAML"),
        ("models: {}", "needs `models`"),
        ("models: {m: {window: 7d, threshold: 0.1}}", "does not say its reference"),
        (CONFIG % ", colour: red", "no setting colour"),
        (CONFIG % ", min_rows: many", "no number of rows"),
        (CONFIG % ", group: {dest: 0}", "number of levels"),
        (CONFIG % ", method: {dest: psi}", "neither numeric nor categorical"),
        (CONFIG % ", features: {temp: {limit: 1}}", "no setting limit"),
        (CONFIG.replace("0.1%s", "{sd: 3, quantile: 0.9}"), "a floor with one of"),
        (
            CONFIG.replace("{from: 2013-01-01, until: 2013-03-01}%s", "yesterday").replace("{from: 2013-01-01, until: 2013-03-01}", "yesterday"),
            "must be a mapping",
        ),
    ],
)
def test_configurations_of_drift_that_mean_nothing(text: str, words: str) -> None:
    with pytest.raises(ToolError, match=words):
        drift_config.parse(text.replace("%s", ""))


PERF = "models: {m: {window: 7d, label_delay: 48h, labels: SELECT 1%s}}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: {m: {window: 7d, labels: SELECT 1}}", "does not say its label_delay"),
        (PERF.replace("48h", "soon"), "label_delay is 'soon'"),
        (PERF % ", limits: {speed: [0, 1]}", "none of speed"),
        (PERF % ", limits: {auc: 0.6}", r"must be \[lowest, highest\]"),
    ],
)
def test_configurations_of_perf_that_mean_nothing(text: str, words: str) -> None:
    with pytest.raises(ToolError, match=words):
        perf_config.parse(text.replace("%s", ""))


def sample(rows: int, shift: float = 0.0) -> Sample:
    values = np.random.Generator(np.random.PCG64(3)).normal(shift, 1, rows)
    times = np.datetime64("2013-01-01") + np.arange(rows).astype("timedelta64[h]")
    return Sample({"x": values, "score": np.clip(values / 10 + 0.5, 0, 1)}, times.astype("datetime64[us]"))


def test_verdicts_and_counts() -> None:
    model = drift_config.parse(CONFIG % ", min_rows: 100")["m"]
    judge = Judge(model)
    assert judge.judge(sample(1000), sample(50)) == (INSUFFICIENT, [])
    verdict, findings = judge.judge(sample(1000), sample(1000, 1.0))
    assert verdict == "drift"
    first = data_of(verdict, findings, sample(1000), sample(1000), model, {})
    second = data_of(verdict, findings, sample(1000), sample(1000), model, first)
    assert second["features"]["x"]["consecutive"] == 2
    # What could not be judged neither counts nor ends the count.
    small = data_of(INSUFFICIENT, [], sample(1000), sample(50), model, second)
    assert small["features"]["x"] == second["features"]["x"] | {"value": None, "flagged": False}
    quiet = data_of("ok", [Finding("x", "wasserstein", 0.0, 0.1, False)], sample(1000), sample(1000), model, small)
    assert quiet["features"]["x"]["consecutive"] == 0


def test_thresholds_from_weeks_need_weeks() -> None:
    model = drift_config.parse(CONFIG.replace("0.1%s", "{floor: 0.1, sd: 3}"))["m"]
    with pytest.raises(ToolError, match="needs 4 of them; it has 2"):
        Judge(model).judge(sample(24 * 16), sample(200))


def test_what_is_pushed() -> None:
    text = push.text_of([("a", {"model": "m", "feature": 'x"y'}, 1.5), ("a", {"model": "m"}, None), ("b", {"model": "m"}, 2.0)])
    assert text == '# TYPE a gauge\na{model="m",feature="x\\"y"} 1.5\n# TYPE b gauge\nb{model="m"} 2.0\n'
    assert push.steps({"m": [1, 2], "n": [3]}) == [{"m": 1, "n": 3}, {"m": 2}]


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [("2026-11-25T15:00:00.5Z", 1795618800.5), ("2026-11-25T15:00:00.123456789+00:00", 1795618800.123456789), ("2026-11-25T15:00:00Z", 1795618800.0)],
)
def test_times_of_prometheus(stamp: str, expected: float) -> None:
    assert push.seconds(stamp) == pytest.approx(expected)


def test_incidents_can_be_told_apart() -> None:
    names = set()
    for cause in cases.ACTIONS:
        for variant in range(cases.VARIANTS):
            rows = cases.read(cases.csv_of(cases.record(cause, variant)))
            assert cases.cause_of(rows) == cause
            assert len(rows) == cases.WEEKS
            names.add(cases.name_of(cause, variant))
            assert "polyline" in cases.page("x", rows)
    assert len(names) == len(cases.ACTIONS) * cases.VARIANTS


def test_incidents_of_a_lab() -> None:
    shown = cases.shown("lab-drift-monitor")
    assert shown == cases.shown("lab-drift-monitor")
    assert len({cause for cause, _ in shown}) == cases.COUNT
    assert len({tuple(cases.shown(f"lab-{number}")) for number in range(20)}) > 10


def test_a_table() -> None:
    assert history.table(("a", "long"), [{"a": "wide one", "long": 1}]) == "a         long\nwide one  1"
    assert history.describe(Judged(Window(DAY, datetime(2013, 4, 9)), {"rows": 1})) == {"start": "2013-04-02", "end": "2013-04-09", "rows": 1}
