"""The gateway's side of a query process: started on demand, killed when a query is given up, started again."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mohhos.clock import Clock
from mohhos.errors import MohhosError
from mohhos.storage.history import framing
from mohhos.storage.history.names import AllNames
from mohhos.storage.history.native import unavailable

__all__ = ["QueryProcess", "Table"]

_ATTEMPTS: Final = 2
"""A query whose process dies (out of memory, killed) is asked once more: it changes nothing."""


@dataclass(frozen=True)
class Table:
    """The answer to a query. `truncated` if there were more rows than asked for."""

    columns: tuple[str, ...]
    rows: list[list[Any]]
    truncated: bool


_WAITED_LEAST_NS: Final = 1_000_000_000

STARVED_AFTER_S: Final = 3.0
"""How long a query may wait for a processor before its process stops leaving every processor to others."""


class _DiedError(Exception):
    """The process ended before it had answered."""


def _scheduled(pid: int | None) -> tuple[int, int]:
    """For how long the process ran, and for how long it waited for a processor (nanoseconds)."""
    try:
        ran, waited, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    except (OSError, ValueError):
        return 0, 0
    return int(ran), int(waited)


class QueryProcess:
    """One query process, running while it is used. One query at a time; others wait.

    With `idle` it runs when no other thread wants a processor (SCHED_IDLE), which keeps the gateway's latency beside
    a query of minutes. If it gets none, it is started again with a share of its own: an unprivileged process cannot
    take its scheduling back.
    """

    def __init__(self, clock: Clock, directory: Path, temp: Path, *, idle: bool = False) -> None:
        self._clock = clock
        self._idle = idle
        self._starved = False
        self._directory = directory
        self._temp = temp
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()
        self._used_us = 0
        self._names: AllNames | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def query(
        self,
        request: framing.Message,
        *,
        memory: int,
        timeout_s: float,
        names: AllNames | None = None,
    ) -> Table:
        """Runs one query. `names` (devices, metrics) are sent before it unless the process has these very objects.

        A query that is cancelled or takes too long takes its process with it; the next one starts another.
        Raises MohhosError: query-invalid, query-timeout, query-unavailable.
        """
        async with self._lock:
            for _ in range(_ATTEMPTS):
                with contextlib.suppress(_DiedError):
                    return await self._within(timeout_s, self._fed(request, memory, names))
        raise unavailable("the query process ended, most likely for lack of memory")

    async def _within(self, timeout_s: float, asking: Coroutine[Any, Any, Table]) -> Table:
        try:
            async with asyncio.timeout(timeout_s):
                return await asking
        except TimeoutError:
            raise MohhosError(
                "query-timeout",
                "The query was ended",
                f"it took longer than {timeout_s:g} s",
                "Ask for a shorter time range or fewer devices, or raise history.query_timeout",
            ) from None

    async def _fed(self, request: framing.Message, memory: int, names: AllNames | None) -> Table:
        """Asks; and once more, with a process that insists on its share, if the first one gets no processor."""
        if not self._idle or self._starved:
            return await self._ask(request, memory, names)
        asking = asyncio.create_task(self._ask(request, memory, names))
        watching = asyncio.create_task(self._starvation())
        try:
            await asyncio.wait((asking, watching), return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                return asking.result()
        finally:
            watching.cancel()
            asking.cancel()
            await asyncio.wait((asking,))
        self._starved = True
        return await self._ask(request, memory, names)

    async def _starvation(self) -> None:
        """Returns when the process waits for a processor nine times as long as it has one."""
        seen: tuple[int | None, int, int] = (None, 0, 0)
        while True:
            now = (self.pid, *_scheduled(self.pid))
            ran, waited = now[1] - seen[1], now[2] - seen[2]
            if now[0] is not None and now[0] == seen[0] and waited > 9 * ran + _WAITED_LEAST_NS:
                return
            seen = now
            await asyncio.sleep(STARVED_AFTER_S)

    async def _ask(
        self,
        request: framing.Message,
        memory: int,
        names: AllNames | None,
    ) -> Table:
        process = await self._running(memory)
        assert process.stdin is not None and process.stdout is not None
        answered = False
        try:
            if names is not None and self._names is not names:
                process.stdin.write(framing.encode({"op": "codes", "devices": names[0], "metrics": names[1]}))
                self._names = names
            process.stdin.write(framing.encode(request))
            await process.stdin.drain()
            table = await self._answer(process.stdout)
            answered = True
            return table
        except MohhosError:
            answered = True
            raise
        except (ConnectionError, ValueError) as error:
            raise _DiedError from error
        finally:
            self._used_us = self._clock.monotonic_us()
            if not answered:
                await asyncio.shield(self.end())

    async def _answer(self, stream: asyncio.StreamReader) -> Table:
        columns: tuple[str, ...] = ()
        rows: list[list[Any]] = []
        while (message := await framing.receive(stream)) is not None:
            if "error" in message:
                raise MohhosError(
                    "query-invalid",
                    "The query was not run",
                    str(message["error"]),
                    "Correct the SQL; the table is telemetry(device, metric, ts, num, text, quality)",
                )
            if "end" in message:
                return Table(columns, rows, bool(message["truncated"]))
            columns = tuple(message.get("columns", columns))
            rows.extend(message.get("rows", ()))
        raise _DiedError

    async def _running(self, memory: int) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        await self.end()
        await asyncio.to_thread(self._temp.mkdir, mode=0o700, parents=True, exist_ok=True)
        settings = {
            "directory": str(self._directory),
            "temp": str(self._temp),
            "memory": memory,
            "idle": self._idle and not self._starved,
        }
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "mohhos.storage.history.worker",
                json.dumps(settings),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise unavailable(f"the query process cannot be started: {error}") from error
        return self._process

    async def end(self) -> None:
        """Ends the process, in the middle of a query too."""
        process, self._process, self._names = self._process, None, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()

    async def end_if_idle(self, idle_us: int) -> None:
        """Ends the process if it has not been used for so long."""
        if self._lock.locked() or self._process is None:
            return
        if self._clock.monotonic_us() - self._used_us >= idle_us:
            async with self._lock:
                await self.end()
                self._starved = False
