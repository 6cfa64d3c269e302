"""The monitors on the real data: what the lab's tasks, checks and drills rely on is measured here, and fails when it moves."""

from __future__ import annotations

import json
import subprocess
from argparse import Namespace
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import drift_seed
import pytest
import yaml
from configs import AS_FOUND, DRIFT, JOIN, PERF
from conftest import Databases
from monitoring import calibrate, drift, flights, perf, push, report, samples, sea, seeds, store

CONFIGS = {"DRIFT_CONFIG": DRIFT, "PERF_CONFIG": PERF}
RUN = {"again": False, "since": None, "model": None, "no_hold": True, "no_push": True, "no_report": True}


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory, flights: Path) -> Path:
    target = tmp_path_factory.mktemp("seed")
    drift_seed.record(target, flights)
    return target


FEATURES = flights.FEATURES
LABELS = flights.released
LOAD = flights.load


@pytest.fixture(scope="session")
def june(databases: Databases, seed: Path, champion, flights: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database as it is on 1 June: the seed, and what the predictor and the feeds have added since, stream sea to its end."""
    end = datetime(2013, 6, 1)
    columns = "model, request_id, model_version, score, event_time, features, logged_at"
    logged = [
        *seeds.predictions("flight-delay", "1", champion, LOAD(drift_seed.CLOCK, end, flights), FEATURES, drift_seed.RECORDED),
        *seeds.predictions("sea", "1", sea.fit(sea.training()), sea.load(sea.START, sea.END), sea.FEATURES, drift_seed.RECORDED),
    ]
    first = {label[0] for label in LABELS(drift_seed.LOGGED_FROM, drift_seed.CLOCK, flights)}
    labels = [label for label in LABELS(drift_seed.LOGGED_FROM, end, flights) if label[0] not in first]
    labels += sea.released(sea.START, sea.END)
    later = tmp_path_factory.mktemp("later") / "later.sql"
    seeds.write_sql(later, {"predictions": (columns, logged), "labels": ("request_id, label, arr_delay, released_at", labels)})
    name = databases.make()
    clock = f"UPDATE lab_clock SET now = CASE stream WHEN 'sea' THEN '{sea.END}'::timestamp ELSE '{end}' END"
    command = ["psql", "--quiet", "--host", databases.host, "--username", "lab", "--dbname", name, "--set=ON_ERROR_STOP=1"]
    subprocess.run([*command, "--file", str(seed / "lab.sql"), "--file", str(later), "--command", clock], check=True, stdout=subprocess.DEVNULL)
    return name


@pytest.fixture
def lab(june: str, databases: Databases, seed: Path, flights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """The lab on 1 June with the solution's configurations; a call writes others."""
    name = databases.make(june)
    databases.use(name, monkeypatch)
    monkeypatch.setattr(samples, "stored", lambda model: (seed / f"buckets/data/reference/{model}.parquet").read_bytes())
    monkeypatch.setattr(calibrate, "FIXTURES", Path(calibrate.__file__).with_name("fixtures"))
    from monitoring import replay

    known = replay.streams
    monkeypatch.setattr(replay, "streams", lambda: known(flights))

    def configure(**texts: str) -> None:
        for variable, text in {**CONFIGS, **texts}.items():
            path = tmp_path / variable
            path.write_text(text)
            monkeypatch.setenv(variable, str(path))

    configure()
    yield configure
    databases.drop(name)


def run(tool: Any, **options: Any) -> dict[str, Any]:
    return dict(tool.run(Namespace(command="run", **{**RUN, **options})).data)


def history(tool: Any, model: str = "flight-delay") -> dict[str, Any]:
    return dict(tool.run(Namespace(command="history", model=model, no_reference=False)).data)


@pytest.mark.usefixtures("lab")
def test_drift_of_the_spring() -> None:
    run(drift)
    found = history(drift)
    assert [window["start"] for window in found["windows"]] == [
        "2013-03-19", "2013-03-26", "2013-04-02", "2013-04-09", "2013-04-16", "2013-04-23", "2013-04-30", "2013-05-07", "2013-05-14", "2013-05-21",
    ]  # fmt: skip
    assert found["gaps"] == 0
    assert found["fewest_rows"] > 6000
    assert found["features"]["temp"]["first_flagged"] == "2013-04-09"
    for name in ("carrier", "origin", "hour", "dow", "distance", "dest"):
        assert found["features"][name]["flagged"] == []
    values = {window["start"]: {name: round(feature["value"], 2) for name, feature in window["features"].items()} for window in found["windows"]}
    assert values["2013-03-26"]["temp"] == pytest.approx(1.24, abs=0.02)
    assert values["2013-04-09"]["temp"] == pytest.approx(2.08, abs=0.02)
    assert values["2013-04-16"]["temp"] == pytest.approx(2.10, abs=0.02)
    assert values["2013-04-16"]["score"] == pytest.approx(0.61, abs=0.02)
    thresholds = {name: round(feature["threshold"], 2) for name, feature in found["windows"][0]["features"].items()}
    assert thresholds["temp"] == pytest.approx(1.87, abs=0.02)
    assert thresholds["score"] == pytest.approx(0.53, abs=0.02)
    assert thresholds["humid"] == pytest.approx(0.80, abs=0.02)
    assert {name for name, value in thresholds.items() if value == 0.1} == {"hour", "dow", "distance", "carrier", "origin", "dest"}
    assert [window["features"]["temp"]["consecutive"] for window in found["windows"]][:5] == [0, 0, 0, 1, 2]


def test_what_has_been_judged_is_not_judged_again(lab: Callable[..., None]) -> None:
    first = run(drift)
    assert len(first["judged"]["flight-delay"]) == 10
    assert len(first["judged"]["sea"]) == 20
    assert run(drift)["judged"] == {"flight-delay": [], "sea": []}
    lab(DRIFT_CONFIG=AS_FOUND)
    assert run(drift, again=True, since="2013-05-14")["judged"]["flight-delay"][0]["start"] == "2013-05-14"
    assert run(drift)["judged_otherwise"] == {"flight-delay": 8}


def test_drift_sees_nothing_in_sea(lab: Callable[..., None]) -> None:
    run(drift, model="sea")
    found = history(drift, "sea")
    assert (found["n"], found["flagged_windows"]) == (20, 0)
    assert found["fewest_rows"] == 1200
    lab(DRIFT_CONFIG=DRIFT.replace("window: 7d\n    min_rows: 1000\n    threshold: 0.1", "window: 100 rows\n    min_rows: 50\n    threshold: 0.1"))
    run(drift, model="sea", again=True)
    found = history(drift, "sea")
    assert found["flagged_windows"] > 20
    assert found["fewest_rows"] == 100


@pytest.mark.usefixtures("lab")
def test_the_last_drift_is_kept_beside_the_last_window(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, tuple[report.Found, report.Found | None]] = {}
    monkeypatch.setattr(report, "keep_all", lambda name, last, drifted: kept.update({name: (last, drifted)}))
    run(drift, no_report=False)
    for model in ("flight-delay", "sea"):
        windows = [(window["start"], window["verdict"]) for window in history(drift, model)["windows"]]
        drifted = [start for start, verdict in windows if verdict == "drift"]
        found = [one and one.judged.window.start.strftime("%Y-%m-%d") for one in kept[model]]
        assert found == [windows[-1][0], drifted[-1] if drifted else None]
    assert kept["sea"][1] is None


@pytest.mark.usefixtures("lab")
def test_performance_of_the_spring() -> None:
    run(perf)
    found = history(perf)
    ratios = {window["start"][5:]: round(window["calibration_ratio"], 2) for window in found["windows"]}
    assert ratios == pytest.approx(
        {"03-19": 1.23, "03-26": 0.77, "04-02": 1.04, "04-09": 1.74, "04-16": 2.35, "04-23": 2.39, "04-30": 1.12, "05-07": 1.51, "05-14": 1.46, "05-21": 1.85},
        abs=0.02,
    )
    assert {window["start"][5:] for window in found["windows"] if window["degraded"]} == {"04-09", "04-16", "04-23", "05-07", "05-21"}
    assert [window["consecutive"] for window in found["windows"]] == [0, 0, 0, 1, 2, 3, 0, 1, 0, 1]
    assert found["lowest_coverage"] == 1.0
    assert found["worst"]["calibration_ratio"]["difference"] < 1e-9
    assert found["worst"]["auc"]["difference"] < 1e-9


@pytest.mark.usefixtures("lab")
def test_performance_of_sea() -> None:
    run(perf)
    errors = [window["error_rate"] for window in history(perf, "sea")["windows"]]
    assert len(errors) == 20
    assert all(abs(error - 0.1) <= 0.03 for error in errors[:9])
    assert all(abs(error - 0.205) <= 0.04 for error in errors[10:])
    assert [window["consecutive"] for window in history(perf, "sea")["windows"]][:12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]


def test_cancelled_flights_that_count_as_on_time(lab: Callable[..., None]) -> None:
    lab(PERF_CONFIG=PERF.replace("l.label,", "coalesce(l.label, 0) AS label,"))
    run(perf)
    assert history(perf)["worst"]["calibration_ratio"]["difference"] > 0.05


def test_an_inner_join_hides_what_is_missing(lab: Callable[..., None]) -> None:
    with store.connected() as connection:
        store.run(connection, "DELETE FROM labels WHERE released_at >= '2013-05-10'")
    run(perf)
    found = history(perf)["windows"]
    assert found[7]["coverage"] < 0.7
    assert found[9]["coverage"] == 0
    assert found[9]["degraded"] is None
    assert found[9]["consecutive"] == found[6]["consecutive"]
    lab(PERF_CONFIG=PERF.replace("LEFT JOIN", "JOIN"))
    run(perf, again=True)
    assert history(perf)["windows"][7]["coverage"] == 1.0


@pytest.mark.parametrize(
    ("query", "words"),
    [("DELETE FROM labels", "read-only"), ("SELECT 1 AS score", "no column label"), ("SELECT nothing", "does not exist")],
)
def test_a_query_that_does_not_do(lab: Callable[..., None], query: str, words: str) -> None:
    from labtools.errors import ToolError

    lab(PERF_CONFIG=PERF.replace(JOIN, query))
    with pytest.raises(ToolError, match=words):
        run(perf)


@pytest.mark.usefixtures("lab")
def test_windows_judged_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "push", lambda *_: None)
    window = {"model": "flight-delay", "start": "2013-04-09", "end": "2013-04-16", "rows": 10, "known": 9, "labelled": 8, "calibration_ratio": 1.7}
    windows = [window | {"degraded": True}, window | {"start": "2013-04-16", "end": "2013-04-23", "degraded": True, "auc": None}]
    (tmp_path / "windows.json").write_text(json.dumps(windows))
    perf.run(Namespace(command="push", file=str(tmp_path / "windows.json"), no_hold=True))
    assert [window["consecutive"] for window in history(perf)["windows"]] == [1, 2]
    assert history(perf)["windows"][0]["coverage"] == 0.9


