"""The model server: which model a URI names, when it refuses to start, what it answers and counts."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.server
import io
import json
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import model_server
import pandas as pd
import pytest
import registry
from labtools import web
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

ROWS = pd.DataFrame({"hour": [6.0, 9.0, 18.0, 21.0], "carrier": ["UA", "EV", "UA", "EV"]})
LATE = [0, 0, 1, 1]


def pipeline() -> Pipeline:
    columns = ColumnTransformer([("text", OneHotEncoder(handle_unknown="ignore"), ["carrier"]), ("numbers", SimpleImputer(), ["hour"])])
    return Pipeline([("columns", columns), ("model", LogisticRegression())]).fit(ROWS, LATE)


CONTENT = pickle.dumps(pipeline())
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
DESCRIPTION = json.dumps(
    {
        "run_id": "run-of-2",
        "signature": {"inputs": json.dumps([{"name": "hour", "type": "double"}, {"name": "carrier", "type": "string"}])},
    }
).encode()


class Tracking:
    """A tracking server with versions 1, 2 and 10 of one model; alias champion is version 2."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {"model_digest": DIGEST}
        self.files: dict[str, bytes] = {registry.MODEL_FILE: CONTENT, registry.DESCRIPTION_FILE: DESCRIPTION}
        self.broken = False

    def version(self, number: str) -> dict[str, Any]:
        return {"name": "flight-delay", "version": number, "tags": [{"key": key, "value": value} for key, value in self.tags.items()]}

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        if self.broken:
            return 500, b'{"message": "the database is gone"}'
        files = "/api/2.0/mlflow-artifacts/artifacts/1/models/m-1/artifacts/"
        if path.startswith(files):
            content = self.files.get(path.removeprefix(files))
            return (200, content) if content is not None else (500, b'{"message": "HeadObject: 404"}')
        match path.removeprefix("/api/2.0/mlflow/"):
            case "registered-models/alias" if query["alias"] == "champion":
                return 200, json.dumps({"model_version": self.version("2")}).encode()
            case "model-versions/get" if query["version"] in ("1", "2", "10"):
                return 200, json.dumps({"model_version": self.version(query["version"])}).encode()
            case "model-versions/search":
                found = [self.version(number) for number in ("2", "10", "1")] if "'flight-delay'" in query["filter"] else []
                return 200, json.dumps({"model_versions": found} if found else {}).encode()
            case "model-versions/get-download-uri":
                return 200, b'{"artifact_uri": "mlflow-artifacts:/1/models/m-1/artifacts"}'
        return 404, b'{"message": "not here"}'


@contextlib.contextmanager
def running(tracking: Tracking) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            code, body = tracking.answer(url.path, dict(urllib.parse.parse_qsl(url.query)))
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("uri", "version"),
    [("models:/flight-delay/1", "1"), ("models:/flight-delay/latest", "10"), ("models:/flight-delay@champion", "2")],
)
def test_a_uri_names_a_version(uri: str, version: str) -> None:
    with running(Tracking()) as address:
        stored = registry.fetch(uri, f"{address}/")
    assert (stored.version, stored.run_id, stored.digest) == (version, "run-of-2", DIGEST)
    assert [(column.name, column.text) for column in stored.columns] == [("hour", False), ("carrier", True)]


@pytest.mark.parametrize("uri", ["", "flight-delay", "models:/flight-delay", "models:/flight-delay/Production", "s3://models", "models:/a@b@c"])
def test_other_uris_are_refused(uri: str) -> None:
    with pytest.raises(registry.ModelError, match="it must be models:/NAME/NUMBER"):
        registry.fetch(uri, "http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("models:/flight-delay/7", "the registry answered 404: not here"),
        ("models:/flight-delay@nobody", "the registry answered 404: not here"),
        ("models:/other/latest", "the registry has no version of other"),
    ],
)
def test_a_model_that_is_not_there_is_final(uri: str, reason: str) -> None:
    with running(Tracking()) as address, pytest.raises(registry.ModelError, match=reason):
        registry.fetch(uri, address)


