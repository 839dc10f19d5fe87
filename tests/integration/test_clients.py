"""Clients of others: paho in both versions, mosquitto_pub and mosquitto_sub; who is refused, and who learns why."""

import json
import subprocess

import pytest
from tests.support.gateway import RunningGateway, eventually
from tests.support.mqtt import client, mosquitto_sub, needs


@pytest.fixture(scope="module")
def secret(gateway: RunningGateway) -> str:
    return gateway.add_device("lamp", type="street_light")


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_paho_hears_itself_in_order(gateway: RunningGateway, secret: str, version: int, qos: int) -> None:
    topic = f"devices/lamp/events/echo{version}{qos}"
    with (
        client(gateway.mqtt_port, "lamp", secret, version, client_id="hears") as hears,
        client(gateway.mqtt_port, "lamp", secret, version, client_id="speaks") as speaks,
    ):
        hears.subscribe(topic, qos)
        for n in range(200):
            speaks.publish(topic, {"n": n}, qos)
        assert [json.loads(hears.next().payload)["n"] for _ in range(200)] == list(range(200))


def test_mosquitto_pub_is_heard_by_mosquitto_sub(gateway: RunningGateway, secret: str) -> None:
    with mosquitto_sub(gateway.mqtt_port, "lamp", secret, "devices/lamp/#", "-V", "5") as listening:
        subprocess.run(
            [
                *[needs("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(gateway.mqtt_port), "-u", "lamp", "-P", secret],
                *["-t", "devices/lamp/telemetry", "-m", '{"power": 88.5}', "-q", "2", "-V", "5"],
            ],
            check=True,
            timeout=30,
        )
        assert listening.message("devices/lamp/telemetry") == '{"power": 88.5}'


def test_wrong_credentials_are_refused_and_the_operator_sees_why(gateway: RunningGateway, secret: str) -> None:
    with client(gateway.mqtt_port, "lamp", secret + "x", 5) as wrong:
        assert wrong.refused is not None
        assert wrong.refused.value == 0x86
    with client(gateway.mqtt_port, "ghost", "anything", 4) as unknown:
        assert unknown.refused is not None
    with gateway.client as api:

        def reasons() -> dict[str, str]:
            items = api.get("/api/v1/refusals").json()["items"]
            return {item["principal"]: item["reason"] for item in items if item["action"] == "connect"}

        eventually(lambda: {"lamp", "ghost"} <= set(reasons()), what="both refusals")
        assert reasons()["lamp"] != reasons()["ghost"], "the operator learns more than the client"


def test_a_device_reaches_its_own_topics_alone(gateway: RunningGateway, secret: str) -> None:
    gateway.add_device("neighbour")
    with client(gateway.mqtt_port, "lamp", secret, 5) as lamp:
        assert lamp.subscribe("devices/neighbour/#")[0].is_failure
        assert lamp.subscribe("#")[0].is_failure
        assert not lamp.subscribe("devices/lamp/#")[0].is_failure
    with gateway.client as api:

        def topics() -> set[str]:
            return {item["topic"] for item in api.get("/api/v1/refusals").json()["items"]}

        eventually(lambda: {"devices/neighbour/#", "#"} <= topics(), what="the refusals")


def test_an_application_with_a_role_sees_everything(gateway: RunningGateway, secret: str) -> None:
    with gateway.client as api:
        made = api.post("/api/v1/applications", json={"name": "explorer", "role": "observer"})
        assert made.status_code == 201, made.text
    with (
        client(gateway.mqtt_port, "explorer", made.json()["secret"], 5) as explorer,
        client(gateway.mqtt_port, "lamp", secret, 5) as lamp,
    ):
        assert not explorer.subscribe("devices/+/telemetry")[0].is_failure
        lamp.publish_acknowledged("devices/lamp/telemetry", {"power": 12})
        assert explorer.next().topic == "devices/lamp/telemetry"


def test_an_application_may_choose_its_password(gateway: RunningGateway) -> None:
    with gateway.client as api:
        weak = api.post("/api/v1/applications", json={"name": "grafana", "role": "observer", "password": "short"})
        assert (weak.status_code, weak.json()["code"]) == (422, "password-weak")
        body = {"name": "grafana", "role": "observer", "password": "correct horse battery"}
        assert "secret" not in api.post("/api/v1/applications", json=body).json()
    with client(gateway.mqtt_port, "grafana", "correct horse battery", 5) as right:
        assert right.refused is None
    with client(gateway.mqtt_port, "grafana", "correct horse batterz", 5) as wrong:
        assert wrong.refused is not None


def test_online_and_offline_follow_the_connection(gateway: RunningGateway, secret: str) -> None:
    with gateway.client as api:

        def status() -> str:
            return str(api.get("/api/v1/devices/lamp").json()["status"])

        with client(gateway.mqtt_port, "lamp", secret, 5):
            eventually(lambda: status() == "online", what="online")
        eventually(lambda: status() == "offline", what="offline")


def test_what_cannot_be_decoded_is_kept_with_the_reason(gateway: RunningGateway, secret: str) -> None:
    with client(gateway.mqtt_port, "lamp", secret, 5) as lamp:
        lamp.publish_acknowledged("devices/lamp/telemetry", b'{"power": 12,')
    with gateway.client as api:

        def letters() -> list[dict[str, str]]:
            items = api.get("/api/v1/dead-letters").json()["items"]
            return [item for item in items if item["device"] == "lamp"]

        letter = eventually(letters, what="the dead letter")[0]
        assert letter["head"] == '{"power": 12,'
        assert letter["reason"]
        assert api.get("/api/v1/devices/lamp/connection").json()["dead_letters"] == 1
