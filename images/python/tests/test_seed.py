"""The seed Job: waits, repairs what was cut off, and leaves a seeded lab alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg2
import pytest
from lab import lineage, seed


class Store:
    """An object store that remembers what it was given."""

    def __init__(self, *buckets: str) -> None:
        self.buckets = list(buckets)
        self.objects: dict[tuple[str, str], bytes] = {}

    def list_buckets(self) -> dict[str, Any]:
        return {"Buckets": [{"Name": name} for name in self.buckets]}

    def create_bucket(self, Bucket: str) -> None:  # noqa: N803
        self.buckets.append(Bucket)

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        self.objects[Bucket, Key] = Body


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    (tmp_path / seed.DUMP).write_text("SELECT 1;")
    for name in ("mlflow/1/models/m-1/artifacts/MLmodel", "models/sha256/abc"):
        path = tmp_path / "buckets" / name
        path.parent.mkdir(parents=True)
        path.write_text(name)
    return tmp_path


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store("mlflow")
    monkeypatch.setattr(seed.boto3, "client", lambda *_, **__: store)
    return store


def test_objects_are_named_as_in_the_store(recorded: Path) -> None:
    assert [(bucket, key) for bucket, key, _ in seed.objects(recorded / "buckets")] == [
        ("mlflow", "1/models/m-1/artifacts/MLmodel"),
        ("models", "sha256/abc"),
    ]


def test_objects_go_first_and_the_dump_last(recorded: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(seed, "restored", lambda: "")
    monkeypatch.setattr(seed, "restore", lambda _dump, _digest: seen.append(len(store.objects)))
    seed.run(recorded, 1)
    assert seen == [2]
    assert sorted(store.buckets) == sorted(seed.BUCKETS)


def test_a_seeded_lab_is_left_alone(recorded: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed, "restored", lambda: lineage.file_digest(recorded / seed.DUMP))
    seed.run(recorded, 1)
    assert store.objects == {}
    assert store.buckets == ["mlflow"]


def test_a_refused_dump_is_an_error(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = recorded / "psql"
    fake.write_text("#!/bin/sh\necho 'relation exists' >&2\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(recorded))
    with pytest.raises(seed.SeedError, match="relation exists"):
        seed.restore(recorded / seed.DUMP, "sha256:0")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_wait_returns_the_first_answer() -> None:
    answers: list[Exception | int] = [psycopg2.OperationalError("down\nmore"), psycopg2.OperationalError("down"), 7]

    def ask() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    clock = Clock()
    assert seed.wait("it", ask, (psycopg2.OperationalError,), 10, clock, clock.sleep) == 7


def test_wait_gives_up_with_the_last_reason() -> None:
    def ask() -> int:
        raise psycopg2.OperationalError("no route")

    clock = Clock()
    with pytest.raises(seed.SeedError, match="gave up waiting for it after 3 s: no route"):
        seed.wait("it", ask, (psycopg2.OperationalError,), 3, clock, clock.sleep)
