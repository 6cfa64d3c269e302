"""What the seeds of several labs record with: the labs' MLflow server on a scratch database, in a build stage only.

PGHOST and so on say which database. It is dumped afterwards; the artifacts lie where the buckets will hold them.

Ids and times are fixed, so that every machine has the same runs: both processes draw their ids from a seeded sequence and
read the time from a file that only the recording moves.
"""

from __future__ import annotations

import datetime as real_datetime
import itertools
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path

CLOCK = Path("/tmp/clock")
SERVER_PACKAGES = Path("/mlflow")
NAMESPACE = uuid.UUID("6f1c0a9e-5d2b-5c53-9a52-0f2b6d3d8f11")
EXPERIMENT = "flight-delay"
# What a version that was promoted in earnest carries along from its run.
VERSION_TAGS = ("git_sha", "data_digest", "train_start", "train_end", "validation_status", "approved_by", "author", "model_digest")


def fix_ids_and_time(role: str) -> None:
    """Makes uuid4 and the clock of this process repeatable. To be called before MLflow is imported."""
    numbers = itertools.count()
    # A version 4 id in form, drawn from a fixed sequence.
    uuid.uuid4 = lambda: uuid.UUID(bytes=uuid.uuid5(NAMESPACE, f"{role} {next(numbers)}").bytes, version=4)
    time.time = lambda: float(CLOCK.read_text())

    import mlflow.models.model

    class FixedDatetime(real_datetime.datetime):
        @classmethod
        def now(cls, tz: real_datetime.tzinfo | None = None) -> FixedDatetime:
            return cls.fromtimestamp(time.time(), tz)

    mlflow.models.model.datetime = FixedDatetime


def set_clock(moment: str) -> None:
    CLOCK.write_text(str(real_datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()))


def advance(seconds: float) -> None:
    CLOCK.write_text(str(float(CLOCK.read_text()) + seconds))


def start_server(artifacts: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Starts the lab's own server program on a free port and waits until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"MLFLOW_SCHEMA": "create", "MLFLOW_HOST": "127.0.0.1", "MLFLOW_PORT": str(port)}
    settings |= {"MLFLOW_ARTIFACTS_DESTINATION": str(artifacts), "PYTHONPATH": str(SERVER_PACKAGES)}
    server = subprocess.Popen([sys.executable, __file__], env=os.environ | settings)
    address = f"http://127.0.0.1:{port}"
    while server.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
            return server, address
        except urllib.error.URLError:
            time.sleep(0.2)
    raise SystemExit("the MLflow server ended before it answered")


def copy_by_digest(buckets: Path, digest: str) -> None:
    """Keeps every model's bytes under their digest as well, where no run can overwrite them."""
    from lab.lineage import file_digest
    from lab.tracking import MODEL_FILE

    source = next(path for path in buckets.glob(f"mlflow/**/{MODEL_FILE}") if file_digest(path) == digest)
    target = buckets / "models" / digest.replace(":", "/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def run(buckets: Path, begin: str, record: Callable[[Path, str], None]) -> None:
    """Starts the server and calls record with the buckets and the server's address."""
    set_clock(begin)
    fix_ids_and_time("client")
    server, address = start_server(buckets / "mlflow")
    try:
        record(buckets, address)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    fix_ids_and_time("server")
    import mlflow_server

    sys.exit(mlflow_server.main())
