"""`rules`: recorded cases judged by promtool itself, ConfigMaps brought into force, records watched under load."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import programs
import pytest
from labtools import cases, promtool, reload, rows, rules
from labtools.errors import ToolError
from labtools.promtool import Query, Sample, Series
from miniature import Run
from servers import ModelServer, RefusalError, serve

HERE = Path(__file__).parent
needs_promtool = pytest.mark.usefixtures("promtool_here")


@pytest.fixture
def promtool_here() -> None:
    programs.need("promtool")


GOOD = """
groups:
  - name: demo
    rules:
      - {record: "model:requests:rate1m", expr: "sum by (version) (rate(predictions_total[1m]))"}
      - alert: FeatureDrift
        expr: model_drift_consecutive_windows >= 2
        labels: {severity: ticket}
      - alert: DriftJobStale
        expr: time() - model_drift_last_run_timestamp_seconds > 600 or absent(model_drift_last_run_timestamp_seconds)
        labels: {severity: page}
"""
BAD = GOOD.replace("(rate(predictions_total[1m]))", "((rate(predictions_total[1m]))")


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "FIXTURES", HERE / "cases")
    monkeypatch.setattr(rows, "MARCH", HERE.parents[1] / "labtools" / "fixtures" / "march" / "flights.json")


def test_answers_of_promtool_are_read() -> None:
    text = r'{__name__="a", p="x\"y, {z} ", q="\u00e9"} 1.6E+00, {} +Inf, {version="3"} NaN'
    found = promtool.samples(text)
    assert found[:2] == [Sample({"__name__": "a", "p": 'x"y, {z} ', "q": "é"}, 1.6), Sample({}, float("inf"))]
    assert (found[2].labels, found[2].value != found[2].value) == ({"version": "3"}, True)
    assert promtool.samples("nil") == []


@needs_promtool
def test_queries_are_evaluated_on_series() -> None:
    series = [Series('predictions_total{version="3"}', "0+8x60")]
    queries = [Query("5m", "model:requests:rate1m"), Query("1m", "nothing"), Query("2m", "scalar(predictions_total) / 0"), Query("1m", "time()")]
    found = promtool.evaluate({"a.yaml": GOOD}, series, queries)
    assert found[0] == [Sample({"__name__": "model:requests:rate1m", "version": "3"}, 1.6)]
    assert [[sample.value for sample in samples] for samples in found[1:]] == [[], [float("inf")], [60.0]]
    assert promtool.evaluate({}, series, [Query("1m", "count(predictions_total)")]) == [[Sample({}, 1.0)]]


@needs_promtool
@pytest.mark.parametrize(
    ("files", "series", "query", "words"),
    [
        ({"mine/a.yaml": BAD}, [], "up", r'mine/a.yaml: .*group "demo", rule 1, "model:requests:rate1m": could not parse expression.*unclosed left paren'),
        ({}, [Series("up{", "1x5")], "up", "unexpected"),
        ({}, [], "sum(", "parse error"),
    ],
)
def test_a_refusal_has_the_words_of_prometheus(files: dict[str, str], series: list[Series], query: str, words: str) -> None:
    with pytest.raises(promtool.RefusedError, match=words):
        promtool.evaluate(files, series, [Query("1m", query)])


@needs_promtool
def test_rules_that_agree(tmp_path: Path, run: Run) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    code, answer = run(rules.main, "test", "--fixtures", "demo", "--file", str(tmp_path / "mine.yaml"))
    assert (code, answer["agree"]) == (0, True)
    assert [(case["name"], case["found"], case["expected"]) for case in answer["cases"]] == [
        ("counter-reset", "version 3: 1.6, version 4: no value or 0", "version 3: 1.6, version 4: no value or 0"),
        ("two windows", "silent", "silent"),
        ("two windows", "FeatureDrift{feature=temp}", "FeatureDrift{feature=temp}"),
        ("two windows", "DriftJobStale", "DriftJobStale"),
    ]
    assert answer["cases"][3]["words"] == "the last run is half an hour old"


@needs_promtool
@pytest.mark.parametrize(
    ("old", "new", "case", "found"),
    [
        ("sum by (version) (rate(predictions_total[1m]))", "rate(sum by (version) (predictions_total)[1m:5s]) / 2", 0, "version 3: 0.8, version 4: 0"),
        ("sum by (version) ", "sum ", 0, "without version: 1.6, version 3: no value, version 4: no value"),
        ("model:requests:rate1m", "requests", 0, "version 3: no value, version 4: no value"),
        (">= 2", ">= 1", 1, "FeatureDrift{feature=temp}"),
        ("severity: ticket", "severity: page", 2, "silent"),
        ("> 600 or", "> 6000 or", 3, "silent"),
    ],
)
def test_rules_that_do_not(tmp_path: Path, run: Run, old: str, new: str, case: int, found: str) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD.replace(old, new))
    code, answer = run(rules.main, "test", "--fixtures", "demo", "--file", str(tmp_path / "mine.yaml"))
    assert (code, answer["agree"], answer["cases"][case]["agree"]) == (0, False, False)
    assert answer["cases"][case]["found"] == found


@pytest.mark.parametrize(
    ("values", "accepted", "agree"),
    [
        ([1.61], [1.6], True),
        ([1.63], [1.6], False),
        ([], [1.6], False),
        ([], [None, 0], True),
        ([0.0], [0], True),
        ([1e-6], [0], False),
        ([float("nan")], [0], False),
        ([float("nan")], [float("nan")], True),
        ([1.6, 1.6], [1.6], False),
    ],
)
def test_tolerance(values: list[float], accepted: list[float | None], agree: bool) -> None:
    assert cases.matches(values, accepted, 0.01) is agree


@needs_promtool
def test_a_set_without_cases_is_an_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("groups: []")
    code, answer = run(rules.main, "test", "--fixtures", "none", "--file", str(tmp_path / "a.yaml"))
    assert (code, answer) == (1, {"error": "there are no recorded cases 'none'"})


class Monitoring:
    """Prometheus and Alertmanager. What the ConfigMaps say reaches the container when a pod is annotated."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "cluster.json"
        self.container: dict[str, Any] = {}
        self.loaded: dict[str, Any] = {}
        self.refusal = ""
        self.reloads: list[str] = []
        self.series: list[dict[str, Any]] = []
        volumes = [{"name": name, "configMap": {"name": name, "optional": True}} for name in ("prometheus-config", "rules-drift", "rules-perf")]
        self.deployments = {"prometheus": {"spec": {"template": {"spec": {"volumes": volumes}}}}, "alertmanager": {}}
        self.maps: dict[str, dict[str, str]] = {}

    def write(self) -> None:
        items = {name: {"metadata": {"name": name, "labels": {}}, "data": data} for name, data in self.maps.items()}
        self.file.write_text(json.dumps({"deployment": self.deployments, "configmap": items, "configmaps": items, "annotated": 0}))

    def handle(self, method: str, path: str, query: dict[str, str], _body: dict[str, Any]) -> Any:
        server, path = ("alertmanager", path.removeprefix("/alertmanager")) if path.startswith("/alertmanager") else ("prometheus", path)
        state = json.loads(self.file.read_text())
        if state["annotated"]:
            self.container = {name: item["data"] for name, item in state["configmaps"].items()}
        name = path.removeprefix("/user/rules/")
        if name != path:
            folder, key = name.split("/")
            if not key:
                return "".join(f'<a href="{found}">{found}</a>\n' for found in ("..data/", *self.container.get(folder, {}))).encode()
            text = self.container.get(folder, {}).get(key)
            if text is None:
                raise RefusalError(404, "", "no such file")
            return text.encode()
        if (method, path) == ("POST", "/-/reload"):
            if self.refusal:
                raise RefusalError(500, "", self.refusal)
            self.loaded = dict(self.container)
            self.reloads.append(server)
            return b""
        if path == "/metrics":
            text = self.loaded.get("alertmanager-config", {}).get("alertmanager.yml", "")
            return f"# TYPE alertmanager_config_hash gauge\nalertmanager_config_hash {reload.fingerprint(text)!r}\n".encode()
        if path == "/api/v1/rules":
            return {"status": "success", "data": {"groups": self.groups()}}
        assert path == "/api/v1/query"
        stamp = query["query"].startswith("timestamp(")
        result = [{"metric": item["labels"], "value": [time.time(), str(item["at"] if stamp else item["value"])]} for item in self.series]
        return {"status": "success", "data": {"resultType": "vector", "result": result}}

    def groups(self) -> list[dict[str, Any]]:
        found: dict[tuple[str, str], list[dict[str, str]]] = {}
        for name, data in self.loaded.items():
            for key, text in data.items() if name.startswith("rules-") else ():
                for group, rule in sorted(reload.named(text)):
                    found.setdefault((f"/etc/prometheus/rules/{name}/{key}", group), []).append({"name": rule})
        return [{"file": file, "name": group, "rules": names} for (file, group), names in found.items()]


