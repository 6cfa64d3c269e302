"""The MLflow server's start: what it reads, what it waits for, and when it refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow_server
import psycopg2
import pytest

EXPECTED = "abc123"


def settings(**changes: str) -> mlflow_server.Settings:
    return mlflow_server.Settings.read({"MLFLOW_WAIT_SECONDS": "5", **changes})


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def database(*answers: str | Exception | None) -> Callable[[], str | None]:
    """A database that gives these answers, the last one for ever."""
    left = list(answers)

    def revision() -> str | None:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return revision


DOWN = psycopg2.OperationalError("connection refused\n")


@pytest.mark.parametrize(
    ("schema", "answers", "found"),
    [
        ("wait", [DOWN, None, EXPECTED], EXPECTED),
        ("create", [DOWN, None], None),
        ("create", ["older"], "older"),
    ],
)
def test_wait_for_database(schema: str, answers: list[str | Exception | None], found: str | None) -> None:
    clock = Clock()
    assert mlflow_server.wait_for_database(settings(MLFLOW_SCHEMA=schema), EXPECTED, database(*answers), clock, clock.sleep) == found


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([DOWN], "gave up after 5 s: the database does not answer: connection refused"),
        ([None], "gave up after 5 s: the database holds no MLflow schema yet"),
        ([DOWN, "other"], "holds schema other, this MLflow needs abc123"),
    ],
)
def test_wait_ends_with_the_reason(answers: list[str | Exception | None], reason: str) -> None:
    clock = Clock()
    with pytest.raises(mlflow_server.StartError, match=reason):
        mlflow_server.wait_for_database(settings(), EXPECTED, database(*answers), clock, clock.sleep)


@pytest.mark.parametrize("name", ["MLFLOW_SCHEMA", "MLFLOW_WAIT_SECONDS", "MLFLOW_PORT"])
def test_a_bad_setting_is_named(name: str) -> None:
    with pytest.raises(mlflow_server.StartError, match=f"{name} is 'soon'"):
        settings(**{name: "soon"})


def test_the_password_is_in_no_address() -> None:
    made = mlflow_server.server_environment(settings(), {"PGPASSWORD": "geheim", "PGHOST": "db"})
    assert [name for name, value in made.items() if "geheim" in value] == ["PGPASSWORD"]
    assert (made["PGHOST"], made["PGUSER"]) == ("db", "mlflow")


@pytest.mark.parametrize(
    ("name", "value"),
    [("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"), ("MLFLOW_DISABLE_TELEMETRY", "true"), ("MLFLOW_MODEL_CATALOG_URI", "")],
)
def test_no_jobs_and_no_calls_out(name: str, value: str) -> None:
    assert mlflow_server.server_environment(settings(), {name: "something else"})[name] == value


def test_the_schema_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.store.db import utils

    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setattr(mlflow_server, "DATABASE_URI", address)
    expected = utils._get_latest_schema_revision()
    mlflow_server.create_schema(None, expected)
    engine = utils.create_sqlalchemy_engine(address)
    assert utils._get_schema_version(engine) == expected
    monkeypatch.setattr(utils, "_upgrade_db", lambda _: pytest.fail("a current schema was upgraded"))
    mlflow_server.create_schema(expected, expected)


def test_a_bad_setting_ends_the_program_with_one_line() -> None:
    done = subprocess.run([sys.executable, mlflow_server.__file__], env={"MLFLOW_SCHEMA": "maybe"}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("MLFLOW_SCHEMA is 'maybe'; it must be wait or create")
    assert len(done.stderr.splitlines()) == 1
