"""Promotion, rollback and the drill: what they leave, also when they are cut off at any step."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from labtools import lifecycle, promote, promotion_job, registry
from miniature import POLICY, Lab, Run

REASON = "scores of the night shift look wrong"


def standing(lab: Lab) -> dict[str, object]:
    """Everything that the checks of the lab look at."""
    versions = {number: {"run": version["run_id"], **version["tags"]} for number, version in lab.mlflow.versions.items()}
    return {"aliases": dict(lab.mlflow.aliases), "versions": versions, "template": lab.template, "tags": dict(lab.mlflow.tags)}


def promoted(lab: Lab) -> None:
    assert lab.mlflow.aliases == {"champion": "3", "rollback": "2"}
    assert lab.mlflow.versions["3"]["run_id"] == "run-spring-lr"
    assert lab.mlflow.versions["3"]["tags"]["promoted_by"] == "promoter"
    assert lab.env["MODEL_URI"]["value"] == "models:/flight-delay/3"
    assert lab.template["metadata"]["labels"]["mlops/model-version"] == "3"


def rolled_back(lab: Lab) -> None:
    assert lab.mlflow.aliases == {"champion": "2", "rollback": "1"}
    assert lab.mlflow.versions["3"]["tags"]["rolled_back_reason"] == REASON
    assert lab.env["MODEL_URI"]["value"] == "models:/flight-delay/2"
    assert lab.template["metadata"]["labels"]["mlops/model-version"] == "2"


def test_fixtures(lab: Lab, run: Run) -> None:
    code, answer = run(promote.main, "--dry-run", "--fixtures", "promotion")
    assert (code, answer["agree"], len(answer["cases"])) == (0, True, 14)
    lab.change(configmap={"promotion-policy": {"data": {"policy.yaml": POLICY.replace("allow: false\nrules", "allow: true\nrules")}}})
    code, answer = run(promote.main, "--dry-run", "--fixtures", "promotion")
    assert (code, answer["agree"]) == (0, False)
    wrong = {case["name"]: case for case in answer["cases"] if case["found"] != case["expected"]}
    assert set(wrong) == {case["name"] for case in answer["cases"] if not case["name"].startswith("leaky-")} - {"approved-complete"}
    assert wrong["self-approved"] == {"name": "self-approved", "words": "the author approved it", "found": "allow", "expected": "deny"}


def test_a_broken_policy_is_an_error(lab: Lab, run: Run) -> None:
    lab.change(configmap={"promotion-policy": {"data": {"policy.yaml": "allow: no\nrule: []"}}})
    assert run(promote.main, "--dry-run", "--fixtures", "promotion") == (1, {"error": "promotion policy, line 2: unknown field rule; known are allow, rules"})
    lab.change(configmap={})
    assert run(promote.main, "--dry-run", "--fixtures", "promotion")[1] == {"error": "there is no ConfigMap promotion-policy"}
    assert run(promote.main, "--dry-run", "--fixtures", "nope")[0] == 1


@pytest.mark.parametrize(
    ("candidate", "verdict", "reason"),
    [
        ("spring-lr", "allow", "rule approved-and-traceable"),
        ("winter-leaky", "deny", "rule knows-the-future: features include dep_delay"),
        ("spring-unapproved", "deny", "rule approved-and-traceable does not apply: validation_status is pending, not approved"),
    ],
)
def test_dry_run_of_a_candidate(lab: Lab, run: Run, candidate: str, verdict: str, reason: str) -> None:
    before = standing(lab)
    code, answer = run(promote.main, "--dry-run", "--candidate", candidate)
    assert (code, answer["candidate"], answer["verdict"]) == (0, candidate, verdict)
    assert answer["reasons"][0].startswith(reason)
    assert standing(lab) == before


def test_dry_run_reads_the_bytes(lab: Lab, run: Run) -> None:
    lab.mlflow.models["m-spring-lr"] = b"overwritten"
    assert run(promote.main, "--dry-run", "--candidate", "spring-lr")[1]["verdict"] == "deny"


def test_promotion_by_job(lab: Lab, run: Run) -> None:
    answer = {"candidate": "spring-lr", "version": "3", "champion": "3", "rollback": "2", "served": "3", "job": "promote-spring-lr"}
    assert run(promote.main, "run", "--candidate", "spring-lr") == (0, answer)
    promoted(lab)
    assert lab.mlflow.versions["3"]["tags"] == {
        **{tag: lab.mlflow.runs["run-spring-lr"]["tags"][tag] for tag in lifecycle.CARRIED_TAGS},
        "promoted_by": "promoter",
        "rollback_before": "1",
    }
    # The server was asked whether it would take the patch before anything was changed.
    assert lab.cluster["patches"] == [["promoter", "promoter", "server"], ["promoter", "promoter", None]]

    before = standing(lab)
    assert run(promote.main, "run", "--candidate", "spring-lr") == (0, answer)
    assert standing(lab) == before
    assert lab.cluster["created"] == ["promote-spring-lr"]


def test_a_candidate_that_was_rolled_back_is_promoted_anew(lab: Lab, run: Run) -> None:
    for _ in range(2):
        assert run(promote.main, "run", "--candidate", "spring-lr")[0] == 0
        promoted(lab)
        assert "rolled_back_reason" not in lab.mlflow.versions["3"]["tags"]
        assert run(registry.main, "rollback", "--reason", REASON)[0] == 0
        rolled_back(lab)
    assert lab.cluster["created"] == ["promote-spring-lr"] * 2


def test_a_denied_candidate_changes_nothing(lab: Lab, run: Run) -> None:
    before = standing(lab)
    code, answer = run(promote.main, "run", "--candidate", "winter-leaky")
    assert (code, answer["verdict"], answer["job"]) == (1, "deny", "promote-winter-leaky")
    assert answer["error"] == "the policy denies winter-leaky: rule knows-the-future: features include dep_delay"
    assert standing(lab) == before


def test_without_rights_nothing_is_changed(lab: Lab, run: Run) -> None:
    before = standing(lab)
    lab.change(rights={"promoter": False})
    code, answer = run(promote.main, "run", "--candidate", "spring-lr")
    assert code == 1
    assert answer["error"].startswith("nothing was changed, since Deployment predictor can't be patched: kubectl patch deployment predictor: Error")
    assert standing(lab) == before
    lab.change(rights={"promoter": True})
    assert run(promote.main, "run", "--candidate", "spring-lr")[0] == 0
    promoted(lab)


def test_without_a_champion_nothing_is_changed(lab: Lab, run: Run) -> None:
    lab.mlflow.aliases = {}
    before = standing(lab)
    assert "there is no version" in run(registry.main, "drill")[1]["error"]
    code, answer = run(promote.main, "run", "--candidate", "spring-lr")
    assert code == 1
    assert answer["error"].startswith("alias champion is not set")
    assert standing(lab) == before


CUTS = [
    *[("create", "run-spring-lr"), ("set-tag", "promoted_by"), ("set-tag", "rollback_before"), ("set-alias", "rollback"), ("set-alias", "champion")],
]


@pytest.mark.parametrize("cut", CUTS, ids="-".join)
def test_a_promotion_that_was_cut_off_is_completed(lab: Lab, run: Run, cut: tuple[str, str]) -> None:
    lab.mlflow.break_before = cut
    code, answer = run(promote.main, "run", "--candidate", "spring-lr")
    assert (code, answer["error"]) == (1, "MLflow answered HTTP 503 TEMPORARILY_UNAVAILABLE: cut off")
    # What serves is what it was, and the champion with it.
    assert lab.mlflow.aliases["champion"] == "2"
    assert lab.env["MODEL_URI"]["value"] == "models:/flight-delay/2"
    assert run(promote.main, "run", "--candidate", "spring-lr")[0] == 0
    promoted(lab)
    assert lab.mlflow.versions["3"]["tags"]["rollback_before"] == "1"


def test_a_promotion_that_was_cut_off_before_the_patch_is_completed(lab: Lab, run: Run) -> None:
    assert run(promote.main, "run", "--candidate", "spring-lr")[0] == 0
    lab.set_uri({"value": "models:/flight-delay/2"}, "2")
    assert run(promote.main, "run", "--candidate", "spring-lr")[0] == 0
    promoted(lab)


def test_a_job_that_says_nothing(lab: Lab, run: Run) -> None:
    lab.change(job={"promote-spring-lr": {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}})
    cluster = lab.cluster
    cluster["cronjob"]["promote"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"] = ["-c", "print('hello')"]
    lab.write(cluster)
    code, answer = run(promote.main, "run", "--candidate", "spring-lr")
    assert (code, answer["error"]) == (1, "Job promote-spring-lr ended as Complete and said nothing; see the log of its pod")


def test_a_job_that_does_not_end(lab: Lab, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion_job.wait, "__defaults__", (0.0,))
    waiting = {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]}
    pods = {"promote-1": {"metadata": {"name": "promote-1", "labels": {"job-name": "promote-spring-lr"}}, "status": waiting}}
    lab.change(job={"promote-spring-lr": {"status": {}}}, pods=pods)
    code, answer = run(promote.main, "run", "--candidate", "spring-lr")
    assert (code, answer["error"]) == (1, "Job promote-spring-lr has not ended after 0 s: pod promote-1: ImagePullBackOff")


def test_job_names() -> None:
    assert promotion_job.job_name("spring-lr") == "promote-spring-lr"
    odd = {promotion_job.job_name(name) for name in ("Spring_LR", "spring lr", "x" * 80)}
    assert len(odd) == 3
    assert all(name.startswith("promote-") and len(name) == 20 for name in odd)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run"],
        ["--dry-run"],
        ["run", "--dry-run", "--candidate", "x"],
        ["run", "--fixtures", "promotion"],
        ["--dry-run", "--fixtures", "p", "--candidate", "x"],
    ],
)
def test_wrong_calls(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        promote.main(arguments)
    assert ended.value.code == 2


# --- rollback


@pytest.fixture
def live(lab: Lab, run: Run) -> Lab:
    """The lab with spring-lr promoted."""
    assert run(promote.main, "run", "--candidate", "spring-lr")[0] == 0
    lab.mlflow.writes.clear()
    return lab


def test_rollback_and_again(live: Lab, run: Run) -> None:
    answer = {"from": "3", "to": "2", "reason": REASON, "changed": True}
    assert run(registry.main, "rollback", "--reason", REASON) == (0, answer)
    rolled_back(live)
    before = standing(live)
    assert run(registry.main, "rollback", "--reason", "another reason altogether") == (0, {**answer, "changed": False})
    assert standing(live) == before


@pytest.mark.parametrize("cut", [("set-tag", "rolled_back_to"), ("set-alias", "champion"), ("set-alias", "rollback")], ids="-".join)
def test_a_rollback_that_was_cut_off_is_completed(live: Lab, run: Run, cut: tuple[str, str]) -> None:
    live.mlflow.break_before = cut
    assert run(registry.main, "rollback", "--reason", REASON)[0] == 1
    assert live.env["MODEL_URI"]["value"] == "models:/flight-delay/3"
    assert run(registry.main, "rollback", "--reason", REASON)[1]["changed"]
    rolled_back(live)


NO_WAY_BACK = [
    ({}, "alias champion is not set"),
    ({"champion": "2"}, "alias rollback is not set"),
    ({"champion": "2", "rollback": "2"}, "champion and rollback are the same"),
]


@pytest.mark.parametrize(("aliases", "error"), NO_WAY_BACK)
def test_rollback_needs_a_way_back(lab: Lab, run: Run, aliases: dict[str, str], error: str) -> None:
    lab.mlflow.aliases = dict(aliases)
    before = standing(lab)
    code, answer = run(registry.main, "rollback", "--reason", REASON)
    assert code == 1
    assert answer["error"].startswith(error)
    assert standing(lab) == before


def test_nothing_is_left_to_return_to_after_the_first_version(lab: Lab, run: Run) -> None:
    assert run(registry.main, "rollback", "--reason", REASON)[1] == {"from": "2", "to": "1", "reason": REASON, "changed": True}
    assert lab.mlflow.aliases == {"champion": "1"}


# --- drill


def withdraw_first(_lab: Lab, run: Run) -> None:
    assert run(promote.main, "run", "--candidate", "spring-lr")[0] == 0
    assert run(registry.main, "rollback", "--reason", REASON)[0] == 0


def promote_first(_lab: Lab, run: Run) -> None:
    assert run(promote.main, "run", "--candidate", "spring-lr")[0] == 0


def by_reference(lab: Lab, _run: Run) -> None:
    lab.change(configmap={**lab.cluster["configmap"], "model": {"data": {"uri": "models:/flight-delay/2"}}})
    lab.set_uri({"valueFrom": {"configMapKeyRef": {"name": "model", "key": "uri"}}}, None)


def untouched(_lab: Lab, _run: Run) -> None:
    pass


STATES: list[Callable[[Lab, Run], None]] = [untouched, withdraw_first, promote_first, by_reference]


@pytest.mark.parametrize("prepare", STATES)
def test_drill_restores_what_was_before(lab: Lab, run: Run, prepare: Callable[[Lab, Run], None]) -> None:
    prepare(lab, run)
    before = standing(lab)
    code, answer = run(registry.main, "drill")
    assert (code, answer["candidate"], answer["promoted"], answer["returned_to"]) == (0, "spring-lr", "3", "2")
    assert 0 <= answer["seconds_to_old_version"] < 5
    assert standing(lab) == before


@pytest.mark.parametrize("cut", [*CUTS, ("set-tag", "rolled_back_reason"), ("set-tag", "rolled_back_to")], ids="-".join)
def test_a_drill_that_fails_restores_what_was_before(lab: Lab, run: Run, cut: tuple[str, str]) -> None:
    before = standing(lab)
    lab.mlflow.break_before = cut
    assert run(registry.main, "drill")[0] == 1
    assert standing(lab) == before


def start_drill(lab: Lab) -> subprocess.Popen[str]:
    """Starts a drill whose new version never answers, and waits until the pods load it."""
    pinned = lab.server.serving
    lab.server.serving = lambda: version if (version := pinned()) != "3" else None
    drill = subprocess.Popen([sys.executable, "-m", "labtools.registry", "drill", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 20
    while pinned() != "3":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return drill


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_drill_restores_what_was_before(lab: Lab, number: signal.Signals) -> None:
    before = standing(lab)
    drill = start_drill(lab)
    drill.send_signal(number)
    stdout, _ = drill.communicate(timeout=20)
    assert (drill.returncode, json.loads(stdout)) == (1, {"error": "interrupted"})
    assert standing(lab) == before


def test_the_next_drill_restores_what_a_killed_one_left(lab: Lab, run: Run) -> None:
    before = standing(lab)
    drill = start_drill(lab)
    drill.kill()
    drill.communicate()
    assert standing(lab) != before
    lab.server.serving = lab.pinned
    assert run(registry.main, "drill")[0] == 0
    assert standing(lab) == before


def test_a_drill_obeys_the_policy(lab: Lab, run: Run) -> None:
    before = standing(lab)
    code, answer = run(registry.main, "drill", "--candidate", "winter-leaky")
    assert (code, answer["error"].startswith("the policy denies winter-leaky")) == (1, True)
    assert standing(lab) == before
