"""The table of principals: names of devices, applications and adapters are MQTT user names, and so share one space.

Functions of a connection, for use within the transactions of the areas. Who speaks for whom, and the groups of devices,
are in the table of devices; `load` and `all_of` bring both together.
"""

import dataclasses
import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from mohhos.errors import MohhosError
from mohhos.model import Principal, PrincipalKind

__all__ = [
    "all_of",
    "delete",
    "get",
    "holder_of",
    "insert",
    "load",
    "set_credentials",
    "set_enabled",
    "set_groups",
    "set_roles",
    "split_names",
]

GROUP_LABEL: Final = "group"
"""The label of a device that names its groups, separated by commas."""

_COLUMNS = "name, kind, roles, secret, password, enabled, member_of"


def split_names(text: str) -> tuple[str, ...]:
    """The names in a list that commas separate."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _principal(row: tuple[str, str, str, bytes | None, str | None, int, str]) -> Principal:
    name, kind, roles, secret, password, enabled, member_of = row
    return Principal(
        name,
        PrincipalKind(kind),
        split_names(roles),
        secret,
        password,
        bool(enabled),
        groups=split_names(member_of),
    )


def insert(connection: sqlite3.Connection, principals: Iterable[Principal], now_us: int) -> None:
    """Adds principals. Raises MohhosError name-taken for a name that somebody has."""
    for each in principals:
        roles, groups = ",".join(each.roles), ",".join(each.groups)
        try:
            connection.execute(
                f"INSERT INTO principals ({_COLUMNS}, created_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (each.name, each.kind.value, roles, each.secret, each.password, each.enabled, groups, now_us),
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
    """One principal, without its children, parent and a device's groups."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM principals WHERE name = ?", (name,)).fetchone()
    return None if row is None else _principal(row)


def load(connection: sqlite3.Connection, names: Iterable[str]) -> list[Principal]:
    """The principals of these names that exist, whole."""
    wanted = json.dumps(sorted(set(names)))
    within = "IN (SELECT value FROM json_each(?))"
    rows = connection.execute(f"SELECT {_COLUMNS} FROM principals WHERE name {within} ORDER BY name", (wanted,))
    found = [_principal(row) for row in rows]
    children = connection.execute(f"SELECT parent, id FROM devices WHERE parent {within} ORDER BY id", (wanted,))
    own = connection.execute(f"SELECT id, parent, labels FROM devices WHERE id {within}", (wanted,))
    return _whole(found, children.fetchall(), own.fetchall())


def all_of(connection: sqlite3.Connection, kind: PrincipalKind) -> list[Principal]:
    """All principals of a kind by name, whole."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM principals WHERE kind = ? ORDER BY name", (kind.value,))
    found = [_principal(row) for row in rows]
    if kind is not PrincipalKind.DEVICE:
        return found
    children = connection.execute("SELECT parent, id FROM devices WHERE parent IS NOT NULL ORDER BY id")
    own = connection.execute(
        "SELECT id, parent, labels FROM devices WHERE parent IS NOT NULL "
        "OR code IN (SELECT code FROM device_labels WHERE key = ?)",
        (GROUP_LABEL,),
    )
    return _whole(found, children.fetchall(), own.fetchall())


def _whole(
    found: Sequence[Principal], children: Sequence[tuple[str, str]], own: Sequence[tuple[str, str | None, str]]
) -> list[Principal]:
    """The principals with what the table of devices says: rows of (parent, child) and of (device, parent, labels)."""
    by_parent: dict[str, list[str]] = {}
    for parent, child in children:
        by_parent.setdefault(parent, []).append(child)
    described = {device: (parent, labels) for device, parent, labels in own}
    whole = []
    for principal in found:
        changes: dict[str, object] = {}
        if mine := by_parent.get(principal.name):
            changes["children"] = tuple(mine)
        if principal.name in described:
            speaker, labels = described[principal.name]
            changes["parent"] = speaker
            changes["groups"] = split_names(json.loads(labels).get(GROUP_LABEL, ""))
        whole.append(dataclasses.replace(principal, **changes) if changes else principal)  # type: ignore[arg-type]
    return whole


def holder_of(connection: sqlite3.Connection, role: str) -> str | None:
    """The name of a principal that has the role."""
    row = connection.execute(
        "SELECT name FROM principals WHERE instr(',' || roles || ',', ',' || ? || ',') LIMIT 1", (role,)
    ).fetchone()
    return None if row is None else str(row[0])


def set_credentials(connection: sqlite3.Connection, name: str, secret: bytes | None, password: str | None) -> bool:
    """Replaces the credentials by one of the two; False if there is no such principal."""
    changed = connection.execute(
        "UPDATE principals SET secret = ?, password = ? WHERE name = ?", (secret, password, name)
    )
    return changed.rowcount == 1


def set_enabled(connection: sqlite3.Connection, name: str, enabled: bool) -> bool:
    """Lets a principal in or keeps it out; False if there is no such principal."""
    return connection.execute("UPDATE principals SET enabled = ? WHERE name = ?", (enabled, name)).rowcount == 1


def set_roles(connection: sqlite3.Connection, name: str, roles: Sequence[str]) -> None:
    """Gives a principal these roles instead of those that it had."""
    connection.execute("UPDATE principals SET roles = ? WHERE name = ?", (",".join(roles), name))


def set_groups(connection: sqlite3.Connection, name: str, groups: Sequence[str]) -> None:
    """Puts an application into these groups alone."""
    connection.execute("UPDATE principals SET member_of = ? WHERE name = ?", (",".join(groups), name))


def delete(connection: sqlite3.Connection, names: Iterable[str]) -> int:
    """Removes principals; returns how many there were."""
    return sum(connection.execute("DELETE FROM principals WHERE name = ?", (name,)).rowcount for name in names)
