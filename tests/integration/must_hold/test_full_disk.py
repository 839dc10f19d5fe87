"""A full disk: nothing is acknowledged that is not kept, all else goes on, and it is over when there is space."""

import json
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
from tests.support.disk import small_disk
from tests.support.gateway import RunningGateway, eventually, running
from tests.support.mqtt import client

CONFIG = """
[log]
segment = "1 MiB"

[history]
flush_interval = "1 s"
"""
RULE = """
    INSERT INTO commands (device, name, parameters)
    SELECT device, 'dim', '{}' FROM telemetry WHERE metric = 'power' AND num > 90
"""
START_US = 1_700_000_000_000_000
#: Three segments may be there already: the one that is written, and two spares.
MESSAGES = 100
SPACES = b" " * 64_000


def reading(number: int) -> bytes:
    """64 kB with one reading."""
    return b'{"ts": %d, "n": %d%s}' % (START_US + number * 1_000_000, number, SPACES)


def numbers(api: httpx.Client, device: str) -> list[float]:
    query = {"from": "2023-01-01", "limit": 10_000, "metric": "n"}
    answer = api.get(f"/api/v1/devices/{device}/telemetry", params=query)
    assert answer.status_code == 200, answer.text
    return [item["num"] for item in answer.json()["items"]]


def codes(api: httpx.Client) -> dict[str, str]:
    return {item["code"]: item["message"] for item in api.get("/api/v1/conditions").json()["items"]}


def is_stored(api: httpx.Client) -> bool:
    history = api.get("/api/v1/hub").json()["history"]
    return bool(history["rows"] and not history["tail_rows"])


def test_a_full_disk_holds_back_what_must_be_kept_and_disturbs_nothing_else(native: ModuleType, tmp_path: Path) -> None:
    with small_disk(tmp_path / "data", 64) as disk, running(tmp_path, CONFIG) as gateway, gateway.client as api:
        secrets = {device: gateway.add_device(device) for device in ("pump", "lamp", "late")}
        gateway.put_rule("dim", RULE)
        with (
            client(gateway.mqtt_port, "pump", secrets["pump"], client_id="pump") as pump,
            client(gateway.mqtt_port, "lamp", secrets["lamp"], client_id="lamp") as lamp,
        ):
            for below in ("events", "telemetry", "commands"):
                lamp.subscribe(f"devices/lamp/{below}/#")
            pump.publish_acknowledged("devices/pump/telemetry", reading(0))
            eventually(lambda: is_stored(api), what="the history's first file")
            assert numbers(api, "pump") == [0]

            disk.fill()
            sent = [pump.publish("devices/pump/telemetry", reading(n)) for n in range(1, MESSAGES)]
            eventually(lambda: "log-stalled" in codes(api), what="the condition")
            refused = api.get("/readyz")
            assert (refused.status_code, refused.json()["status"]) == (503, "not ready")
            assert "log-stalled" in refused.json()["reasons"]
            assert "disk is full" in codes(api)["log-stalled"]
            assert "[log-stalled]" in gateway.log_text(), "it is in the gateway's own log"
            assert not sent[-1].is_published(), "what is not on disk is not acknowledged"
            the_operator_is_helped(gateway, api)
            what_needs_no_disk_goes_on(gateway, api, lamp, secrets["late"])
            assert not sent[-1].is_published()
            assert pump.disconnected.empty() and lamp.disconnected.empty(), "nobody is thrown out"

            disk.free()
            for info in sent:
                info.wait_for_publish(60)
                assert info.is_published()
            eventually(lambda: api.get("/readyz").status_code == 200, 60, "ready again")
        assert codes(api) == {}
        assert "over: the log takes records again [log-stalled]" in gateway.log_text()
        assert numbers(api, "pump") == list(range(MESSAGES)), "each acknowledged reading is there, and once"
        eventually(lambda: api.get("/api/v1/devices/late").json()["status"] == "offline", what="what was not noted")
        assert api.get("/api/v1/devices/late/commands").json()["items"] == [], "what was refused is not carried out"
        assert gateway.stop() == 0
        gateway.start()
        with gateway.client as after:
            assert numbers(after, "pump") == list(range(MESSAGES))
        assert gateway.stop() == 0


def the_operator_is_helped(gateway: RunningGateway, api: httpx.Client) -> None:
    """The doctor says what is wrong; what needs the disk is refused with code and next step, at once."""
    doctor = gateway.run("doctor", check=False)
    assert "FAIL  gateway: it runs and is not ready: log-stalled" in doctor
    assert "FAIL  disk: 0 MiB are free" in doctor
    assert f"{gateway.endpoints['api']}/errors/log-stalled" in doctor
    began = time.monotonic()
    refused = api.post("/api/v1/devices/late/commands", json={"name": "open"})
    assert (refused.status_code, refused.json()["code"]) == (503, "log-full"), refused.text
    assert "disk is full" in refused.json()["detail"] and refused.json()["next_step"]
    assert time.monotonic() - began < 5, "it is not waited for"


def what_needs_no_disk_goes_on(gateway: RunningGateway, api: httpx.Client, lamp: Any, late: str) -> None:
    """Messages of QoS 0, rules and their commands, new connections, and reading through the API."""
    lamp.publish("devices/lamp/events/word", {"word": "passes"}, 0)
    assert json.loads(lamp.next().payload) == {"word": "passes"}
    lamp.publish("devices/lamp/telemetry", {"power": 99}, 0)
    topics = {lamp.next().topic, lamp.next().topic}
    assert "devices/lamp/telemetry" in topics
    assert any(topic.startswith("devices/lamp/commands/") for topic in topics), "a rule still acts"
    with client(gateway.mqtt_port, "late", late, client_id="late") as connected:
        connected.subscribe("devices/late/events/#", 0)
        connected.publish("devices/late/events/hello", {}, 0)
        assert connected.next().topic == "devices/late/events/hello"
    for path in ("devices", "devices/pump", "alerts", "rules", "refusals", "overview", "hub"):
        assert api.get(f"/api/v1/{path}").status_code == 200, path
    assert "mohhos_log_stalled 1" in api.get("/metrics").text
    assert api.get("/healthz").status_code == 200


def test_a_gateway_does_not_start_on_a_full_disk_and_says_why(native: ModuleType, tmp_path: Path) -> None:
    with small_disk(tmp_path / "data", 8) as disk:
        disk.fill()
        gateway = RunningGateway(tmp_path, CONFIG)
        try:
            gateway.start()
        except AssertionError as error:
            assert "ended with 1" in str(error)
            assert "No space left" in str(error) or "disk is full" in str(error)
            assert " next: " in str(error) and " code: " in str(error)
            assert "Traceback" not in str(error)
        else:
            gateway.kill()
            raise AssertionError("it started")
        disk.free()