def test_other_bytes_than_the_tag_says_are_refused() -> None:
    tracking = Tracking()
    tracking.files[registry.MODEL_FILE] = b"somebody else's model"
    with running(tracking) as address, pytest.raises(registry.ModelError, match="its tag model_digest says"):
        registry.fetch("models:/flight-delay/2", address)
    tracking.tags.clear()
    with running(tracking) as address:
        stored = registry.fetch("models:/flight-delay/2", address)
    with pytest.raises(registry.ModelError, match="can't be loaded"):
        model_server.unpickle(stored)


def test_a_missing_file_is_final() -> None:
    tracking = Tracking()
    del tracking.files[registry.MODEL_FILE]
    with running(tracking) as address, pytest.raises(registry.ModelError, match="HeadObject: 404"):
        registry.fetch("models:/flight-delay/2", address)


def test_a_registry_that_is_down_is_waited_for() -> None:
    tracking = Tracking()
    tracking.broken = True
    with running(tracking) as address:

        def ask() -> registry.Stored:
            return registry.fetch("models:/flight-delay/2", address)

        def mend(_: float) -> None:
            tracking.broken = False

        assert registry.wait(ask, 5, sleep=mend).version == "2"
    now = iter((0.0, 1.0, 6.0))
    with pytest.raises(registry.ModelError, match="gave up after 5 s: the registry does not answer"):
        registry.wait(ask, 5, clock=lambda: next(now), sleep=lambda _: None)


