"""What operators are told of one device, and of all: connection, table, metrics, traces."""

import json
import re
import struct
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.support.gateway import RunningGateway, eventually
from tests.support.mqtt import client

API = "/api/v1"


@pytest.fixture(scope="module")
def api(gateway: RunningGateway) -> Iterator[httpx.Client]:
    with gateway.client as opened:
        yield opened


@pytest.fixture(scope="module")
def secret(gateway: RunningGateway) -> str:
    return gateway.add_device("pump")


def test_a_device_is_told_with_its_session_its_past_and_what_it_was_refused(
    gateway: RunningGateway, api: httpx.Client, secret: str
) -> None:
    path = f"{API}/devices/pump/connection"
    before = api.get(path).json()
    assert (before["connected"], before["sessions"], before["history"]) == (False, [], [])
    with client(gateway.mqtt_port, "pump", secret, client_id="one") as pump:
        pump.subscribe("devices/pump/commands/+")
        pump.publish_acknowledged("devices/pump/telemetry", {"rpm": 5})
        pump.publish("devices/other/telemetry", {"rpm": 5})
        found = eventually(lambda: (answer := api.get(path).json())["refusals"] and answer, what="the refusal")
        assert (found["connected"], found["messages_in"], found["refused"]) == (True, 1, 1)
        (session,) = found["sessions"]
        assert (session["client"], session["protocol"], session["transport"]) == ("one", 5, "tcp")
        assert session["keep_alive_s"] == 30
        assert session["subscriptions"] == [{"filter": "devices/pump/commands/+", "qos": 1}]
        assert [(t["topic"], t["messages"]) for t in session["topics"]] == [("devices/pump/telemetry", 1)]
        assert sum(bucket["count"] for bucket in found["commit_latency"]) >= 1
        assert found["refusals"][0]["topic"] == "devices/other/telemetry"
        assert re.fullmatch(r"\d{4}-.*Z", found["since"])
        assert not any("_us" in name for name in json.dumps(found).split('"')), "times are ISO 8601"
    past = eventually(lambda: api.get(path).json()["history"], what="the connection's end")
    assert (past[0]["client"], past[0]["reason"]) == ("one", "it said goodbye")
    assert past[0]["last_topic"] in {"devices/pump/telemetry", "devices/other/telemetry"}
    listed = api.get(f"{API}/refusals", params={"principal": "nobody"}).json()["items"]
    assert listed == []


def test_all_devices_are_one_arrow_table(gateway: RunningGateway, api: httpx.Client, secret: str) -> None:
    answer = api.get(f"{API}/hub/devices")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.apache.arrow.stream")
    mark, length = struct.unpack_from("<Ii", answer.content)
    assert mark == 0xFFFFFFFF
    assert b"messages_in" in answer.content[8 : 8 + length]
    assert b"pump" in answer.content[8 + length :]
    assert answer.content.endswith(struct.pack("<II", 0xFFFFFFFF, 0))


def test_latencies_are_histograms(api: httpx.Client) -> None:
    told = api.get(f"{API}/hub").json()["latency"]["commit"]
    assert len(told["counts"]) == len(told["bounds_us"]) + 1
    text = api.get("/metrics").text
    buckets = [int(n) for n in re.findall(r'mohhos_hub_commit_latency_seconds_bucket\{le="[^"]+"\} (\d+)', text)]
    (count,) = re.findall(r"mohhos_hub_commit_latency_seconds_count (\d+)", text)
    assert buckets == sorted(buckets)
    assert buckets[-1] == int(count) >= sum(told["counts"]) > 0


def read(gateway: RunningGateway, path: str, until: str) -> list[dict[str, Any]]:
    packets = []
    with gateway.client as listening, listening.stream("GET", path, timeout=20) as stream:
        assert stream.status_code == 200
        for line in stream.iter_lines():
            if line.startswith("data: "):
                packets.append(json.loads(line.removeprefix("data: ")))
                if packets[-1].get("packet") == until:
                    return packets
    return packets


def test_a_trace_is_streamed_while_it_runs_and_afterwards(
    gateway: RunningGateway, api: httpx.Client, secret: str
) -> None:
    path = f"{API}/devices/pump/trace"
    assert api.get(path).json()["code"] == "trace-unknown"
    assert api.delete(path).json()["code"] == "trace-unknown"
    assert api.post(f"{API}/devices/none/trace").status_code == 404
    assert api.post(path, json={"seconds": 0}).json()["code"] == "request-invalid"
    begun = api.post(path, json={"payload_bytes": 5})
    assert (begun.status_code, begun.json()["ended"]) == (201, None)
    with client(gateway.mqtt_port, "pump", secret) as pump:
        pump.publish_acknowledged("devices/pump/events/e", {"text": "long"})
        packets = read(gateway, path, "PUBACK")
    names = [(p["direction"], p["packet"]) for p in packets]
    assert names == [("in", "CONNECT"), ("out", "CONNACK"), ("in", "PUBLISH"), ("out", "PUBACK")]
    assert (packets[2]["topic"], packets[2]["payload"], packets[2]["qos"]) == ("devices/pump/events/e", '{"tex', 1)
    assert secret not in json.dumps(packets)
    again = read(gateway, f"{path}?after=2", "PUBACK")
    assert again == packets[2:]
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_the_command_line_shows_a_trace_until_it_ends(gateway: RunningGateway, secret: str) -> None:
    with client(gateway.mqtt_port, "pump", secret) as pump:
        pump.publish("devices/pump/events/e", {})
        shown = gateway.run("trace", "pump", "--for", "1s", "--format", "json")
    last = json.loads(shown.splitlines()[-1])
    assert (last["event"], last["reason"]) == ("ended", "its time is over")
    text = gateway.run("trace", "pump", "--for", "1s")
    assert text.splitlines()[-1] == "ended: its time is over"
