import pytest
from tests.support.clock import ManualClock

from mohhos.errors import MohhosError
from mohhos.identity.operators import Operators, require
from mohhos.model import Scope
from mohhos.storage.database import Database

pytestmark = pytest.mark.anyio


async def test_a_token_signs_its_operator_in_and_only_its_hash_is_kept(
    operators: Operators, database: Database
) -> None:
    operator, token = await operators.create("anna", "operate")
    assert token.startswith("mohhos_")
    assert (await operators.authenticate(token)).id == operator.id
    dump = await database.read(lambda c: "\n".join(c.iterdump()))
    assert token not in dump
    assert token.removeprefix("mohhos_") not in dump


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t + "x", lambda _: "", lambda t: t.swapcase()])
async def test_any_other_text_signs_nobody_in(operators: Operators, change: object) -> None:
    _, token = await operators.create("anna", "read")
    assert callable(change)
    with pytest.raises(MohhosError) as caught:
        await operators.authenticate(change(token))
    assert (caught.value.code, caught.value.status) == ("token-invalid", 401)


async def test_a_revoked_token_signs_nobody_in(operators: Operators) -> None:
    operator, token = await operators.create("anna", "read")
    await operators.revoke(operator.id)
    with pytest.raises(MohhosError):
        await operators.authenticate(token)
    assert await operators.list() == []
    with pytest.raises(MohhosError) as caught:
        await operators.revoke(operator.id)
    assert caught.value.code == "operator-unknown"


async def test_the_last_use_is_noted_once_a_minute(operators: Operators, clock: ManualClock) -> None:
    _, token = await operators.create("anna", "read")
    for seconds in (0, 30, 61):
        clock.advance(seconds)
        await operators.authenticate(token)
        if seconds == 30:
            assert (await operators.list())[0].last_used_us == clock.now_us() - 30_000_000
    assert (await operators.list())[0].last_used_us == clock.now_us()


async def test_each_scope_allows_those_before_it(operators: Operators) -> None:
    reader, _ = await operators.create("r", "read")
    worker, _ = await operators.create("o", "operate")
    admin, _ = await operators.create("a", "admin")
    allowed = [[who.scope.allows(scope) for scope in Scope] for who in (reader, worker, admin)]
    assert allowed == [[True, False, False], [True, True, False], [True, True, True]]
    require(admin, Scope.ADMIN)
    with pytest.raises(MohhosError) as caught:
        require(reader, Scope.OPERATE)
    assert (caught.value.code, caught.value.status) == ("scope-missing", 403)


async def test_a_scope_or_name_that_is_not_usable_is_refused(operators: Operators) -> None:
    with pytest.raises(MohhosError) as caught:
        await operators.create("anna", "root")
    assert caught.value.code == "scope-invalid"
    for name in ("", "x" * 129, "a\nb"):
        with pytest.raises(MohhosError) as caught:
            await operators.create(name, "read")
        assert caught.value.code == "name-invalid"