def test_the_object_store_holds_models_too(monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3
    import botocore.exceptions

    class Store:
        def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
            files = {"some/model/model.pkl": CONTENT, "some/model/MLmodel": DESCRIPTION} | more
            if Bucket != "models" or Key not in files:
                raise botocore.exceptions.ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
            return {"Body": io.BytesIO(files[Key])}

    more: dict[str, bytes] = {}
    monkeypatch.setattr(boto3, "client", lambda *_, **__: Store())
    stored = registry.fetch("s3://models/some/model/", "")
    assert (stored.version, stored.digest) == (DIGEST.removeprefix("sha256:")[:12], DIGEST)
    more |= {"flights/4/model.pkl": CONTENT, "flights/4/MLmodel": b'{"signature": ' + json.dumps(json.loads(DESCRIPTION)["signature"]).encode() + b"}"}
    assert registry.fetch("s3://models/flights/4", "").version == "4"
    more["flights/4/manifest.json"] = json.dumps({"version": "14", "run": "spring-lr", "digest": DIGEST}).encode()
    stored = registry.fetch("s3://models/flights/4", "")
    assert (stored.version, stored.run_id) == ("14", "spring-lr")
    more["flights/4/manifest.json"] = json.dumps({"version": "14", "digest": "sha256:0"}).encode()
    with pytest.raises(registry.ModelError, match=r"manifest.json says sha256:0"):
        registry.fetch("s3://models/flights/4", "")
    more["flights/4/manifest.json"] = b"[]"
    with pytest.raises(registry.ModelError, match="no JSON object"):
        registry.fetch("s3://models/flights/4", "")
    with pytest.raises(registry.ModelError, match="NoSuchKey"):
        registry.fetch("s3://models/other", "")


@pytest.mark.parametrize("name", ["PORT", "MODEL_WAIT_SECONDS", "LOAD_AFTER_LISTEN"])
def test_a_bad_setting_is_named(name: str) -> None:
    with pytest.raises(registry.ModelError, match=f"{name} is 'soon'"):
        model_server.Settings.read({name: "soon"})


@pytest.mark.parametrize(
    ("counts", "drained", "looks"),
    [
        ([5] * 99, True, model_server.DRAIN_QUIET_POLLS),
        ([1, 2, 3, 3, 3, 4] + [4] * 99, True, 5 + model_server.DRAIN_QUIET_POLLS),
        (list(range(99)), False, model_server.DRAIN_POLLS),
    ],
)
def test_drain_waits_for_the_last_request(counts: list[int], drained: bool, looks: int) -> None:
    left = iter(counts)
    assert asyncio.run(model_server.drain(lambda: next(left), pause=0)) is drained
    assert len(counts) - len(list(left)) == looks + 1


# From here on: the program itself, as the container starts it.


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    port = free_port()
    with running(Tracking()) as tracking:
        env = os.environ | {"MODEL_URI": "models:/flight-delay/2", "PORT": str(port), "MLFLOW_TRACKING_URI": tracking}
        process = subprocess.Popen([sys.executable, model_server.__file__], env=env, stderr=subprocess.PIPE, text=True)
        address = f"http://127.0.0.1:{port}"
        try:
            while process.poll() is None:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{address}/v2/models/flight-delay/ready", timeout=5).close()
                    break
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            _, log = process.communicate(timeout=20)
        assert process.returncode == 0
        # Two lines of our own and nothing else: no request is worth a line, and a refused one no traceback.
        assert len(log.splitlines()) == 2, log


def call(address: str, path: str, body: object = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def tensor(name: str, datatype: str, *data: object, shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": list(data)}


HOUR, CARRIER = tensor("hour", "FP64", 9, None), tensor("carrier", "BYTES", "EV", "UA")


def infer(address: str, *tensors: dict[str, Any]) -> tuple[int, Any]:
    return call(address, "/v2/models/flight-delay/infer", {"id": "a", "inputs": list(tensors)})


def test_it_answers_with_version_and_scores(server: str) -> None:
    status, answer = infer(server, CARRIER, HOUR, tensor("unknown", "FP64", 1, 2))
    expected = pipeline().predict_proba(pd.DataFrame({"hour": [9.0, float("nan")], "carrier": ["EV", "UA"]}))[:, 1]
    assert status == 200
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("a", "flight-delay", "2")
    [output] = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("probability", "FP64", [2])
    assert output["data"] == expected.tolist()


def test_a_request_needs_no_id(server: str) -> None:
    status, answer = call(server, "/v2/models/flight-delay/infer", {"inputs": [HOUR, CARRIER]})
    assert status == 200
    assert answer["id"]


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ([HOUR], "missing columns: carrier"),
        ([CARRIER], "missing columns: hour"),
        ([tensor("hour", "BYTES", "9", "8"), CARRIER], "column hour has datatype BYTES; it holds numbers (FP64)"),
        ([HOUR, tensor("carrier", "FP64", 1, 2)], "column carrier has datatype FP64; it holds text (BYTES)"),
        ([tensor("hour", "FP64", "nine", 8), CARRIER], "column hour: could not convert string to float: 'nine'"),
        ([HOUR, tensor("carrier", "BYTES", "UA", None)], "column carrier: every value must be text"),
        ([tensor("hour", "FP64", 9), CARRIER], "every column needs the same number of rows"),
        ([tensor("hour", "FP64"), tensor("carrier", "BYTES")], "every column needs the same number of rows"),
        ([tensor("hour", "FP64", 9, 8, shape=[3]), CARRIER], "column hour: cannot reshape"),
        ([tensor("hour", "REAL", 9, 8), CARRIER], "invalid datatype"),
    ],
)
def test_a_clients_mistake_is_400(server: str, tensors: list[dict[str, Any]], reason: str) -> None:
    status, answer = infer(server, *tensors)
    assert status == 400
    assert reason in answer["error"]


def test_the_old_protocol_is_refused(server: str) -> None:
    status, answer = call(server, "/v1/models/flight-delay:predict", {"instances": [{"hour": 9, "carrier": "UA"}]})
    assert (status, answer) == (400, {"error": "use the Open Inference Protocol: POST /v2/models/flight-delay/infer"})


@pytest.mark.parametrize(("path", "status"), [("/v2/health/live", 200), ("/v2/models/nobody/ready", 404)])
def test_every_answer_names_its_pod(server: str, path: str, status: int) -> None:
    answer = web.request("GET", server + path)
    assert (answer.status, answer.headers["x-pod"]) == (status, socket.gethostname())


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", "/v2/models/flight-delay/ready"])
def test_probe_paths(server: str, path: str) -> None:
    assert call(server, path)[0] == 200


def test_metadata_names_the_columns(server: str) -> None:
    status, answer = call(server, "/v2/models/flight-delay")
    assert status == 200
    assert [(column["name"], column["datatype"]) for column in answer["inputs"]] == [("hour", "FP64"), ("carrier", "BYTES")]


def test_drain_answers_when_it_is_quiet(server: str) -> None:
    assert call(server, "/drain") == (200, {"drained": True})


def metrics_text(address: str) -> str:
    with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def metrics(address: str) -> dict[str, float]:
    lines = metrics_text(address).splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}


