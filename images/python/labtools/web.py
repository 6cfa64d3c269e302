"""One HTTP request with a time limit for all of it. Standard library only: a command that reads three numbers must start quickly."""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from labtools.errors import ToolError

CHUNK_BYTES: Final = 1 << 16


class UnreachableError(ToolError):
    """No complete answer came in time."""


@dataclass(frozen=True)
class Answer:
    """What a server answered, whatever the status."""

    status: int
    body: bytes
    # By lower-case name.
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """Returns the body as JSON, or None if it is something else."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


def request(method: str, url: str, body: Any = None, seconds: float = 4.0, extra: Mapping[str, str] | None = None) -> Answer:
    """Sends one request on a new connection, with a JSON body if there is one, and further headers; raises UnreachableError after at most `seconds`."""
    parts = urllib.parse.urlsplit(url)
    deadline = time.monotonic() + seconds
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=seconds)
    try:
        connection.connect()
        socket = connection.sock
        socket.settimeout(left(deadline))
        content = None if body is None else json.dumps(body).encode()
        headers = {"Connection": "close"} | ({} if content is None else {"Content-Type": "application/json"}) | dict(extra or {})
        path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        chunks = []
        while chunk := response.read(CHUNK_BYTES):
            chunks.append(chunk)
            # The last chunk closes a connection that will not be kept.
            if socket.fileno() >= 0:
                socket.settimeout(left(deadline))
        return Answer(response.status, b"".join(chunks), {name.lower(): value for name, value in response.getheaders()})
    except (OSError, http.client.HTTPException) as error:
        reason = f"no answer in {seconds:g} s" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        raise UnreachableError(f"{parts.scheme}://{parts.netloc} does not answer: {reason}") from error
    finally:
        connection.close()


def left(deadline: float) -> float:
    """Returns the seconds up to the deadline, at least a moment: 0 would mean "do not wait at all"."""
    return max(deadline - time.monotonic(), 0.001)
