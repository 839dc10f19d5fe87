"""Roles: what may be published, subscribed and received, and how much."""

import dataclasses
import json
import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from mohhos.clock import Clock
from mohhos.errors import MohhosError
from mohhos.hub.directory import Directory, role_document
from mohhos.identity.role_documents import role_of
from mohhos.model import Role
from mohhos.storage import audit, principals
from mohhos.storage.database import Database

__all__ = ["BUILT_IN", "Roles"]

# What the role `device` says is what the native gateway always has under that name; a test holds both together.
_BUILT_IN: Final[dict[str, dict[str, Any]]] = {
    "device": {
        "description": "a device: below its own topics, and a parent below those of its children",
        "publish": {
            "allow": ["devices/${device}/#"],
            "deny": [
                "devices/${device}",
                "devices/${device}/status",
                "devices/${device}/commands/+",
                "devices/${device}/configuration/desired",
            ],
        },
        "subscribe": {"allow": ["devices/${device}/#"]},
    },
    "observer": {"description": "reads everything and publishes nothing", "subscribe": ["#"]},
    "bridge": {"description": "reads and publishes everything", "publish": ["#"], "subscribe": ["#"]},
}
BUILT_IN: Final[dict[str, Role]] = {
    name: role_of(name, document, built_in=True) for name, document in _BUILT_IN.items()
}
_COLUMNS: Final = "publish, subscribe, receive, limits, description"


def get(connection: sqlite3.Connection, name: str) -> Role:
    """The role. Raises MohhosError role-unknown."""
    if (built_in := BUILT_IN.get(name)) is not None:
        return built_in
    row = connection.execute(f"SELECT {_COLUMNS} FROM roles WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise MohhosError(
            "role-unknown",
            f'There is no role "{name}"',
            "it is neither built in nor was it made",
            f"Take one of {', '.join(sorted(names(connection)))}, or make it first",
            role=name,
        )
    publish, subscribe, receive, limits = map(json.loads, row[:4])
    document = {"publish": publish, "subscribe": subscribe, "receive": receive, "limits": limits}
    return role_of(name, {**document, "description": row[4]})


def names(connection: sqlite3.Connection) -> list[str]:
    """All roles by name, the built-in ones first."""
    return [*BUILT_IN, *(name for (name,) in connection.execute("SELECT name FROM roles ORDER BY name"))]


def everything(connection: sqlite3.Connection) -> list[Role]:
    """All roles, the built-in ones first."""
    return [get(connection, name) for name in names(connection)]


class Roles:
    """All roles: the built-in ones and those that people made."""

    def __init__(self, database: Database, clock: Clock, directory: Directory) -> None:
        self._database = database
        self._clock = clock
        self._directory = directory

    async def list(self) -> "list[Role]":
        """All roles, the built-in ones first."""
        return await self._database.read(everything)

    async def get(self, name: str) -> Role:
        """The role. Raises MohhosError role-unknown."""
        return await self._database.read(lambda c: get(c, name))

    async def put(self, name: str, document: Mapping[str, Any], operator: str = "") -> Role:
        """Makes or replaces a role; connected clients are held to it at once. Raises MohhosError role-invalid."""
        if name in BUILT_IN:
            raise MohhosError("role-invalid", f'"{name}" was not changed', "it is built in", "Choose another name")
        role = role_of(name, document)
        stored = role_document(role)
        receive = dataclasses.asdict(role.receive) if role.receive else None
        now_us = self._clock.now_us()

        def store(connection: sqlite3.Connection) -> "list[Role]":
            connection.execute(
                f"INSERT INTO roles (name, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                + ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS.split(", ")),
                (
                    name,
                    json.dumps(stored["publish"]),
                    json.dumps(stored["subscribe"]),
                    json.dumps(receive),
                    json.dumps(stored["limits"]),
                    role.description,
                ),
            )
            audit.add(connection, now_us, operator, "role.put", name, **stored)
            return everything(connection)

        await self._directory.put_roles(await self._database.write(store))
        return role

    async def delete(self, name: str, operator: str = "") -> None:
        """Removes a role. Raises MohhosError: role-unknown, role-in-use (by a principal, or built in)."""
        now_us = self._clock.now_us()

        def remove(connection: sqlite3.Connection) -> "list[Role]":
            role = get(connection, name)
            user = principals.holder_of(connection, name)
            if role.built_in or user is not None:
                raise MohhosError(
                    "role-in-use",
                    f'The role "{name}" was not removed',
                    "it is built in" if role.built_in else f'"{user}" has it',
                    "Keep it" if role.built_in else "Give those that have it another role first",
                )
            connection.execute("DELETE FROM roles WHERE name = ?", (name,))
            audit.add(connection, now_us, operator, "role.delete", name)
            return everything(connection)

        await self._directory.put_roles(await self._database.write(remove))

    async def put_all(self) -> None:
        """Tells the attached gateway about every role. For the start."""
        await self._directory.put_roles(await self.list())
