"""Mosquitto beside the gateway, joined by Mosquitto's own bridge: both directions, QoS 2, through a kill of either."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.support.gateway import CONFIG, RunningGateway, eventually, running
from tests.support.mosquitto import MosquittoBroker, mosquitto
from tests.support.mqtt import Client, client
from tests.support.ports import free_port

MESSAGES = 300

# What a user writes: nothing but the way, the credentials, and the topics. `out`: from Mosquitto to the gateway.
BRIDGE = """
connection gateway
address 127.0.0.1:{port}
bridge_protocol_version {version}
remote_username bridge
remote_password {secret}
cleansession false
try_private false
restart_timeout 1
topic site/up/# out 2
topic site/down/# in 2
"""


Joined = Iterator[tuple[RunningGateway, MosquittoBroker]]


@pytest.fixture
def joined(native: ModuleType, tmp_path: Path) -> Joined:
    yield from join(tmp_path, "mqttv311")


def join(tmp_path: Path, version: str) -> Joined:
    directory = tmp_path / "gateway"
    directory.mkdir()
    # A bridge has one address: the gateway must have the same port after a restart.
    port = free_port()
    config = CONFIG.format(data=directory / "data").replace('name = "default"\nbind = "127.0.0.1:0"', "PLACE")
    (directory / "mohhos.toml").write_text(config.replace("PLACE", f'name = "default"\nbind = "127.0.0.1:{port}"'))
    with running(directory) as gateway:
        secret = let_in(gateway, "bridge")
        bridge = BRIDGE.format(port=port, secret=secret, version=version)
        with mosquitto(tmp_path / "mosquitto", bridge) as broker:
            yield gateway, broker


def let_in(gateway: RunningGateway, name: str) -> str:
    with gateway.client as api:
        made = api.post("/api/v1/applications", json={"name": name, "role": "bridge"})
        assert made.status_code == 201, made.text
        return str(made.json()["secret"])


def persistent(name: str) -> dict[str, Any]:
    """A session that a lost connection does not end, in 3.1.1, which both brokers understand."""
    return {"version": 4, "client_id": name, "clean_session": False}


@contextmanager
def both_ends(gateway: RunningGateway, broker: MosquittoBroker) -> Iterator[tuple[Client, Client]]:
    """A client of the gateway and one of Mosquitto, each subscribed to what comes from the other side."""
    with (
        client(gateway.mqtt_port, "site", let_in(gateway, "site"), **persistent("above")) as above,
        client(broker.port, "local", "none", **persistent("below")) as below,
    ):
        above.subscribe("site/up/#", 2)
        below.subscribe("site/down/#", 2)
        yield above, below


def publish(to: Client, topic: str, numbers: range) -> None:
    eventually(to.paho.is_connected, what="the connection")
    for n in numbers:
        to.publish_acknowledged(topic, {"n": n}, 2)


def take(at: Client) -> list[int]:
    return [json.loads(at.next(within_s=60).payload)["n"] for _ in range(MESSAGES)]


@pytest.mark.parametrize("victim", ["gateway", "mosquitto"])
def test_every_message_of_qos_2_crosses_the_bridge_once_and_in_order_though_one_side_is_killed(
    joined: tuple[RunningGateway, MosquittoBroker], victim: str
) -> None:
    gateway, broker = joined
    with both_ends(gateway, broker) as (above, below):
        half = MESSAGES // 2
        publish(above, "site/down/a", range(half))
        publish(below, "site/up/a", range(half))
        if victim == "gateway":
            gateway.kill()
            # Mosquitto keeps for the gateway what is published meanwhile.
            publish(below, "site/up/a", range(half, MESSAGES))
            gateway.start()
            publish(above, "site/down/a", range(half, MESSAGES))
        else:
            # Mosquitto writes nothing before it acknowledges: only what it could save is its to keep.
            broker.end(signal.SIGTERM)
            publish(above, "site/down/a", range(half, MESSAGES))
            broker.start()
            publish(below, "site/up/a", range(half, MESSAGES))
        assert take(above) == list(range(MESSAGES))
        assert take(below) == list(range(MESSAGES))
        assert above.messages.empty()
        assert below.messages.empty()


def test_what_is_published_while_mosquitto_lies_dead_waits_for_it_and_arrives_once(
    joined: tuple[RunningGateway, MosquittoBroker],
) -> None:
    gateway, broker = joined
    with both_ends(gateway, broker) as (above, below):
        publish(above, "site/down/a", range(1))
        assert json.loads(below.next(within_s=60).payload)["n"] == 0
        broker.wait_saved()
        broker.end(signal.SIGKILL)
        publish(above, "site/down/b", range(MESSAGES))
        broker.start()
        assert take(below) == list(range(MESSAGES))
        assert below.messages.empty()


def test_a_bridge_that_speaks_mqtt_5_carries_messages_both_ways(native: ModuleType, tmp_path: Path) -> None:
    # Mosquitto 2.0 asks for no session expiry in MQTT 5: its session ends with the connection, so that only a bridge
    # in 3.1.1 carries QoS 2 over a lost connection.
    for gateway, broker in join(tmp_path, "mqttv50"):
        with both_ends(gateway, broker) as (above, below):
            publish(above, "site/down/a", range(MESSAGES))
            publish(below, "site/up/a", range(MESSAGES))
            assert take(above) == list(range(MESSAGES))
            assert take(below) == list(range(MESSAGES))
