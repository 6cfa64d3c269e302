"""The model registry and its runs over MLflow's REST interface, without importing MLflow (which takes seconds).

What the interface does differently from what one expects is handled here: an empty list is left out of the answer, a missing
alias is 400 INVALID_PARAMETER_VALUE, a missing model 404, a missing artifact 500, versions are strings, lists come in pages.
"""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lab.contract import MODEL_NAME

from labtools import web
from labtools.errors import ToolError

DEFAULT_URL: Final = "http://mlflow:5000"
EXPERIMENT: Final = "flight-delay"
MODEL_FILE: Final = "model.pkl"
READY: Final = "READY"
ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"

# A read must fail soon enough for a check to say so; a write that is cut off leaves nobody knowing whether it was done.
READ_SECONDS: Final = 4.0
WRITE_SECONDS: Final = 20.0
PAGE: Final = 200


class RegistryError(ToolError):
    """MLflow refused; `status` is the HTTP status, `code` its error code or nothing."""

    def __init__(self, text: str, status: int, code: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Version:
    """One version of the registered model. `number` is a string, as everywhere in MLflow."""

    number: str
    run_id: str
    status: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A training run; `model_id` is its logged model (`m-...`), None if it logged none."""

    run_id: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    model_id: str | None
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that the model reads, from the parameter `features`."""
        return tuple(name for name in self.params.get("features", "").split(",") if name)


class Registry:
    """The registered model of the lab and the runs of its experiment."""

    def __init__(self, url: str | None = None) -> None:
        self.url = (url or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URL).rstrip("/")

    # --- reads

    def aliases(self) -> dict[str, str]:
        """Returns alias -> version number; nothing if the model does not exist."""
        try:
            model = self._get("registered-models/get", name=MODEL_NAME)["registered_model"]
        except RegistryError as error:
            if error.status == 404:
                return {}
            raise
        return {entry["alias"]: str(entry["version"]) for entry in model.get("aliases", [])}

    def model_tags(self) -> dict[str, str]:
        """Returns the tags of the registered model itself."""
        return pairs(self._get("registered-models/get", name=MODEL_NAME)["registered_model"].get("tags"))

    def versions(self) -> list[Version]:
        """Returns all versions, newest first."""
        entries: list[Mapping[str, Any]] = []
        for page in self._pages("GET", "model-versions/search", {"filter": f"name='{MODEL_NAME}'", "max_results": PAGE}):
            entries += page.get("model_versions", [])
        return sorted((version(entry) for entry in entries), key=lambda found: int(found.number), reverse=True)

    def version(self, number: str) -> Version:
        return version(self._get("model-versions/get", name=MODEL_NAME, version=number)["model_version"])

    def version_of(self, run: Run) -> Version | None:
        """Returns the newest READY version that was made from the run."""
        return next((found for found in self.versions() if found.run_id == run.run_id and found.status == READY), None)

    def run(self, run_id: str) -> Run:
        return run(self._get("runs/get", run_id=run_id)["run"])

    def find_run(self, name: str) -> Run:
        """Returns the newest finished run of that name."""
        experiment = self._get("experiments/get-by-name", experiment_name=EXPERIMENT)["experiment"]["experiment_id"]
        query = {"experiment_ids": [experiment], "filter": "attributes.status = 'FINISHED'", "order_by": ["attributes.start_time DESC"]}
        names = set()
        for page in self._pages("POST", "runs/search", {**query, "max_results": PAGE}):
            for entry in page.get("runs", []):
                found = run(entry)
                if found.name == name:
                    return found
                names.add(found.name)
        raise ToolError(f"experiment {EXPERIMENT} has no finished run named {name}; there are {', '.join(sorted(names)) or 'none'}")

    def run_name(self, number: str | None) -> str | None:
        """Returns the name of the run that a version was made from; None without a version or when its run is gone."""
        if number is None:
            return None
        try:
            return self.run(self.version(number).run_id).name
        except RegistryError as error:
            if error.status == 404:
                return None
            raise

    def version_bytes(self, number: str) -> bytes:
        """Returns model.pkl of a version, as a model server gets it."""
        return self._model_file(self._get("model-versions/get-download-uri", name=MODEL_NAME, version=number)["artifact_uri"])

    def run_bytes(self, run: Run) -> bytes:
        """Returns model.pkl of a run that may have no version yet."""
        if run.model_id is None:
            raise ToolError(f"run {run.name} logged no model")
        return self._model_file(self._get(f"logged-models/{run.model_id}")["model"]["info"]["artifact_uri"])

    def artifact(self, run_id: str, path: str) -> Any:
        """Returns a JSON artifact of a run, None if there is none."""
        folder = self._run_folder(run_id)
        above, _, name = f"{folder}/{path}".rpartition("/")
        listed = self._call("GET", f"{ARTIFACTS}?{urllib.parse.urlencode({'path': above})}", None, READ_SECONDS).json() or {}
        if name not in {entry["path"].rsplit("/", 1)[-1] for entry in listed.get("files", [])}:
            return None
        return self._call("GET", f"{ARTIFACTS}/{urllib.parse.quote(above)}/{urllib.parse.quote(name)}", None, READ_SECONDS).json()

    # --- writes

    def put_artifact(self, run_id: str, path: str, content: Any) -> None:
        """Leaves a JSON artifact with a run, also with one that has ended."""
        self._call("PUT", f"{ARTIFACTS}/{urllib.parse.quote(f'{self._run_folder(run_id)}/{path}')}", content, WRITE_SECONDS)

    def create_version(self, run: Run, tags: Mapping[str, str]) -> Version:
        """Makes a version from a run, with its tags in the same step."""
        if run.model_id is None:
            raise ToolError(f"run {run.name} logged no model, so no version can be made from it")
        body = {"name": MODEL_NAME, "source": f"models:/{run.model_id}", "run_id": run.run_id, "model_id": run.model_id}
        made = self._write("POST", "model-versions/create", {**body, "tags": [{"key": key, "value": value} for key, value in tags.items()]})
        return version(made["model_version"])

    def delete_version(self, number: str) -> None:
        self._write("DELETE", "model-versions/delete", {"name": MODEL_NAME, "version": number})

    def delete_run(self, run_id: str) -> None:
        """Moves a run to MLflow's bin."""
        self._write("POST", "runs/delete", {"run_id": run_id})

    def set_alias(self, alias: str, number: str) -> None:
        self._write("POST", "registered-models/alias", {"name": MODEL_NAME, "alias": alias, "version": number})

    def delete_alias(self, alias: str) -> None:
        self._write("DELETE", "registered-models/alias", {"name": MODEL_NAME, "alias": alias})

    def set_tag(self, number: str, key: str, value: str) -> None:
        self._write("POST", "model-versions/set-tag", {"name": MODEL_NAME, "version": number, "key": key, "value": value})

    def delete_tag(self, number: str, key: str) -> None:
        self._write("DELETE", "model-versions/delete-tag", {"name": MODEL_NAME, "version": number, "key": key})

    def set_model_tag(self, key: str, value: str) -> None:
        self._write("POST", "registered-models/set-tag", {"name": MODEL_NAME, "key": key, "value": value})

    def delete_model_tag(self, key: str) -> None:
        self._write("DELETE", "registered-models/delete-tag", {"name": MODEL_NAME, "key": key})

    # --- transport

    def _run_folder(self, run_id: str) -> str:
        """Returns where MLflow's artifact service keeps a run's files."""
        uri = str(self._get("runs/get", run_id=run_id)["run"]["info"]["artifact_uri"])
        return urllib.parse.urlsplit(uri).path.strip("/")

    def _model_file(self, artifact_uri: str) -> bytes:
        parts = urllib.parse.urlsplit(artifact_uri)
        if parts.scheme != "mlflow-artifacts":
            raise ToolError(f"the model's artifacts are at {artifact_uri}, not behind MLflow (mlflow-artifacts:)")
        folder = parts.path.strip("/")
        try:
            listed = self._call("GET", f"{ARTIFACTS}?{urllib.parse.urlencode({'path': folder})}", None, READ_SECONDS)
        except RegistryError as error:
            if error.status < 500:
                raise
            raise ToolError(f"MLflow can't read {folder} in the object store (HTTP {error.status})") from error
        if MODEL_FILE not in {entry["path"].rsplit("/", 1)[-1] for entry in (listed.json() or {}).get("files", [])}:
            raise ToolError(f"{folder} holds no {MODEL_FILE}")
        return self._call("GET", f"{ARTIFACTS}/{urllib.parse.quote(folder)}/{MODEL_FILE}", None, WRITE_SECONDS).body

    def _get(self, path: str, **query: str) -> Any:
        suffix = f"?{urllib.parse.urlencode(query)}" if query else ""
        return self._call("GET", f"/api/2.0/mlflow/{path}{suffix}", None, READ_SECONDS).json()

    def _write(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        return self._call(method, f"/api/2.0/mlflow/{path}", body, WRITE_SECONDS).json()

    def _pages(self, method: str, path: str, query: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        token = ""
        while True:
            asked = {**query, **({"page_token": token} if token else {})}
            page = self._get(path, **asked) if method == "GET" else self._call(method, f"/api/2.0/mlflow/{path}", asked, READ_SECONDS).json()
            yield page
            token = page.get("next_page_token", "")
            if not token:
                return

    def _call(self, method: str, path: str, body: Any, seconds: float) -> web.Answer:
        try:
            answer = web.request(method, self.url + path, body, seconds)
        except web.UnreachableError as error:
            raise ToolError(f"MLflow: {error}") from error
        if answer.status == 200:
            return answer
        said = answer.json()
        if isinstance(said, dict) and "message" in said:
            code, message = str(said.get("error_code", "")), str(said["message"])
        else:
            code, message = "", answer.text
        first = (message.strip().splitlines() or ["no message"])[0][:300]
        raise RegistryError(f"MLflow answered HTTP {answer.status}{f' {code}' if code else ''}: {first}", answer.status, code)


def pairs(entries: Sequence[Mapping[str, Any]] | None) -> dict[str, str]:
    """Turns MLflow's lists of {key, value} into a mapping."""
    return {str(entry["key"]): str(entry.get("value", "")) for entry in entries or []}


def version(entry: Mapping[str, Any]) -> Version:
    return Version(str(entry["version"]), str(entry.get("run_id", "")), str(entry.get("status", "")), pairs(entry.get("tags")))


def run(entry: Mapping[str, Any]) -> Run:
    info, data = entry["info"], entry.get("data", {})
    models = entry.get("outputs", {}).get("model_outputs", [])
    model_id = str(models[0]["model_id"]) if models else None
    metrics = {str(entry["key"]): float(entry["value"]) for entry in data.get("metrics", [])}
    return Run(str(info["run_id"]), str(info.get("run_name", "")), pairs(data.get("tags")), pairs(data.get("params")), model_id, metrics)
