"""A history of real Parquet files, written by DuckDB in the layout of crates/history."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest
from tests.support.clock import ManualClock

from mohhos.storage.history import HistoryQueries, QuerySettings

Row = tuple[int, int, int, int, float | None, str | None, int, int]
"""device, metric, table (codes), ts, num, text, quality, arrival."""

SCHEMA = (
    'device INTEGER, metric INTEGER, "table" INTEGER, ts TIMESTAMPTZ, num DOUBLE, text VARCHAR, quality UTINYINT,'
    " arrival TIMESTAMPTZ"
)


def write_file(path: Path, rows: Sequence[Row]) -> None:
    """Writes rows as a file of the history."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE rows({SCHEMA})")
        time = "make_timestamp(?)::TIMESTAMPTZ"
        connection.executemany(f"INSERT INTO rows VALUES (?, ?, ?, {time}, ?, ?, ?, {time})", rows)
        connection.execute(f"COPY rows TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


@dataclass
class FakeNative:
    """A native gateway with the files that a test gives it."""

    directory: Path
    devices: dict[str, int] = field(default_factory=lambda: {"pump-1": 1, "pump-2": 2})
    metrics: dict[str, int] = field(default_factory=lambda: {"pressure": 1, "state": 2, "diagnosis": 3})
    files: list[str] = field(default_factory=list)
    tail: str | None = None
    leases: set[int] = field(default_factory=set)
    cuts: int = 0

    def add(self, rows: Sequence[Row], *, tail: bool = False) -> None:
        path = self.directory / f"{len(self.files):03}{'-tail' if tail else ''}.parquet"
        write_file(path, rows)
        if tail:
            self.tail = str(path)
        else:
            self.files.append(str(path))

    def history_cut(self, devices: list[str], metrics: list[str], from_us: int, to_us: int) -> str:
        assert from_us < to_us and isinstance(devices, list) and isinstance(metrics, list)
        self.cuts += 1
        self.leases.add(self.cuts)
        return json.dumps({"files": self.files, "tail": self.tail, "rows_in_tail": 0, "lease": self.cuts})

    def history_release(self, lease: int) -> None:
        self.leases.remove(lease)

    def codes(self) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        return list(self.devices.items()), list(self.metrics.items())


@dataclass
class Settings:
    """Settings that a test may change while the queries live."""

    memory: int = 128 << 20
    timeout_us: int = 30_000_000
    idle_us: int = 60_000_000

    def __call__(self) -> QuerySettings:
        return QuerySettings(self.memory, self.timeout_us, self.idle_us)


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
def native(tmp_path: Path) -> FakeNative:
    directory = tmp_path / "history"
    directory.mkdir()
    return FakeNative(directory)


@pytest.fixture
async def queries(
    native: FakeNative, clock: ManualClock, tmp_path: Path, settings: Callable[[], QuerySettings]
) -> AsyncIterator[HistoryQueries]:
    made = HistoryQueries(native, clock, native.directory, tmp_path / "spill", settings)
    yield made
    await made.close()
    assert native.leases == set(), "a lease was not released"
