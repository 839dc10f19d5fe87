"""A client that does not read: the others get everything, its oldest messages go, and the operator sees whose."""

import json
import struct

from tests.support.gateway import RunningGateway, eventually
from tests.support.mqtt import client, kept
from tests.support.wire import wire

PAYLOAD = 100_000
#: Whatever the kernel keeps for one connection, this is more.
MOST = 2_000
ENOUGH = 20


def test_the_slow_one_loses_its_oldest_and_gets_the_newest_and_nobody_else_loses_anything(
    gateway: RunningGateway,
) -> None:
    secret = gateway.add_device("camera")
    with gateway.client as api:
        apps = {
            name: api.post("/api/v1/applications", json={"name": name, "role": "observer"}).json()["secret"]
            for name in ("slow", "quick")
        }

        def dropped() -> int:
            return int(api.get("/api/v1/hub").json()["hub"]["dropped_slow"])

        assert dropped() == 0
        with (
            wire(gateway.mqtt_port, receive_buffer=4096) as slow,
            client(gateway.mqtt_port, "quick", apps["quick"], client_id="quick") as quick,
            client(gateway.mqtt_port, "camera", secret, client_id="camera") as camera,
        ):
            assert slow.connect("slow", apps["slow"], "dashboard") == 0
            slow.subscribe("devices/camera/events/#")
            quick.subscribe("devices/camera/events/#", 0)
            sent = 0
            # Each is awaited at the quick one, so that it is never late, however its thread is scheduled.
            while sent < MOST and (sent % 50 or dropped() < ENOUGH):
                camera.publish("devices/camera/events/frame", struct.pack(">I", sent) + b"\0" * PAYLOAD, 0)
                assert struct.unpack_from(">I", quick.next().payload)[0] == sent
                sent += 1
            assert dropped() >= ENOUGH, f"{sent} messages of 100 kB do not fit into the sockets' buffers"

            # The operator sees it, with name and reason, before anything is done about it.
            def told() -> dict[str, object]:
                items = api.get("/api/v1/refusals").json()["items"]
                return next((item for item in items if item["action"] == "receive"), {})

            refusal = eventually(told, what="the report about the slow one")
            assert (refusal["principal"], refusal["client"], refusal["reason_code"]) == ("slow", "dashboard", 0x97)
            assert "more slowly than messages come" in str(refusal["reason"])
            assert 0 < int(str(refusal["count"])) <= dropped()
            eventually(lambda: api.get("/api/v1/overview").json()["flow"]["dropped"] >= ENOUGH, what="the overview")
            assert api.get("/readyz").status_code == 200, "one slow client is no matter of the gateway"

            # Now it reads: what it still gets is in order, ends with the newest, and adds up.
            got: list[int] = []
            while not got or got[-1] != sent - 1:
                got.append(struct.unpack_from(">I", slow.message()[1])[0])
            assert got == sorted(set(got))
            # The shard of the slow one may have come to the last messages after the quick one had them: now it has.
            lost = dropped()
            assert len(got) + lost == sent
            assert f"mohhos_hub_dropped_slow_total {lost}\n" in api.get("/metrics").text
            camera.publish("devices/camera/events/frame", struct.pack(">I", sent) + b"live", 0)
            assert slow.message()[1][4:] == b"live"


def test_a_device_that_is_away_for_too_long_loses_what_does_not_fit_its_queue_and_it_is_told(
    gateway: RunningGateway,
) -> None:
    secret = gateway.add_device("sleeper")
    with gateway.client as api:
        role = {"publish": ["devices/sleeper/configuration/#"], "subscribe": []}
        assert api.put("/api/v1/roles/setter", json=role).status_code == 200
        setter = api.post("/api/v1/applications", json={"name": "setter", "role": "setter"}).json()["secret"]
        with client(gateway.mqtt_port, "sleeper", secret, client_id="s", **kept()) as sleeper:
            sleeper.subscribe("devices/sleeper/configuration/desired")
        with client(gateway.mqtt_port, "setter", setter, client_id="setter") as sets:
            infos = [sets.publish("devices/sleeper/configuration/desired", {"n": n}) for n in range(1_010)]
            for info in infos:
                info.wait_for_publish(30)
                assert info.is_published(), "the one who sends is not held up by one who is away"

        def told() -> list[dict[str, object]]:
            items = api.get("/api/v1/refusals").json()["items"]
            return [item for item in items if (item["action"], item["principal"]) == ("receive", "sleeper")]

        (refusal,) = eventually(told, what="the report about the full queue")
        assert "limits.max_queued" in str(refusal["reason"])
        assert api.get("/api/v1/devices/sleeper/connection").json()["dropped"] == 10
        with client(gateway.mqtt_port, "sleeper", secret, client_id="s", **kept()) as sleeper:
            assert [json.loads(sleeper.next().payload)["n"] for _ in range(1_000)] == list(range(1_000))
