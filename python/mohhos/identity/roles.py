"""Roles: which topics may be published to and subscribed."""

import json
import re
import sqlite3
from collections.abc import Sequence
from typing import Final

from mohhos.errors import MohhosError
from mohhos.hub.directory import Directory
from mohhos.model import Role
from mohhos.storage.database import Database

__all__ = ["BUILT_IN", "Roles", "check_filter"]

BUILT_IN: Final[dict[str, Role]] = {
    role.name: role
    for role in (
        Role("device", ("devices/${device}/#",), ("devices/${device}/#",), built_in=True),
        Role("observer", (), ("#",), built_in=True),
        Role("bridge", ("#",), ("#",), built_in=True),
    )
}
MAX_FILTERS: Final = 64
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def check_filter(text: str) -> str:
    """A topic filter by MQTT 5, section 4.7, with ${device} for the principal. Raises MohhosError role-invalid."""
    levels = text.split("/")
    why = ""
    if not text or len(text.encode()) > 1024 or "\0" in text:
        why = "a topic filter has 1 to 1024 bytes and no NUL"
    elif any("#" in level for level in levels[:-1]) or (levels[-1] != "#" and "#" in levels[-1]):
        why = "# stands alone, as the last level"
    elif any("+" in level and level != "+" for level in levels):
        why = "+ stands alone in its level"
    elif any("$" in level and level != "${device}" for level in levels[1:]) or (
        "$" in levels[0] and levels[0] != "${device}"
    ):
        why = "${device} is the only thing with a $, and stands alone in its level"
    if why:
        raise MohhosError("role-invalid", f'"{text}" is no topic filter for a role', why, "Correct the topic filter")
    return text


def get(connection: sqlite3.Connection, name: str) -> Role:
    """The role. Raises MohhosError role-unknown."""
    if (built_in := BUILT_IN.get(name)) is not None:
        return built_in
    row = connection.execute("SELECT publish, subscribe FROM roles WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise MohhosError(
            "role-unknown",
            f'There is no role "{name}"',
            "it is neither built in nor was it made",
            f"Take one of {', '.join(sorted(names(connection)))}, or make it first",
            role=name,
        )
    return Role(name, tuple(json.loads(row[0])), tuple(json.loads(row[1])))


def names(connection: sqlite3.Connection) -> list[str]:
    """All roles by name, the built-in ones first."""
    return [*BUILT_IN, *(name for (name,) in connection.execute("SELECT name FROM roles ORDER BY name"))]


def everything(connection: sqlite3.Connection) -> list[Role]:
    """All roles, the built-in ones first."""
    return [get(connection, name) for name in names(connection)]


class Roles:
    """All roles: the built-in ones and those that people made."""

    def __init__(self, database: Database, directory: Directory) -> None:
        self._database = database
        self._directory = directory

    async def list(self) -> "list[Role]":
        """All roles, the built-in ones first."""
        return await self._database.read(everything)

    async def get(self, name: str) -> Role:
        """The role. Raises MohhosError role-unknown."""
        return await self._database.read(lambda c: get(c, name))

    async def put(self, name: str, publish: Sequence[str], subscribe: Sequence[str]) -> Role:
        """Makes or replaces a role; connected clients are held to it at once. Raises MohhosError role-invalid."""
        if name in BUILT_IN:
            raise MohhosError("role-invalid", f'"{name}" was not changed', "it is built in", "Choose another name")
        if _NAME.fullmatch(name) is None:
            raise MohhosError(
                "role-invalid",
                f'"{name}" cannot be a role',
                "its name has 1 to 63 lower-case letters, digits, - and _",
                "Choose such a name",
            )
        if len(publish) > MAX_FILTERS or len(subscribe) > MAX_FILTERS:
            raise MohhosError(
                "role-invalid", f'"{name}" was not stored', f"it has more than {MAX_FILTERS} filters", "Use wildcards"
            )
        role = Role(name, tuple(map(check_filter, publish)), tuple(map(check_filter, subscribe)))

        def store(connection: sqlite3.Connection) -> "list[Role]":
            connection.execute(
                "INSERT INTO roles (name, publish, subscribe) VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET publish = excluded.publish, subscribe = excluded.subscribe",
                (name, json.dumps(role.publish), json.dumps(role.subscribe)),
            )
            return everything(connection)

        await self._directory.put_roles(await self._database.write(store))
        return role

    async def delete(self, name: str) -> None:
        """Removes a role. Raises MohhosError: role-unknown, role-in-use (by a principal, or built in)."""

        def remove(connection: sqlite3.Connection) -> "list[Role]":
            role = get(connection, name)
            user = connection.execute("SELECT name FROM principals WHERE role = ? LIMIT 1", (name,)).fetchone()
            if role.built_in or user is not None:
                raise MohhosError(
                    "role-in-use",
                    f'The role "{name}" was not removed',
                    "it is built in" if role.built_in else f'"{user[0]}" has it',
                    "Keep it" if role.built_in else "Give those that have it another role first",
                )
            connection.execute("DELETE FROM roles WHERE name = ?", (name,))
            return everything(connection)

        await self._directory.put_roles(await self._database.write(remove))

    async def put_all(self) -> None:
        """Tells the attached gateway about every role. For the start."""
        await self._directory.put_roles(await self.list())
