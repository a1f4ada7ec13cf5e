"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of public data named by MESOCOSM_DATA; skips without it, and fails under CI."""
    folder = os.environ.get("MESOCOSM_DATA")
    if folder:
        return Path(folder)
    if os.environ.get("CI"):
        pytest.fail("MESOCOSM_DATA is not set: under CI the tests on public data must run")
    pytest.skip("MESOCOSM_DATA is not set: it names the folder of public data")
