"""Writes each prediction into the labs' table `predictions`, beside the answers and not before them.

A request only adds its rows to a queue; one thread writes what has gathered, in one transaction. While the database is away the rows
wait in memory, and a server that ends writes the last of them first, so the log is complete. PGHOST and the rest are libpq's.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg2
from psycopg2.extras import execute_values

logger = logging.getLogger("model_server")

# A row that is sent again replaces the one before: somebody had a reason to send it again.
INSERT: Final = """
INSERT INTO predictions (model, request_id, model_version, score, event_time, features) VALUES %s
ON CONFLICT (model, request_id) DO UPDATE SET model_version = excluded.model_version, score = excluded.score,
event_time = excluded.event_time, features = excluded.features, logged_at = now()
"""
MOST_ROWS: Final = 5000
RETRY_SECONDS: Final = 0.5
CLOSE_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Entry:
    """One row that a model scored."""

    model: str
    request_id: str
    version: str
    score: float
    event_time: datetime
    features: dict[str, Any]


class PredictionLog:
    """Takes entries at any time; `close` returns when they are all written."""

    def __init__(self, connect: Callable[[], Any] = lambda: psycopg2.connect("")) -> None:
        os.environ.setdefault("PGCONNECT_TIMEOUT", "5")
        self.connect = connect
        self.connection: Any = None
        self.queue: queue.SimpleQueue[Sequence[Entry] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self.work, name="prediction-log", daemon=True)
        self.thread.start()

    def put(self, entries: Sequence[Entry]) -> None:
        self.queue.put(entries)

    def close(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Writes what is left; returns whether everything is written."""
        self.queue.put(None)
        self.thread.join(seconds)
        return not self.thread.is_alive()

    def work(self) -> None:
        ended = False
        while not ended:
            entries, ended = self.gather()
            if entries:
                self.write(entries)

    def gather(self) -> tuple[list[Entry], bool]:
        """Waits for entries and returns what there is, and whether it is the last."""
        found: list[Entry] = []
        while len(found) < MOST_ROWS:
            try:
                item = self.queue.get(block=not found)
            except queue.Empty:
                break
            if item is None:
                return found, True
            found += item
        return found, False

    def write(self, entries: Sequence[Entry]) -> None:
        # Of a row that is there twice, the later one: one statement can't write the same row twice.
        latest = {(entry.model, entry.request_id): entry for entry in entries}
        values = [(e.model, e.request_id, e.version, e.score, e.event_time, json.dumps(e.features)) for e in latest.values()]
        said = ""
        while True:
            try:
                if self.connection is None:
                    self.connection = self.connect()
                with self.connection, self.connection.cursor() as cursor:
                    execute_values(cursor, INSERT, values, page_size=1000)
                return
            except psycopg2.Error as error:
                self.connection = None
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                if reason != said:
                    logger.warning("%d predictions wait to be logged: %s", len(values), reason)
                    said = reason
                time.sleep(RETRY_SECONDS)
