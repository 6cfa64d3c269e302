"""Replayed traffic: complete, repeatable, quick, and the same numbers on every machine."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from monitoring import flights, replay, sea, store, windows
from monitoring.halts import ended, job_of
from monitoring.replay import Feeds, Replay
from monitoring.traffic import Sender

START = datetime(2013, 4, 1)
# SHA-256 over the ids of two weeks, and the mean of their scores; the last digits of a score depend on the processor.
TWO_WEEKS = "17871d5e698f127142dc866bb408db7406b6f4910f511cc03f4f9e0c45aef37b"
MEAN_SCORE = 0.1768


def count(connection, table: str, where: str = "true") -> int:
    return int(store.rows(connection, f"SELECT count(*) FROM {table} WHERE {where}")[0][0])


@pytest.fixture
def stream(flights: Path) -> replay.Stream:
    return replay.streams(flights)["flights"]


def play(connection, stream: replay.Stream, feed: Feeds | None = None) -> Replay:
    return Replay(connection, stream, feed or Feeds(), Sender(stream.model))


def scores(connection) -> dict[str, float]:
    return dict(store.rows(connection, "SELECT request_id, score FROM predictions ORDER BY request_id"))


def test_two_weeks(server: Callable[[], subprocess.Popen[bytes]], stream: replay.Stream) -> None:
    process = server()
    with store.connected() as connection:
        store.set_now(connection, START)
        begin = time.monotonic()
        playing = play(connection, stream)
        for moment in (datetime(2013, 4, 9), datetime(2013, 4, 15)):
            playing.to(moment)
        assert time.monotonic() - begin < 60
        assert playing.sent == count(connection, "predictions") == 13205
        assert store.rows(connection, "SELECT sum(sent), count(*) FROM replay_log")[0] == (13205, 14)
        assert playing.labels == count(connection, "labels") == count(connection, "labels", "released_at <= '2013-04-15'")
        assert count(connection, "labels", "label IS NULL") == 309
        assert store.now(connection) == datetime(2013, 4, 15)
        found = scores(connection)
        assert hashlib.sha256("\n".join(found).encode()).hexdigest() == TWO_WEEKS
        assert sum(found.values()) / len(found) == pytest.approx(MEAN_SCORE, abs=0.0005)
        # What was cut off before the clock moved is played again, and nothing is there twice.
        store.set_now(connection, datetime(2013, 4, 9))
        play(connection, stream).to(datetime(2013, 4, 15))
        assert count(connection, "predictions") == 13205
        assert store.rows(connection, "SELECT sum(sent) FROM replay_log")[0][0] == 13205
        assert scores(connection) == found
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_nothing_is_lost_at_the_end(server: Callable[[], subprocess.Popen[bytes]], stream: replay.Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    process = server()
    monkeypatch.setattr(Replay, "await_log", lambda *_: process.send_signal(signal.SIGTERM))
    with store.connected() as connection:
        store.set_now(connection, START)
        playing = play(connection, stream)
        playing.to(datetime(2013, 4, 3))
        assert process.wait(20) == 0
        assert count(connection, "predictions") == playing.sent


def test_labels_that_were_held_back_follow(server: Callable[[], subprocess.Popen[bytes]], stream: replay.Stream) -> None:
    server()
    with store.connected() as connection:
        store.set_now(connection, START)
        play(connection, stream, Feeds(labels=False)).to(datetime(2013, 4, 4))
        assert count(connection, "labels") == 0
        play(connection, stream).to(datetime(2013, 4, 4))
        assert count(connection, "labels") == 1918


def test_a_feed_in_celsius_and_its_repair(server: Callable[[], subprocess.Popen[bytes]], stream: replay.Stream) -> None:
    server()
    median = "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY (features->>'temp')::float) FROM predictions"
    with store.connected() as connection:
        store.set_now(connection, START)
        play(connection, stream, Feeds(celsius=True)).to(datetime(2013, 4, 3))
        assert store.rows(connection, median)[0][0] < 15
        play(connection, stream).again(START)
        assert store.rows(connection, median)[0][0] > 35
        assert store.rows(connection, "SELECT sum(sent) FROM replay_log")[0][0] == count(connection, "predictions")


def test_sea_to_its_end(server: Callable[[], subprocess.Popen[bytes]]) -> None:
    server()
    stream = replay.streams()["sea"]
    with store.connected() as connection:
        store.set_now(connection, sea.START, "sea")
        play(connection, stream).to(sea.END)
        assert count(connection, "predictions", "model = 'sea'") == count(connection, "labels") == sea.WINDOWS * sea.ROWS


@pytest.mark.usefixtures("database")
def test_a_predictor_that_does_not_log(stream: replay.Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "STALL_SECONDS", 0.2)
    monkeypatch.setattr(Sender, "send", lambda *_: None)
    with store.connected() as connection:
        store.set_now(connection, START)
        play(connection, stream).to(datetime(2013, 4, 2))
        assert count(connection, "predictions") == 0
        assert store.rows(connection, "SELECT sent FROM replay_log")[0][0] == 970


@pytest.mark.usefixtures("database")
def test_parts_of_a_day_are_added_up(stream: replay.Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "STALL_SECONDS", 0.2)
    monkeypatch.setattr(Sender, "send", lambda *_: None)
    with store.connected() as connection:
        store.set_now(connection, START)
        playing = play(connection, stream)
        playing.to(datetime(2013, 4, 1, 12))
        playing.to(datetime(2013, 4, 2))
        assert store.rows(connection, "SELECT sent FROM replay_log")[0][0] == 970


def test_ids_do_not_depend_on_where_a_part_begins(flights: Path) -> None:
    from monitoring.flights import load

    whole = load(START, datetime(2013, 4, 3), flights)
    part = load(datetime(2013, 4, 2, 12), datetime(2013, 4, 3), flights)
    assert whole["request_id"].is_unique
    assert part["request_id"].tolist() == whole["request_id"].tolist()[-len(part) :]
    assert whole["event_time"].is_monotonic_increasing


def test_labels_come_after_the_flight(flights: Path) -> None:
    from monitoring.flights import load

    rows = load(datetime(2013, 4, 1), datetime(2013, 5, 1), flights)
    waited = (rows["released_at"] - rows["event_time"]).dt.total_seconds() / 3600
    assert waited.min() > 24
    assert waited.max() < 48


@pytest.mark.parametrize(
    ("halt", "expected"),
    [(True, ["04-02", "04-09", "04-16", "04-23", "04-30", "05-01"]), (False, ["04-23", "05-01"])],
)
def test_steps(halt: bool, expected: list[str]) -> None:
    found = replay.steps(START, datetime(2013, 5, 1), halt)
    assert [moment.strftime("%m-%d") for moment in found] == expected


def test_a_replay_that_goes_nowhere_has_one_step() -> None:
    assert replay.steps(START, START, True) == [START]
    assert windows.ends(START, START) == []


def test_job_of_a_cronjob() -> None:
    cron = {
        "metadata": {"name": "drift", "uid": "u"},
        "spec": {"jobTemplate": {"metadata": {"labels": {"app": "drift"}}, "spec": {"backoffLimit": 0, "template": {}}}},
    }
    job = job_of(cron, datetime(2013, 4, 9))
    assert job["metadata"]["generateName"] == "drift-0409-"
    assert job["metadata"]["labels"] == {"app": "drift", "mlops/on-window": "true"}
    assert job["spec"]["backoffLimit"] == 0


def test_the_end_of_a_job() -> None:
    assert ended({"status": {}}) == ""
    assert ended({"status": {"conditions": [{"type": "FailureTarget", "status": "True"}]}}) == ""
    assert ended({"status": {"conditions": [{"type": "Failed", "status": "True"}]}}) == "Failed"


def test_flights_have_one_name() -> None:
    assert flights.MODEL == "flight-delay"


@pytest.mark.parametrize(("name", "value"), [("MORE_MODELS", "sea"), ("LOG_PREDICTIONS", "mysql")])
def test_settings_of_the_server_that_mean_nothing(name: str, value: str) -> None:
    import model_server
    import registry

    with pytest.raises(registry.ModelError, match=name):
        model_server.Settings.read({name: value})