def test_metrics_tell_versions_apart(server: str) -> None:
    before = metrics(server)
    infer(server, HOUR, CARRIER)
    infer(server, HOUR)
    after = metrics(server)
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    for outcome in ("late", "ontime", "error"):
        assert grown[f'predictions_total{{model="flight-delay",outcome="{outcome}",version="2"}}'] == 1, outcome
    assert grown['prediction_score_bucket{le="1.0",model="flight-delay",version="2"}'] == 2
    assert grown['request_predict_seconds_count{model_name="flight-delay"}'] == 2
    assert after[f'model_info{{digest="{DIGEST}",model="flight-delay",run_id="run-of-2",version="2"}}'] == 1


def test_a_port_that_opens_before_the_model_is_there() -> None:
    port = free_port()
    with running(Tracking()) as tracking:
        env = os.environ | {"MODEL_URI": "models:/flight-delay/2", "PORT": str(port), "MLFLOW_TRACKING_URI": tracking, "LOAD_AFTER_LISTEN": "2"}
        process = subprocess.Popen([sys.executable, model_server.__file__], env=env, stderr=subprocess.PIPE, text=True)
        address = f"http://127.0.0.1:{port}"
        try:
            model_server.wait_for_port(port)
            assert [call(address, path)[0] for path in ("/", "/v2/health/live", "/v2/health/ready")] == [200, 200, 200]
            # Metadata, because the SDK then asks the model to load.
            call(address, "/v2/models/flight-delay")
            assert call(address, "/v2/models/flight-delay/ready") == (503, {"error": "Model with name flight-delay is not ready."})
            assert infer(address, HOUR, CARRIER)[0] == 503
            assert "model_info{" not in metrics_text(address)
            while call(address, "/v2/models/flight-delay/ready")[0] != 200:
                time.sleep(0.1)
            status, answer = infer(address, HOUR, CARRIER)
            assert (status, answer["model_version"]) == (200, "2")
        finally:
            process.terminate()
            _, log = process.communicate(timeout=20)
    assert (process.returncode, len(log.splitlines())) == (0, 2), log


def test_a_late_model_that_is_not_there_ends_the_program() -> None:
    with running(Tracking()) as tracking:
        env = os.environ | {"MODEL_URI": "models:/flight-delay/7", "PORT": str(free_port()), "MLFLOW_TRACKING_URI": tracking, "LOAD_AFTER_LISTEN": "1"}
        done = subprocess.run([sys.executable, model_server.__file__], env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("the registry answered 404: not here")


def test_the_program_ends_with_one_line() -> None:
    env = os.environ | {"MODEL_URI": "flight-delay"}
    done = subprocess.run([sys.executable, model_server.__file__], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "MODEL_URI is 'flight-delay'" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_kserve_brings_no_client_of_kubernetes() -> None:
    code = "import model_server, sys; model_server.bare_kserve(); import predictor, kserve.model_server; print('kubernetes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(model_server.__file__).parent, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
