"""A scratch PostgreSQL with the tables of the labs, and a model server that serves two models."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import programs
import pytest

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """A database server that ends with the tests; returns its socket's directory."""
    if not BINARIES:
        programs.missing("there is no PostgreSQL server")
    root = Path(tempfile.mkdtemp(prefix="lab-postgres-"))
    # PostgreSQL refuses to run as root.
    who = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    if who:
        os.chown(root, 65534, 65534)
    data, quiet = root / "data", {"check": True, "stdout": subprocess.DEVNULL, "cwd": "/"}
    initdb = [str(BINARIES[-1] / "initdb"), "--pgdata", str(data), "--username", "lab", "--auth", "trust", "--no-sync", "--encoding", "UTF8"]
    options = f"-c listen_addresses= -c unix_socket_directories={root} -c fsync=off"
    control = [str(BINARIES[-1] / "pg_ctl"), "--pgdata", str(data), "--silent", "--wait", "--log", str(root / "log")]
    subprocess.run([*who, *initdb], **quiet)  # type: ignore[call-overload]
    subprocess.run([*who, *control, "--options", options, "start"], **quiet)  # type: ignore[call-overload]
    try:
        yield str(root)
    finally:
        subprocess.run([*who, *control, "--mode", "immediate", "stop"], **quiet)  # type: ignore[call-overload]
        shutil.rmtree(root, ignore_errors=True)


class Databases:
    """Databases of a scratch server; a new one may be a copy of another."""

    def __init__(self, host: str) -> None:
        import psycopg2

        self.host = host
        self.admin = psycopg2.connect(host=host, user="lab", dbname="postgres")
        self.admin.autocommit = True

    def make(self, template: str = "template1") -> str:
        name = f"lab{time.monotonic_ns()}"
        self.admin.cursor().execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def use(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Names it in the environment of the tools."""
        for key, value in {"PGHOST": self.host, "PGUSER": "lab", "PGDATABASE": name}.items():
            monkeypatch.setenv(key, value)

    def drop(self, name: str) -> None:
        self.admin.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def databases(cluster: str) -> Iterator[Databases]:
    made = Databases(cluster)
    yield made
    made.admin.close()


@pytest.fixture
def database(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty database with the labs' tables."""
    from monitoring import store

    name = databases.make()
    databases.use(name, monkeypatch)
    with store.connected() as connection:
        store.run(connection, store.DDL)
    yield name
    databases.drop(name)


@pytest.fixture(scope="session")
def champion(flights: Path):
    """The champion, and what it was trained on."""
    from lab import train

    recipe = next(recipe for recipe in train.RECIPES if recipe.name == "winter-lr")
    return train.fit(recipe, directory=flights).pipeline


@pytest.fixture
def server(champion, database: str, tmp_path: Path, images: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts the real model server on both models, as often as it is called; PREDICTOR_URL names it."""
    from lab import contract
    from monitoring import sea
    from monitoring.flights import FEATURES

    models = {"flight-delay": (champion, FEATURES), "sea": (sea.fit(sea.training()), sea.FEATURES)}
    for name, (model, features) in models.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.pkl").write_bytes(pickle.dumps(model))
        inputs = [{"name": feature, "type": "string" if feature in contract.CATEGORICAL else "double"} for feature in features]
        (folder / "MLmodel").write_text(json.dumps({"run_id": "r", "signature": {"inputs": json.dumps(inputs)}}))
    program = tmp_path / "serve.py"
    program.write_text(SERVE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    settings = {"PORT": str(port), "MODELS": str(tmp_path), "PYTHONPATH": str(images / "model-server"), "LOG_PREDICTIONS": "postgres", "PGDATABASE": database}
    settings |= {"MODEL_URI": "s3://models/flight-delay/1", "MORE_MODELS": "sea=s3://models/sea/1", "OMP_NUM_THREADS": "1"}
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, str(program)], env=os.environ | settings)
        started.append(process)
        for _ in range(600):
            assert process.poll() is None
            try:
                urllib.request.urlopen(f"{url}/v2/models/sea/ready", timeout=2).close()
                return process
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the model server does not answer")

    os.environ["PREDICTOR_URL"] = url
    yield start
    del os.environ["PREDICTOR_URL"]
    for process in started:
        process.kill()
        process.wait()


# The model server with a directory for an object store.
SERVE = """
import os, sys
from pathlib import Path
import model_server, registry

def from_store(bucket, prefix):
    folder = Path(os.environ["MODELS"]) / prefix.split("/")[0]
    return registry.describe("1", (folder / "MLmodel").read_bytes(), (folder / "model.pkl").read_bytes())

registry.from_store = from_store
sys.exit(model_server.main())
"""
