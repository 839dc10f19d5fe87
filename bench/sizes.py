"""What one more of each takes: device, connection, subscription, retained message; a message in the log, a reading."""

import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.gateway import Gateway, gateway
from bench.hold import config
from bench.load import BenchError, load, run_load
from bench.process import usage

__all__ = ["COUNT", "PAYLOAD", "Sizes", "measure_sizes"]

COUNT: Final = 50_000
PAYLOAD: Final = 100
LOGGED: Final = 1_000
FILL_S: Final = 20.0
SETTLED_S: Final = 5.0
PUBLISHER: Final = "bench-publisher"
FILTER: Final = "commands/+"


@dataclass(frozen=True)
class Sizes:
    """Bytes. Those in memory are resident ones of the gateway's process, for each of COUNT."""

    device: float
    connection: float
    subscription: float
    retained: float
    """With a topic of 20 bytes and a payload of PAYLOAD."""
    log_message: float
    """On disk, QoS 1, with a payload of about 40 bytes."""
    history_reading: float
    """On disk."""
    readings: int


def measure_sizes(work: Path) -> Sizes:
    """On two fresh gateways: memory that something else has left behind would be taken for nothing."""
    with gateway(work / "first", config(COUNT)) as server:
        idle = _resident(server)
        _retain(server)
        with_retained = _resident(server)
        server.register(COUNT)
        registered = _resident(server)
        with load(work / "load.log", "hold", **_devices(server)) as run:
            run.expect("held")
            connected = _resident(server)
    with gateway(work / "second", config(COUNT)) as server:
        server.register(COUNT)
        before = _resident(server)
        with load(work / "load.log", "hold", subscribe=FILTER, **_devices(server)) as run:
            run.expect("held")
            subscribed = _resident(server)
            subscriptions = server.stats()["hub"]["subscriptions"]
        if subscriptions != COUNT:
            raise BenchError(f"{COUNT:,} devices subscribed, the gateway has {subscriptions:,} subscriptions")
        log = server.stats()["log"]
        given = {**_devices(server), "connections": LOGGED, "topics": 10, "seconds": FILL_S}
        run_load(work / "load.log", "send", qos=1, **given)
        server.rest()
        after = server.stats()
    history = after["history"]
    connection = (connected - registered) / COUNT
    return Sizes(
        device=(registered - with_retained) / COUNT,
        connection=connection,
        subscription=(subscribed - before) / COUNT - connection,
        retained=(with_retained - idle) / COUNT,
        log_message=(after["log"]["bytes_written"] - log["bytes_written"]) / (after["log"]["records"] - log["records"]),
        history_reading=history["bytes"] / history["rows"] if history["rows"] else 0.0,
        readings=int(history["rows"]),
    )


def _devices(server: Gateway) -> dict[str, object]:
    return {"to": server.address, "credentials": server.credentials, "connections": COUNT}


def _resident(server: Gateway) -> int:
    server.rest()
    time.sleep(SETTLED_S)
    return usage(server.pid).resident


def _string(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def _packet(kind: int, body: bytes) -> bytes:
    low, high = len(body) % 128, len(body) // 128
    return bytes([kind, low | 0x80, high] if high else [kind, low]) + body


def _retain(server: Gateway) -> None:
    """Publishes COUNT retained messages by MQTT 3.1.1, and waits until the last is taken."""
    made = server.call("POST", "/applications", {"name": PUBLISHER, "role": "bridge"})
    host, _, port = server.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        who = _string("publisher") + _string(PUBLISHER) + _string(made["secret"])
        connection.sendall(_packet(0x10, _string("MQTT") + bytes([4, 0xC2, 0, 0]) + who))
        if connection.recv(4) != bytes([0x20, 2, 0, 0]):
            raise BenchError("the publisher of retained messages was refused")
        payload = bytes(PAYLOAD)
        before = server.stats()["hub"]["retained"]
        for first in range(0, COUNT, 1_000):
            topics = (f"site/points/{i:08}" for i in range(first, first + 1_000))
            connection.sendall(b"".join(_packet(0x31, _string(topic) + payload) for topic in topics))
        connection.sendall(b"\xc0\x00")
        if connection.recv(2) != b"\xd0\x00":
            raise BenchError("the publisher of retained messages was disconnected")
    kept = server.stats()["hub"]["retained"] - before
    if kept != COUNT:
        raise BenchError(f"{kept:,} of {COUNT:,} messages were retained")
