"""The frame of the commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PYTHON = Path(__file__).parents[2]


def test_a_command_that_ends_its_process_loses_neither_its_answer_nor_its_code() -> None:
    program = "from labtools import output; output.run_to_end(lambda: print('answer') or 3)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=PYTHON)
    assert (done.stdout, done.returncode) == ("answer\n", 3)


def test_an_error_in_it_is_seen() -> None:
    program = "from labtools import output; output.run_to_end(lambda: 1 // 0)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=PYTHON)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
