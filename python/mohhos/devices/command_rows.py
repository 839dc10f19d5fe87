"""Commands as rows of the registry."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from mohhos.errors import MohhosError
from mohhos.model import Command, CommandState, Page
from mohhos.storage import cursors

__all__ = ["EVERYTHING", "CommandQuery"]

_COLUMNS: Final = "id, device, name, parameters, issuer, state, created_us, deadline_us, updated_us, output"
_PENDING: Final = "state IN ('queued', 'sent', 'delivered')"


@dataclass(frozen=True, slots=True)
class CommandQuery:
    """Which commands: every given condition holds."""

    device: str | None = None
    state: CommandState | None = None


EVERYTHING: Final = CommandQuery()


def _command(row: Sequence[Any]) -> Command:
    return Command(
        id=row[0],
        device=row[1],
        name=row[2],
        parameters=json.loads(row[3]),
        issuer=row[4],
        state=CommandState(row[5]),
        created_us=row[6],
        deadline_us=row[7],
        updated_us=row[8],
        output=json.loads(row[9]),
    )


def find(connection: sqlite3.Connection, command: str) -> Command | None:
    """The command, None if there is none of that id."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM commands WHERE id = ?", (command,)).fetchone()
    return None if row is None else _command(row)


def get(connection: sqlite3.Connection, command: str) -> Command:
    """The command. Raises MohhosError command-unknown."""
    found = find(connection, command)
    if found is None:
        raise MohhosError(
            "command-unknown",
            f'"{command}" is not known',
            "no command has that id; finished ones are kept up to a number",
            "See the commands of the device",
            command=command,
        )
    return found


def page(connection: sqlite3.Connection, query: CommandQuery, cursor: str | None, limit: int) -> Page[Command]:
    """One page, the newest first. Raises MohhosError cursor-invalid."""
    clauses: list[str] = []
    values: list[str | int] = []
    for column in ("device", "state"):
        if (value := getattr(query, column)) is not None:
            clauses.append(f"{column} = ?")
            values.append(value)
    if cursor is not None:
        clauses.append("seq < ?")
        values.append(cursors.decode(cursor, int)[0])
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    limit = cursors.page_size(limit)
    sql = f"SELECT seq, {_COLUMNS} FROM commands {where} ORDER BY seq DESC LIMIT ?"
    found = connection.execute(sql, (*values, limit + 1)).fetchall()
    items = [_command(row[1:]) for row in found[:limit]]
    return Page(items, cursors.encode(found[limit - 1][0]) if len(found) > limit else None)


def insert(connection: sqlite3.Connection, command: Command) -> bool:
    """Adds a command; False if its id is there already."""
    added = connection.execute(
        f"INSERT INTO commands ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (
            command.id,
            command.device,
            command.name,
            json.dumps(command.parameters, ensure_ascii=False),
            command.issuer,
            command.state.value,
            command.created_us,
            command.deadline_us,
            command.updated_us,
            json.dumps(command.output, ensure_ascii=False),
        ),
    )
    return added.rowcount == 1


def move(connection: sqlite3.Connection, command: str, state: CommandState, at_us: int, output: Any) -> None:
    """Notes a new state of a command and what the device said."""
    connection.execute(
        "UPDATE commands SET state = ?, updated_us = ?, output = ? WHERE id = ?",
        (state.value, at_us, json.dumps(output, ensure_ascii=False), command),
    )


def send_queued(connection: sqlite3.Connection, devices: Sequence[str], at_us: int) -> list[Command]:
    """The devices connected, so their sessions hand out what waited for them; returns these commands."""
    rows = connection.execute(
        f"UPDATE commands SET state = 'sent', updated_us = ? WHERE state = 'queued' "
        f"AND device IN (SELECT value FROM json_each(?)) RETURNING {_COLUMNS}",
        (at_us, json.dumps(list(devices))),
    ).fetchall()
    return [_command(row) for row in rows]


def deliver(connection: sqlite3.Connection, receipts: Sequence[tuple[str, str, int]]) -> list[Command]:
    """Devices have acknowledged commands (device, command, time); returns those of which no more was known."""
    delivered = []
    for device, command, at_us in receipts:
        row = connection.execute(
            f"UPDATE commands SET state = 'delivered', updated_us = max(updated_us, ?) "
            f"WHERE id = ? AND device = ? AND state IN ('queued', 'sent') RETURNING {_COLUMNS}",
            (at_us, command, device),
        ).fetchone()
        if row is not None:
            delivered.append(_command(row))
    return delivered


def expire(connection: sqlite3.Connection, now_us: int) -> list[Command]:
    """Ends commands whose deadline has passed without a result; returns them."""
    rows = connection.execute(
        f"UPDATE commands SET state = 'expired', updated_us = ? WHERE {_PENDING} AND deadline_us <= ? "
        f"RETURNING {_COLUMNS}",
        (now_us, now_us),
    ).fetchall()
    return [_command(row) for row in rows]


def shift_deadlines(connection: sqlite3.Connection, by_us: int) -> int:
    """Moves the deadlines of pending commands, which were given by a clock that has jumped since."""
    moved = connection.execute(f"UPDATE commands SET deadline_us = deadline_us + ? WHERE {_PENDING}", (by_us,))
    return moved.rowcount


def prune(connection: sqlite3.Connection, kept: int) -> None:
    """Removes the oldest finished commands beyond a number of all commands."""
    connection.execute(
        f"DELETE FROM commands WHERE seq <= (SELECT max(seq) FROM commands) - ? AND NOT {_PENDING}", (kept,)
    )
