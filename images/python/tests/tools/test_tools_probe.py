"""`probe`, `can-i` and `score`: what a client sees, what an account may do, and whether the scores are the model's."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd
import pytest
from labtools import calibrate, can_i, predictor, probe, promote, registry, rows, score, traffic, web
from miniature import Lab, Run
from sklearn.linear_model import LogisticRegression

PROBE = [sys.executable, "-m", "labtools.probe", "--rps", "20", "--json"]


def call(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run([*PROBE, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


def test_probe_keeps_its_rate(lab: Lab, run: Run) -> None:
    begin = time.monotonic()
    code, answer = run(probe.main, "--rps", "50", "--seconds", "1")
    assert 0.9 < time.monotonic() - begin < 3
    assert (code, answer["n"], answer["failed"], answer["first_error"], answer["versions"]) == (0, 50, 0, None, {"2": 50})
    assert 0 < answer["p50_ms"] <= answer["p95_ms"]
    mix = rows.Mix("march")
    # Requests that go out at the same time may arrive in any order.
    assert sorted(columns["dest"] for columns in lab.server.seen) == sorted(mix.row(number)["dest"] for number in range(50))


def test_probe_counts_to_n_and_passes_headers_on(lab: Lab, run: Run) -> None:
    code, answer = run(probe.main, "--n", "60", "--header", "x-canary=always", "--rows", "mixed-carriers")
    assert (code, answer["n"], answer["failed"]) == (0, 60, 0)
    assert {headers["x-canary"] for headers in lab.server.headers} == {"always"}
    new = sum(columns["carrier"] == [rows.NEW_CARRIER] for columns in lab.server.seen)
    assert 15 < new < 45


def test_probe_gives_up_on_a_version_that_never_answers(lab: Lab, run: Run) -> None:
    code, answer = run(probe.main, "--n", "200", "--wanted", "4")
    assert (code, answer["failed"], list(answer["versions"])) == (0, 0, ["2"])
    assert traffic.WITHOUT <= answer["n"] <= traffic.WITHOUT + 2 * traffic.CLIENTS
    first = iter(["4"])
    lab.server.serving = lambda: next(first, "2")
    code, answer = run(probe.main, "--n", "200", "--wanted", "4")
    assert (code, answer["versions"]) == (0, {"2": 199, "4": 1})


def test_the_mixes_have_their_share_of_the_new_carrier(monkeypatch: pytest.MonkeyPatch, images: Path) -> None:
    monkeypatch.setattr(rows, "MARCH", images / "python" / "labtools" / "fixtures" / "march" / "flights.json")
    rows.march.cache_clear()
    for name, share in rows.MIXES.items():
        mix = rows.Mix(name)
        found = [mix.row(number)["carrier"] == [rows.NEW_CARRIER] for number in range(mix.count)]
        assert sum(found) == round(share * mix.count)
        # A gateway that balances in turns gives every tenth row to one server.
        assert all(any(found[first::10]) and not all(found[first::10]) for first in range(10))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("", "say how many requests"),
        ("--seconds 1", "say how many requests"),
        ("--rps 0", "must be a positive number"),
        ("--rps x", "invalid positive value"),
        ("--rps 20 --n -5", "must be a whole number, at least 1"),
        ("--n 0", "must be a whole number, at least 1"),
        ("--n 1.5", "invalid count value"),
        ("--n 5 --header x", "must be NAME=VALUE"),
        ("--n 5 -- true", "with COMMAND it needs --rps"),
        ("--rps 5 --wanted 4 -- true", "use one of them"),
    ],
)
def test_probe_says_what_is_wrong_with_a_call(call: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        probe.main(call.split())
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.usefixtures("lab")
def test_probe_goes_on_after_a_command(run: Run) -> None:
    code, answer = run(probe.main, "--rps", "20", "--during", "sh -c 'sleep 0.5'", "--after", "0.5")
    assert code == 0
    assert 17 <= answer["n"] <= 26


def test_calibrate_never_asks_for_more(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "REQUESTS", 100)
    for usual, expected in ((1e9, 1.0), (1e-9, calibrate.MOST)):
        monkeypatch.setattr(calibrate, "USUAL_SECONDS", usual)
        assert run(probe.main, "calibrate")[1] == {"factor": expected}


def test_probe_counts_failures(lab: Lab, run: Run) -> None:
    lab.server.serving = lambda: None
    code, answer = run(probe.main, "--rps", "20", "--seconds", "0.5")
    assert (code, answer["n"], answer["failed"], answer["versions"], answer["p50_ms"]) == (0, 10, 10, {}, None)
    assert answer["first_error"].startswith("0.0 s after the start (")
    assert answer["first_error"].endswith("UTC): predictor answered HTTP 503: no model is loaded")
    assert (answer["first"]["code"], answer["first"]["body"], answer["codes"]) == (503, "no model is loaded", {"503": 10})


def test_probe_is_open_loop(lab: Lab, run: Run) -> None:
    """A server that stands still does not slow the probe down."""

    def slow() -> str:
        time.sleep(0.1)
        return "2"

    lab.server.serving = slow
    _, answer = run(probe.main, "--rps", "20", "--seconds", "1")
    assert answer["n"] == 20
    # The server takes one request at a time, so the wait adds up.
    assert answer["p95_ms"] > 500


def test_probe_watches_a_drill(lab: Lab) -> None:
    before = dict(lab.mlflow.aliases)
    code, answer = call("--", sys.executable, "-m", "labtools.registry", "drill")
    assert (code, answer["failed"], answer["command"]["exit"]) == (0, 0, 0)
    assert answer["seconds_to_old_version"] == answer["command"]["json"]["seconds_to_old_version"]
    assert set(answer["versions"]) == {"2", "3"}
    assert lab.mlflow.aliases == before


@pytest.mark.usefixtures("lab")
def test_probe_reports_a_command_that_fails() -> None:
    code, answer = call("--", "sh", "-c", "echo no JSON; exit 3")
    assert code == 1
    assert (answer["command"]["exit"], answer["command"]["json"], answer["seconds_to_old_version"]) == (3, None, None)
    assert call("--", "/nope") == (1, {"error": "/nope: No such file or directory"})


@pytest.mark.usefixtures("lab")
def test_probe_lets_an_interrupted_command_clean_up(tmp_path: Path) -> None:
    script = f"trap 'sleep 0.3; touch {tmp_path}/clean; exit 5' TERM; touch {tmp_path}/started; while :; do sleep 0.05; done"
    with subprocess.Popen([*PROBE, "--", "sh", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 10
        while not (tmp_path / "started").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        stdout, _ = process.communicate(timeout=20)
    assert json.loads(stdout)["command"]["exit"] == 5
    assert (tmp_path / "clean").exists()


@pytest.mark.usefixtures("lab")
def test_probe_ends_a_command_in_time() -> None:
    begin = time.monotonic()
    code, answer = call("--seconds", "0.5", "--", "sleep", "60")
    assert (code, answer["command"]["exit"]) == (1, -signal.SIGTERM)
    assert time.monotonic() - begin < 5


@pytest.mark.usefixtures("lab")
def test_can_i(run: Run) -> None:
    code, answer = run(can_i.main, "--sa", "promoter")
    assert (code, answer["sa"], answer["agree"], len(answer["cases"])) == (0, "promoter", True, len(can_i.TABLES["promoter"]))
    first = {"verb": "get", "resource": "deployments", "name": "predictor", "found": "yes", "expected": "yes", "words": "it reads what it is about to patch"}
    assert answer["cases"][0] == first


def test_can_i_finds_too_much(lab: Lab, run: Run) -> None:
    lab.change(allowed=[["get", "deployments", "predictor"], ["patch", "deployments", "predictor"], ["get", "secrets", ""], ["patch", "deployments", ""]])
    _, answer = run(can_i.main, "--sa", "promoter")
    wrong = [(case["verb"], case["resource"], case["name"]) for case in answer["cases"] if case["found"] != case["expected"]]
    assert (answer["agree"], wrong) == (False, [("patch", "deployments", ""), ("get", "secrets", "")])


@pytest.mark.parametrize(
    ("account", "right"),
    [
        ("trigger", ["patch", "cronjobs", "retrain"]),
        ("trigger", ["create", "pods/exec", ""]),
        ("trigger", ["create", "rolebindings", ""]),
        ("trigger", ["create", "serviceaccounts/token", ""]),
        ("rollback", ["patch", "configmaps", "canary-gate"]),
        ("rollback", ["create", "jobs", ""]),
        ("rollback", ["patch", "deployments", ""]),
    ],
)
def test_can_i_knows_what_is_too_much(lab: Lab, run: Run, account: str, right: list[str]) -> None:
    needed = [[case.verb, case.resource, case.name] for case in can_i.TABLES[account] if case.expected]
    lab.change(allowed=needed)
    assert run(can_i.main, "--sa", account)[1]["agree"]
    resource, _, subresource = right[1].partition("/")
    # The stand-in for the API server does not know subresources apart.
    lab.change(allowed=[*needed, [right[0], resource, right[2]]])
    wrong = [[case["verb"], case["resource"], case["name"]] for case in run(can_i.main, "--sa", account)[1]["cases"] if case["found"] != case["expected"]]
    assert right in wrong
    assert subresource or wrong == [right]


def test_can_i_asks_for_the_account_and_its_groups() -> None:
    asked = can_i.review("promoter", "lab", can_i.TABLES["promoter"][0])
    assert asked["spec"]["user"] == "system:serviceaccount:lab:promoter"
    assert asked["spec"]["groups"] == ["system:serviceaccounts", "system:serviceaccounts:lab", "system:authenticated"]
    assert asked["spec"]["resourceAttributes"]["namespace"] == "lab"
    inside = can_i.review("promoter", "lab", can_i.Case("create", "", "pods/exec", "", False, ""))["spec"]["resourceAttributes"]
    assert (inside["resource"], inside["subresource"]) == ("pods", "exec")


class Scores:
    """A lab whose version 2 is a real model, scored online as a model server does."""

    def __init__(self, lab: Lab, flights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from lab import data

        monkeypatch.setattr(data.load, "__defaults__", (flights,))
        columns = ["hour", "distance", "temp"]
        frame = data.load("2013-01-01", "2013-01-31").dropna(subset=[*columns, "late"]).astype(dict.fromkeys(columns, "float64"))
        self.model = LogisticRegression(max_iter=500).fit(frame[columns], frame["late"].astype("int64"))
        lab.mlflow.models["m-winter-lr"] = cloudpickle.dumps(self.model)
        lab.server.score = self.score

    def score(self, columns: dict[str, list[float]]) -> list[float]:
        frame = pd.DataFrame(columns)[list(self.model.feature_names_in_)]
        return self.model.predict_proba(frame)[:, 1].tolist()


@pytest.fixture(autouse=True)
def own_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `score` keeps is of this test only."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def scores(lab: Lab, flights: Path, monkeypatch: pytest.MonkeyPatch) -> Scores:
    return Scores(lab, flights, monkeypatch)


@pytest.mark.usefixtures("scores")
def test_score_agrees(lab: Lab, run: Run) -> None:
    code, answer = run(score.main, "--compare", "--rows", "50")
    assert (code, answer["version"], answer["rows"]) == (0, "2", 50)
    assert answer["max_abs_diff"] <= 1e-12
    assert len(lab.server.seen[-1]["hour"]) == 50


def test_score_tells_where_it_differs(lab: Lab, scores: Scores, run: Run) -> None:
    def celsius(columns: dict[str, list[float]]) -> list[float]:
        return scores.score({**columns, "temp": [(value - 32) / 1.8 for value in columns["temp"]]})

    lab.server.score = celsius
    code, answer = run(score.main, "--compare")
    assert code == 0
    assert answer["max_abs_diff"] == pytest.approx(abs(answer["found"] - answer["expected"]))
    assert answer["max_abs_diff"] > 0.001
    assert 0 <= answer["row"] < 50


@pytest.mark.usefixtures("scores")
def test_what_was_scored_offline_is_kept(lab: Lab, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(score.main, "--compare")
    monkeypatch.setattr(score, "load", lambda *_: pytest.fail("the same bytes were loaded again"))
    assert run(score.main, "--compare") == first
    # A server that answers something else is seen all the same.
    lab.server.score = lambda columns: [0.5] * len(columns["hour"])
    assert run(score.main, "--compare")[1]["max_abs_diff"] > 0.1
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / score.KEPT).write_text('["rubbish"]')
    assert score.recall() is None


@pytest.mark.usefixtures("scores")
def test_other_bytes_are_scored_anew(lab: Lab, run: Run) -> None:
    run(score.main, "--compare")
    lab.mlflow.models["m-winter-lr"] = b"damaged"
    assert "model.pkl of version 2 can't be loaded" in run(score.main, "--compare")[1]["error"]


@pytest.mark.usefixtures("scores")
def test_score_refuses_mixed_versions(lab: Lab, run: Run) -> None:
    answers = iter(["2", "1"])
    lab.server.serving = lambda: next(answers)
    assert run(score.main, "--compare") == (1, {"error": "predictor answered as version 2, then as 1: several versions serve"})
    lab.server.serving = lambda: None
    assert run(score.main, "--compare") == (1, {"error": "predictor answered HTTP 503: no model is loaded"})


@pytest.mark.usefixtures("scores", "lab")
@pytest.mark.parametrize(("silent", "code"), [([0], 0), ([0, 2], 0), ([0, 1], 1)])
def test_score_asks_once_more_where_no_answer_comes(run: Run, monkeypatch: pytest.MonkeyPatch, silent: list[int], code: int) -> None:
    """Right after a rollout a connection may go to a pod that has ended. `silent` are the requests to the server, from 0, without an answer."""
    asked = predictor.ask
    turns = itertools.count()

    def ask(*arguments: Any) -> predictor.Prediction:
        if next(turns) in silent:
            raise web.UnreachableError("http://predictor:8080 does not answer: no answer in 4 s")
        return asked(*arguments)

    monkeypatch.setattr(predictor, "ask", ask)
    found, answer = run(score.main, "--compare")
    assert found == code
    assert answer.get("error") == (None if code == 0 else "http://predictor:8080 does not answer: no answer in 4 s")


def test_score_of_a_damaged_model(lab: Lab, run: Run) -> None:
    code, answer = run(score.main, "--compare")
    assert code == 1
    assert answer["error"].startswith("model.pkl of version 2 can't be loaded: UnpicklingError: ")
    assert lab.mlflow.models["m-winter-lr"] == b"winter-lr"


def test_the_bundled_rows_are_flights(flights: Path) -> None:
    from lab import contract, data

    assert list(rows.FLIGHTS) == [*contract.CATEGORICAL, *contract.NUMERIC]
    april = data.load("2013-04-01", "2013-04-30", flights).round(6)
    known = set(april[list(rows.FLIGHTS)].itertuples(index=False, name=None))
    assert set(zip(*rows.FLIGHTS.values(), strict=True)) <= known


@pytest.mark.usefixtures("lab")
def test_wait_for_gives_up_with_what_it_saw() -> None:
    with pytest.raises(Exception, match=r"predictor answers as version 2 after 0\.1 s, expected 3"):
        predictor.wait_for("3", 0.1)


@pytest.mark.parametrize("module", [registry, promote, can_i, probe])
def test_commands_start_quickly(module: object) -> None:
    """What takes long to import is imported where it is used."""
    name = module.__name__
    heavy = ("mlflow", "pandas", "sklearn", "boto3", "numpy", "requests", "urllib3")
    code = f"import sys, {name}; print([name for name in {heavy} if name in sys.modules])"
    environment = os.environ | {"PYTHONPATH": str(Path(registry.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"
