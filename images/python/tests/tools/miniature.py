"""A lab in miniature: a registry, a model server and a cluster, which the tools meet only where a real lab has its edges."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from servers import Mlflow, ModelServer

# Calls a tool with --json; returns its exit code and its one JSON object.
Run = Callable[..., tuple[int, dict[str, Any]]]

FEATURES = "hour,dow,distance,temp,dewp,humid,wind_speed,precip,pressure,visib,carrier,origin,dest"
POLICY = """\
allow: false
rules:
  - name: knows-the-future
    allow: false
    when:
      - featuresInclude: [dep_time, dep_delay, arr_time, arr_delay, air_time]
  - name: approved-and-traceable
    allow: true
    when:
      - tagsPresent: [git_sha, data_digest, train_start, train_end]
      - tagEquals: {tag: validation_status, value: approved}
      - tagsDiffer: [approved_by, author]
      - digest: verified
"""


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Lab:
    """The lab after its third task: version 2 of winter-lr is champion and serves, version 1 is the way back."""

    def __init__(self, folder: Path) -> None:
        self.mlflow = Mlflow()
        for name in ("winter-noweather", "winter-lr", "spring-lr"):
            self.add_run(name)
        self.add_run("winter-leaky", features=f"{FEATURES},dep_delay")
        self.add_run("spring-unapproved", validation_status="pending")
        self.mlflow.add_version("winter-noweather")
        self.mlflow.add_version("winter-lr")
        self.mlflow.aliases = {"champion": "2", "rollback": "1"}
        self.file = folder / "cluster.json"
        self.policy = folder / "policy.yaml"
        self.policy.write_text(POLICY)
        container = {"name": "predictor", "env": [{"name": "MODEL_URI", "value": "models:/flight-delay/2"}, {"name": "PORT", "value": "8080"}]}
        template = {"metadata": {"labels": {"app": "predictor", "mlops/model-version": "2"}}, "spec": {"containers": [container]}}
        deployment = {"metadata": {"name": "predictor"}, "spec": {"selector": {"matchLabels": {"app": "predictor"}}, "template": template}}
        job: dict[str, Any] = {"name": "promote", "args": ["-m", "labtools.promote", "job"]}
        job["env"] = [{"name": "PROMOTION_POLICY", "value": str(self.policy)}, {"name": "CANDIDATE", "value": ""}]
        job_template = {"metadata": {"labels": {"app": "promote"}}, "spec": {"template": {"spec": {"containers": [job]}}}}
        self.write(
            {
                "deployment": {"predictor": deployment},
                "configmap": {"promotion-policy": {"data": {"policy.yaml": POLICY}}},
                "cronjob": {"promote": {"spec": {"suspend": True, "jobTemplate": job_template}}},
                "job": {},
                "pods": {"predictor-1": pod("predictor-1")},
                "logs": {},
                "created": [],
                "patches": [],
                "rights": {"promoter": True},
                "allowed": [["get", "deployments", "predictor"], ["patch", "deployments", "predictor"]],
                "stuck": False,
            }
        )
        self.server = ModelServer(self.pinned)

    def add_run(self, name: str, features: str = FEATURES, **tags: str) -> None:
        content = name.encode()
        lineage = {"git_sha": "5f1d", "data_digest": "sha256:3c", "train_start": "2013-01-01", "train_end": "2013-03-15"}
        people = {"validation_status": "approved", "approved_by": "ben", "author": "ana"}
        self.mlflow.add_run(name, {**lineage, **people, "model_digest": sha256(content), **tags}, features, content)

    def write(self, cluster: dict[str, Any]) -> None:
        self.file.write_text(json.dumps(cluster))

    @property
    def cluster(self) -> dict[str, Any]:
        return json.loads(self.file.read_text())

    def change(self, **parts: Any) -> None:
        self.write({**self.cluster, **parts})

    @property
    def template(self) -> dict[str, Any]:
        return self.cluster["deployment"]["predictor"]["spec"]["template"]

    def set_uri(self, entry: dict[str, Any] | None, label: str | None) -> None:
        cluster = self.cluster
        template = cluster["deployment"]["predictor"]["spec"]["template"]
        container = template["spec"]["containers"][0]
        container["env"] = [*([] if entry is None else [{"name": "MODEL_URI", **entry}]), {"name": "PORT", "value": "8080"}]
        template["metadata"]["labels"] = {"app": "predictor", **({} if label is None else {"mlops/model-version": label})}
        self.write(cluster)

    @property
    def env(self) -> dict[str, Any]:
        return {entry["name"]: entry for entry in self.template["spec"]["containers"][0]["env"]}

    def pinned(self) -> str | None:
        """What the Deployment's pods serve: the fake rolls out at once."""
        entry = self.env.get("MODEL_URI", {})
        reference = entry.get("valueFrom", {}).get("configMapKeyRef")
        uri = self.cluster["configmap"][reference["name"]]["data"][reference["key"]] if reference else entry.get("value", "")
        name = uri.rsplit("/", 1)[-1]
        return max(self.mlflow.versions, key=int) if name == "latest" else name or None


def pod(name: str, ready: str = "True") -> dict[str, Any]:
    status = {"phase": "Running", "podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": ready}]}
    return {"metadata": {"name": name, "labels": {"app": "predictor"}}, "status": status}
