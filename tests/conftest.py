"""What all tests share: an injected clock, a real registry database, and the native module where it is built."""

import importlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest
from mohhos.storage.database import Database


class ManualClock:
    """A clock that stands still until a test moves it; `set_wall` is somebody who sets the clock."""

    def __init__(self, now_us: int = 1_700_000_000_000_000) -> None:
        self._now_us = now_us
        self._monotonic_us = 0

    def now_us(self) -> int:
        return self._now_us

    def monotonic_us(self) -> int:
        return self._monotonic_us

    def advance(self, seconds: float) -> None:
        self._now_us += round(seconds * 1_000_000)
        self._monotonic_us += round(seconds * 1_000_000)

    def set_wall(self, now_us: int) -> None:
        self._now_us = now_us


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
