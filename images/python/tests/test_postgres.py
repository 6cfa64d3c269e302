"""PostgreSQL's entry script, with a stand-in for the server: what a first start says to it, and that it happens once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

POSTGRES = """#!/bin/sh
[ "$1" = --single ] || { echo "serve $*"; exit 0; }
cat > "$SCRIPT"
exit "${FAIL:-0}"
"""


@pytest.fixture
def start(images: Path, tmp_path: Path):
    """Returns a function that starts the script and gives back its output."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "postgres").write_text(POSTGRES)
    (tmp_path / "bin" / "postgres").chmod(0o755)
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "PG_VERSION").write_text("15\n")
    (tmp_path / "password").write_text("it's")
    text = (images / "postgres" / "entrypoint.sh").read_text()
    text = text.replace("/usr/share/pgdata", str(tmp_path / "cluster")).replace("/etc/pg-secret/password", str(tmp_path / "password"))
    script = tmp_path / "entrypoint.sh"
    script.write_text(text)

    def run(**env: str) -> subprocess.CompletedProcess[str]:
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        known = {"PATH": path, "PGDATA": str(tmp_path / "data" / "pgdata"), "SCRIPT": str(tmp_path / "sql")}
        return subprocess.run(["sh", str(script)], env=known | env, capture_output=True, text=True, check=False)

    (tmp_path / "data").mkdir()
    return run


def test_first_start_makes_roles_and_databases(start, tmp_path: Path) -> None:
    done = start(PG_DATABASES="mlflow lab")
    assert done.returncode == 0
    assert (tmp_path / "sql").read_text().splitlines() == [
        "CREATE DATABASE template0 IS_TEMPLATE true ALLOW_CONNECTIONS false",
        "CREATE DATABASE postgres",
        "ALTER ROLE postgres PASSWORD 'it''s'",
        "CREATE ROLE \"mlflow\" LOGIN PASSWORD 'it''s'",
        'CREATE DATABASE "mlflow" OWNER "mlflow"',
        "CREATE ROLE \"lab\" LOGIN PASSWORD 'it''s'",
        'CREATE DATABASE "lab" OWNER "lab"',
    ]
    assert f"serve -D {tmp_path}/data/pgdata" in done.stdout


def test_second_start_only_serves(start, tmp_path: Path) -> None:
    start()
    (tmp_path / "sql").unlink()
    assert start().stdout.startswith("serve ")
    assert not (tmp_path / "sql").exists()


def test_a_start_that_was_cut_off_begins_again(start, tmp_path: Path) -> None:
    assert start(FAIL="1").returncode != 0
    assert not (tmp_path / "data" / "pgdata").exists()
    (tmp_path / "data" / "pgdata.new" / "rubbish").touch()
    assert start().returncode == 0
    assert not (tmp_path / "data" / "pgdata" / "rubbish").exists()


def test_a_missing_password_is_fatal(start, tmp_path: Path) -> None:
    (tmp_path / "password").unlink()
    done = start()
    assert done.returncode != 0
    assert "serve" not in done.stdout
