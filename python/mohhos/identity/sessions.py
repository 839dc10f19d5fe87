"""Browser sessions: the page signs in once with an operator's token and then has a cookie.

EventSource sends no bearer header, and a token does not belong into a URL or into a script's reach.
"""

import hmac
import sqlite3
from collections.abc import Callable
from typing import Final

from mohhos.clock import Clock
from mohhos.errors import MohhosError
from mohhos.identity.gateway_key import GatewayKey
from mohhos.identity.operators import operator_of
from mohhos.identity.tokens import generate
from mohhos.model import Operator, Session
from mohhos.storage.database import Database

__all__ = ["Sessions", "check_csrf"]

MAX_PER_OPERATOR: Final = 32


class Sessions:
    """All browser sessions; only keyed hashes of their ids are stored. `lifetime_us` is asked at each sign-in."""

    def __init__(self, database: Database, clock: Clock, key: GatewayKey, lifetime_us: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._key = key
        self._lifetime_us = lifetime_us

    async def start(self, operator: Operator) -> tuple[str, Session]:
        """Begins a session; the first part is the cookie's value, which is nowhere else.

        The operator's oldest sessions end when there are more than MAX_PER_OPERATOR.
        """
        cookie = generate()
        now_us = self._clock.now_us()
        session = Session(operator, generate(), now_us + self._lifetime_us())
        hashed = self._key.hash(cookie)

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM browser_sessions WHERE expires_us <= ?", (now_us,))
            connection.execute(
                "INSERT INTO browser_sessions (session, operator, csrf, expires_us) VALUES (?, ?, ?, ?)",
                (hashed, operator.id, session.csrf, session.expires_us),
            )
            connection.execute(
                "DELETE FROM browser_sessions WHERE operator = ?1 AND session NOT IN (SELECT session FROM "
                "browser_sessions WHERE operator = ?1 ORDER BY expires_us DESC LIMIT ?2)",
                (operator.id, MAX_PER_OPERATOR),
            )

        await self._database.write(insert)
        return cookie, session

    async def get(self, cookie: str) -> Session:
        """The session of a cookie. Raises MohhosError session-invalid."""
        hashed = self._key.hash(cookie)

        def find(connection: sqlite3.Connection) -> Session | None:
            row = connection.execute(
                "SELECT o.id, o.name, o.scope, o.created_us, o.last_used_us, s.csrf, s.expires_us "
                "FROM browser_sessions s JOIN operators o ON o.id = s.operator WHERE s.session = ?",
                (hashed,),
            ).fetchone()
            return None if row is None else Session(operator_of(row), row[5], row[6])

        session = await self._database.read(find)
        if session is None or session.expires_us <= self._clock.now_us():
            raise MohhosError(
                "session-invalid", "You are signed out", "the session is over or was ended", "Sign in again"
            )
        return session

    async def end(self, cookie: str) -> None:
        """Ends a session, if it is one."""
        hashed = self._key.hash(cookie)

        def delete(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM browser_sessions WHERE session = ?", (hashed,))

        await self._database.write(delete)


def check_csrf(session: Session, given: str | None) -> None:
    """Raises MohhosError csrf-invalid unless the request carries the session's CSRF token."""
    if given is None or not hmac.compare_digest(session.csrf.encode(), given.encode()):
        raise MohhosError(
            "csrf-invalid",
            "The request was not carried out",
            "it does not carry the page's own token, so another site may have sent it",
            "Reload the page; programs use a bearer token instead of the cookie",
        )
