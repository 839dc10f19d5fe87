"""Operators: people and programs that use the API with a token."""

import secrets
import sqlite3
from typing import Any, Final

from mohhos.clock import Clock
from mohhos.errors import MohhosError
from mohhos.identity.gateway_key import GatewayKey
from mohhos.identity.tokens import generate
from mohhos.model import Operator, Scope
from mohhos.storage.database import Database

__all__ = ["PREFIX", "Operators"]

PREFIX: Final = "mohhos_"  # lets secret scanners find a token that was committed somewhere
_USED_EVERY_US: Final = 60 * 1_000_000
_COLUMNS: Final = "id, name, scope, created_us, last_used_us"


def operator_of(row: tuple[Any, ...]) -> Operator:
    """The operator in the first five columns of a row."""
    return Operator(row[0], row[1], Scope(row[2]), row[3], row[4])


class Operators:
    """All operator tokens; only their keyed hashes are stored."""

    def __init__(self, database: Database, clock: Clock, key: GatewayKey) -> None:
        self._database = database
        self._clock = clock
        self._key = key

    async def create(self, name: str, scope: Scope | str) -> tuple[Operator, str]:
        """A new token; the text is in the answer and nowhere else. Raises MohhosError: name-invalid, scope-invalid."""
        try:
            scope = Scope(scope)
        except ValueError:
            raise MohhosError(
                "scope-invalid", f'"{scope}" is no scope', "a token has one scope", f"Take one of {', '.join(Scope)}"
            ) from None
        if not name or len(name) > 128 or not name.isprintable():
            raise MohhosError(
                "name-invalid", "The operator was not added", "a name has 1 to 128 printable characters", "Name it"
            )
        operator = Operator(secrets.token_hex(8), name, scope, self._clock.now_us(), None)
        token = generate(PREFIX)
        hashed = self._key.hash(token)
        values = (operator.id, name, hashed, scope.value, operator.created_us)

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO operators (id, name, token, scope, created_us) VALUES (?, ?, ?, ?, ?)", values
            )

        await self._database.write(insert)
        return operator, token

    async def authenticate(self, token: str) -> Operator:
        """Whose token it is. Raises MohhosError token-invalid."""
        hashed = self._key.hash(token)

        def find(connection: sqlite3.Connection) -> Operator | None:
            row = connection.execute(f"SELECT {_COLUMNS} FROM operators WHERE token = ?", (hashed,)).fetchone()
            return None if row is None else operator_of(row)

        operator = await self._database.read(find)
        if operator is None:
            raise MohhosError(
                "token-invalid",
                "The token was not accepted",
                "it was revoked, or never given out by this gateway",
                "Make one on the gateway: mohhos operators add NAME --scope operate",
            )
        await self._note_use(operator)
        return operator

    async def _note_use(self, operator: Operator) -> None:
        now_us = self._clock.now_us()
        if operator.last_used_us is not None and abs(now_us - operator.last_used_us) < _USED_EVERY_US:
            return

        def note(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE operators SET last_used_us = ? WHERE id = ?", (now_us, operator.id))

        await self._database.write(note)

    async def list(self) -> "list[Operator]":
        """All operators, the oldest first."""
        sql = f"SELECT {_COLUMNS} FROM operators ORDER BY created_us, id"
        return await self._database.read(lambda c: [operator_of(row) for row in c.execute(sql)])

    async def revoke(self, operator: str) -> None:
        """Ends a token (by its id) and the browser sessions begun with it. Raises MohhosError operator-unknown."""

        def delete(connection: sqlite3.Connection) -> int:
            return connection.execute("DELETE FROM operators WHERE id = ?", (operator,)).rowcount

        if not await self._database.write(delete):
            raise MohhosError(
                "operator-unknown", f'"{operator}" is not known', "no token has that id", "See mohhos operators ls"
            )


def require(operator: Operator, scope: Scope) -> None:
    """Raises MohhosError scope-missing if the operator may not do it."""
    if not operator.scope.allows(scope):
        raise MohhosError(
            "scope-missing",
            f'"{operator.name}" may not do this',
            f"it needs the scope {scope}, and the token has {operator.scope}",
            f"Use a token with the scope {scope}",
            scope=scope.value,
        )
