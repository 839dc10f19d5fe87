import pytest
from tests.support.clock import ManualClock

from mohhos.devices.registry import DeviceRegistry
from mohhos.errors import MohhosError
from mohhos.hub.directory import Directory
from mohhos.identity.applications import Applications, check_password
from mohhos.identity.gateway_key import GatewayKey
from mohhos.model import NewDevice
from mohhos.storage import principals
from mohhos.storage.database import Database

pytestmark = pytest.mark.anyio


async def test_an_application_gets_a_generated_secret_of_which_only_the_hash_is_kept(
    applications: Applications, database: Database, key: GatewayKey
) -> None:
    application, secret = await applications.add("grafana", "observer")
    assert secret is not None
    assert len(secret) == 43
    assert await applications.list() == [application]
    principal = await database.read(lambda c: principals.get(c, "grafana"))
    assert principal is not None
    assert (principal.secret, principal.password) == (key.hash(secret), None)


async def test_a_password_chosen_by_a_person_is_hashed_slowly_and_never_stored(
    applications: Applications, database: Database
) -> None:
    _, secret = await applications.add("grafana", "observer", "correct horse battery")
    assert secret is None
    principal = await database.read(lambda c: principals.get(c, "grafana"))
    assert principal is not None
    assert principal.secret is None
    assert principal.password is not None
    assert principal.password.startswith("phc:")
    assert "correct horse" not in await database.read(lambda c: "\n".join(c.iterdump()))


@pytest.mark.parametrize("password", ["short", "a" * 20, "abababababab", "x-grafana-2024", "y" * 1025])
def test_a_password_that_is_easy_to_guess_is_refused(password: str) -> None:
    with pytest.raises(MohhosError) as caught:
        check_password(password, "Grafana")
    assert caught.value.code == "password-weak"
    assert password not in str(caught.value)


async def test_renewed_credentials_replace_the_old_ones(applications: Applications, database: Database) -> None:
    await applications.add("grafana", "observer", "correct horse battery")
    secret = await applications.renew("grafana")
    principal = await database.read(lambda c: principals.get(c, "grafana"))
    assert principal is not None
    assert principal.password is None
    assert principal.roles == ("observer",)
    assert secret is not None
    with pytest.raises(MohhosError) as caught:
        await applications.renew("nobody")
    assert caught.value.code == "application-unknown"


async def test_a_name_belongs_to_one_device_or_application(
    applications: Applications, database: Database, clock: ManualClock, key: GatewayKey
) -> None:
    devices = DeviceRegistry(database, clock, key.hash, Directory())
    await devices.create(NewDevice("pump"))
    await applications.add("grafana", "observer")
    for work in (applications.add("pump", "observer"), applications.add("grafana", "bridge")):
        with pytest.raises(MohhosError) as caught:
            await work
        assert caught.value.code == "name-taken"
    with pytest.raises(MohhosError) as caught:
        await devices.create(NewDevice("grafana"))
    assert caught.value.code == "name-taken"
    assert (await devices.page()).items[0].id == "pump"
    assert len((await devices.page()).items) == 1
    with pytest.raises(MohhosError) as caught:
        await applications.remove("pump")
    assert caught.value.code == "application-unknown"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "gateway", "anonymous", "-x", "x" * 129])
async def test_a_name_that_is_not_usable_is_refused(applications: Applications, name: str) -> None:
    with pytest.raises(MohhosError) as caught:
        await applications.add(name, "observer")
    assert caught.value.code == "name-invalid"


async def test_an_application_needs_a_role_that_exists_and_is_not_about_a_device(
    applications: Applications,
) -> None:
    with pytest.raises(MohhosError) as caught:
        await applications.add("x1", "nothing")
    assert caught.value.code == "role-unknown"
    with pytest.raises(MohhosError) as caught:
        await applications.add("x2", "device")
    assert caught.value.code == "role-invalid"
    assert await applications.list() == []
