"""The canary gate: what gate.yaml may say, how a step is judged, the recorded cases, and the weights of the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import programs
import pytest
import yaml
from gates import canary, challenger, gate, policy, routes
from labtools import cases, kubernetes, reload, web
from labtools.errors import ToolError
from miniature import Run

LABS = Path(__file__).parents[4] / "labs" / "serving"
GOOD = """\
steps: [10, 50]
minimumRequests: 500
checks:
  - {name: errors, metric: errors, max: 0.01}
  - {name: late, promql: 'late{version="$version"}', compareTo: stable, maxDifference: 0.08, maxRatio: 2}
"""
ROUTES = """\
backend split
  balance roundrobin
  server stable "predictor-stable.x:8080" weight 90
  server canary "predictor-canary.x:8080"

backend canary
  server canary "predictor-canary.x:8080" weight 7
"""


def data_of(path: str, key: str) -> str:
    text: str = yaml.safe_load((LABS / path).read_text())["data"][key]
    return text


def test_a_gate_and_its_command_mean_the_same_config_map() -> None:
    # The command looks before it loads a gate, which takes a second, so it has the names, too.
    assert gate.RULES == {gate.CANARY: canary.CONFIG_MAP, gate.CHALLENGER: challenger.CONFIG_MAP}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[10, 50]", "[]", "steps must be"),
        ("[10, 50]", "[0]", "steps must be"),
        ("500", "many", "minimumRequests must be"),
        ("checks:", "check:", "check is not known"),
        ("max: 0.01", "most: 0.01", "check 1: most is not known"),
        ("max: 0.01", "max: little", "check 1: a bound must be a number"),
        (", max: 0.01", "", "check 1 has no bound"),
        ("max: 0.01", "maxIncrease: 0.01", "check 1: maxIncrease needs compareTo"),
        ("compareTo: stable", "compareTo: best", "compareTo can only be stable"),
        ('{version="$version"}', "", "does not contain"),
        ("metric: errors, ", "", "needs either promql or metric"),
        ("steps", "- steps", "is no YAML|must be a mapping"),
    ],
)
def test_a_mistake_in_the_gate_is_named(old: str, new: str, reason: str) -> None:
    policy.read(GOOD)
    with pytest.raises(ToolError, match=reason):
        policy.read(GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("requests", "values", "verdict", "reason"),
    [
        (600, {}, "pass", "2 checks hold on 600 requests"),
        (499, {}, "inconclusive", "499 requests of the canary were counted, 500 are needed"),
        (None, {}, "inconclusive", "0 requests"),
        # Too few are noise, whatever they say.
        (60, {"late4": 0.0}, "inconclusive", "60 requests"),
        (600, {"errors": 0.02}, "fail", "errors is 0.02, more than 0.01"),
        (600, {"late4": 0.05}, "fail", "late is 0.05, more than 0.08 from stable's 0.17"),
        (600, {"late4": 0.4}, "fail", "more than 0.08 from stable's 0.17 and more than 2 times stable's 0.17"),
        (600, {"late4": None}, "inconclusive", "late of version 4 has no value"),
        (600, {"late3": float("nan")}, "inconclusive", "late of version 3 has no value"),
        # What is known to be bad is bad, even if something else is not known.
        (600, {"errors": 0.5, "late4": None}, "fail", "errors is 0.5"),
    ],
)
def test_a_step_is_judged(requests: float | None, values: dict[str, float | None], verdict: str, reason: str) -> None:
    known: dict[str, float | None] = {"errors": 0.0, "late4": 0.19, "late3": 0.17} | values
    names = {'errors{version="4"}': "errors", 'late{version="4"}': "late4", 'late{version="3"}': "late3"}
    found = policy.judge(policy.read(GOOD), requests, "4", "3", lambda query: known[names[query]])
    assert (found["verdict"], reason in found["reason"]) == (verdict, True), found["reason"]


def test_what_is_absent_may_be_called_a_pass() -> None:
    found = policy.judge(policy.read(f"whenAbsent: pass\n{GOOD}"), 600, "4", "3", lambda _: None)
    assert found["verdict"] == "pass"


# --- the recorded cases, with the lab's own rules and gates


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch, images: Path, run: Run) -> Any:
    programs.need("promtool")
    monkeypatch.setattr(cases, "FIXTURES", images / "python" / "gates" / "fixtures")

    def judge(text: str, rules: str = "solutions/rules-serving.yaml") -> dict[str, tuple[str, str]]:
        monkeypatch.setattr(canary, "policy_of_lab", lambda: policy.read(text))
        monkeypatch.setattr(reload, "rule_maps", lambda: {"rules-serving": {"serving.yaml": data_of(rules, "serving.yaml")}})
        code, answer = run(gate.main, "evaluate", "--fixtures", "canary")
        assert code == 0
        return {case["name"]: (case["found"], case["expected"]) for case in answer["cases"]}

    return judge


def wrong(found: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {name: verdict for name, (verdict, expected) in found.items() if verdict != expected}


@pytest.mark.parametrize("rules", ["solutions/rules-serving.yaml", "alternatives/rules-by-gateway.yaml"])
def test_the_solution_is_right_on_every_case(judged: Any, rules: str) -> None:
    found = judged(data_of("solutions/canary-gate.yaml", "gate.yaml"), rules)
    assert len(found) == 7
    assert wrong(found) == {}


def test_each_near_miss_is_wrong_where_its_story_says(judged: Any) -> None:
    assert wrong(judged(data_of("near-misses/gate-slo-only.yaml", "gate.yaml"))) == {"one-class": "pass"}
    assert wrong(judged(data_of("near-misses/gate-or-zero.yaml", "gate.yaml"))) == {"canary-scrape-missing": "fail"}


def test_the_gate_as_found_lets_through_what_matters(judged: Any) -> None:
    template = (LABS / "chart" / "templates" / "gate.yaml").read_text()
    text = yaml.safe_load(template.split("---")[0].replace('{{- include "lab.labels" . | nindent 4 }}', "{}"))["data"]["gate.yaml"]
    assert wrong(judged(text)) == {"one-class": "pass", "60-requests": "pass", "canary-scrape-missing": "pass"}


def test_a_fixed_range_fails_on_a_stormy_day(judged: Any) -> None:
    fixed = "steps: [10]\nminimumRequests: 500\nchecks: [{promql: 'model:positive:ratio5m{version=\"$version\"}', min: 0.1, max: 0.3}]"
    assert wrong(judged(fixed))["storm-day"] == "fail"


# --- which gate a call is for


@pytest.mark.parametrize(
    ("maps", "arguments", "module"),
    [
        ({"canary-gate"}, ["history"], "gates.canary"),
        ({"canary-gate"}, ["evaluate", "--candidate", "4"], "gates.canary"),
        # The rules of a canary gate may have been deleted.
        (set(), ["history"], "gates.canary"),
        ({"gate"}, ["history"], "gates.challenger"),
        ({"gate"}, ["evaluate", "--candidate", "2"], "gates.challenger"),
        (set(), ["evaluate", "--candidate", "challenger"], "gates.challenger"),
        (set(), ["history", "--window", "2013-06-17..2013-06-30"], "gates.challenger"),
    ],
)
def test_the_lab_decides_which_gate_is_asked(maps: set[str], arguments: list[str], module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes, "get", lambda _kind, name: {"data": {}} if name in maps else None)
    assert gate.module_of(gate.parser().parse_args(arguments)).__name__ == module


# --- weights


def test_weights_are_read_and_written_in_backend_split_only() -> None:
    assert routes.weights(ROUTES) == {"stable": 90, "canary": 1}
    changed = routes.with_canary(ROUTES, 25)
    assert routes.weights(changed) == {"stable": 75, "canary": 25}
    assert changed.endswith(ROUTES[ROUTES.index("\nbackend canary") :])
    assert routes.weights(routes.with_canary(changed, 0)) == {"stable": 100, "canary": 0}
    with pytest.raises(ToolError, match="has the servers stable; it needs stable and canary"):
        routes.with_canary('backend split\n  server stable "x"\n', 10)


class Gateway:
    """Takes new routes at the second push, or refuses them."""

    def __init__(self, log: str = "") -> None:
        self.text, self.works, self.pushes, self.log = ROUTES, {"stable": 90, "canary": 1}, 0, log

    def get(self, kind: str, name: str) -> Any:
        assert (kind, name) == ("configmap", "gateway-routes")
        return {"data": {"haproxy.cfg": self.text}}

    def patch(self, _kind: str, _name: str, change: Any, _manager: str) -> None:
        self.text = change["data"]["haproxy.cfg"]

    def kubectl(self, verb: str, *_: str) -> str:
        if verb == "logs":
            return self.log
        self.pushes += 1
        if self.pushes >= 2 and not self.log:
            self.works = routes.weights(self.text)
        return ""

    def request(self, *_: Any, **__: Any) -> web.Answer:
        lines = [f'haproxy_server_weight{{proxy="split",server="{name}"}} {weight}' for name, weight in self.works.items()]
        return web.Answer(200, "\n".join([*lines, 'haproxy_server_weight{proxy="canary",server="canary"} 1']).encode())


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    gateway = Gateway()
    for name in ("get", "patch", "kubectl"):
        monkeypatch.setattr(kubernetes, name, getattr(gateway, name))
    monkeypatch.setattr(web, "request", gateway.request)
    monkeypatch.setattr(routes, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(routes, "AGAIN_SECONDS", 0.05)
    return gateway


def test_a_weight_counts_when_it_is_in_force(gateway: Gateway) -> None:
    routes.set_canary(30, "test")
    assert gateway.works == {"stable": 70, "canary": 30}
    assert gateway.pushes == 2
    routes.put_back(ROUTES, "test")
    assert gateway.text == ROUTES


def test_refused_routes_are_told_with_their_reason(gateway: Gateway, run: Run) -> None:
    gateway.log = "127.0.0.1 GET /\ngateway: refused the new configuration, nothing changes:\ngateway:   [ALERT] haproxy.cfg:3: no backend x\n127.0.0.1 GET /"
    gateway.text = routes.with_canary(ROUTES, 10)
    code, answer = run(gate.main, "weights")
    assert (code, answer["settled"], answer["refused"]) == (0, False, "[ALERT] haproxy.cfg:3: no backend x")
    assert (answer["written"]["canary"], answer["in_force"]["canary"]) == (10, 1)
    code, answer = run(gate.main, "weights", "--wait", "0.2")
    assert (code, "expected stable 90, canary 10" in answer["error"]) == (1, True)
    gateway.log += "\ngateway: reloaded, the new configuration is in force\n"
    assert run(gate.main, "weights")[1]["refused"] is None
