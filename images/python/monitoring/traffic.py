"""Sends rows to the model server: batches of OIP requests on connections that stay open, several under way at a time."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
import urllib.parse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from labtools.errors import ToolError

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_URL: Final = "http://predictor:8080"
BATCH: Final = 256
THREADS: Final = 4
REQUEST_SECONDS: Final = 30.0
# A request that found nobody is sent again; rows have ids, so nothing counts twice.
ATTEMPTS: Final = 40
PAUSE_SECONDS: Final = 0.5


def bodies(rows: pd.DataFrame, features: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Writes rows as requests; the ids and times of the rows travel as columns that no model reads."""
    found = []
    # Columns of the whole, cut afterwards: much quicker than small frames.
    columns: dict[str, list[Any]] = {"request_id": rows["request_id"].tolist()}
    columns["event_time"] = [moment.isoformat() for moment in rows["event_time"]]
    for name in features:
        values = rows[name]
        columns[name] = values.tolist() if name in texts else values.astype(object).where(values.notna(), None).tolist()
    kinds = {name: "FP64" if name in features and name not in texts else "BYTES" for name in columns}
    for begin in range(0, len(rows), BATCH):
        inputs = []
        for name, whole in columns.items():
            part = whole[begin : begin + BATCH]
            inputs.append({"name": name, "shape": [len(part)], "datatype": kinds[name], "data": part})
        found.append(json.dumps({"id": f"replay-{columns['request_id'][begin]}", "inputs": inputs}))
    return found


class Sender:
    """A client of one model; each thread has a connection of its own."""

    def __init__(self, model: str, url: str | None = None) -> None:
        address = urllib.parse.urlsplit(url or os.environ.get("PREDICTOR_URL") or DEFAULT_URL)
        self.host, self.port = address.hostname or "", address.port or 80
        self.path = f"/v2/models/{model}/infer"
        self.local = threading.local()

    def send(self, requests: Sequence[str]) -> None:
        """Sends all requests; raises ToolError if one is refused, or nobody answers for a while."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(self.one, requests))

    def one(self, body: str) -> None:
        for attempt in range(ATTEMPTS):
            try:
                status, answer = self.ask(body)
            except (OSError, http.client.HTTPException) as error:
                self.drop()
                reason = str(error) or type(error).__name__
            else:
                if status == 200:
                    return
                reason = f"{status}: {answer[:200].decode(errors='replace')}"
                if status < 500:
                    break
            if attempt + 1 < ATTEMPTS:
                time.sleep(PAUSE_SECONDS)
        raise ToolError(f"http://{self.host}:{self.port}{self.path} does not predict: {reason}")

    def ask(self, body: str) -> tuple[int, bytes]:
        connection = getattr(self.local, "connection", None)
        if connection is None:
            connection = self.local.connection = http.client.HTTPConnection(self.host, self.port, timeout=REQUEST_SECONDS)
        connection.request("POST", self.path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()

    def drop(self) -> None:
        if connection := getattr(self.local, "connection", None):
            connection.close()
        self.local.connection = None
