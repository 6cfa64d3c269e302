"""The database `lab`: what was predicted, what came true, what time it is, and what the monitors found.

Times are virtual: New York's local time as the timetable has it, without a zone, so that a day here is a day of the data set. Only
columns of type timestamptz are of the real clock. psycopg2 reads PGHOST and the rest from the environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from labtools.errors import ToolError

# One text, because seeds make their tables with it, too.
DDL: Final = """
CREATE TABLE IF NOT EXISTS lab_clock (
    stream text PRIMARY KEY,
    now timestamp NOT NULL
);
-- One row for each row that a model scored; sending a flight again replaces its row.
CREATE TABLE IF NOT EXISTS predictions (
    model text NOT NULL,
    request_id text NOT NULL,
    model_version text NOT NULL,
    score double precision NOT NULL,
    event_time timestamp NOT NULL,
    features jsonb NOT NULL,
    logged_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, request_id)
);
CREATE INDEX IF NOT EXISTS predictions_time ON predictions (model, event_time);
-- What came true. A cancelled or diverted flight has a row whose label is null: its outcome is known, and it is neither late nor on time.
CREATE TABLE IF NOT EXISTS labels (
    request_id text PRIMARY KEY,
    label smallint,
    arr_delay real,
    released_at timestamp NOT NULL
);
-- How many rows were sent for each day; the log of predictions is compared with it.
CREATE TABLE IF NOT EXISTS replay_log (
    stream text NOT NULL,
    day date NOT NULL,
    sent integer NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, day)
);
-- What a monitor found in a window; kind is drift or perf.
CREATE TABLE IF NOT EXISTS window_runs (
    kind text NOT NULL,
    model text NOT NULL,
    window_start timestamp NOT NULL,
    window_end timestamp NOT NULL,
    data jsonb NOT NULL,
    judged_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, model, window_start)
);
-- Every verdict about a release.
CREATE TABLE IF NOT EXISTS gate_runs (
    id text PRIMARY KEY,
    at timestamp NOT NULL,
    kind text NOT NULL,
    model text NOT NULL,
    candidate text NOT NULL,
    champion text NOT NULL,
    gate_start date,
    gate_end date,
    verdict text NOT NULL,
    trigger text,
    report jsonb NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
"""

DEFAULTS: Final = {"PGHOST": "postgres", "PGPORT": "5432", "PGUSER": "lab", "PGDATABASE": "lab", "PGCONNECT_TIMEOUT": "5"}
FLIGHTS: Final = "flights"


@contextmanager
def connected() -> Iterator[Any]:
    """Yields a connection; what was done is committed at the end, or undone by an error."""
    import psycopg2

    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        connection = psycopg2.connect("")
    except psycopg2.OperationalError as error:
        raise ToolError(f"the database does not answer: {first_line(error)}") from error
    try:
        with connection:
            yield connection
    except psycopg2.Error as error:
        raise ToolError(f"the database refused: {first_line(error)}") from error
    finally:
        connection.close()


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def rows(connection: Any, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def run(connection: Any, statement: str, parameters: Any = None) -> int:
    """Runs a statement; returns how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        changed: int = cursor.rowcount
        return changed


def insert(connection: Any, statement: str, values: Iterable[Sequence[Any]]) -> None:
    """Inserts many rows with few round trips; `statement` has VALUES %s."""
    from psycopg2.extras import execute_values

    with connection.cursor() as cursor:
        execute_values(cursor, statement, values, page_size=1000)


def now(connection: Any, stream: str = FLIGHTS) -> datetime:
    """Returns a stream's virtual time."""
    found = rows(connection, "SELECT now FROM lab_clock WHERE stream = %s", (stream,))
    if not found:
        raise ToolError(f"there is no clock for stream {stream}")
    moment: datetime = found[0][0]
    return moment


def set_now(connection: Any, moment: datetime, stream: str = FLIGHTS) -> None:
    run(connection, "INSERT INTO lab_clock VALUES (%s, %s) ON CONFLICT (stream) DO UPDATE SET now = excluded.now", (stream, moment))


@contextmanager
def locked(connection: Any, name: str) -> Iterator[None]:
    """Lets one process at a time do what `name` stands for; the others wait. The end of the connection lets go of it, too."""
    run(connection, "SELECT pg_advisory_lock(hashtext(%s))", (name,))
    connection.commit()
    yield
    run(connection, "SELECT pg_advisory_unlock(hashtext(%s))", (name,))
    connection.commit()
