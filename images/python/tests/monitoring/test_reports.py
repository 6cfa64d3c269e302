"""Bucket `reports` in a browser."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import botocore.exceptions
from monitoring.reports import Bucket

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


class Store:
    def __init__(self, **objects: bytes) -> None:
        self.objects = {name.replace("__", "/"): body for name, body in objects.items()}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        assert Bucket == "reports"
        if Key not in self.objects:
            raise botocore.exceptions.ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}

    def get_paginator(self, _name: str) -> Store:
        return self

    def paginate(self, Bucket: str, Prefix: str) -> list[dict[str, Any]]:  # noqa: N803
        assert Bucket == "reports"
        found = [{"Key": key, "LastModified": MOMENT} for key in self.objects if key.startswith(Prefix)]
        return [{"Contents": found}] if found else [{}]


def test_the_index_lists_what_there_is() -> None:
    status, kind, body = Bucket(Store(cases__a=b"", drift__m=b"")).page("/")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert body.index(b"drift/m") < body.index(b"cases/a")
    assert b"drift" not in Bucket(Store(cases__a=b"", drift__m=b"")).page("/cases/")[2]
    assert b"None yet" in Bucket(Store()).page("/")[2]


def test_a_report_is_shown() -> None:
    bucket = Bucket(Store(**{"drift__m.html": b"<p>", "cases__a.csv": b"1"}))
    assert bucket.page("/drift/m.html?x=1") == (200, "text/html; charset=utf-8", b"<p>")
    assert bucket.page("/cases/a.csv") == (200, "text/csv; charset=utf-8", b"1")
    assert bucket.page("/drift/n.html")[0] == 404