def fixtures(name: str) -> dict[str, Any]:
    return dict(calibrate.fixtures("flight-delay", [name]).data[name])


def test_the_solution_is_quiet_and_awake(lab: Callable[..., None]) -> None:
    quiet = fixtures("quiet")
    assert quiet["windows_alarmed"] == 0
    assert all(case["agree"] for case in fixtures("shifted")["cases"])
    assert fixtures("small")["cases"][0]["found"] == "insufficient"
    for floor in ("sd: 3", "quantile: 1.0", "sd: 4"):
        lab(DRIFT_CONFIG=DRIFT.replace("sd: 3", floor))
        assert fixtures("quiet")["windows_alarmed"] == 0
        assert all(case["agree"] for case in fixtures("shifted")["cases"]), floor


@pytest.mark.parametrize(
    ("config", "bad"),
    [
        (AS_FOUND, "quiet"),
        (AS_FOUND, "small"),
        (DRIFT.replace("group: {dest: 20}", "group: {}").replace("{floor: 0.1, sd: 3}", "0.06"), "quiet"),
        (DRIFT.replace("{floor: 0.1, sd: 3}", "10"), "shifted"),
        (DRIFT.replace("wasserstein", "ks").replace("{floor: 0.1, sd: 3}", "0.05"), "quiet"),
        (DRIFT.replace("window: 7d\n    min_rows: 1000", "window: 100 rows\n    min_rows: 50", 1), "quiet"),
        (DRIFT.replace("window: 7d\n    min_rows: 1000", "window: 100 rows\n    min_rows: 50", 1), "small"),
    ],
)
def test_what_goes_wrong(lab: Callable[..., None], config: str, bad: str) -> None:
    lab(DRIFT_CONFIG=config)
    assert not all(case["agree"] for case in fixtures(bad)["cases"])


