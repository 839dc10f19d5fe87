"""Third-party MQTT clients: paho in this process, mosquitto_sub and mosquitto_pub as processes."""

import contextlib
import json
import os
import queue
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
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
        tls: ssl.SSLContext | None = options.pop("tls", None)
        will: str = options.pop("will", "")
        self.paho = paho.Client(CallbackAPIVersion.VERSION2, protocol=protocol, **options)
        if user:
            self.paho.username_pw_set(user, password)
        if will:
            self.paho.will_set(will, b"gone", 1)
        if tls is not None:
            self.paho.tls_set_context(tls)
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


def kept(seconds: int = 3600) -> dict[str, Any]:
    """Options of a client whose session outlives its connection by so long."""
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = seconds
    return {"connect": {"clean_start": False, "properties": properties}}


class Listener:
    """A running `mosquitto_sub -v -d`: what it prints, line by line, with a bound on every wait."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._lines: queue.Queue[str] = queue.Queue()
        self._process = process
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as out:
            for line in out:
                self._lines.put(line)

    def end(self) -> None:
        """Ends the process and reads what is left."""
        self._process.kill()
        self._process.wait(10)
        self._reader.join(10)

    def until(self, wanted: str, within_s: float = 20) -> str:
        """Waits for a line that contains `wanted` and gives it."""
        seen: list[str] = []
        deadline = time.monotonic() + within_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                seen.append(self._lines.get(timeout=left))
            except queue.Empty:
                break
            if wanted in seen[-1]:
                return seen[-1]
        raise AssertionError(f"{wanted!r} did not come within {within_s} s; instead: {''.join(seen)}")

    def message(self, topic: str) -> str:
        """The payload of the next message whose topic begins with `topic`."""
        while not (line := self.until(topic)).startswith(topic):
            pass
        return line.split(" ", 1)[1].rstrip("\n")


@contextlib.contextmanager
def mosquitto_sub(port: int, user: str, password: str, topic: str, *options: str) -> Iterator[Listener]:
    """`mosquitto_sub`, subscribed, for the length of the block."""
    process = subprocess.Popen(
        [
            # Its output is a pipe, which the C library would buffer.
            *["stdbuf", "-oL", needs("mosquitto_sub"), "-h", "127.0.0.1", "-p", str(port), "-u", user, "-P", password],
            *["-t", topic, "-q", "1", "-v", "-d", *options],
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    listener = Listener(process)
    try:
        listener.until("SUBACK")
        yield listener
    finally:
        listener.end()


def is_undisturbed(bystander: Client, word: str) -> None:
    """A device that hears itself still does, on the same connection."""
    bystander.publish_acknowledged("devices/bystander/events/word", {"word": word})
    assert json.loads(bystander.next().payload) == {"word": word}
    assert bystander.disconnected.empty()
