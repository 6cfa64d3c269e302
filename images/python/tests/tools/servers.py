"""MLflow's REST interface and a model server, in this process, with the shapes and the odd answers of the real ones."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from listening import listening

MODEL = "flight-delay"
# Small, so that every test goes through several pages.
PAGE = 2


class RefusalError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def entries(found: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in found.items()]


class Mlflow:
    """Runs, versions, aliases and artifacts. `writes` lists what was changed, `down` and `forbidden` make it fail as it would."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self.aliases: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.models: dict[str, bytes] = {}
        self.writes: list[tuple[Any, ...]] = []
        self.down = False
        self.forbidden = False
        self.store_down = False
        # Ends the tool that is at work before this write: ("set-alias", "champion") and so on.
        self.break_before: tuple[str, str] | None = None

    def add_run(self, name: str, tags: dict[str, str], features: str, content: bytes, status: str = "FINISHED") -> None:
        run_id = f"run-{name}"
        self.runs[run_id] = {"name": name, "tags": tags, "params": {"features": features}, "status": status}
        self.models[f"m-{name}"] = content

    def add_version(self, run: str, tags: dict[str, str] | None = None) -> str:
        number = str(max(map(int, self.versions), default=0) + 1)
        self.versions[number] = {"run_id": f"run-{run}", "tags": dict(tags or {})}
        return number

    # --- answers

    def handle(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Any:
        if self.down:
            raise RefusalError(500, "INTERNAL_ERROR", "(psycopg2.OperationalError) connection refused\nmore")
        name = path.removeprefix("/api/2.0/mlflow/")
        if path.startswith("/api/2.0/mlflow-artifacts/artifacts"):
            return self.artifact(path.removeprefix("/api/2.0/mlflow-artifacts/artifacts").lstrip("/"), query)
        if name.startswith("logged-models/"):
            model = name.rsplit("/", 1)[1]
            return {"model": {"info": {"model_id": model, "artifact_uri": f"mlflow-artifacts:/1/models/{model}/artifacts"}}}
        return getattr(self, f"{method.lower()}_{name.replace('/', '_').replace('-', '_')}")({**query, **body})

    def artifact(self, path: str, query: dict[str, str]) -> Any:
        if self.store_down:
            raise RefusalError(500, "", "")
        folder = query.get("path", path)
        model = folder.split("/")[2]
        if "path" in query:
            return {"files": [{"path": "MLmodel"}, {"path": "model.pkl"}]} if model in self.models else {}
        return self.models[model]

    def get_experiments_get_by_name(self, asked: dict[str, Any]) -> Any:
        if asked["experiment_name"] != MODEL:
            raise RefusalError(404, "RESOURCE_DOES_NOT_EXIST", "no such experiment")
        return {"experiment": {"experiment_id": "1"}}

    def entry(self, run_id: str) -> dict[str, Any]:
        run = self.runs[run_id]
        info = {"run_id": run_id, "run_name": run["name"], "status": run["status"]}
        data = {"tags": entries(run["tags"]), "params": entries(run["params"])}
        return {"info": info, "data": data, "outputs": {"model_outputs": [{"model_id": f"m-{run['name']}"}]}}

    def post_runs_search(self, asked: dict[str, Any]) -> Any:
        finished = [run_id for run_id, run in self.runs.items() if run["status"] == "FINISHED"]
        return self.page("runs", [self.entry(run_id) for run_id in reversed(finished)], asked)

    def get_runs_get(self, asked: dict[str, Any]) -> Any:
        if asked["run_id"] not in self.runs:
            raise RefusalError(404, "RESOURCE_DOES_NOT_EXIST", "no such run")
        return {"run": self.entry(asked["run_id"])}

    def page(self, name: str, found: list[Any], asked: dict[str, Any]) -> dict[str, Any]:
        start = int(asked.get("page_token", 0))
        rest = found[start + PAGE :]
        page = {name: found[start : start + PAGE]} if found else {}
        return {**page, "next_page_token": str(start + PAGE)} if rest else page

    def version_entry(self, number: str) -> dict[str, Any]:
        found = self.versions[number]
        tags = {"tags": entries(found["tags"])} if found["tags"] else {}
        return {"name": MODEL, "version": number, "run_id": found["run_id"], "status": found.get("status", "READY"), "current_stage": "None", **tags}

    def get_model_versions_search(self, asked: dict[str, Any]) -> Any:
        assert asked["filter"] == f"name='{MODEL}'"
        return self.page("model_versions", [self.version_entry(number) for number in sorted(self.versions, key=int, reverse=True)], asked)

    def known(self, number: str) -> dict[str, Any]:
        if number not in self.versions:
            raise RefusalError(404, "RESOURCE_DOES_NOT_EXIST", f"Model Version (name={MODEL}, version={number}) not found")
        return self.versions[number]

    def get_model_versions_get(self, asked: dict[str, Any]) -> Any:
        self.known(asked["version"])
        return {"model_version": self.version_entry(asked["version"])}

    def get_model_versions_get_download_uri(self, asked: dict[str, Any]) -> Any:
        name = self.runs[self.known(asked["version"])["run_id"]]["name"]
        return {"artifact_uri": f"mlflow-artifacts:/1/models/m-{name}/artifacts"}

    def get_registered_models_get(self, asked: dict[str, Any]) -> Any:
        if not self.versions:
            raise RefusalError(404, "RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={asked['name']} not found")
        model: dict[str, Any] = {"name": MODEL}
        if self.aliases:
            model["aliases"] = [{"alias": alias, "version": number} for alias, number in self.aliases.items()]
        if self.tags:
            model["tags"] = entries(self.tags)
        return {"registered_model": model}

    def write(self, kind: str, *what: str) -> None:
        if self.break_before is not None and (kind, what[0]) == self.break_before:
            self.break_before = None
            raise RefusalError(503, "TEMPORARILY_UNAVAILABLE", "cut off")
        self.writes.append((kind, *what))

    def post_model_versions_create(self, asked: dict[str, Any]) -> Any:
        assert asked["source"] == f"models:/{asked['model_id']}"
        self.write("create", asked["run_id"])
        number = self.add_version(asked["run_id"].removeprefix("run-"), {tag["key"]: tag["value"] for tag in asked["tags"]})
        return {"model_version": self.version_entry(number)}

    def delete_model_versions_delete(self, asked: dict[str, Any]) -> Any:
        self.write("delete", asked["version"])
        del self.versions[asked["version"]]
        return {}

    def post_registered_models_alias(self, asked: dict[str, Any]) -> Any:
        self.known(asked["version"])
        self.write("set-alias", asked["alias"], asked["version"])
        self.aliases[asked["alias"]] = asked["version"]
        return {}

    def delete_registered_models_alias(self, asked: dict[str, Any]) -> Any:
        self.write("delete-alias", asked["alias"])
        del self.aliases[asked["alias"]]
        return {}

    def post_model_versions_set_tag(self, asked: dict[str, Any]) -> Any:
        self.write("set-tag", asked["key"], asked["version"], asked["value"])
        self.known(asked["version"])["tags"][asked["key"]] = asked["value"]
        return {}

    def delete_model_versions_delete_tag(self, asked: dict[str, Any]) -> Any:
        self.write("delete-tag", asked["key"], asked["version"])
        del self.known(asked["version"])["tags"][asked["key"]]
        return {}

    def post_registered_models_set_tag(self, asked: dict[str, Any]) -> Any:
        self.write("set-model-tag", asked["key"], asked["value"])
        self.tags[asked["key"]] = asked["value"]
        return {}

    def delete_registered_models_delete_tag(self, asked: dict[str, Any]) -> Any:
        self.write("delete-model-tag", asked["key"])
        self.tags.pop(asked["key"], None)
        return {}


class ModelServer:
    """Answers as the version that `serving` names at the moment; None refuses with 503."""

    def __init__(self, serving: Callable[[], str | None]) -> None:
        self.serving = serving
        self.digests: dict[str, str] = {}
        self.score: Callable[[dict[str, list[Any]]], list[float]] = lambda columns: [0.5] * len(next(iter(columns.values())))
        self.seen: list[dict[str, list[Any]]] = []
        self.headers: list[dict[str, str]] = []

    def handle(self, _method: str, path: str, _query: dict[str, str], body: dict[str, Any]) -> Any:
        version = self.serving()
        if version is None:
            raise RefusalError(503, "", "no model is loaded")
        if path == "/metrics":
            labels = f'digest="{self.digests.get(version, "")}",model="{MODEL}",run_id="r",version="{version}"'
            return f"# TYPE model_info gauge\nmodel_info{{{labels}}} 1.0\npredictions_total 3.0\n".encode()
        assert path == f"/v2/models/{MODEL}/infer"
        columns = {item["name"]: item["data"] for item in body["inputs"]}
        self.seen.append(columns)
        scores = self.score(columns)
        return {"model_name": MODEL, "model_version": version, "outputs": [{"name": "probability", "shape": [len(scores)], "data": scores}]}


@contextmanager
def serve(app: Mlflow | ModelServer) -> Iterator[str]:
    """Serves the app on a free port; yields its URL."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            if getattr(app, "forbidden", False):
                return self.reply(403, b"Invalid Host header - possible DNS rebinding attack detected")
            try:
                with lock:
                    if isinstance(app, ModelServer):
                        app.headers.append({name.lower(): value for name, value in self.headers.items()})
                    found = app.handle(self.command, parts.path, query, json.loads(content or b"{}"))
            except RefusalError as refusal:
                return self.reply(refusal.status, json.dumps({"error_code": refusal.code, "message": str(refusal), "error": str(refusal)}).encode())
            return self.reply(200, found if isinstance(found, bytes) else json.dumps(found).encode())

        def reply(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

        do_GET = do_POST = do_DELETE = answer  # noqa: N815

    with listening(Handler) as port:
        yield f"http://127.0.0.1:{port}"
