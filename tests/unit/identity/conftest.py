import hashlib

import pytest
from tests.support.clock import ManualClock

from mohhos.hub.directory import Directory
from mohhos.identity.applications import Applications
from mohhos.identity.gateway_key import GatewayKey
from mohhos.identity.operators import Operators
from mohhos.identity.policy import PrincipalPolicy
from mohhos.identity.roles import Roles
from mohhos.storage.database import Database


@pytest.fixture
def key() -> GatewayKey:
    return GatewayKey(bytes(range(32)))


@pytest.fixture
def roles(database: Database, clock: ManualClock) -> Roles:
    return Roles(database, clock, Directory())


@pytest.fixture
def policy(database: Database, clock: ManualClock) -> PrincipalPolicy:
    return PrincipalPolicy(database, clock, Directory())


@pytest.fixture
def applications(database: Database, clock: ManualClock, key: GatewayKey) -> Applications:
    # The real hash is native and slow on purpose; here any one-way text shows what is stored.
    return Applications(
        database, clock, key, Directory(), lambda password: "phc:" + hashlib.sha256(password.encode()).hexdigest()
    )


@pytest.fixture
def operators(database: Database, clock: ManualClock, key: GatewayKey) -> Operators:
    return Operators(database, clock, key)
