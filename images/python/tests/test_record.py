"""The recording of a seed gives every machine the same ids and times."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
from pathlib import Path
import recorder as record
record.CLOCK = Path(sys.argv[1])
record.set_clock("2013-04-01T08:00:00Z")
record.fix_ids_and_time("client")
import time, uuid
record.advance(1.5)
print([str(uuid.uuid4()) for _ in range(3)], uuid.uuid4().version, time.time())
"""


def run(images: Path, clock: Path) -> str:
    path = images / "python" / "seed"
    done = subprocess.run([sys.executable, "-c", CODE, str(clock)], cwd=path, capture_output=True, text=True, check=True)
    return done.stdout


def test_ids_and_times_repeat(images: Path, tmp_path: Path) -> None:
    first = run(images, tmp_path / "clock")
    assert first == run(images, tmp_path / "clock")
    assert first.strip().endswith("4 1364803201.5")
