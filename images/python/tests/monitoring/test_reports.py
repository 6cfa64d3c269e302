"""Bucket `reports`: what the monitors keep there, how it is shown to a browser, and a store that does not answer."""

from __future__ import annotations

import io
import json
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.exceptions
import numpy as np
import pytest
from labtools.errors import ToolError
from monitoring import drift_config, objects, report
from monitoring.history import Judged
from monitoring.reports import Bucket
from monitoring.samples import Sample
from monitoring.windows import Window

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


class Store:
    def __init__(self, **objects: bytes) -> None:
        self.objects = {name.replace("__", "/"): body for name, body in objects.items()}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        assert Bucket == "reports"
        if Key not in self.objects:
            raise botocore.exceptions.ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803
        assert (Bucket, ContentType) in (("reports", "application/json"), ("reports", "text/html; charset=utf-8"))
        self.objects[Key] = Body

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


MODEL = drift_config.parse("models: {m: {reference: {from: 2013-01-01, until: 2013-03-01}, window: 7d, threshold: 0.1}}")["m"]


class Made:
    """What Evidently would have made."""

    def save_html(self, path: str) -> None:
        Path(path).write_bytes(b"<p>")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    found = Store()
    monkeypatch.setattr(objects, "client", lambda: found)
    return found


@pytest.fixture
def snapshots(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    made: list[Any] = []
    monkeypatch.setattr(report, "snapshot", lambda *arguments: made.append(arguments) or Made())
    return made


def found(day: int, verdict: str) -> report.Found:
    sample = Sample({"score": np.array([0.5])}, np.array(["2013-04-02"], dtype="datetime64[us]"))
    features = {} if verdict == "insufficient" else {"score": {"threshold": 0.1}}
    window = Window(datetime(2013, 4, day), datetime(2013, 4, day + 7))
    return report.Found(Judged(window, {"verdict": verdict, "features": features}), sample, sample, MODEL)


def test_a_quiet_week_hides_no_drift(store: Store, snapshots: list[Any]) -> None:
    report.keep_all("m", found(16, "ok"), found(9, "drift"))
    assert sorted(store.objects) == ["drift/m-drifted.html", "drift/m-drifted.json", "drift/m.html", "drift/m.json"]
    assert [json.loads(store.objects[f"drift/{name}.json"])["start"] for name in ("m", "m-drifted")] == ["2013-04-16", "2013-04-09"]
    assert len(snapshots) == 2
    assert snapshots[0][3] == {"score": 0.1}
    report.keep_all("m", found(23, "ok"), None)
    assert [json.loads(store.objects[f"drift/{name}.json"])["start"] for name in ("m", "m-drifted")] == ["2013-04-23", "2013-04-09"]


def test_one_window_has_one_report(store: Store, snapshots: list[Any]) -> None:
    last = found(9, "drift")
    report.keep_all("m", last, last)
    assert store.objects["drift/m.html"] == store.objects["drift/m-drifted.html"] == b"<p>"
    assert len(snapshots) == 1


def test_too_few_rows_have_numbers_and_no_report(store: Store, snapshots: list[Any]) -> None:
    report.keep_all("m", found(9, "insufficient"), None)
    assert list(store.objects) == ["drift/m.json"]
    assert snapshots == []


def test_without_evidently_there_are_the_numbers(store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing(*_: Any) -> None:
        raise ModuleNotFoundError("evidently")

    monkeypatch.setattr(report, "snapshot", missing)
    report.keep_all("m", found(9, "ok"), None)
    assert list(store.objects) == ["drift/m.json"]
    assert "Evidently is not installed" in capsys.readouterr().err


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.usefixtures("account")
def test_no_store_outlasts_a_check() -> None:
    config = objects.client().meta.config
    assert config.retries == {"mode": "standard", "total_max_attempts": 2}
    # A second at most lies between the attempts; the rest of the 30 s is for Python to start.
    assert 2 * (config.connect_timeout + config.read_timeout) + 1 < 25


@pytest.mark.usefixtures("account")
def test_a_store_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "READ_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ToolError, match=r"^s3://reports/cases/a\.csv: Read timeout"):
            objects.read("reports", "cases/a.csv")
        with pytest.raises(ToolError, match=r"^s3://reports/drift/m\.json: "):
            objects.write("reports", "drift/m.json", b"{}", "application/json")


def test_what_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(ToolError, match=r"^s3://reports/cases/a\.csv: .*NoSuchKey"):
        objects.read("reports", "cases/a.csv")
    store.objects["cases/a.csv"] = b"1"
    assert objects.read("reports", "cases/a.csv") == b"1"
