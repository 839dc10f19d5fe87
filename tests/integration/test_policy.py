"""The policy from outside: roles and states act on live clients, outlive a restart, and are explained."""

from pathlib import Path

import pytest
from tests.support.gateway import RunningGateway, eventually, running
from tests.support.mqtt import client

API = "/api/v1"


def test_a_role_and_who_has_it_change_what_a_live_client_may(gateway: RunningGateway) -> None:
    with gateway.client as api:
        assert (
            api.put(f"{API}/roles/writer", json={"publish": ["notes/#"], "subscribe": ["notes/#"]}).status_code == 200
        )
        made = api.post(f"{API}/applications", json={"name": "notes", "role": "writer"}).json()
        assert made["roles"] == ["writer"]
        with client(gateway.mqtt_port, "notes", made["secret"], client_id="live") as live:
            live.subscribe("notes/#", 1)
            live.publish("notes/1", {"n": 1}, 1)
            assert live.next().topic == "notes/1"
            denied = {"publish": {"allow": ["notes/#"], "deny": ["notes/2"]}, "subscribe": ["notes/#"]}
            assert api.put(f"{API}/roles/writer", json=denied).json()["publish"]["deny"] == ["notes/2"]
            live.publish("notes/2", {"n": 2}, 0)
            live.publish("notes/3", {"n": 3}, 1)
            assert live.next().topic == "notes/3"
            found = api.get(
                f"{API}/policy/explain", params={"principal": "notes", "action": "publish", "topic": "notes/2"}
            ).json()
            assert (found["allowed"], found["role"], found["list"]) == (False, "writer", "publish.deny")
            given = api.put(f"{API}/principals/notes/roles", json={"roles": ["observer"], "reason": "it reads only"})
            assert given.json()["roles"] == ["observer"]
            live.publish("notes/4", {"n": 4}, 0)

            def refused() -> bool:
                items = api.get(f"{API}/refusals").json()["items"]
                return any(item["topic"] == "notes/4" for item in items)

            eventually(refused, what="the refusal of notes/4")
        assert api.get(f"{API}/audit", params={"subject": "notes"}).json()["items"][0]["reason"] == "it reads only"
        assert api.delete(f"{API}/roles/writer").status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("PUT", "/roles/bad", {"publish": ["a/#/b"]}, 422, "role-invalid"),
        ("PUT", "/roles/device", {"publish": ["#"]}, 422, "role-invalid"),
        ("PUT", "/principals/nobody/roles", {"roles": ["observer"]}, 404, "principal-unknown"),
        ("PUT", "/devices/nobody/state", {"state": "allow"}, 404, "device-unknown"),
        ("PUT", "/devices/strict/state", {"state": "quarantine"}, 422, "state-invalid"),
        ("PUT", "/devices/strict/state", {"state": "throttle", "reason": "x"}, 422, "state-invalid"),
        (
            "PUT",
            "/devices/strict/state",
            {"state": "quarantine", "reason": "x", "topics": ["a/#/b"]},
            422,
            "invalid-argument",
        ),
        ("GET", "/policy/explain?principal=nobody&action=publish&topic=a", None, 404, "principal-unknown"),
        ("GET", "/policy/explain?principal=nobody&action=erase&topic=a", None, 400, "request-invalid"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    gateway: RunningGateway, method: str, path: str, body: object, status: int, code: str
) -> None:
    with gateway.client as api:
        api.post(f"{API}/devices", json={"id": "strict"})
        answer = api.request(method, API + path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert api.get(f"{API}/devices/strict/state").json()["state"] == "allow"


def test_quarantine_and_throttle_outlive_a_restart_with_who_when_and_why(native: object, tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        secret = gateway.add_device("pump")
        gateway.add_device("lamp")
        gateway.run("devices", "quarantine", "pump", "--reason", "it scans")
        gateway.run("devices", "throttle", "lamp", "--rate", "2.5", "--reason", "too loud")
        assert gateway.stop() == 0
        gateway.start()
        with gateway.client as api:
            listed = {item["device"]: item for item in api.get(f"{API}/device-states").json()["items"]}
            assert (listed["pump"]["state"], listed["pump"]["reason"]) == ("quarantine", "it scans")
            assert (listed["lamp"]["rate"], listed["lamp"]["operator"]) == (2.5, "test")
            with client(gateway.mqtt_port, "pump", secret) as pump:
                pump.publish("devices/pump/telemetry", {"a": 1}, 0)

                def refused() -> bool:
                    items = api.get(f"{API}/refusals").json()["items"]
                    return any("quarantine" in item["reason"] for item in items)

                eventually(refused, what="the refusal")
                assert "quarantine" in gateway.run("devices", "show", "pump")
                gateway.run("devices", "release", "pump")
                pump.publish_acknowledged("devices/pump/telemetry", {"a": 2})
                kicked = api.put(f"{API}/devices/pump/state", json={"state": "kick", "reason": "stuck"}).json()
                assert (kicked["kicked"], kicked["state"]) == (1, "allow")
            actions = [item["action"] for item in api.get(f"{API}/audit", params={"subject": "pump"}).json()["items"]]
            assert actions == ["device.kick", "device.allow", "device.quarantine"]
