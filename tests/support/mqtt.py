"""Third-party MQTT clients: paho in this process, mosquitto_sub and mosquitto_pub as processes."""

import contextlib
import json
import os
import queue
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

ACKNOWLEDGED_WITHIN_S = 30.0


def needs(program: str) -> str:
    """The program's path; without it the test is skipped, except in CI, where that is a failure."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        message = f"{program} is not installed: scripts/apt-install mosquitto mosquitto-clients"
        if os.environ.get("CI") == "true":
            raise AssertionError(message)
        pytest.skip(message)
    return path


class Client:
    """A paho client with its network loop running."""

    def __init__(self, port: int, user: str, password: str, version: int = 5, **options: Any) -> None:
        self.messages: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self.refused: ReasonCode | None = None
        self.disconnected: queue.Queue[ReasonCode] = queue.Queue()
        self._connected: queue.Queue[ReasonCode] = queue.Queue()
        protocol = MQTTProtocolVersion.MQTTv5 if version == 5 else MQTTProtocolVersion.MQTTv311
        self.session_present = False
        connect: Mapping[str, Any] = options.pop("connect", {})
        self.paho = paho.Client(CallbackAPIVersion.VERSION2, protocol=protocol, **options)
        self.paho.username_pw_set(user, password)
        self.paho.on_connect = self._on_connect
        self.paho.on_message = lambda _c, _u, message: self.messages.put(message)
        self.paho.on_disconnect = lambda _c, _u, _f, reason, _p: self.disconnected.put(reason)
        self.paho.max_inflight_messages_set(200)
        self.paho.reconnect_delay_set(1, 1)
        self.paho.connect("127.0.0.1", port, keepalive=30, **connect)
        self.paho.loop_start()
        reason = self._connected.get(timeout=10)
        if reason.is_failure:
            self.refused = reason
            self.close()

    def _on_connect(
        self, _client: Any, _userdata: Any, flags: Any, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self.session_present = bool(flags.session_present)
        self._connected.put(reason)

    def publish(self, topic: str, payload: Any, qos: int = 1, **options: Any) -> paho.MQTTMessageInfo:
        """Publishes JSON (or bytes as they are)."""
        body = payload if isinstance(payload, bytes | str) else json.dumps(payload)
        return self.paho.publish(topic, body, qos, **options)

    def publish_acknowledged(self, topic: str, payload: Any, qos: int = 1, **options: Any) -> None:
        """Publishes and waits for the acknowledgement."""
        info = self.publish(topic, payload, qos, **options)
        info.wait_for_publish(ACKNOWLEDGED_WITHIN_S)
        assert info.is_published(), f"{topic} was not acknowledged"

    def subscribe(self, topic: str, qos: int = 1) -> list[Any]:
        """Subscribes and gives the reason codes of the SUBACK."""
        answered: queue.Queue[list[Any]] = queue.Queue()
        self.paho.on_subscribe = lambda _c, _u, _m, reasons, _p: answered.put(list(reasons))
        self.paho.subscribe(topic, qos)
        return answered.get(timeout=10)

    def next(self, within_s: float = 10) -> paho.MQTTMessage:
        """The next message."""
        try:
            return self.messages.get(timeout=within_s)
        except queue.Empty:
            raise AssertionError(f"no message came within {within_s} s") from None

    def close(self) -> None:
        """Says DISCONNECT and ends."""
        self.paho.disconnect()
        self.paho.loop_stop()


@contextlib.contextmanager
def client(port: int, user: str, password: str, version: int = 5, **options: Any) -> Iterator[Client]:
    """A connected client for the length of the block."""
    connected = Client(port, user, password, version, **options)
    try:
        yield connected
    finally:
        connected.close()


@contextlib.contextmanager
def mosquitto_sub(port: int, user: str, password: str, topic: str, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """`mosquitto_sub -v` as a process; read its standard output line by line."""
    process = subprocess.Popen(
        [
            *[needs("mosquitto_sub"), "-h", "127.0.0.1", "-p", str(port), "-u", user, "-P", password],
            *["-t", topic, "-q", "1", "-v", "-d", *options],
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def lines_until(process: "subprocess.Popen[str]", wanted: str) -> str:
    """Reads lines until one contains `wanted` and gives that one."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if wanted in line:
            return line
    raise AssertionError(f"{wanted!r} did not come; instead: {''.join(seen)}")
