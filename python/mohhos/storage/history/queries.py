"""Queries over the history: files and what is not in a file yet, each reading once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mohhos.clock import Clock
from mohhos.errors import MohhosError
from mohhos.model import Page, Reading
from mohhos.storage import cursors
from mohhos.storage.history import statements
from mohhos.storage.history.names import Names
from mohhos.storage.history.native import Cut, NativeHistory, taken
from mohhos.storage.history.process import QueryProcess, Table

__all__ = ["HistoryQueries", "QuerySettings", "Table"]

MAX_ROWS: Final = 100_000
"""Rows of one answer."""

BEGIN_US: Final = -(1 << 62)
END_US: Final = 1 << 62
_DAY_US: Final = 86_400_000_000
_SECOND_US: Final = 1_000_000


@dataclass(frozen=True)
class QuerySettings:
    """Memory of a query process in bytes; times in microseconds."""

    memory: int
    timeout_us: int
    idle_us: int


class HistoryQueries:
    """Queries, run in query processes: one for what the API asks, one for people's SQL, so that a heavy query of the
    latter does not hold up the page. Both start on demand; `run` ends them when they are idle.

    `directory` is where the native gateway keeps the history's files, `temp` where queries may spill. All methods raise
    MohhosError: query-timeout, query-unavailable, and what the native gateway says when it cannot write the tail.
    """

    def __init__(
        self,
        native: NativeHistory,
        clock: Clock,
        directory: Path,
        temp: Path,
        settings: Callable[[], QuerySettings],
    ) -> None:
        self._native = native
        self._clock = clock
        self._settings = settings
        self._names = Names(native)
        self._api = QueryProcess(clock, directory, temp / "api")
        self._people = QueryProcess(clock, directory, temp / "sql", idle=True)

    async def readings(
        self,
        device: str,
        metrics: Sequence[str],
        from_us: int,
        to_us: int,
        *,
        limit: int,
        descending: bool = False,
        cursor: str | None = None,
    ) -> Page[Reading]:
        """Readings of a device in [from_us, to_us) by time, a page at a time. No metrics means all.

        Raises MohhosError cursor-invalid.
        """
        after = None if cursor is None else _key(cursor)
        limit = max(1, min(limit, MAX_ROWS))
        async with self._cut(device, metrics, from_us, to_us) as (cut, code, wanted):
            if cut is None:
                return Page([], None)
            sql = statements.readings(cut.files, code, wanted, from_us, to_us, descending=descending, after=after)
            table = await self._select(sql, limit)
        items = await self._as_readings(device, table)
        last = table.rows[-1] if table.truncated else None
        return Page(items, None if last is None else cursors.encode(last[0], last[1], last[2]))

    async def buckets(
        self,
        device: str,
        metrics: Sequence[str],
        from_us: int,
        to_us: int,
        bucket_us: int,
        aggregates: Sequence[str],
    ) -> dict[str, dict[str, list[Any]]]:
        """Aggregates of the numbers per metric and bucket of time, column by column: {metric: {"ts": […], "avg": […]}}.

        A bucket without numbers is left out. Raises MohhosError request-invalid.
        """
        unknown = [name for name in aggregates if name not in statements.AGGREGATES]
        if unknown or not aggregates or bucket_us <= 0:
            raise MohhosError(
                "request-invalid",
                "The buckets cannot be made",
                f"there is no aggregate {unknown[0]!r}" if unknown else "aggregates or the bucket's length are missing",
                f"Ask for some of {', '.join(statements.AGGREGATES)} and a bucket of at least a microsecond",
            )
        async with self._cut(device, metrics, from_us, to_us) as (cut, code, wanted):
            if cut is None:
                return {}
            sql = statements.buckets(
                cut.files, code, wanted, from_us, to_us, bucket_us=bucket_us, aggregates=aggregates
            )
            table = await self._select(sql, MAX_ROWS)
        if table.truncated:
            raise MohhosError(
                "request-invalid",
                "The buckets are too many",
                f"they are more than {MAX_ROWS} for all metrics together",
                "Ask for fewer metrics, a shorter range or a longer bucket",
            )
        answer: dict[str, dict[str, list[Any]]] = {}
        keys = ("ts", *aggregates)
        for metric, *values in table.rows:
            series = answer.setdefault(await self._names.metric(metric), {key: [] for key in keys})
            for key, value in zip(keys, values, strict=True):
                series[key].append(value)
        return answer

    async def latest(self, device: str) -> list[Reading]:
        """The newest reading of each metric within the last day; if there is none at all, of all time."""
        for from_us in (self._clock.now_us() - _DAY_US, BEGIN_US):
            async with self._cut(device, (), from_us, END_US) as (cut, code, _):
                if cut is None:
                    continue
                table = await self._select(statements.latest(cut.files, code, from_us, END_US), MAX_ROWS)
            if table.rows:
                return await self._as_readings(device, table)
        return []

    async def sql(self, text: str, limit: int) -> Table:
        """One SELECT of a person, over telemetry(device, metric, ts, num, text, quality, "table"), in DuckDB's SQL.

        It reads no file, no network, and changes nothing. Times come as ISO 8601. Raises MohhosError query-invalid.
        """
        names = await self._names.all()
        async with taken(self._native, (), (), BEGIN_US, END_US) as cut:
            request = {"op": "ask", "files": cut.files, "sql": text, "limit": max(1, min(limit, MAX_ROWS))}
            settings = self._settings()
            return await self._people.query(
                request, memory=settings.memory, timeout_s=settings.timeout_us / _SECOND_US, names=names
            )

    async def end_idle(self) -> None:
        """Ends the processes that have had nothing to do for long enough."""
        for process in (self._api, self._people):
            await process.end_if_idle(self._settings().idle_us)

    async def run(self) -> None:
        """Ends idle processes now and then, until cancelled; then ends all of them."""
        try:
            while True:
                await asyncio.sleep(min(self._settings().idle_us / _SECOND_US / 4, 10))
                await self.end_idle()
        finally:
            await asyncio.shield(self.close())

    async def close(self) -> None:
        """Ends the processes; a later query would start them again."""
        await self._api.end()
        await self._people.end()

    def pids(self) -> list[int]:
        """The processes that run now."""
        return [pid for pid in (self._api.pid, self._people.pid) if pid is not None]

    @asynccontextmanager
    async def _cut(
        self, device: str, metrics: Sequence[str], from_us: int, to_us: int
    ) -> AsyncIterator[tuple[Cut | None, int, list[int]]]:
        """A cut with the codes of device and metrics; None for it where no such reading can exist."""
        code = await self._names.device_code(device)
        wanted = [found for name in metrics if (found := await self._names.metric_code(name)) is not None]
        if code is None or (metrics and not wanted):
            yield None, 0, []
            return
        async with taken(self._native, [device], metrics, from_us, to_us) as cut:
            yield (cut if cut.files else None), code, wanted

    async def _select(self, sql: str, limit: int) -> Table:
        settings = self._settings()
        request = {"op": "select", "sql": sql, "limit": limit}
        return await self._api.query(request, memory=settings.memory, timeout_s=settings.timeout_us / _SECOND_US)

    async def _as_readings(self, device: str, table: Table) -> list[Reading]:
        return [
            Reading(
                device=device,
                metric=await self._names.metric(metric),
                ts_us=ts,
                num=num,
                text=text,
                quality=statements.QUALITIES[quality] if quality < len(statements.QUALITIES) else str(quality),
                table=await self._names.metric(table_code) if table_code else "",
            )
            for ts, metric, table_code, num, text, quality in table.rows
        ]


def _key(cursor: str) -> tuple[int, int, int]:
    ts, metric, table = cursors.decode(cursor, int, int, int)
    return int(ts), int(metric), int(table)
