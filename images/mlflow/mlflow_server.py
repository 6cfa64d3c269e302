"""Runs the MLflow tracking server in one process: `python3 -m mlflow_server`.

`mlflow server` keeps a parent process of the same size beside its worker, and exits when the database is not there yet.
This program imports MLflow while the database may still be starting, waits for it (and for its schema), then serves.
It only sets what `mlflow server` would set: the server itself is MLflow's own, unchanged.

Environment (the names of libpq, boto3 and MLflow where they have one):

    PGHOST, PGPORT, PGUSER, PGDATABASE   the database; default postgres, 5432, mlflow, mlflow
    PGPASSWORD                           its password
    MLFLOW_SCHEMA                        wait: somebody else (a seed) brings the schema, wait for it (default)
                                         create: initialise an empty database, upgrade an older one
    MLFLOW_WAIT_SECONDS                  how long to wait for the database or the schema; default 600
    MLFLOW_ARTIFACTS_DESTINATION         where artifacts go; default s3://mlflow
    AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION   the object store
    MLFLOW_SERVER_ALLOWED_HOSTS          Host headers that are answered, ports included; MLflow's default: this machine only
    MLFLOW_HOST, MLFLOW_PORT             where to listen; default 0.0.0.0, 5000

It is not for several workers: one process holds all state, and the lab's Deployment runs one replica.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

logger = logging.getLogger("mlflow_server")

# libpq reads host, user and password from its own variables, so no URI with a password goes round.
DATABASE_URI = "postgresql+psycopg2://"
POLL_SECONDS = 0.2


class StartError(Exception):
    """The server can't start; the text says what is missing."""


@dataclass(frozen=True)
class Settings:
    """What the environment asks for."""

    schema: str
    wait_seconds: float
    artifacts: str
    host: str
    port: int

    @staticmethod
    def read(env: Mapping[str, str]) -> Settings:
        schema = env.get("MLFLOW_SCHEMA", "wait")
        if schema not in ("wait", "create"):
            raise StartError(f"MLFLOW_SCHEMA is {schema!r}; it must be wait or create")
        numbers = {"MLFLOW_WAIT_SECONDS": "600", "MLFLOW_PORT": "5000"}
        for name in numbers:
            numbers[name] = env.get(name, numbers[name])
            if not numbers[name].isdecimal():
                raise StartError(f"{name} is {numbers[name]!r}; it must be a whole number")
        return Settings(
            schema=schema,
            wait_seconds=float(numbers["MLFLOW_WAIT_SECONDS"]),
            artifacts=env.get("MLFLOW_ARTIFACTS_DESTINATION", "s3://mlflow"),
            host=env.get("MLFLOW_HOST", "0.0.0.0"),
            port=int(numbers["MLFLOW_PORT"]),
        )


def server_environment(settings: Settings, env: Mapping[str, str]) -> dict[str, str]:
    """Returns env as the server's modules read it when they are imported (`mlflow server` hands it to its worker)."""
    defaults = {"PGHOST": "postgres", "PGPORT": "5432", "PGUSER": "mlflow", "PGDATABASE": "mlflow"}
    defaults |= {"AWS_DEFAULT_REGION": "us-east-1", "PGCONNECT_TIMEOUT": "3"}
    fixed = {
        "_MLFLOW_SERVER_FILE_STORE": DATABASE_URI,
        "_MLFLOW_SERVER_REGISTRY_STORE": DATABASE_URI,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": settings.artifacts,
        "_MLFLOW_SGI_NAME": "uvicorn",
        "prometheus_multiproc_dir": "/tmp/prometheus",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # The gateway's pages would fetch their list of language models from the internet, for minutes where there is none.
        "MLFLOW_MODEL_CATALOG_URI": "",
    }
    return defaults | dict(env) | fixed


def schema_revision() -> str | None:
    """Returns the revision of the schema in the database, None if there is none; raises OperationalError without a database."""
    import psycopg2

    connection = psycopg2.connect("")
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT version_num FROM alembic_version")
            row = cursor.fetchone()
            return str(row[0]) if row else None
    except psycopg2.errors.UndefinedTable:
        return None
    finally:
        connection.close()


def wait_for_database(
    settings: Settings,
    expected: str,
    revision: Callable[[], str | None] = schema_revision,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str | None:
    """Waits until the database answers and, unless this server creates the schema itself, holds the expected one."""
    import psycopg2

    deadline = clock() + settings.wait_seconds
    said = ""
    while True:
        try:
            found = revision()
        except psycopg2.OperationalError as error:
            reason = f"the database does not answer: {str(error).strip().splitlines()[0]}"
        else:
            if settings.schema == "create" or found == expected:
                return found
            if found is not None:
                raise StartError(f"the database holds schema {found}, this MLflow needs {expected}; MLFLOW_SCHEMA=create upgrades it")
            reason = f"the database holds no MLflow schema yet (expecting {expected})"
        if clock() >= deadline:
            raise StartError(f"gave up after {settings.wait_seconds:.0f} s: {reason}")
        if reason != said:
            logger.info("waiting: %s", reason)
            said = reason
        sleep(POLL_SECONDS)


def create_schema(found: str | None, expected: str) -> None:
    """Initialises an empty database, upgrades an older one, and leaves a current one alone."""
    from mlflow.store.db import utils

    if found == expected:
        return
    engine = utils.create_sqlalchemy_engine(DATABASE_URI)
    if found is None:
        logger.info("initialising the database at schema %s", expected)
        utils._initialize_tables(engine)
    else:
        logger.info("upgrading the database from schema %s to %s", found, expected)
        utils._upgrade_db(engine)
    engine.dispose()


def serve(settings: Settings) -> None:
    """Imports MLflow, waits for its database and serves until a signal stops it."""
    os.environ.update(server_environment(settings, os.environ))
    Path(os.environ["prometheus_multiproc_dir"]).mkdir(parents=True, exist_ok=True)

    begin = time.monotonic()
    # Half a million objects that all stay: looking for garbage among them only costs time.
    gc.disable()
    warnings.filterwarnings("ignore", message="starlette.middleware.wsgi is deprecated")
    import uvicorn
    from mlflow.server import handlers
    from mlflow.server.fastapi_app import app
    from mlflow.store.db.utils import _get_latest_schema_revision

    expected = _get_latest_schema_revision()
    logger.info("modules loaded in %.1f s", time.monotonic() - begin)

    found = wait_for_database(settings, expected)
    if settings.schema == "create":
        create_schema(found, expected)
    # MLflow opens its stores with the first request; opened here, that request is as quick as the others.
    handlers._get_tracking_store()
    handlers._get_model_registry_store()
    gc.freeze()
    gc.enable()
    logger.info("ready to serve %.1f s after the start", time.monotonic() - begin)
    uvicorn.run(app, host=settings.host, port=settings.port, access_log=False, log_level="warning", timeout_graceful_shutdown=2)


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Ends the program before the server has its own handlers; process 1 would ignore the signal otherwise."""
    raise SystemExit(0)


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, stop)
    try:
        serve(Settings.read(os.environ))
    except StartError as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
