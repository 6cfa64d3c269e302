"""Shows bucket `reports` to a browser: `python3 -m monitoring.reports`, on PORT (8080).

The object store answers only signed requests, and a browser has no key. Reads only.
"""

from __future__ import annotations

import html
import logging
import mimetypes
import os
import signal
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any, Final

import botocore.exceptions

from monitoring import objects

BUCKET: Final = "reports"
STYLE: Final = "body{font:16px sans-serif;max-width:50em;margin:2em auto;padding:0 1em}td{padding:.2em 1.5em .2em 0}"


class Bucket:
    """What the store has; a store that is away is an answer, too."""

    def __init__(self, s3: Any = None) -> None:
        self.s3 = s3 or objects.client()

    def page(self, path: str) -> tuple[int, str, bytes]:
        """Returns status, content type and body of a path."""
        key = urllib.parse.unquote(urllib.parse.urlsplit(path).path).lstrip("/")
        try:
            if not key or key.endswith("/"):
                return 200, "text/html; charset=utf-8", self.index(key).encode()
            body: bytes = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        except botocore.exceptions.ClientError as error:
            missing = error.response.get("Error", {}).get("Code") in ("NoSuchKey", "404")
            return (404, "text/plain", f"there is no {key} yet\n".encode()) if missing else (502, "text/plain", f"{error}\n".encode())
        except botocore.exceptions.BotoCoreError as error:
            return 502, "text/plain", f"{error}\n".encode()
        kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
        return 200, f"{kind}; charset=utf-8" if kind.startswith("text/") else kind, body

    def index(self, prefix: str) -> str:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        # What the monitors wrote stands above what came with the lab.
        found = sorted(((item["Key"], item["LastModified"]) for page in pages for item in page.get("Contents", [])), reverse=True)
        rows = "".join(
            f'<tr><td><a href="/{html.escape(urllib.parse.quote(key))}">{html.escape(key)}</a><td>{moment:%H:%M:%S} UTC</tr>' for key, moment in found
        )
        head = f'<!doctype html><meta charset="utf-8"><title>Reports</title><style>{STYLE}</style>'
        return f"{head}<h1>Reports</h1><table>{rows}</table>" if rows else f"{head}<h1>Reports</h1><p>None yet: `drift run` makes one.</p>"


class Handler(BaseHTTPRequestHandler):
    bucket: Bucket

    def do_GET(self) -> None:
        status, kind, body = (200, "text/plain", b"ok\n") if self.path == "/healthz" else self.bucket.page(self.path)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Probes would fill the log."""


def stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGTERM, stop)
    Handler.bucket = Bucket()
    ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
