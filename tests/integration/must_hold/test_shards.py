"""Clients on different shards: everything arrives, in order, whoever sits where."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from tests.support.gateway import RunningGateway
from tests.support.mqtt import Client, client

PUBLISHERS = 8
SUBSCRIBERS = 6
#: All messages of all publishers fit into the queue of a subscriber that is late.
EACH = 100


def receive(subscriber: Client) -> dict[str, list[int]]:
    """What came, per publisher, in its order."""
    seen: dict[str, list[int]] = {}
    for _ in range(PUBLISHERS * EACH):
        message = subscriber.next(60)
        seen.setdefault(message.topic.split("/")[1], []).append(json.loads(message.payload)["n"])
    return seen


@pytest.mark.parametrize("qos", [1, 2])
def test_messages_between_shards_arrive_once_and_in_order(gateway: RunningGateway, qos: int) -> None:
    # The home of a session follows from its principal and client id: so many are on both shards.
    with gateway.client as api:
        assert api.get("/api/v1/hub").json()["hub"]["shards"] == 2
        app = f"watcher-{qos}"
        role = api.post("/api/v1/applications", json={"name": app, "role": "observer"}).json()["secret"]
    devices = [f"shard-{qos}-{n}" for n in range(PUBLISHERS)]
    secrets = {device: gateway.add_device(device) for device in devices}
    with ExitStack() as stack:
        subscribers = [
            stack.enter_context(client(gateway.mqtt_port, app, role, 4 + n % 2, client_id=f"watcher-{n}"))
            for n in range(SUBSCRIBERS)
        ]
        for subscriber in subscribers:
            subscriber.subscribe("devices/+/events/count", qos)
        publishers = {
            device: stack.enter_context(client(gateway.mqtt_port, device, secret, 5 - n % 2, client_id=f"c-{n}"))
            for n, (device, secret) in enumerate(secrets.items())
        }
        with ThreadPoolExecutor(SUBSCRIBERS) as pool:
            receiving = [pool.submit(receive, subscriber) for subscriber in subscribers]
            for number in range(EACH):
                for device, publisher in publishers.items():
                    publisher.publish(f"devices/{device}/events/count", {"n": number}, qos)
            expected = {device: list(range(EACH)) for device in devices}
            for each in receiving:
                assert each.result(120) == expected
        for subscriber in subscribers:
            assert subscriber.messages.empty(), "nothing comes twice"


def test_retained_messages_and_rules_reach_subscribers_of_every_shard(gateway: RunningGateway) -> None:
    gateway.put_rule(
        "echo",
        "INSERT INTO commands (device, name, parameters) "
        "SELECT device, 'echo', '{}' FROM telemetry WHERE metric = 'ask'",
    )
    for n in range(PUBLISHERS):
        device = f"asks-{n}"
        secret = gateway.add_device(device)
        with client(gateway.mqtt_port, device, secret, client_id=f"c-{n}") as asks:
            asks.subscribe(f"devices/{device}/commands/+")
            asks.publish_acknowledged(f"devices/{device}/telemetry", {"ask": n})
            assert json.loads(asks.next().payload)["name"] == "echo"
        with client(gateway.mqtt_port, device, secret, client_id=f"other-{n}") as other:
            other.subscribe(f"devices/{device}/status")
            status = other.next()
            assert status.retain
