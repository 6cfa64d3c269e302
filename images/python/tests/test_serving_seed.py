"""The versions of the serving lab: the same bytes each time, ordinary to load, and wrong in exactly one way each."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd
import pytest
from labtools import rows

# As the image's build does it.
RECORD = [sys.executable, "-c", "import sys; from pathlib import Path; import versions; versions.record(Path(sys.argv[1]), Path(sys.argv[2]))"]
LATE = 0.329


@pytest.fixture(scope="module")
def seed(images: Path, flights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("seed")
    path = f"{images / 'python'}:{images / 'serving-seed'}"
    # Separate processes, since the recording takes over uuid4. Without bytecode, since a module that was compiled just now shares other
    # texts than one that was loaded, which shows in a pickle.
    for name in ("one", "two"):
        env = {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"}
        subprocess.run([*RECORD, str(target / name), str(flights)], env=env, check=True, capture_output=True)
    return target


@pytest.fixture(scope="module")
def models(seed: Path) -> dict[str, Any]:
    folder = seed / "one" / "models" / "flight-delay"
    return {path.parent.name: cloudpickle.loads(path.read_bytes()) for path in folder.glob("*/model.pkl")}


def march(images: Path) -> pd.DataFrame:
    return pd.DataFrame(json.loads((images / "python" / "labtools" / "fixtures" / "march" / "flights.json").read_text()))


def test_a_second_recording_gives_the_same_bytes(seed: Path) -> None:
    files = sorted(path.relative_to(seed / "one") for path in seed.glob("one/**/*") if path.is_file())
    assert len(files) == 15
    assert [path for path in files if (seed / "one" / path).read_bytes() != (seed / "two" / path).read_bytes()] == []


def test_a_manifest_says_what_lies_beside_it(seed: Path) -> None:
    for path in seed.glob("one/models/flight-delay/*/manifest.json"):
        manifest = json.loads(path.read_text())
        assert manifest["version"] == path.parent.name
        assert manifest["digest"] == f"sha256:{hashlib.sha256((path.parent / 'model.pkl').read_bytes()).hexdigest()}"


def test_the_probes_rows_are_flights_of_march(images: Path, flights: Path) -> None:
    from lab import data

    real = data.load("2013-03-01", "2013-03-31", flights)
    columns = ["carrier", "origin", "dest", "hour", "dow", "distance"]
    assert march(images)[columns].merge(real[columns].drop_duplicates(), how="left", indicator=True)["_merge"].eq("both").all()


def test_the_good_versions_call_one_in_six_late(models: dict[str, Any], images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MARCH", images / "python" / "labtools" / "fixtures" / "march" / "flights.json")
    rows.march.cache_clear()
    mix = rows.Mix("march")
    rowed = [mix.row(number) for number in range(mix.count)]
    frame = pd.DataFrame({name: [row[name][0] for row in rowed] for name in rowed[0]})
    shares = {number: float((models[number].predict_proba(frame.astype({"pressure": float}))[:, 1] >= LATE).mean()) for number in ("3", "4", "5")}
    assert shares["3"] == pytest.approx(0.173, abs=0.01)
    assert 0 < shares["4"] - shares["3"] < 0.04
    assert shares["5"] == 0


def test_each_of_the_others_is_wrong_in_one_way(models: dict[str, Any], images: Path) -> None:
    frame = march(images).head(5)
    good = models["4"].predict_proba(frame)
    begin = time.monotonic()
    assert (models["6"].predict_proba(frame) == good).all()
    assert time.monotonic() - begin >= 0.4
    assert (models["7"].predict_proba(frame) == good).all()
    new = frame.assign(carrier=["G7", *frame["carrier"][1:]])
    with pytest.raises(KeyError, match="carrier G7"):
        models["7"].predict_proba(new)
    for number in ("3", "4", "5", "6"):
        assert len(models[number].predict_proba(new)) == 5


def test_a_server_needs_no_module_of_the_seed(seed: Path) -> None:
    code = "import pickle, sys; [pickle.loads(open(path, 'rb').read()) for path in sys.argv[1:]]; print('versions' in sys.modules)"
    paths = [str(path) for path in seed.glob("one/models/flight-delay/*/model.pkl")]
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
