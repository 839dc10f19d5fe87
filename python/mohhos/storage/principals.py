"""The table of principals: names of devices, applications and adapters are MQTT user names, and so share one space.

Functions of a connection, for use within the transactions of the areas.
"""

import sqlite3
from collections.abc import Iterable, Iterator

from mohhos.errors import MohhosError
from mohhos.model import Principal, PrincipalKind

__all__ = ["all_of", "delete", "get", "insert", "set_credentials", "set_enabled"]

_COLUMNS = "name, kind, role, secret, password, enabled"


def _principal(row: tuple[str, str, str, bytes | None, str | None, int]) -> Principal:
    name, kind, role, secret, password, enabled = row
    return Principal(name, PrincipalKind(kind), role, secret, password, bool(enabled))


def insert(connection: sqlite3.Connection, principals: Iterable[Principal], now_us: int) -> None:
    """Adds principals. Raises MohhosError name-taken for a name that somebody has."""
    for each in principals:
        try:
            connection.execute(
                f"INSERT INTO principals ({_COLUMNS}, created_us) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (each.name, each.kind.value, each.role, each.secret, each.password, each.enabled, now_us),
            )
        except sqlite3.IntegrityError as error:
            holder = get(connection, each.name)
            if holder is None:
                raise
            raise MohhosError(
                "name-taken",
                f'"{each.name}" cannot be added',
                f"the {holder.kind.value} of that name uses it to sign in, and names sign in for one only",
                "Choose another name, or remove the one that has it",
                name=each.name,
            ) from error


def get(connection: sqlite3.Connection, name: str) -> Principal | None:
    """One principal, without its children."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM principals WHERE name = ?", (name,)).fetchone()
    return None if row is None else _principal(row)


def all_of(connection: sqlite3.Connection, kind: PrincipalKind | None = None) -> Iterator[Principal]:
    """All principals (of a kind) by name, without their children."""
    where, values = ("WHERE kind = ?", (kind.value,)) if kind else ("", ())
    for row in connection.execute(f"SELECT {_COLUMNS} FROM principals {where} ORDER BY name", values):
        yield _principal(row)


def set_credentials(connection: sqlite3.Connection, name: str, secret: bytes | None, password: str | None) -> bool:
    """Replaces the credentials by one of the two; False if there is no such principal."""
    changed = connection.execute(
        "UPDATE principals SET secret = ?, password = ? WHERE name = ?", (secret, password, name)
    )
    return changed.rowcount == 1


def set_enabled(connection: sqlite3.Connection, name: str, enabled: bool) -> bool:
    """Lets a principal in or keeps it out; False if there is no such principal."""
    return connection.execute("UPDATE principals SET enabled = ? WHERE name = ?", (enabled, name)).rowcount == 1


def delete(connection: sqlite3.Connection, names: Iterable[str]) -> int:
    """Removes principals; returns how many there were."""
    return sum(connection.execute("DELETE FROM principals WHERE name = ?", (name,)).rowcount for name in names)
