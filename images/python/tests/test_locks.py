"""The images' lock files are strict subsets of the common one, and no package is in an image twice."""

from __future__ import annotations

import re
from pathlib import Path

import lock
import pytest

SOURCES = lock.image_sources()


def names(source: Path) -> set[str]:
    """The packages that a requirements.in names itself."""
    lines = [line for line in source.read_text().splitlines() if line and line[0] not in "#-"]
    return {re.split(r"[\[=<>~ ]", line)[0].lower() for line in lines}


@pytest.fixture(scope="module")
def common() -> lock.Locked:
    return lock.read(lock.HERE / "requirements.lock")


def test_there_are_images() -> None:
    assert {source.parent.name for source in SOURCES} >= {"python-base", "mlflow"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.parent.name)
class TestImage:
    def test_is_a_strict_subset(self, source: Path, common: lock.Locked) -> None:
        own = lock.read(source.with_name("requirements.lock"))
        assert own
        assert own.items() < common.items()

    def test_holds_what_it_asks_for(self, source: Path) -> None:
        have = set(lock.read(source.with_name("requirements.lock")))
        for base in lock.notes(source, "base"):
            have |= set(lock.read(lock.IMAGES / base / "requirements.lock"))
        assert names(source) <= have

    def test_repeats_nothing_of_its_base(self, source: Path) -> None:
        own = set(lock.read(source.with_name("requirements.lock")))
        for base in lock.notes(source, "base"):
            assert not own & set(lock.read(lock.IMAGES / base / "requirements.lock"))

    def test_leaves_out_what_it_says(self, source: Path) -> None:
        assert not set(lock.notes(source, "without")) & set(lock.read(source.with_name("requirements.lock")))


def test_frameworks_resolve_together(common: lock.Locked) -> None:
    pins = dict(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==(\S+)$", (lock.HERE / "requirements.in").read_text(), re.MULTILINE))
    assert {"mlflow", "kserve", "evidently", "pandera", "feast"} <= set(pins)
    assert {name: common[name][0] for name in pins} == pins


def test_every_package_has_hashes(common: lock.Locked) -> None:
    assert [name for name, (_, hashes) in common.items() if not hashes] == []


def test_tests_run_on_the_same_versions(common: lock.Locked) -> None:
    tools = lock.read(lock.HERE / "requirements-dev.lock")
    assert {name: pin for name, pin in tools.items() if name in common and pin != common[name]} == {}


def test_what_is_written_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "IMAGES", tmp_path)
    locked: lock.Locked = {"b": ("2", frozenset({"f" * 64, "0" * 64})), "a-c": ("1.0.post1", frozenset({"1" * 64}))}
    lock.write(tmp_path / "some.lock", locked)
    assert lock.read(tmp_path / "some.lock") == locked
