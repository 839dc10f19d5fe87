"""Recorded sensor data that is not part of the project: found through MOHHOS_DATA."""

import os
from pathlib import Path

import pytest


def recorded(name: str) -> Path:
    """The file; without it the test is skipped, except in CI where MOHHOS_DATA is set."""
    folder = os.environ.get("MOHHOS_DATA")
    if folder is None:
        pytest.skip("MOHHOS_DATA does not say where the recorded data are: see CONTRIBUTING")
    path = Path(folder) / name
    assert path.exists(), f"MOHHOS_DATA has no {name}"
    return path
