"""Who must not notice what others do."""

from collections.abc import Iterator

import pytest
from tests.support.gateway import RunningGateway
from tests.support.mqtt import Client, client


@pytest.fixture(scope="module")
def bystander(gateway: RunningGateway) -> Iterator[Client]:
    """A device that is connected through all of this, and hears itself."""
    secret = gateway.add_device("bystander")
    with client(gateway.mqtt_port, "bystander", secret, client_id="bystander") as connected:
        connected.subscribe("devices/bystander/events/#")
        yield connected
