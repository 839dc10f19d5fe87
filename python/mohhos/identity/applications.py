"""Applications: dashboards, bridges and tools that sign in over MQTT with a role over any topics."""

import asyncio
import re
import sqlite3
from collections.abc import Callable
from typing import Final

from mohhos.clock import Clock
from mohhos.errors import MohhosError
from mohhos.hub.directory import Directory
from mohhos.hub.topics import RESERVED_NAMES
from mohhos.identity.gateway_key import GatewayKey
from mohhos.identity.policy import check_roles
from mohhos.identity.tokens import generate
from mohhos.model import Application, Principal, PrincipalKind
from mohhos.storage import principals
from mohhos.storage.database import Database

__all__ = ["Applications", "check_password"]

MIN_PASSWORD: Final = 12
MAX_PASSWORD: Final = 1024
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,127}")


def check_password(password: str, name: str) -> str:
    """A password that a person chose, if it is hard enough to guess (NIST SP 800-63B: length, not character classes).

    Raises MohhosError password-weak.
    """
    why = ""
    if len(password) < MIN_PASSWORD:
        why = f"it has {len(password)} characters, and {MIN_PASSWORD} is the least"
    elif len(password) > MAX_PASSWORD:
        why = f"it has more than {MAX_PASSWORD} characters"
    elif len(set(password)) < 5:
        why = "it has fewer than 5 different characters"
    elif name.lower() in password.lower():
        why = "the name is in it"
    if why:
        raise MohhosError("password-weak", "The password was not taken", why, "Leave it out, and one is generated")
    return password


class Applications:
    """All applications. `hash_password` makes an Argon2id PHC string (native); it runs in a thread, one at a time."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        key: GatewayKey,
        directory: Directory,
        hash_password: Callable[[str], str],
    ) -> None:
        self._database = database
        self._clock = clock
        self._key = key
        self._directory = directory
        self._hash_password = hash_password
        # Argon2id takes tens of MiB each: one at a time bounds it.
        self._hashing = asyncio.Lock()

    async def add(self, name: str, role: str, password: str | None = None) -> tuple[Application, str | None]:
        """Adds an application; the second part is the generated secret, None if a password was given.

        Raises MohhosError: name-invalid, name-taken, role-unknown, password-weak.
        """
        if _NAME.fullmatch(name) is None or name in RESERVED_NAMES:
            raise MohhosError(
                "name-invalid",
                f'"{name}" cannot be an application',
                f"a name has 1 to 128 ASCII letters, digits and _ - . @, and is none of {', '.join(RESERVED_NAMES)}",
                "Choose a name such as grafana",
            )
        now_us = self._clock.now_us()
        principal, secret = await self._credentials(name, (role,), password)

        def insert(connection: sqlite3.Connection) -> None:
            check_roles(connection, [role], PrincipalKind.APPLICATION)
            principals.insert(connection, [principal], now_us)

        await self._database.write(insert)
        await self._directory.put_principals([principal])
        return Application(name, (role,), (), True, now_us), secret

    async def renew(self, name: str, password: str | None = None) -> str | None:
        """New credentials; the old ones stop working at once, and its sessions end.

        Raises MohhosError: application-unknown, password-weak.
        """
        roles = (await self.get(name)).roles
        principal, secret = await self._credentials(name, roles, password)

        def replace(connection: sqlite3.Connection) -> list[Principal]:
            if not principals.set_credentials(connection, name, principal.secret, principal.password):
                raise _unknown(name)
            return principals.load(connection, [name])

        await self._directory.put_principals(await self._database.write(replace))
        return secret

    async def _credentials(
        self, name: str, roles: tuple[str, ...], password: str | None
    ) -> tuple[Principal, str | None]:
        if password is None:
            secret = generate()
            return Principal(name, PrincipalKind.APPLICATION, roles, self._key.hash(secret), None), secret
        check_password(password, name)
        async with self._hashing:
            phc = await asyncio.to_thread(self._hash_password, password)
        return Principal(name, PrincipalKind.APPLICATION, roles, None, phc), None

    async def get(self, name: str) -> Application:
        """The application. Raises MohhosError application-unknown."""
        for application in await self.list():
            if application.name == name:
                return application
        raise _unknown(name)

    async def list(self) -> "list[Application]":
        """All applications by name."""

        def load(connection: sqlite3.Connection) -> "list[Application]":
            rows = connection.execute(
                "SELECT name, roles, member_of, enabled, created_us FROM principals WHERE kind = 'application' "
                "ORDER BY name"
            )
            split = principals.split_names
            return [
                Application(name, split(roles), split(groups), bool(enabled), created)
                for name, roles, groups, enabled, created in rows
            ]

        return await self._database.read(load)

    async def remove(self, name: str) -> None:
        """Removes an application and disconnects it. Raises MohhosError application-unknown."""

        def delete(connection: sqlite3.Connection) -> None:
            found = principals.get(connection, name)
            if found is None or found.kind is not PrincipalKind.APPLICATION:
                raise _unknown(name)
            principals.delete(connection, [name])

        await self._database.write(delete)
        await self._directory.remove_principals([name])

    async def put_all(self) -> None:
        """Tells the attached gateway about every application. For the start."""
        everybody = await self._database.read(lambda c: principals.all_of(c, PrincipalKind.APPLICATION))
        await self._directory.put_principals(everybody)


def _unknown(name: str) -> MohhosError:
    return MohhosError(
        "application-unknown",
        f'"{name}" is not known',
        "no application has that name",
        "See mohhos applications ls",
        application=name,
    )
