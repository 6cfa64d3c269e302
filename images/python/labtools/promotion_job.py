"""Starts the promotion Job for a candidate and waits until its version serves.

The Job is made from the suspended CronJob `promote` under a name that belongs to the candidate, so two calls meet in one Job.
One that succeeded, and whose result still stands, is left alone; one that failed or was overtaken (rolled back since, pinned by
hand) is replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from typing import Any, Final

from labtools import deployment, kubernetes, lifecycle, output, predictor, serving
from labtools.errors import ToolError
from labtools.mlflow_api import Registry
from labtools.output import Result

CRON_JOB: Final = "promote"
VARIABLE: Final = "CANDIDATE"
# A pod has to start; its work takes seconds.
JOB_SECONDS: Final = 120.0
POLL_SECONDS: Final = 0.5
DELETE_SECONDS: Final = 60
LOG_LINES: Final = 50


def run(registry: Registry, candidate: str) -> Result:
    source = registry.find_run(candidate)
    name = job_name(candidate)
    found = kubernetes.get("job", name)
    if found is not None and condition(found) == "Complete" and (result := standing(registry, candidate, source.run_id, name)):
        return result
    if found is not None and condition(found) is not None:
        output.say(f"replacing Job {name} of an earlier promotion")
        kubernetes.kubectl(
            "delete", "job", name, "--wait=true", "--cascade=foreground", f"--timeout={DELETE_SECONDS}s", seconds=DELETE_SECONDS + kubernetes.CALL_SECONDS
        )
        found = None
    if found is None:
        kubernetes.create([manifest(candidate, name)])
    output.say(f"Job {name} runs")
    ended = wait(name)
    said = verdict(name)
    if ended != "Complete" or "version" not in said:
        reason = said.pop("error", None) or f"Job {name} ended as {ended} and said nothing; see the log of its pod"
        raise ToolError(str(reason), **{**said, "candidate": candidate, "job": name})
    version = str(said["version"])
    output.say(f"{candidate} is champion as version {version}; waiting for Deployment {deployment.NAME}")
    deployment.wait()
    predictor.wait_for(version, serving.ANSWER_SECONDS)
    return describe(registry, candidate, version, name)


def standing(registry: Registry, candidate: str, run_id: str, name: str) -> Result | None:
    """Returns the result of an earlier promotion if registry, Deployment and server still show it."""
    state = serving.state(registry)
    if state.champion is None or not state.champion == state.pinned == state.served:
        return None
    if registry.version(state.champion).run_id != run_id:
        return None
    return describe(registry, candidate, state.champion, name)


def describe(registry: Registry, candidate: str, version: str, name: str) -> Result:
    aliases = registry.aliases()
    data = {"candidate": candidate, "version": version, "champion": aliases.get(lifecycle.CHAMPION), "rollback": aliases.get(lifecycle.ROLLBACK)}
    return Result({**data, "served": version, "job": name}, f"{candidate} serves as version {version} (Job {name})")


def job_name(candidate: str) -> str:
    """Returns the Job's name, promote-CANDIDATE; a candidate whose name is no Kubernetes name gets a digest of it instead."""
    name = f"{CRON_JOB}-{candidate}"
    if re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name):
        return name
    return f"{CRON_JOB}-{hashlib.sha256(candidate.encode()).hexdigest()[:12]}"


def manifest(candidate: str, name: str) -> dict[str, Any]:
    """Returns a Job from the CronJob's template, for the candidate."""
    cron_job = kubernetes.get("cronjob", CRON_JOB)
    if cron_job is None:
        raise ToolError(f"there is no CronJob {CRON_JOB}")
    template = json.loads(json.dumps(cron_job["spec"]["jobTemplate"]))
    for container in template["spec"]["template"]["spec"]["containers"]:
        others = [entry for entry in container.get("env", []) if entry["name"] != VARIABLE]
        # First, so that the arguments and the other variables can refer to it.
        container["env"] = [{"name": VARIABLE, "value": candidate}, *others]
    labels = template.get("metadata", {}).get("labels", {})
    annotations = {**template.get("metadata", {}).get("annotations", {}), "cronjob.kubernetes.io/instantiate": "manual"}
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}


def condition(job: kubernetes.Object) -> str | None:
    """Returns Complete or Failed, None while the Job runs."""
    for item in job.get("status", {}).get("conditions", []):
        if item["type"] in ("Complete", "Failed") and item["status"] == "True":
            return str(item["type"])
    return None


def wait(name: str, seconds: float = JOB_SECONDS) -> str:
    """Waits until the Job has ended, and returns how."""
    deadline = time.monotonic() + seconds
    while True:
        job = kubernetes.get("job", name)
        if job is None:
            raise ToolError(f"Job {name} was deleted while it ran")
        if ended := condition(job):
            return ended
        if time.monotonic() >= deadline:
            causes = [cause for pod in kubernetes.listed("pods", {"job-name": name}) if (cause := deployment.obstacle(pod))]
            raise ToolError(f"Job {name} has not ended after {seconds:g} s: {'; '.join(causes) or 'it has no pod; see its events'}")
        time.sleep(POLL_SECONDS)


def verdict(name: str) -> dict[str, Any]:
    """Returns the JSON object that the Job's pod printed last, nothing if there is none."""
    try:
        log = kubernetes.kubectl("logs", f"job/{name}", f"--tail={LOG_LINES}")
    except ToolError:
        return {}
    for line in reversed(log.splitlines()):
        with contextlib.suppress(ValueError):
            said = json.loads(line)
            if isinstance(said, dict):
                return said
    return {}
