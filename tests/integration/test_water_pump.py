"""End to end on real input: recorded runs of a water pump with a valve fault go in through paho-mqtt."""

import csv
import json
from collections import Counter
from collections.abc import Iterable

import pytest
from tests.support.data import recorded
from tests.support.gateway import RunningGateway, eventually
from tests.support.mqtt import client, mosquitto_sub

from mohhos.sim.recording import Row, load_map, payload, read

RULES = {
    "flow-low": """
        INSERT INTO alerts (device, severity, message, num)
        SELECT device, 'critical', 'flow is low', AVG(num)
        FROM TABLE(TUMBLE(TABLE telemetry, DESCRIPTOR(ts), INTERVAL '10' SECOND))
        WHERE metric = 'flow'
        GROUP BY device, window_start, window_end
        HAVING AVG(num) < 31
    """,
    "flow-stop": """
        INSERT INTO commands (device, name, parameters)
        SELECT device, 'open_valve', '{"by": 10}'
        FROM TABLE(TUMBLE(TABLE telemetry, DESCRIPTOR(ts), INTERVAL '10' SECOND))
        WHERE metric = 'flow'
        GROUP BY device, window_start, window_end
        HAVING AVG(num) < 31
    """,
}
# How long the valve takes to close and to open again.
SLACK_US = 40_000_000


def faulty_stretch(name: str) -> tuple[int, int]:
    with recorded(name).open() as file:
        labels = [float(row["anomaly"]) for row in csv.DictReader(file, delimiter=";")]
    faulty = [i for i, label in enumerate(labels) if label]
    return faulty[0], faulty[-1]


def ten(times: Iterable[str]) -> list[str]:
    """The times, if there are at least ten."""
    found = list(times)
    return found if len(found) >= 10 else []


def stored(gateway: RunningGateway, device: str) -> Counter[tuple[str, int, float]]:
    with gateway.client as api:
        items, cursor = [], None
        while True:
            query = {"from": "2020-01-01", "to": "now", "limit": 10_000, **({"cursor": cursor} if cursor else {})}
            answer = api.get(f"/api/v1/devices/{device}/telemetry", params=query)
            assert answer.status_code == 200, answer.text
            items += answer.json()["items"]
            cursor = answer.json()["next"]
            if cursor is None:
                return Counter((i["metric"], i["ts"], i["num"]) for i in items)


@pytest.mark.parametrize("number", [9, 12, 13])
def test_a_valve_fault_raises_alerts_in_its_stretch_and_commands_the_device(
    gateway: RunningGateway, number: int
) -> None:
    name = f"skab/{number}.csv"
    rows: list[Row] = list(read(recorded(name), load_map("skab")))
    first, last = faulty_stretch(name)
    device = f"valve-{number}"
    secret = gateway.add_device(device, type="pump")
    for rule, sql in RULES.items():
        gateway.put_rule(rule, sql)

    with mosquitto_sub(gateway.mqtt_port, device, secret, f"devices/{device}/commands/+") as listening:
        with client(gateway.mqtt_port, device, secret, client_id="recorder") as pump:
            infos = [pump.publish(f"devices/{device}/telemetry", payload(row)) for row in rows]
            for info in infos:
                info.wait_for_publish(30)
        received = listening.message(f"devices/{device}/commands/")

    command = json.loads(received)
    assert (command["name"], command["parameters"]) == ("open_valve", {"by": 10})

    with gateway.client as api:
        found = eventually(
            lambda: api.get("/api/v1/alerts", params={"device": device, "rule": "flow-low"}).json()["items"],
            what="the alert",
        )
        assert len(found) == 1, "one cause is one alert, however often it is raised"
        # The registry learns of alerts from the log, and may be behind; the windows at the end of the recording close
        # when the device has been silent, so that it may still count up.
        raised = eventually(
            lambda: ten(event["time"] for event in api.get(f"/api/v1/alerts/{found[0]['id']}").json()["events"]),
            what="ten windows that raised it",
        )
        commands = eventually(
            lambda: api.get(f"/api/v1/devices/{device}/commands").json()["items"], what="the commands"
        )
    begin, end = rows[first].ts_us - 10_000_000, rows[last].ts_us + SLACK_US
    from mohhos.api.times import parse_time

    times = [parse_time(text, "time", 0) for text in raised]
    assert all(begin <= at <= end for at in times), f"alerts outside of the faulty stretch: {raised}"
    assert {c["name"] for c in commands} == {"open_valve"}

    expected = Counter((metric, row.ts_us, value) for row in rows for metric, value in row.readings.items())
    assert stored(gateway, device) == expected
