import pytest
from tests.support.clock import ManualClock

from mohhos.errors import MohhosError
from mohhos.identity.gateway_key import GatewayKey
from mohhos.identity.operators import Operators
from mohhos.identity.sessions import MAX_PER_OPERATOR, Sessions, check_csrf
from mohhos.storage.database import Database

pytestmark = pytest.mark.anyio
HOUR_US = 3600 * 1_000_000


@pytest.fixture
def sessions(database: Database, clock: ManualClock, key: GatewayKey) -> Sessions:
    return Sessions(database, clock, key, lambda: HOUR_US)


async def ended(sessions: Sessions, cookie: str) -> bool:
    try:
        await sessions.get(cookie)
    except MohhosError as error:
        assert error.code == "session-invalid"
        return True
    return False


async def test_a_session_lasts_for_its_life_time(
    sessions: Sessions, operators: Operators, clock: ManualClock, database: Database
) -> None:
    operator, _ = await operators.create("anna", "read")
    cookie, session = await sessions.start(operator)
    assert (await sessions.get(cookie)).operator.id == operator.id
    assert cookie not in await database.read(lambda c: "\n".join(c.iterdump()))
    clock.advance(3599)
    assert await sessions.get(cookie) == session
    clock.advance(1)
    assert await ended(sessions, cookie)


async def test_a_session_ends_by_signing_out_and_with_its_token(sessions: Sessions, operators: Operators) -> None:
    operator, _ = await operators.create("anna", "read")
    first, _ = await sessions.start(operator)
    second, _ = await sessions.start(operator)
    await sessions.end(first)
    assert await ended(sessions, first)
    assert not await ended(sessions, second)
    await operators.revoke(operator.id)
    assert await ended(sessions, second)
    assert await ended(sessions, "")


async def test_the_oldest_sessions_of_an_operator_end_when_there_are_too_many(
    sessions: Sessions, operators: Operators, clock: ManualClock
) -> None:
    operator, _ = await operators.create("anna", "read")
    cookies = []
    for _ in range(MAX_PER_OPERATOR + 1):
        cookies.append((await sessions.start(operator))[0])
        clock.advance(1)
    assert await ended(sessions, cookies[0])
    assert not await ended(sessions, cookies[1])


async def test_a_request_without_the_sessions_csrf_token_is_refused(sessions: Sessions, operators: Operators) -> None:
    operator, _ = await operators.create("anna", "read")
    _, session = await sessions.start(operator)
    check_csrf(session, session.csrf)
    for given in (None, "", session.csrf[:-1], "é"):
        with pytest.raises(MohhosError) as caught:
            check_csrf(session, given)
        assert caught.value.code == "csrf-invalid"
