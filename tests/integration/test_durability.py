"""Nothing that was acknowledged is lost or doubled: over a restart, over kill -9, over backup and restore."""

from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support.gateway import RunningGateway, eventually, running
from tests.support.mqtt import client, kept

RULE = """
    INSERT INTO alerts (device, message, num)
    SELECT device, 'hot', num FROM telemetry WHERE metric = 'temperature' AND num > 90
"""
COUNTS = """
    INSERT INTO alerts (device, dedup_key, message, num)
    SELECT device, 'count', CAST(COUNT(*) AS STRING), AVG(num)
    FROM TABLE(TUMBLE(TABLE telemetry, DESCRIPTOR(ts), INTERVAL '60' SECOND))
    WHERE metric = 'temperature'
    GROUP BY device, window_start, window_end
"""
START_US = 1_700_000_040_000_000


def readings(gateway: RunningGateway, device: str) -> list[dict[str, Any]]:
    with gateway.client as api:
        query = {"from": "2023-01-01", "to": "now", "limit": 100_000}
        answer = api.get(f"/api/v1/devices/{device}/telemetry", params=query)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


def publish(gateway: RunningGateway, device: str, secret: str, numbers: range) -> None:
    with client(gateway.mqtt_port, device, secret, client_id="writer") as writer:
        infos = [
            writer.publish(
                f"devices/{device}/telemetry", {"ts": START_US + n * 1_000_000, "temperature": n % 100, "n": n}
            )
            for n in numbers
        ]
        for info in infos:
            info.wait_for_publish(30)
            assert info.is_published()


def numbers_of(gateway: RunningGateway, device: str) -> list[float]:
    return [item["num"] for item in readings(gateway, device) if item["metric"] == "n"]


def test_kill_dash_nine_loses_and_doubles_nothing(native: ModuleType, tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        secret = gateway.add_device("boiler")
        gateway.put_rule("hot", RULE)
        gateway.put_rule("counts", COUNTS)
        for round_ in range(4):
            publish(gateway, "boiler", secret, range(round_ * 500, round_ * 500 + 500))
            gateway.kill()
            gateway.start()
            assert numbers_of(gateway, "boiler") == list(range(round_ * 500 + 500))
        # A later reading closes the windows before it; each has counted every reading once, whatever was killed.
        publish(gateway, "boiler", secret, range(2100, 2101))
        with gateway.client as api:

            def windows() -> list[str]:
                found = api.get("/api/v1/alerts", params={"rule": "counts"}).json()["items"]
                if not found:
                    return []
                alert = api.get(f"/api/v1/alerts/{found[0]['id']}").json()
                return [event["message"] for event in alert["events"]]

            eventually(lambda: len(windows()) >= 33, what="the windows")
            assert windows().count("60") == 33
            hot = api.get("/api/v1/alerts", params={"rule": "hot"}).json()["items"]
            assert hot[0]["occurrences"] == 4 * 500 // 100 * 9


def test_a_clean_restart_keeps_everything_and_is_quick(native: ModuleType, tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        secret = gateway.add_device("boiler")
        publish(gateway, "boiler", secret, range(100))
        assert gateway.stop() == 0
        gateway.start()
        assert numbers_of(gateway, "boiler") == list(range(100))
        publish(gateway, "boiler", secret, range(50, 150))
        assert numbers_of(gateway, "boiler") == list(range(150)), "what was sent twice counts once"


def test_a_restored_backup_answers_the_same(native: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    with running(tmp_path / "first") as gateway:
        secret = gateway.add_device("boiler", labels={"hall": "3"})
        gateway.put_rule("hot", RULE)
        publish(gateway, "boiler", secret, range(300))
        with gateway.client as api:
            eventually(lambda: api.get("/api/v1/alerts").json()["items"], what="the alert")
            before = {path: api.get(path).json() for path in ("/api/v1/devices/boiler", "/api/v1/alerts")}
        rows = readings(gateway, "boiler")
        archive = tmp_path / "backup.tar"
        gateway.run("backup", str(archive))
        token = gateway.token
        publish(gateway, "boiler", secret, range(300, 400))

    restored = RunningGateway(tmp_path / "second", token=token)
    from tests.support.gateway import CONFIG

    restored.config.write_text(CONFIG.format(data=restored.data))
    restored.run("restore", str(archive))
    try:
        restored.start()
        assert readings(restored, "boiler") == rows
        with restored.client as api:
            device = api.get("/api/v1/devices/boiler").json()
            for name in ("labels", "type", "created", "version"):
                assert device[name] == before["/api/v1/devices/boiler"][name]
            assert api.get("/api/v1/alerts").json() == before["/api/v1/alerts"]
        publish(restored, "boiler", secret, range(300, 310))
        assert numbers_of(restored, "boiler") == list(range(310))
    finally:
        restored.kill()


def test_a_command_waits_for_an_offline_device(native: ModuleType, tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        secret = gateway.add_device("lamp")
        with client(gateway.mqtt_port, "lamp", secret, client_id="lamp", **kept()) as lamp:
            lamp.subscribe("devices/lamp/commands/+")
        with gateway.client as api:
            eventually(lambda: api.get("/api/v1/devices/lamp").json()["status"] == "offline", what="offline")
            answer = api.post("/api/v1/devices/lamp/commands", json={"name": "on", "parameters": {"level": 5}})
            assert (answer.status_code, answer.json()["state"]) == (202, "queued")
            command = answer.json()["id"]
        gateway.kill()
        gateway.start()
        with client(gateway.mqtt_port, "lamp", secret, client_id="lamp", **kept()) as lamp:
            message = lamp.next()
            assert message.topic == f"devices/lamp/commands/{command}"
            lamp.publish_acknowledged(f"{message.topic}/result", {"status": "succeeded", "output": {"level": 5}})
        with gateway.client as api:
            path = f"/api/v1/devices/lamp/commands/{command}"
            eventually(lambda: api.get(path).json()["state"] == "succeeded", what="the result")
            assert api.get(path).json()["output"] == {"level": 5}
