import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from mohhos.errors import MohhosError
from mohhos.storage.database import Database
from mohhos.storage.migrations import latest

pytestmark = pytest.mark.anyio


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM roles").fetchone()[0])


def _add(name: str) -> str:
    return f"INSERT INTO roles (name, publish, subscribe) VALUES ('{name}', '[]', '[]')"


async def test_the_database_is_durable_by_its_settings(database: Database) -> None:
    def settings(connection: sqlite3.Connection) -> dict[str, object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "user_version")
        return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names}

    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "user_version": latest()}
    assert await database.write(settings) == expected


async def test_nobody_else_reads_the_database(database: Database) -> None:
    await database.write(lambda c: c.execute(_add("a")))
    files = list(database.path.parent.iterdir())
    assert len(files) >= 2, "the database and its write-ahead log"
    assert [each.stat().st_mode & 0o077 for each in files] == [0] * len(files)


async def test_a_write_that_raises_leaves_nothing_behind(database: Database) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute(_add("a"))
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        await database.write(half)
    assert await database.read(_count) == 0
    await database.write(lambda c: c.execute(_add("a")))
    assert await database.read(_count) == 1


async def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(MohhosError) as caught:
        await database.read(lambda c: c.execute(_add("a")))
    assert caught.value.code == "storage-failed"


async def test_reads_go_on_while_a_write_takes_long_and_see_one_state(database: Database) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        connection.execute(_add("a"))
        inside.set()
        assert go_on.wait(10)

    writing = asyncio.create_task(database.write(slow))
    assert await asyncio.to_thread(inside.wait, 10)
    assert await database.read(_count) == 0
    go_on.set()
    await writing
    assert await database.read(_count) == 1


async def test_no_more_writes_wait_than_the_bound(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_waiting", asyncio.Semaphore(2))
    inside, go_on, started = threading.Event(), threading.Event(), []

    def slow(_: sqlite3.Connection) -> None:
        inside.set()
        assert go_on.wait(10)

    tasks = [asyncio.create_task(database.write(slow)) for _ in range(2)]
    third = asyncio.create_task(database.write(lambda _: started.append(1)))
    assert await asyncio.to_thread(inside.wait, 10)
    assert database._writer._work_queue.qsize() <= 1
    go_on.set()
    await asyncio.gather(*tasks, third)
    assert started == [1]


async def test_a_database_of_a_later_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {latest() + 1}")
    connection.close()
    with pytest.raises(MohhosError) as caught:
        await Database.open(path)
    assert caught.value.code == "data-dir-newer"
    check = sqlite3.connect(path)
    assert check.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    check.close()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    path.write_bytes(b"certainly no database" * 100)
    with pytest.raises(MohhosError) as caught:
        await Database.open(path)
    assert caught.value.code == "storage-damaged"


async def test_a_directory_that_is_not_there_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MohhosError) as caught:
        await Database.open(tmp_path / "missing" / "registry.db")
    assert caught.value.code == "data-dir-unusable"


async def test_a_closed_database_says_that_the_gateway_stops(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "registry.db")
    await database.close()
    with pytest.raises(MohhosError) as caught:
        await database.read(_count)
    assert caught.value.code == "storage-closed"


async def test_a_disk_that_is_full_is_told_and_writes_work_again_when_it_is_not(database: Database) -> None:
    pages = await database.write(lambda c: int(c.execute("PRAGMA page_count").fetchone()[0]))
    await database.write(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    big = "x" * 10_000
    sql = "INSERT INTO roles (name, publish, subscribe) VALUES ('big', ?, '[]')"
    with pytest.raises(MohhosError) as caught:
        await database.write(lambda c: c.execute(sql, (big,)))
    assert caught.value.code == "storage-failed"
    assert "full" in caught.value.why
    await database.write(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchone())
    await database.write(lambda c: c.execute(sql, (big,)))
    assert await database.read(_count) == 1


async def test_a_backup_is_the_whole_database(database: Database, tmp_path: Path) -> None:
    await database.write(lambda c: c.execute(_add("a")))
    await database.backup(tmp_path / "copy.db")
    copy = sqlite3.connect(tmp_path / "copy.db")
    assert _count(copy) == 1
    copy.close()
