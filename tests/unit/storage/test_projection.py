import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.clock import ManualClock
from tests.support.records import record

from mohhos.errors import MohhosError
from mohhos.hub.broadcast import Broadcast
from mohhos.hub.current import Conditions
from mohhos.model import Notice
from mohhos.storage.database import Database, transaction
from mohhos.storage.migrations import migrate
from mohhos.storage.projection import Projection, apply, position

if TYPE_CHECKING:
    from mohhos._native import LogRecord

pytestmark = pytest.mark.anyio


class Count:
    """Writes each record's offset into a table; fails on demand."""

    prefixes: Sequence[str] = ("a/",)

    def __init__(self, fail_at: int = -1) -> None:
        self.fail_at = fail_at

    def apply(self, connection: sqlite3.Connection, record: "LogRecord") -> list[Notice]:
        if record["offset"] == self.fail_at:
            raise sqlite3.OperationalError("disk full")
        connection.execute("INSERT INTO seen VALUES (?)", (record["offset"],))
        return [Notice("seen", record["offset"])]


def seen(connection: sqlite3.Connection) -> list[int]:
    return [offset for (offset,) in connection.execute("SELECT x FROM seen ORDER BY rowid")]


async def test_effect_and_offset_are_in_one_transaction(database: Database) -> None:
    await database.write(lambda c: c.execute("CREATE TABLE seen (x)"))
    records = [record(0, "a/1", b""), record(10, "b/1", b""), record(20, "a/2", b"")]
    with pytest.raises(Exception, match="disk full"):
        await database.write(lambda c: apply(c, "p", [Count(fail_at=20)], records, 30))
    assert await database.read(seen) == []
    assert await database.read(lambda c: position(c, "p")) == 0
    notices = await database.write(lambda c: apply(c, "p", [Count()], records, 30))
    assert [n.data for n in notices] == await database.read(seen) == [0, 20]
    assert await database.read(lambda c: position(c, "p")) == 30


async def test_the_position_moves_on_over_records_of_others_and_never_back(database: Database) -> None:
    await database.write(lambda c: apply(c, "p", [], [], 500))
    await database.write(lambda c: apply(c, "p", [], [], 300))
    assert await database.read(lambda c: position(c, "p")) == 500
    assert await database.read(lambda c: position(c, "q")) == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5), st.booleans()), max_size=20))
def test_whatever_is_read_again_or_fails_every_record_counts_once(steps: list[tuple[int, int, bool]]) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    connection.execute("CREATE TABLE seen (x)")
    log = [record(i * 10, "a/x", b"") for i in range(100)]
    for back, count, fails in steps:
        # A reader that starts again too early, as after a crash, and sometimes fails at its last record.
        start = max(0, position(connection, "p") // 10 - back)
        batch = log[start : start + back + count]
        effect = Count(fail_at=batch[-1]["offset"] if fails else -1)
        try:
            with transaction(connection):
                apply(connection, "p", [effect], batch, batch[-1]["next"])
        except sqlite3.OperationalError:
            assert fails
    assert seen(connection) == [r["offset"] for r in log if r["offset"] < position(connection, "p")]
    connection.close()


async def test_who_waits_for_an_offset_is_told_when_the_registry_falls_behind(
    database: Database, clock: ManualClock
) -> None:
    projection = Projection("p", database, [], Broadcast(), conditions=Conditions(), clock=clock)
    with pytest.raises(MohhosError) as caught:
        await projection.wait_applied(0, timeout_s=0)
    assert caught.value.code == "projection-behind"