KUBECTL = """
import json, os, sys
path = os.environ["FAKE_CLUSTER"]
state = json.load(open(path))
if sys.argv[1] == "get" and any(argument.startswith("--selector") for argument in sys.argv):
    print(json.dumps({"items": list(state[sys.argv[2]].values())}))
elif sys.argv[1] == "get":
    found = state[sys.argv[2]].get(sys.argv[3])
    print(json.dumps(found) if found is not None else "")
else:
    state["annotated"] += 1
    json.dump(state, open(path, "w"))
"""


@pytest.fixture
def monitoring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    app = Monitoring(tmp_path)
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f"#!{sys.executable} -IS\n{KUBECTL}")
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("FAKE_CLUSTER", str(app.file))
    monkeypatch.setattr(reload, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(promtool, "check", lambda _files: None)
    with serve(app) as url:
        monkeypatch.setenv("PROMETHEUS_URL", url)
        monkeypatch.setenv("ALERTMANAGER_URL", f"{url}/alertmanager")
        yield app


def test_load_waits_until_the_rules_are_in_force(monitoring: Monitoring, run: Run) -> None:
    monitoring.maps = {
        "rules-drift": {"drift.yaml": GOOD, "more.yml": "groups: []"},
        "rules-other": {"x": ""},
        "alertmanager-config": {"alertmanager.yml": "route:"},
    }
    monitoring.write()
    code, answer = run(rules.main, "load")
    assert (code, answer) == (0, {"rules": {"rules-drift/drift.yaml": 3, "rules-drift/more.yml": 0}, "routes": True})
    assert json.loads(monitoring.file.read_text())["annotated"] == 1
    # An alert of the new rules needs its route, and one that comes while Alertmanager reloads is lost for a while.
    assert monitoring.reloads == ["alertmanager", "prometheus"]
    assert run(rules.main, "load") == (code, answer)
    assert monitoring.reloads[2:] == ["prometheus"]


def test_load_waits_until_what_was_deleted_is_gone(monitoring: Monitoring, run: Run) -> None:
    monitoring.container = monitoring.loaded = {"rules-drift": {"drift.yaml": BAD}}
    monitoring.write()
    code, answer = run(rules.main, "load")
    assert (code, answer, monitoring.loaded) == (0, {"rules": {}, "routes": False}, {})


def test_load_says_why_it_was_refused(monitoring: Monitoring, run: Run) -> None:
    monitoring.maps = {"rules-drift": {"drift.yaml": GOOD}}
    monitoring.refusal = "failed to reload config"
    monitoring.write()
    code, answer = run(rules.main, "load")
    assert code == 1
    assert "Prometheus refuses the reload (HTTP 500)" in answer["error"]
    assert "failed to reload config" in answer["error"]


def test_routes_that_are_refused(monitoring: Monitoring, monkeypatch: pytest.MonkeyPatch) -> None:
    monitoring.maps = {"alertmanager-config": {"alertmanager.yml": "route:"}}
    monitoring.refusal = "undefined receiver"
    monitoring.write()
    monkeypatch.setattr(reload.Refusals, "PATIENCE", 0.05)
    with pytest.raises(ToolError, match=r"Alertmanager refuses ConfigMap alertmanager-config: .*undefined receiver"):
        reload.load_routes(5)


def test_a_key_that_nobody_reads_is_an_error(monitoring: Monitoring, run: Run) -> None:
    monitoring.maps = {"rules-drift": {"rules": GOOD}}
    monitoring.write()
    assert "only keys that end in .yaml or .yml, so not rules" in run(rules.main, "load")[1]["error"]


def test_the_time_to_wait_is_limited(monitoring: Monitoring, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monitoring.maps = {"rules-drift": {"drift.yaml": GOOD}}
    monitoring.write()
    monkeypatch.setattr(monitoring, "groups", list)
    assert run(rules.main, "load", "--seconds", "0.2")[1]["error"] == "gave up waiting until Prometheus runs the rules"


@pytest.mark.parametrize(("value", "age", "live"), [(2.0, 0, True), (0.0, 0, False), (2.0, 600, False), (None, 0, False)])
def test_live(monitoring: Monitoring, run: Run, monkeypatch: pytest.MonkeyPatch, value: float | None, age: float, live: bool) -> None:
    monkeypatch.setattr(rules, "SETTLE_SECONDS", 0.0)
    monitoring.write()
    if value is not None:
        monitoring.series = [{"labels": {"__name__": "r", "version": "3", "model": "m"}, "value": value, "at": time.time() + 5 - age}]
    with serve(ModelServer(lambda: "3")) as url:
        code, answer = run(rules.main, "live", "--record", "r", "--load", "1s", "--url", url)
    assert (code, answer["live"], answer["n"], answer["failed"]) == (0, live, 10, 0)
    found = "no value" if value is None else f"{value:.4g}"
    assert answer["versions"] == [{"version": "3", "answers": 10, "found": found, "fresh": value is not None and not age, "live": live}]
    assert answer["labels"] == ([] if value is None else ["model", "version"])


def test_live_without_a_gateway(monitoring: Monitoring, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "SETTLE_SECONDS", 0.0)
    monitoring.write()
    code, answer = run(rules.main, "live", "--record", "r", "--load", "1s", "--url", "http://127.0.0.1:1")
    assert (code, answer["live"], answer["n"], answer["failed"], answer["versions"]) == (0, False, 0, 10, [])
