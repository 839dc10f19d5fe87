"""A rule that fails at run time: its error is shown wherever rules are; the other rules and the devices go on."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.support.gateway import RunningGateway, eventually, running
from tests.support.mqtt import Client, client

CONFIG = """
[stream]
max_state = "1 MiB"
"""
STEADY = "INSERT INTO alerts (device, message, num) SELECT device, 'hot', num FROM telemetry WHERE metric = 'heat'"
GREEDY = """
    INSERT INTO alerts (device, dedup_key, message)
    SELECT device, text, CAST(COUNT(*) AS STRING)
    FROM TABLE(TUMBLE(TABLE telemetry, DESCRIPTOR(ts), INTERVAL '1' HOUR))
    WHERE metric = 'word'
    GROUP BY device, text, window_start, window_end
"""
FORWARD = """
    CREATE TABLE forwarded (topic STRING, device STRING, num DOUBLE) WITH ('topic.column' = 'topic');
    INSERT INTO forwarded SELECT 'sites/' || text, device, num FROM telemetry WHERE metric = 'site'
"""


@pytest.fixture(scope="module")
def small(native: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway whose rules may remember little."""
    with running(tmp_path_factory.mktemp("small"), CONFIG) as started:
        yield started


@pytest.fixture(scope="module")
def api(small: RunningGateway) -> Iterator[httpx.Client]:
    with small.client as opened:
        yield opened


@pytest.fixture(scope="module")
def pump(small: RunningGateway) -> Iterator[Client]:
    secret = small.add_device("pump")
    small.put_rule("steady", STEADY)
    with client(small.mqtt_port, "pump", secret, client_id="pump") as connected:
        yield connected


def rule(api: httpx.Client, name: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/api/v1/rules/{name}").json()
    return found


def listed(gateway: RunningGateway, name: str) -> dict[str, Any]:
    """The rule as `mohhos rules ls` has it."""
    lines = gateway.run("rules", "ls", "--format", "json").splitlines()
    return next(each for each in map(json.loads, lines) if each["name"] == name)


def the_other_rule_goes_on(api: httpx.Client, pump: Client) -> None:
    def occurrences() -> int:
        return sum(a["occurrences"] for a in api.get("/api/v1/alerts", params={"rule": "steady"}).json()["items"])

    before = occurrences()
    pump.publish_acknowledged("devices/pump/telemetry", {"heat": 99})
    eventually(lambda: occurrences() == before + 1, what="the other rule's alert")
    steady = rule(api, "steady")
    assert (steady["state"], steady["error"]) == ("running", "")
    assert pump.disconnected.empty()
    assert api.get("/readyz").status_code == 200, "a rule that fails is no failure of the gateway"


def test_a_rule_that_remembers_too_much_is_stopped_and_says_what_to_do(
    small: RunningGateway, api: httpx.Client, pump: Client
) -> None:
    small.put_rule("greedy", GREEDY)
    for number in range(3_000):
        info = pump.publish("devices/pump/telemetry", {"word": f"{number}{'x' * 800}"})
    info.wait_for_publish(60)
    eventually(lambda: rule(api, "greedy")["state"] == "failed", 60, "the failure")
    error = rule(api, "greedy")["error"]
    assert "stream.max_state" in error and "max_state_bytes" not in error, "the key as the configuration has it"
    shown = listed(small, "greedy")
    assert (shown["state"], shown["error"]) == ("failed", error)
    assert error[:30] in small.run("rules", "ls")
    assert 'mohhos_rule_running{rule="greedy"} 0' in api.get("/metrics").text
    assert api.get("/api/v1/overview").json()["gateway"]["rules_failed"] == 1
    eventually(lambda: "rule greedy failed and does not run any more: " in small.log_text(), what="the log's line")
    the_other_rule_goes_on(api, pump)

    # What was stored is stored, and the rule can be put right while everything runs.
    modest = GREEDY.replace("device, text, CAST", "device, 'all', CAST").replace("device, text,", "device,")
    small.put_rule("greedy", modest)
    assert (rule(api, "greedy")["state"], rule(api, "greedy")["error"]) == ("running", "")
    assert api.get("/api/v1/overview").json()["gateway"]["rules_failed"] == 0
    api.delete("/api/v1/rules/greedy")


def test_rows_that_cannot_be_published_are_told_and_the_rule_goes_on(
    small: RunningGateway, api: httpx.Client, pump: Client
) -> None:
    small.put_rule("forward", FORWARD)
    role = {"publish": [], "subscribe": ["sites/#"]}
    assert api.put("/api/v1/roles/sites", json=role).status_code == 200
    secret = api.post("/api/v1/applications", json={"name": "sites", "role": "sites"}).json()["secret"]
    with client(small.mqtt_port, "sites", secret, client_id="sites") as sites:
        sites.subscribe("sites/#")
        pump.publish_acknowledged("devices/pump/telemetry", {"site": "north"})
        assert sites.next().topic == "sites/north"
        pump.publish_acknowledged("devices/pump/telemetry", {"site": "+/north"})
        pump.publish_acknowledged("devices/pump/telemetry", {"site": "south"})
        assert sites.next().topic == "sites/south", "the row between is left out, and only that"
    forward = rule(api, "forward")
    assert forward["state"] == "running"
    assert "1 rows were not taken" in forward["error"] and "`sites/+/north`" in forward["error"]
    assert listed(small, "forward")["error"] == forward["error"]
    eventually(lambda: "rule forward goes on without some rows: " in small.log_text(), what="the log's line")
    the_other_rule_goes_on(api, pump)
