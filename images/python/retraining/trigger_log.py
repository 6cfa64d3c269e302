"""What the trigger did with each alert, in the table trigger_log: how it knows that it has done enough for now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from monitoring import store

DDL: Final = """
CREATE TABLE IF NOT EXISTS trigger_log (
    id bigserial PRIMARY KEY,
    at timestamp NOT NULL,
    alert text NOT NULL,
    fingerprint text NOT NULL,
    action text NOT NULL,
    job text,
    reason text NOT NULL,
    drill text,
    made_at timestamptz NOT NULL DEFAULT now()
);
"""
STARTED: Final = "started"


@dataclass(frozen=True)
class Started:
    job: str
    at: datetime


def started(connection: Any) -> list[Started]:
    """Returns the Jobs that alerts started, oldest first; drills are none."""
    query = "SELECT DISTINCT ON (job) job, at FROM trigger_log WHERE action = %s AND drill IS NULL ORDER BY job, id"
    return sorted((Started(job, at) for job, at in store.rows(connection, query, (STARTED,))), key=lambda item: item.at)


def add(connection: Any, at: datetime, alert: str, fingerprint: str, action: str, job: str | None, reason: str, drill: str | None) -> None:
    statement = "INSERT INTO trigger_log (at, alert, fingerprint, action, job, reason, drill) VALUES (%s, %s, %s, %s, %s, %s, %s)"
    store.run(connection, statement, (at, alert, fingerprint, action, job, reason, drill))
