"""`registry`: versions, aliases, pins and what serves, on a lab in every state a learner can leave it in."""

from __future__ import annotations

import time

import pytest
from labtools import deployment, registry
from labtools.errors import ToolError
from miniature import Lab, Run, pod, sha256


def test_register_makes_a_version_once(lab: Lab, run: Run) -> None:
    arguments = ("register", "--run", "spring-lr", "--copy-tags", "git_sha,data_digest")
    expected = {"version": "3", "run": "spring-lr", "created": True, "tags": {"git_sha": "5f1d", "data_digest": "sha256:3c"}}
    assert run(registry.main, *arguments) == (0, expected)
    assert run(registry.main, *arguments) == (0, {**expected, "created": False})
    assert [kind for kind, *_ in lab.mlflow.writes] == ["create"]


def test_register_completes_the_tags_of_a_version(lab: Lab, run: Run) -> None:
    lab.mlflow.versions["2"]["tags"] = {"git_sha": "wrong", "note": "mine"}
    code, answer = run(registry.main, "register", "--run", "winter-lr", "--copy-tags", "git_sha,data_digest")
    assert (code, answer["version"], answer["created"]) == (0, "2", False)
    assert lab.mlflow.versions["2"]["tags"] == {"git_sha": "5f1d", "data_digest": "sha256:3c", "note": "mine"}


def test_register_needs_the_tags(lab: Lab, run: Run) -> None:
    assert run(registry.main, "register", "--run", "spring-lr", "--copy-tags", "nope") == (1, {"error": "run spring-lr has no tag nope"})
    assert lab.mlflow.writes == []


def test_register_names_the_runs_there_are(lab: Lab, run: Run) -> None:
    lab.mlflow.runs["run-spring-lr"]["status"] = "FAILED"
    code, answer = run(registry.main, "register", "--run", "spring-lr")
    assert code == 1
    assert answer["error"].endswith("there are spring-unapproved, winter-leaky, winter-lr, winter-noweather")


def test_alias(lab: Lab, run: Run) -> None:
    assert run(registry.main, "alias", "canary", "--run", "winter-lr") == (0, {"alias": "canary", "version": "2"})
    assert run(registry.main, "alias", "canary", "--version", "1") == (0, {"alias": "canary", "version": "1"})
    for _ in range(2):
        assert run(registry.main, "alias", "canary", "--delete") == (0, {"alias": "canary", "version": None})
    assert lab.mlflow.aliases == {"champion": "2", "rollback": "1"}


@pytest.mark.usefixtures("lab")
def test_alias_needs_a_version(run: Run) -> None:
    assert run(registry.main, "alias", "champion", "--run", "spring-lr")[1] == {"error": "no READY version of flight-delay comes from run spring-lr"}
    code, answer = run(registry.main, "alias", "champion", "--version", "9")
    assert code == 1
    assert answer["error"].startswith("MLflow answered HTTP 404 RESOURCE_DOES_NOT_EXIST: Model Version")


def test_pin(lab: Lab, run: Run) -> None:
    lab.set_uri({"value": "models:/flight-delay/latest"}, None)
    answer = {"version": "2", "uri": "models:/flight-delay/2", "deployment": "predictor"}
    assert run(registry.main, "pin") == (0, answer)
    assert lab.env == {"MODEL_URI": {"name": "MODEL_URI", "value": "models:/flight-delay/2"}, "PORT": {"name": "PORT", "value": "8080"}}
    assert lab.template["metadata"]["labels"] == {"app": "predictor", "mlops/model-version": "2"}
    assert run(registry.main, "pin", "predictor") == (0, answer)
    assert lab.cluster["patches"] == [["workbench", "solution", None]]


def test_pin_mends_a_stale_label(lab: Lab, run: Run) -> None:
    lab.set_uri({"value": "models:/flight-delay/2"}, "1")
    assert run(registry.main, "pin")[0] == 0
    assert lab.template["metadata"]["labels"]["mlops/model-version"] == "2"


def test_pin_takes_the_place_of_a_reference(lab: Lab, run: Run) -> None:
    lab.change(configmap={"model": {"data": {"uri": "models:/flight-delay/1"}}})
    lab.set_uri({"valueFrom": {"configMapKeyRef": {"name": "model", "key": "uri"}}}, "1")
    assert run(registry.main, "pin")[0] == 0
    assert lab.env["MODEL_URI"] == {"name": "MODEL_URI", "value": "models:/flight-delay/2"}