def test_one_threshold_for_all_flags_every_week(lab: Callable[..., None]) -> None:
    lab(DRIFT_CONFIG=DRIFT.replace("{floor: 0.1, sd: 3}", "0.1"))
    assert fixtures("quiet")["windows_alarmed"] <= 2
    run(drift, model="flight-delay")
    found = history(drift)
    assert found["flagged_windows"] == found["n"]
    assert found["features"]["temp"]["first_flagged"] == "2013-03-19"


def test_a_reference_that_slides_chases_the_season(lab: Callable[..., None]) -> None:
    lab(DRIFT_CONFIG=DRIFT.replace("{from: 2013-01-01, until: 2013-03-16}", "{last_days: 7}").replace("{floor: 0.1, sd: 3}", "1.9"))
    run(drift, model="flight-delay")
    # A week is compared with the week before: the leap of one week is flagged, the season that stays is not.
    assert history(drift)["features"]["temp"]["flagged"] == ["2013-03-26"]


@pytest.mark.usefixtures("lab")
def test_the_floor_of_noise() -> None:
    found = {line["feature"]: line for line in calibrate.noise("flight-delay").data["features"]}
    assert found["temp"]["weeks_max"] == pytest.approx(1.61, abs=0.02)
    assert found["temp"]["mean_plus_3sd"] == pytest.approx(1.87, abs=0.02)
    assert found["hour"]["chance_p95"] < 0.06
    assert found["dest"]["chance_p95"] < 0.05


