"""The connection to the registry database (SQLite), off the event loop.

All writes go through one thread with one connection, one transaction each, in the order of the calls; reads go through
a small pool of read-only connections and see what was committed. WAL with synchronous = FULL: what `write` returned
from is on disk.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self, TypeVar

from mohhos.errors import MohhosError
from mohhos.storage.migrations import migrate

__all__ = ["Database", "transaction"]

R = TypeVar("R")

WAITING_WRITES: Final = 256
READERS: Final = 3
BUSY_TIMEOUT_S: Final = 5.0
_CACHE: Final = "PRAGMA cache_size = -8192"  # 8 MiB per connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One write transaction: committed at the end, rolled back if anything is raised."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        # The failing statement may have ended the transaction itself (disk full).
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class Database:
    """The open registry database. Use `open`, and `async with` or `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="registry-write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="registry-read")
        self._waiting = asyncio.Semaphore(WAITING_WRITES)
        self._connections = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._closed = False

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Opens or creates the database and brings it to the latest version.

        Raises MohhosError: data-dir-newer, data-dir-unusable, storage-damaged.
        """
        database = cls(path)
        try:
            await asyncio.get_running_loop().run_in_executor(database._writer, database._prepare)
        except BaseException:
            await database.close()
            raise
        return database

    def _prepare(self) -> None:
        try:
            # Made before SQLite makes it with the umask's mode; its -wal and -shm files take the mode of the database.
            self.path.touch(mode=0o600, exist_ok=True)
            connection = self._connect(read_only=False)
            connection.execute("PRAGMA journal_mode = WAL")
            migrate(connection)
        except (OSError, sqlite3.OperationalError) as error:
            raise MohhosError(
                "data-dir-unusable",
                f"{self.path} cannot be opened",
                str(error),
                "Check that the directory exists, that this user may write in it, and that the disk is not full",
            ) from error
        except sqlite3.DatabaseError as error:
            raise self._translated(error) from error

    def _connect(self, *, read_only: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        self._opened.append(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(_CACHE)
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        self._connections.value = connection
        return connection

    def _connection(self, *, read_only: bool) -> sqlite3.Connection:
        """The connection of this thread."""
        existing = getattr(self._connections, "value", None)
        return existing if isinstance(existing, sqlite3.Connection) else self._connect(read_only=read_only)

    async def write(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """Runs `work` in a write transaction, which is on disk when this returns.

        `work` runs in the writer's thread; a raised exception rolls back and comes out here. It goes on if the caller
        is cancelled. Waits while too many writes wait already. Raises MohhosError: storage-failed, storage-damaged,
        storage-closed; sqlite3.IntegrityError as it is.
        """
        async with self._waiting:
            return await self._run(self._writer, lambda: self._in_transaction(work))

    async def read(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """Runs `work` on a read-only connection, as one consistent view. Raises as `write` does."""
        return await self._run(self._readers, lambda: self._in_view(work))

    def _in_transaction(self, work: Callable[[sqlite3.Connection], R]) -> R:
        try:
            with transaction(self._connection(read_only=False)) as connection:
                return work(connection)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._translated(error) from error

    def _in_view(self, work: Callable[[sqlite3.Connection], R]) -> R:
        try:
            connection = self._connection(read_only=True)
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("ROLLBACK")
        except sqlite3.DatabaseError as error:
            raise self._translated(error) from error

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], R]) -> R:
        if self._closed:
            raise MohhosError(
                "storage-closed", "The registry is closed", "the gateway is stopping", "Try again when it runs again"
            )
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    def _translated(self, error: sqlite3.DatabaseError) -> MohhosError:
        if isinstance(error, sqlite3.OperationalError):
            return MohhosError(
                "storage-failed",
                f"{self.path} does not take the change",
                str(error),
                "Free space on the disk or give this user its rights back (mohhos doctor); then try again",
            )
        return MohhosError(
            "storage-damaged",
            f"{self.path} is damaged or no registry database",
            str(error),
            "Keep the file, and restore the newest backup with mohhos restore",
        )

    async def backup(self, target: Path) -> None:
        """Copies the database, as of one moment, into a new file. Writes go on meanwhile."""

        def copy() -> None:
            with contextlib.closing(sqlite3.connect(target)) as into:
                self._connection(read_only=True).backup(into, pages=1024)

        await self._run(self._readers, copy)

    async def close(self) -> None:
        """Waits for what runs and closes all connections."""
        self._closed = True

        def end() -> None:
            self._readers.shutdown(wait=True)
            self._writer.shutdown(wait=True)
            for connection in self._opened:
                connection.close()
            self._opened.clear()

        await asyncio.to_thread(end)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
