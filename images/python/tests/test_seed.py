"""The seed Job: waits, repairs what was cut off, and leaves a seeded lab alone."""

from __future__ import annotations

import hashlib
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

    def get_paginator(self, _name: str) -> Store:
        return self

    def paginate(self, Bucket: str) -> list[dict[str, Any]]:  # noqa: N803
        found = [{"Key": key, "ETag": f'"{hashlib.md5(body).hexdigest()}"'} for (bucket, key), body in self.objects.items() if bucket == Bucket]
        # One object a page; an empty bucket has a page without contents.
        return [{"Contents": [item]} for item in found] or [{}]

    def delete_objects(self, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        for item in Delete["Objects"]:
            if item["Key"] == "locked":
                return {"Errors": [{"Key": "locked", "Message": "AccessDenied"}]}
            del self.objects[Bucket, item["Key"]]
        return {}

    def delete_bucket(self, Bucket: str) -> None:  # noqa: N803
        assert not [key for bucket, key in self.objects if bucket == Bucket]
        self.buckets.remove(Bucket)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    (tmp_path / "mlflow.sql").write_text("SELECT 1;")
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


def test_objects_go_first_and_the_dumps_last(recorded: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (recorded / "lab.sql").write_text("SELECT 2;")
    seen: list[tuple[str, str, int]] = []
    monkeypatch.setattr(seed, "restored", lambda _database: "")
    monkeypatch.setattr(seed, "restore", lambda database, dump: seen.append((database, dump.name, len(store.objects))))
    seed.run(recorded, 1)
    assert seen == [("lab", "lab.sql", 2), ("mlflow", "mlflow.sql", 2)]
    assert sorted(store.buckets) == sorted(seed.BUCKETS)


def test_a_seeded_lab_is_left_alone(recorded: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed, "restored", lambda _database: lineage.file_digest(recorded / "mlflow.sql"))
    seed.run(recorded, 1)
    assert store.objects == {}
    assert store.buckets == ["mlflow"]


def test_a_run_that_was_cut_off_is_completed(recorded: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (recorded / "lab.sql").write_text("SELECT 2;")
    seen: list[str] = []
    monkeypatch.setattr(seed, "restored", lambda database: "sha256:0" if database == "lab" else "")
    monkeypatch.setattr(seed, "restore", lambda database, _dump: seen.append(database))
    seed.run(recorded, 1)
    assert seen == ["mlflow"]
    assert len(store.objects) == 2


def test_a_lab_without_databases_gets_objects_that_are_missing(recorded: Path, store: Store) -> None:
    (recorded / "mlflow.sql").unlink()
    store.objects["models", "sha256/abc"] = b"changed"
    seed.run(recorded, 1)
    assert store.objects == {("models", "sha256/abc"): b"changed", ("mlflow", "1/models/m-1/artifacts/MLmodel"): b"mlflow/1/models/m-1/artifacts/MLmodel"}
    seed.reset(recorded, 1)
    assert store.objects["models", "sha256/abc"] == b"models/sha256/abc"


def test_a_refused_dump_is_an_error(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = recorded / "psql"
    fake.write_text("#!/bin/sh\necho 'relation exists' >&2\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(recorded))
    with pytest.raises(seed.SeedError, match="database mlflow refused: relation exists"):
        seed.restore("mlflow", recorded / "mlflow.sql")


@pytest.fixture
def seeded(recorded: Path, store: Store) -> Store:
    seed.upload(store, seed.objects(recorded / "buckets"))  # type: ignore[arg-type]
    store.buckets = list(seed.BUCKETS)
    return store


def test_a_reset_makes_the_store_equal_to_the_seed(recorded: Path, seeded: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(seeded.objects)
    seeded.objects["mlflow", "1/models/m-1/artifacts/MLmodel"] = b"damaged"
    seeded.objects["mlflow", "1/models/m-2/artifacts/MLmodel"] = b"new"
    seeded.objects["mine", "thing"] = b"new"
    seeded.buckets = ["mlflow", "models", "mine"]
    sent: list[str] = []
    put = seeded.put_object
    monkeypatch.setattr(seeded, "put_object", lambda **item: (sent.append(item["Key"]), put(**item)))
    wanted = seed.objects(recorded / "buckets")
    for _ in range(2):
        seed.reset_store(seeded, wanted)  # type: ignore[arg-type]
    assert seeded.objects == before
    assert sorted(seeded.buckets) == sorted(seed.BUCKETS)
    assert sent == ["1/models/m-1/artifacts/MLmodel"]


def test_a_reset_says_what_it_could_not_delete(recorded: Path, seeded: Store) -> None:
    seeded.objects["data", "locked"] = b"x"
    with pytest.raises(seed.SeedError, match="bucket data: locked can't be deleted: AccessDenied"):
        seed.reset_store(seeded, seed.objects(recorded / "buckets"))  # type: ignore[arg-type]


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize(("scratch", "dump", "calls"), [(True, False, 2), (False, False, 1), (True, True, 2)])
def test_a_reset_restores_in_one_transaction(recorded: Path, monkeypatch: pytest.MonkeyPatch, scratch: bool, dump: bool, calls: int) -> None:
    fake = recorded / "psql"
    fake.write_text(f'#!/bin/sh\necho "$PGDATABASE $PGUSER" "$@" >> {recorded}/calls\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(recorded))
    monkeypatch.setattr(seed, "has_scratch", lambda _database: scratch)
    if dump:
        (recorded / "lab.sql").write_text("SELECT 2;")
    seed.reset(recorded, 1)
    said = (recorded / "calls").read_text()
    assert said.count("--single-transaction") == calls
    mine = said[said.index("mlflow mlflow") :]
    order = ["mlflow mlflow", "DROP SCHEMA", f"--file {recorded / 'mlflow.sql'}", "COMMENT ON SCHEMA public IS 'seed sha256:"]
    assert sorted(order, key=mine.index) == order
    assert ("lab lab" in said) is scratch
    assert (f"--file {recorded / 'lab.sql'}" in said) is dump


@pytest.mark.parametrize(("value", "action"), [("1", "reset"), ("0", "run"), (None, "run")])
def test_only_the_variable_resets(monkeypatch: pytest.MonkeyPatch, value: str | None, action: str) -> None:
    called: list[str] = []
    for name in ("run", "reset"):
        monkeypatch.setattr(seed, name, lambda _seed, _seconds, name=name: called.append(name))
    if value is None:
        monkeypatch.delenv("LABCTL_RESET", raising=False)
    else:
        monkeypatch.setenv("LABCTL_RESET", value)
    assert seed.main() == 0
    assert called == [action]


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