def test_rare_levels_make_noise(lab: Callable[..., None]) -> None:
    lab(DRIFT_CONFIG=DRIFT.replace("group: {dest: 20}", "group: {}"))
    found = {line["feature"]: line for line in calibrate.noise("flight-delay").data["features"]}
    assert found["dest"]["chance_p95"] == pytest.approx(0.085, abs=0.015)


def test_the_training_data_is_what_it_was(seed: Path) -> None:
    for model in ("flight-delay", "sea"):
        sample = samples.from_parquet((seed / f"buckets/data/reference/{model}.parquet").read_bytes())
        assert samples.fingerprint(sample) == samples.recorded(model)["fingerprint"]
        assert float(sample.columns["score"].mean()) == pytest.approx(samples.recorded(model)["mean_score"], abs=0.0002)


@pytest.mark.usefixtures("lab")
def test_distances_are_evidently_s() -> None:
    from monitoring import distances, drift_config

    reference = samples.training("flight-delay")
    with store.connected() as connection:
        current = samples.logged(connection, "flight-delay", datetime(2013, 4, 9), datetime(2013, 4, 16))
    for numeric, categorical in (("wasserstein", "jensenshannon"), ("psi", "psi"), ("jensenshannon", "psi"), ("ks", "jensenshannon")):
        text = DRIFT.replace("numeric: wasserstein", f"numeric: {numeric}").replace("categorical: jensenshannon", f"categorical: {categorical}")
        model = drift_config.parse(text)["flight-delay"]
        found = report.snapshot(reference, current, model, dict.fromkeys(reference.columns, 0.1)).dict()["metrics"]
        assert len(found) == 14
        for metric in found:
            name, method = metric["config"]["column"], metric["config"]["method"]
            ours = distances.distance(method, *samples.grouped(reference, current, name, model.group.get(name)))
            assert ours == pytest.approx(float(metric["value"]), rel=1e-9, abs=1e-12), (name, method)


LAB = Path(__file__).parents[4] / "labs" / "drift-monitor"


def data_of(path: str) -> str:
    document = yaml.safe_load((LAB / path).read_text())
    return str(next(iter(document["data"].values())))


@pytest.mark.parametrize("path", ["solutions/drift-config-sea.yaml", "alternatives/drift-config-psi.yaml", "alternatives/drift-config-rows.yaml"])
def test_configurations_of_the_lab(lab: Callable[..., None], path: str) -> None:
    lab(DRIFT_CONFIG=data_of(path))
    assert fixtures("quiet")["windows_alarmed"] <= 1
    assert all(case["agree"] for case in fixtures("shifted")["cases"])
    assert fixtures("small")["cases"][0]["agree"]
    run(drift, model="flight-delay", again=True)
    assert history(drift)["fewest_rows"] >= 1000


@pytest.mark.parametrize(
    ("path", "first"),
    [("near-misses/drift-config-one-threshold.yaml", "2013-03-19"), ("near-misses/drift-config-last-week.yaml", "2013-03-26")],
)
def test_configurations_that_do_not_do(lab: Callable[..., None], path: str, first: str) -> None:
    lab(DRIFT_CONFIG=data_of(path))
    run(drift, model="flight-delay", again=True)
    assert history(drift)["features"]["temp"]["first_flagged"] == first


def test_the_brier_score_of_sea(lab: Callable[..., None]) -> None:
    lab(PERF_CONFIG=data_of("alternatives/perf-config-brier.yaml"))
    run(perf, model="sea")
    windows = history(perf, "sea")["windows"]
    assert [window["degraded"] for window in windows] == [False] * 9 + [True] * 11
    assert max(window["brier"] for window in windows[:9]) < 0.127
    assert min(window["brier"] for window in windows[10:]) > 0.135


@pytest.mark.usefixtures("lab")
def test_a_query_of_one_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "push", lambda *_: None)
    (tmp_path / "perf.sql").write_text(data_of("alternatives/perf-query.yaml"))
    command = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--file", str(tmp_path / "perf.sql")]
    (tmp_path / "windows.json").write_text(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    perf.run(Namespace(command="push", file=str(tmp_path / "windows.json"), no_hold=True))
    found = history(perf)
    assert found["n"] == 10
    assert found["worst"]["calibration_ratio"]["difference"] < 1e-6
    assert found["worst"]["auc"]["difference"] < 1e-6
    assert [window["consecutive"] for window in found["windows"]] == [0, 0, 0, 1, 2, 3, 0, 1, 0, 1]
