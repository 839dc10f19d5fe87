"""Mosquitto beside the gateway, joined by Mosquitto's own bridge: both directions, QoS 2, through a kill of either."""

import json
import signal
import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from tests.support.gateway import CONFIG, RunningGateway, eventually, running
from tests.support.mosquitto import MosquittoBroker, mosquitto
from tests.support.mqtt import Client, client
from tests.support.pki import Pki
from tests.support.ports import free_port

MESSAGES = 300

# What a user writes: nothing but the way, the credentials, and the topics. `out`: from Mosquitto to the gateway.
BRIDGE = """
connection gateway
address 127.0.0.1:{port}
bridge_protocol_version {version}
{credentials}
cleansession false
restart_timeout 1
topic site/up/# out 2
topic site/down/# in 2
topic site/both/# both 2
"""

PASSWORD = "remote_username bridge\nremote_password {secret}"

# Both brokers let in only who has a certificate of the fleet's authority; the gateway knows the bridge by it.
CERTIFICATE = """
bridge_cafile {pki}/ca.pem
bridge_certfile {pki}/bridge.pem
bridge_keyfile {pki}/bridge.key
"""
LISTENER = """
cafile {pki}/ca.pem
certfile {pki}/server.pem
keyfile {pki}/server.key
require_certificate true
"""
GATEWAY_LISTENER = """
transport = "tls"
tls_certificate = "{pki}/server.pem"
tls_key = "{pki}/server.key"
client_certificates = "required"
client_ca = "{pki}/ca.pem"
client_revocations = "{pki}/crl.pem"
"""


@dataclass
class Joined:
    """The gateway, Mosquitto, and how clients reach either."""

    gateway: RunningGateway
    broker: MosquittoBroker
    pki: Pki | None

    def kept_client(self, name: str, port: int, secret: str) -> AbstractContextManager[Client]:
        """A client whose session a lost connection does not end, in 3.1.1, which both brokers understand."""
        tls = None
        if self.pki is not None:
            self.pki.issue(name, name)
            tls = ssl.create_default_context(cafile=self.pki["ca.pem"])
            tls.load_cert_chain(self.pki[f"{name}.pem"], self.pki[f"{name}.key"])
        return client(port, name, secret, version=4, client_id=name, clean_session=False, tls=tls)


@pytest.fixture(params=["tcp", "tls"])
def joined(native: ModuleType, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Joined]:
    with join(tmp_path, tls=request.param == "tls") as both:
        yield both


@contextmanager
def join(tmp_path: Path, version: str = "mqttv311", extra: str = "", tls: bool = False) -> Iterator[Joined]:
    directory = tmp_path / "gateway"
    directory.mkdir()
    pki = Pki(tmp_path / "pki") if tls else None
    paths = "" if pki is None else str(pki.directory)
    # A bridge has one address: the gateway must have the same port after a restart.
    port = free_port()
    config = CONFIG.format(data=directory / "data").replace('name = "default"\nbind = "127.0.0.1:0"', "PLACE")
    config = config.replace("PLACE", f'name = "default"\nbind = "127.0.0.1:{port}"')
    (directory / "mohhos.toml").write_text(config + (GATEWAY_LISTENER.format(pki=paths) if tls else ""))
    with running(directory) as gateway:
        secret = let_in(gateway, "bridge")
        if pki is not None:
            pki.issue("bridge", "bridge")
        credentials = CERTIFICATE.format(pki=paths) if tls else PASSWORD.format(secret=secret)
        bridge = BRIDGE.format(port=port, credentials=credentials, version=version) + extra
        with mosquitto(tmp_path / "mosquitto", (LISTENER.format(pki=paths) if tls else "") + bridge) as broker:
            eventually(lambda: subscriptions(gateway) == 2, what="the bridge's subscriptions")
            yield Joined(gateway, broker, pki)


def subscriptions(gateway: RunningGateway) -> int:
    with gateway.client as api:
        lines = api.get("/metrics").text.splitlines()
    return int(float(next(line.split()[1] for line in lines if line.startswith("mohhos_hub_subscriptions "))))


def let_in(gateway: RunningGateway, name: str) -> str:
    with gateway.client as api:
        made = api.post("/api/v1/applications", json={"name": name, "role": "bridge"})
        assert made.status_code == 201, made.text
        return str(made.json()["secret"])


@contextmanager
def both_ends(joined: Joined) -> Iterator[tuple[Client, Client]]:
    """A client of the gateway and one of Mosquitto, each subscribed to what comes from the other side."""
    secret = let_in(joined.gateway, "site")
    with (
        joined.kept_client("site", joined.gateway.mqtt_port, secret) as above,
        joined.kept_client("local", joined.broker.port, "none") as below,
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
    joined: Joined, victim: str
) -> None:
    gateway, broker = joined.gateway, joined.broker
    with both_ends(joined) as (above, below):
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
    joined: Joined,
) -> None:
    broker = joined.broker
    with both_ends(joined) as (above, below):
        publish(above, "site/down/a", range(1))
        assert json.loads(below.next(within_s=60).payload)["n"] == 0
        broker.wait_saved()
        broker.end(signal.SIGKILL)
        publish(above, "site/down/b", range(MESSAGES))
        broker.start()
        assert take(below) == list(range(MESSAGES))
        assert below.messages.empty()


def test_a_topic_that_goes_both_ways_brings_nothing_back_and_keeps_its_retain_flag(joined: Joined) -> None:
    with both_ends(joined) as (above, below):
        above.subscribe("site/both/#", 2)
        below.subscribe("site/both/#", 2)
        below.publish_acknowledged("site/both/a", {"n": 0}, 2)
        assert json.loads(above.next(within_s=60).payload)["n"] == 0
        # What came back would come before this.
        above.publish_acknowledged("site/both/kept", {"n": 1}, 2, retain=True)
        assert [json.loads(below.next(within_s=60).payload)["n"] for _ in range(2)] == [0, 1]
        assert json.loads(above.next(within_s=60).payload)["n"] == 1
        with joined.kept_client("later", joined.broker.port, "none") as later:
            later.subscribe("site/both/#", 2)
            message = later.next()
        assert (message.topic, message.retain) == ("site/both/kept", True)
        assert above.messages.empty()
        assert below.messages.empty()


@pytest.mark.parametrize(
    ("version", "extra"), [("mqttv50", ""), ("mqttv50", "try_private false\n"), ("mqttv311", "try_private false\n")]
)
def test_a_bridge_carries_messages_both_ways_however_it_introduces_itself(
    native: ModuleType, tmp_path: Path, version: str, extra: str
) -> None:
    # Mosquitto 2.0 asks for no session expiry in MQTT 5: its session ends with the connection, so that only a bridge
    # in 3.1.1 carries QoS 2 over a lost connection.
    with join(tmp_path, version, extra) as joined, both_ends(joined) as (above, below):
        publish(above, "site/down/a", range(MESSAGES))
        publish(below, "site/up/a", range(MESSAGES))
        assert take(above) == list(range(MESSAGES))
        assert take(below) == list(range(MESSAGES))
