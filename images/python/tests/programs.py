"""Programs that tests run for real. Where the machine has been given them, a test that does not find one fails instead of being skipped."""

from __future__ import annotations

import os
import shutil

import pytest

REQUIRED = "LABCTL_TEST_PROGRAMS"


def missing(what: str) -> None:
    """Ends the test that needs `what`: as skipped, or as failed where the programs are required."""
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(f"{what}, although .ci/programs has run")
    pytest.skip(what)


def need(program: str) -> None:
    if shutil.which(program) is None:
        missing(f"there is no {program}")
