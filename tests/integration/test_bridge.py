"""Mosquitto beside the gateway, joined by Mosquitto's own bridge: both directions, QoS 2, through a kill of either."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.support.gateway import CONFIG, RunningGateway, running
from tests.support.mosquitto import MosquittoBroker, free_port, mosquitto
from tests.support.mqtt import Client, client

MESSAGES = 300

# What a user writes: nothing but the way, the credentials, and the topics. `out`: from Mosquitto to the gateway.
BRIDGE = """
connection gateway
address 127.0.0.1:{port}
bridge_protocol_version {version}
remote_username bridge
remote_password {secret}
cleansession false
restart_timeout 1
topic site/up/# out 2
topic site/down/# in 2
"""


@pytest.fixture(params=["mqttv311", "mqttv50"])
def joined(
    request: pytest.FixtureRequest, native: ModuleType, tmp_path: Path
) -> Iterator[tuple[RunningGateway, MosquittoBroker]]:
    directory = tmp_path / "gateway"
    directory.mkdir()
    # A bridge has one address: the gateway must have the same port after a restart.
    port = free_port()
    config = CONFIG.format(data=directory / "data").replace('name = "default"\nbind = "127.0.0.1:0"', "PLACE")
    (directory / "mohhos.toml").write_text(config.replace("PLACE", f'name = "default"\nbind = "127.0.0.1:{port}"'))
    with running(directory) as gateway:
        secret = let_in(gateway, "bridge")
        bridge = BRIDGE.format(port=port, secret=secret, version=request.param)
        with mosquitto(tmp_path / "mosquitto", bridge) as broker:
            yield gateway, broker


def let_in(gateway: RunningGateway, name: str) -> str:
    with gateway.client as api:
        role = {"publish": ["#"], "subscribe": ["#"]}
        assert api.put("/api/v1/roles/bridge", json=role).is_success
        made = api.post("/api/v1/applications", json={"name": name, "role": "bridge"})
        assert made.status_code == 201, made.text
        return str(made.json()["secret"])


def persistent(name: str) -> dict[str, Any]:
    """A session that a lost connection does not end, in 3.1.1, which both brokers understand."""
    return {"version": 4, "client_id": name, "clean_session": False}


def publish(to: Client, topic: str, numbers: range) -> None:
    infos = [to.publish(topic, {"n": n}, 2) for n in numbers]
    for info in infos:
        info.wait_for_publish(30)
        assert info.is_published()


def take(at: Client) -> list[int]:
    return [json.loads(at.next(within_s=60).payload)["n"] for _ in range(MESSAGES)]


@pytest.mark.parametrize("victim", ["gateway", "mosquitto"])
def test_every_message_of_qos_2_crosses_the_bridge_once_and_in_order_though_one_side_is_killed(
    joined: tuple[RunningGateway, MosquittoBroker], victim: str
) -> None:
    gateway, broker = joined
    secret = let_in(gateway, "site")
    with (
        client(gateway.mqtt_port, "site", secret, **persistent("above")) as above,
        client(broker.port, "local", "none", **persistent("below")) as below,
    ):
        above.subscribe("site/up/#", 2)
        below.subscribe("site/down/#", 2)
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
    secret = let_in(gateway, "site")
    with (
        client(gateway.mqtt_port, "site", secret, **persistent("above")) as above,
        client(broker.port, "local", "none", **persistent("below")) as below,
    ):
        below.subscribe("site/down/#", 2)
        publish(above, "site/down/a", range(1))
        assert json.loads(below.next(within_s=60).payload)["n"] == 0
        # It has saved who subscribes to what once it answers somebody who came after that.
        with client(broker.port, "other", "none", **persistent("other")):
            broker.end(signal.SIGKILL)
        publish(above, "site/down/b", range(MESSAGES))
        broker.start()
        assert take(below) == list(range(MESSAGES))
        assert below.messages.empty()
