import sqlite3
from pathlib import Path

import pytest

from mohhos.storage import migrations


def test_migrations_are_numbered_without_gaps_from_one() -> None:
    numbers = [number for number, _, _ in migrations._files()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "registry.db", isolation_level=None)
    assert migrations.migrate(connection) == 0
    schema = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    assert migrations.migrate(connection) == migrations.latest()
    assert connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall() == schema
    connection.close()


def test_a_migration_that_fails_leaves_the_version_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = sqlite3.connect(tmp_path / "registry.db", isolation_level=None)
    broken = [(1, "0001_a.sql", "CREATE TABLE a (x);"), (2, "0002_b.sql", "CREATE TABLE b (x); CREATE TABLE a (x);")]
    monkeypatch.setattr(migrations, "_files", lambda: broken)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrations.migrate(connection)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]
    connection.close()
