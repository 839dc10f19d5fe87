"""What all tests share: an injected clock, a real registry database, and the native module where it is built."""

import importlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings
from tests.support.clock import ManualClock

from mohhos.storage.database import Database

# A machine that builds beside the tests is slow at times: the time that one example takes says nothing about the code.
settings.register_profile("mohhos", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mohhos")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with await Database.open(tmp_path / "registry.db") as opened:
        yield opened


@pytest.fixture(scope="session")
def native() -> ModuleType:
    """The native module; where it is not built the test is skipped, except in CI, where that is a failure."""
    if os.environ.get("CI") == "true":
        return importlib.import_module("mohhos._native")
    module: ModuleType = pytest.importorskip("mohhos._native", exc_type=ImportError)
    return module
