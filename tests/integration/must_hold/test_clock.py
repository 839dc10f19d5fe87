"""Clocks that are wrong: a device's moves nobody's windows, and the gateway's may jump without harm."""

import time
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
from tests.support.gateway import RunningGateway, eventually, running
from tests.support.mqtt import client
from tests.support.shifted import ShiftedClock

from mohhos import _native

COUNTS = """
    INSERT INTO alerts (device, dedup_key, message, num)
    SELECT device, 'count', CAST(COUNT(*) AS STRING), AVG(num)
    FROM TABLE(TUMBLE(TABLE telemetry, DESCRIPTOR(ts), INTERVAL '60' SECOND))
    WHERE metric = 'heat'
    GROUP BY device, window_start, window_end
"""
YEAR_S = 31_557_600
Y2004_US = 1_080_000_000_000_000


def now_us() -> int:
    return time.time_ns() // 1000


def readings(api: httpx.Client, device: str, metric: str) -> list[dict[str, Any]]:
    answer = api.post(
        "/api/v1/query",
        json={
            "sql": f"SELECT epoch_us(ts), num, quality FROM telemetry WHERE device = '{device}' AND "
            f"metric = '{metric}' ORDER BY num"
        },
    )
    assert answer.status_code == 200, answer.text
    return [dict(zip(("ts", "num", "quality"), row, strict=True)) for row in answer.json()["rows"]]


def test_a_reading_from_the_future_gets_its_arrival_time_and_is_counted(gateway: RunningGateway) -> None:
    secret, other = gateway.add_device("dreamer"), gateway.add_device("sober")
    with gateway.client as api:
        with (
            client(gateway.mqtt_port, "dreamer", secret, client_id="d") as dreamer,
            client(gateway.mqtt_port, "sober", other, client_id="s") as sober,
        ):
            before = now_us()
            ahead = before + 3600 * 1_000_000
            dreamer.publish_acknowledged("devices/dreamer/telemetry", {"ts": ahead, "level": 1})
            after = now_us()
            near = after + 60 * 1_000_000
            dreamer.publish_acknowledged("devices/dreamer/telemetry", {"ts": near, "level": 2})
            sober.publish_acknowledged("devices/sober/telemetry", {"ts": before, "level": 3})
        first, second = readings(api, "dreamer", "level")
        assert first["quality"] == "clock" and before <= first["ts"] <= after
        assert (second["quality"], second["ts"]) == ("good", near), "a minute ahead is within what clocks do"
        corrections = {
            device: api.get(f"/api/v1/devices/{device}/connection").json()["clock_corrections"]
            for device in ("dreamer", "sober")
        }
        assert corrections == {"dreamer": 1, "sober": 0}


def test_a_device_that_lives_in_2004_makes_nobody_late(gateway: RunningGateway) -> None:
    secrets = {device: gateway.add_device(device) for device in ("oldie", "modern")}
    gateway.put_rule("counts", COUNTS)
    start = now_us() // 60_000_000 * 60_000_000 - 600_000_000
    with gateway.client as api:

        def windows(device: str) -> list[str]:
            query = {"rule": "counts", "device": device}
            return [alert["message"] for alert in api.get("/api/v1/alerts", params=query).json()["items"]]

        with (
            client(gateway.mqtt_port, "oldie", secrets["oldie"], client_id="o") as oldie,
            client(gateway.mqtt_port, "modern", secrets["modern"], client_id="m") as modern,
        ):
            for number in range(3):
                step = number * 1_000_000
                oldie.publish_acknowledged("devices/oldie/telemetry", {"ts": Y2004_US + step, "heat": number})
                modern.publish_acknowledged("devices/modern/telemetry", {"ts": start + step, "heat": number})
            # A later reading of the same device is what closes its window, whatever the clock of the other says.
            modern.publish_acknowledged("devices/modern/telemetry", {"ts": start + 180_000_000, "heat": 9})
            eventually(lambda: windows("modern") == ["3"], what="the window of the right clock")
            oldie.publish_acknowledged("devices/oldie/telemetry", {"ts": Y2004_US + 180_000_000, "heat": 9})
            eventually(lambda: windows("oldie") == ["3"], what="the window of the slow clock")
        assert api.get("/api/v1/rules/counts").json()["late"] == 0
    # They would close by themselves when the idle time-out is over, in a test that comes later.
    with gateway.client as api:
        assert api.delete("/api/v1/rules/counts").status_code == 204


def test_a_jump_of_the_gateways_clock_expires_and_deletes_nothing(native: ModuleType, tmp_path: Path) -> None:
    clock = ShiftedClock(tmp_path)
    with running(tmp_path, "", **clock.environment) as gateway, gateway.client as api:
        secrets = {device: gateway.add_device(device) for device in ("pump", "away")}
        waiting = api.post("/api/v1/devices/away/commands", json={"name": "open"}).json()
        assert waiting["state"] == "queued"
        with client(gateway.mqtt_port, "pump", secrets["pump"], client_id="pump") as pump:
            pump.publish_acknowledged("devices/pump/telemetry", {"level": 0})
            # The last two are seen as small jumps or none: no time is before that of the build.
            jumps = [(10 * YEAR_S, "+3"), (0, "-3"), (-30 * YEAR_S, ""), (0, "")]
            for number, (shift, size) in enumerate(jumps, 1):
                clock.set(shift)
                if size:
                    eventually(lambda size=size: f"the clock jumped by {size}" in gateway.log_text(), what=size)
                pump.publish_acknowledged("devices/pump/telemetry", {"level": number})
                assert api.get("/readyz").status_code == 200
            assert pump.disconnected.empty(), "keep-alives do not follow the wall clock"
        command = api.get(f"/api/v1/devices/away/commands/{waiting['id']}").json()
        assert command["state"] == "queued", "its deadline moved along"
        times = [reading["ts"] for reading in readings(api, "pump", "level")]
        real = now_us()
        assert len(times) == 5, "nothing was deleted"
        assert abs(times[0] - real) < 600e6 and abs(times[4] - real) < 600e6
        assert abs(times[1] - real - 10 * YEAR_S * 1e6) < 600e6
        assert times[3] >= _native.BUILD_TIME_US, "never before the program was built"


def test_a_gateway_that_boots_in_1970_goes_on_from_the_last_time_it_knows(native: ModuleType, tmp_path: Path) -> None:
    clock = ShiftedClock(tmp_path)
    with running(tmp_path, "", **clock.environment) as gateway:
        secret = gateway.add_device("pump")
        with client(gateway.mqtt_port, "pump", secret, client_id="pump") as pump:
            pump.publish_acknowledged("devices/pump/telemetry", {"level": 0})
        assert gateway.stop() == 0
        clock.set(-55 * YEAR_S)
        gateway.start()
        with gateway.client as api, client(gateway.mqtt_port, "pump", secret, client_id="pump") as pump:
            pump.publish_acknowledged("devices/pump/telemetry", {"level": 1})
            first, second = [reading["ts"] for reading in readings(api, "pump", "level")]
            assert first < second < first + 600e6
            # The page and the API live in the same time: the last hour has both.
            hour = api.get("/api/v1/devices/pump/telemetry", params={"from": "-1h"}).json()["items"]
            assert [reading["num"] for reading in hour] == [0, 1]
            command = api.post("/api/v1/devices/pump/commands", json={"name": "open"}).json()
            assert command["state"] == "sent"
        assert gateway.stop() == 0