def test_pin_says_what_holds_up_the_rollout(lab: Lab, run: Run) -> None:
    waiting = pod("predictor-2", ready="False")
    waiting["status"]["containerStatuses"] = [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 3}]
    lab.change(stuck=True, pods={"predictor-1": pod("predictor-1"), "predictor-2": waiting})
    assert run(registry.main, "pin", "--version", "1") == (1, {"error": "Deployment predictor is not rolled out: pod predictor-2: CrashLoopBackOff"})


def test_pin_does_not_give_up_after_one_crash(lab: Lab, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    once = pod("predictor-2", ready="False")
    once["status"]["containerStatuses"] = [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 1}]
    lab.change(stuck=True, pods={"predictor-2": once})
    monkeypatch.setattr(deployment.wait, "__defaults__", ("predictor", 0.5))
    begin = time.monotonic()
    assert run(registry.main, "pin", "--version", "1") == (1, {"error": "Deployment predictor is not rolled out: pod predictor-2: CrashLoopBackOff"})
    assert time.monotonic() - begin >= 0.5


COUNTS = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


@pytest.mark.parametrize(
    ("status", "found"),
    [
        (COUNTS, True),
        ({}, False),
        ({**COUNTS, "observedGeneration": 1}, False),
        ({**COUNTS, "replicas": 3}, False),
        ({**COUNTS, "updatedReplicas": 1}, False),
        ({**COUNTS, "availableReplicas": 1}, False),
    ],
    ids=["all new", "nothing yet", "not seen yet", "an old pod answers still", "half of them", "not ready"],
)
def test_replaced(status: dict[str, int], found: bool) -> None:
    assert deployment.replaced({"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status}) is found


def test_wait_replaced_gives_up(lab: Lab) -> None:
    lab.change(deployment={"predictor": {"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": {**COUNTS, "replicas": 3}}})
    with pytest.raises(ToolError, match=r"Deployment predictor is not rolled out after 0\.1 s"):
        deployment.wait_replaced(seconds=0.1)


def test_wait_drained(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "POLL_SECONDS", 0.01)
    old = pod("predictor-old")
    lab.change(pods={"predictor-1": pod("predictor-1"), "predictor-old": {**old, "metadata": {**old["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}})
    assert deployment.wait_drained(seconds=0.1) is False
    lab.change(pods={"predictor-1": pod("predictor-1")})
    assert deployment.wait_drained(seconds=0.1) is True


def test_pin_needs_a_champion(lab: Lab, run: Run) -> None:
    lab.mlflow.aliases = {}
    assert run(registry.main, "pin") == (1, {"error": "alias champion is not set, and no --version is given"})


@pytest.mark.usefixtures("lab")
def test_state(run: Run) -> None:
    code, answer = run(registry.main, "state")
    assert code == 0
    assert {where: answer[where] for where in ("champion", "rollback", "pinned", "served")} == {"champion": "2", "rollback": "1", "pinned": "2", "served": "2"}
    assert answer["runs"] == {"champion": "winter-lr", "rollback": "winter-noweather", "pinned": "winter-lr", "served": "winter-lr"}


def test_state_of_a_fresh_lab(lab: Lab, run: Run) -> None:
    lab.mlflow.aliases = {}
    lab.set_uri({"value": "models:/flight-delay/latest"}, None)
    code, answer = run(registry.main, "state")
    assert code == 0
    assert answer == {
        "champion": None,
        "rollback": None,
        "pinned": None,
        "served": "2",
        "uri": "models:/flight-delay/latest",
        "runs": {"champion": None, "rollback": None, "pinned": None, "served": "winter-lr"},
    }


def test_state_reads_the_pin_from_a_config_map_and_survives_a_silent_server(lab: Lab, run: Run) -> None:
    lab.change(configmap={"model": {"data": {"uri": "models:/flight-delay/1"}}})
    lab.set_uri({"valueFrom": {"configMapKeyRef": {"name": "model", "key": "uri"}}}, "1")
    lab.server.serving = lambda: None
    _, answer = run(registry.main, "state")
    assert (answer["pinned"], answer["served"]) == ("1", None)


@pytest.mark.parametrize("uri", ["models:/flight-delay@champion", "models:/flight-delay/latest", "models:/other/2", "s3://models/2"])
def test_a_name_that_can_change_is_no_pin(lab: Lab, run: Run, uri: str) -> None:
    lab.set_uri({"value": uri}, "2")
    lab.server.serving = lambda: "2"
    assert run(registry.main, "state")[1]["pinned"] is None


def test_a_broken_registry_is_an_error(lab: Lab, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.mlflow.down = True
    assert run(registry.main, "state") == (1, {"error": "MLflow answered HTTP 500 INTERNAL_ERROR: (psycopg2.OperationalError) connection refused"})
    lab.mlflow.forbidden = True
    assert run(registry.main, "state")[1] == {"error": "MLflow answered HTTP 403: Invalid Host header - possible DNS rebinding attack detected"}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    begin = time.monotonic()
    code, answer = run(registry.main, "state")
    assert code == 1
    assert answer["error"].startswith("MLflow: http://127.0.0.1:1 does not answer: ")
    assert time.monotonic() - begin < 5


def test_digest(lab: Lab, run: Run) -> None:
    same = sha256(b"winter-lr")
    lab.server.digests["2"] = same
    expected = {"version": "2", "served_sha256": same, "registry_sha256": same, "replicas_agree": True, "replicas": 1}
    assert run(registry.main, "digest", "--served") == (0, expected)


def test_digest_tells_changed_bytes(lab: Lab, run: Run) -> None:
    lab.server.digests["2"] = sha256(b"winter-lr")
    lab.mlflow.models["m-winter-lr"] = b"overwritten"
    answer = run(registry.main, "digest", "--served")[1]
    assert answer["served_sha256"] != answer["registry_sha256"] == sha256(b"overwritten")


def test_digest_without_an_object_store(lab: Lab, run: Run) -> None:
    lab.mlflow.store_down = True
    expected = {"error": "MLflow can't read 1/models/m-winter-lr/artifacts in the object store (HTTP 500)"}
    assert run(registry.main, "digest", "--served") == (1, expected)
    lab.mlflow.store_down = False
    del lab.mlflow.models["m-winter-lr"]
    assert run(registry.main, "digest", "--served") == (1, {"error": "1/models/m-winter-lr/artifacts holds no model.pkl"})


def test_digest_without_a_pin_or_a_ready_pod(lab: Lab, run: Run) -> None:
    lab.server.digests["2"] = sha256(b"winter-lr")
    lab.set_uri({"value": "models:/flight-delay/latest"}, "2")
    answer = run(registry.main, "digest", "--served")[1]
    assert (answer["version"], answer["registry_sha256"], answer["served_sha256"]) == (None, None, sha256(b"winter-lr"))
    lab.change(pods={"predictor-1": pod("predictor-1", ready="False")})
    answer = run(registry.main, "digest", "--served")[1]
    assert (answer["served_sha256"], answer["replicas_agree"], answer["replicas"]) == (None, False, 0)


def test_digest_tells_replicas_that_differ(lab: Lab, run: Run) -> None:
    answers = iter(["1", "2"])
    lab.server.serving = lambda: next(answers)
    lab.server.digests = {"1": sha256(b"a"), "2": sha256(b"b")}
    lab.change(pods={name: pod(name) for name in ("predictor-1", "predictor-2")})
    answer = run(registry.main, "digest", "--served")[1]
    assert (answer["served_sha256"], answer["replicas_agree"], answer["replicas"]) == (None, False, 2)


def test_people_get_text(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert registry.main(["state"]) == 0
    expected = "champion  2    winter-lr\nrollback  1    winter-noweather\npinned    2    winter-lr\nserved    2    winter-lr\n"
    assert capsys.readouterr().out == expected + "MODEL_URI models:/flight-delay/2\n"
    lab.mlflow.aliases = {}
    assert registry.main(["pin"]) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "error: alias champion is not set, and no --version is given\n")


@pytest.mark.parametrize("arguments", [[], ["alias", "champion"], ["rollback", "--reason", "too short"], ["rollback"], ["digest"], ["nope"]])
def test_wrong_calls(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        registry.main(arguments)
    assert ended.value.code == 2
