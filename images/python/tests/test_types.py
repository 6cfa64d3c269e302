"""The images' Python code is typed throughout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_mypy(images: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--config-file", "python/mypy.ini", "--cache-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=images, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
