"""Malformed packets, broken protocol, payloads that are too large: the one who sent them is told and disconnected."""

from typing import Any

import pytest
from tests.support.gateway import RunningGateway, eventually
from tests.support.mqtt import Client, client, is_undisturbed
from tests.support.wire import length, packet, text, wire

MALFORMED, PROTOCOL, TOO_LARGE = 0x81, 0x82, 0x95
TOPIC = text("devices/nosuch/events/x")
#: What is sent in 3.1.1, what in MQTT 5 (where properties have a length), and the reason that is given.
BREACHES: dict[str, tuple[bytes, bytes, int]] = {
    # Its length alone is sent: nobody has to take the payload to know that it is too much.
    "oversized": (b"\x30" + length(2 << 20), b"\x30" + length(2 << 20), TOO_LARGE),
    "endless-length": (b"\x30\xff\xff\xff\xff\x01", b"\x30\xff\xff\xff\xff\x01", MALFORMED),
    "cut-short": (packet(0x30, b"\0\x40dev"), packet(0x30, b"\0\x40dev"), MALFORMED),
    "type-zero": (packet(0x00, b""), packet(0x00, b""), MALFORMED),
    "qos3": (packet(0x36, TOPIC + b"\0\1"), packet(0x36, TOPIC + b"\0\1\0"), MALFORMED),
    "subscribe-flags": (
        packet(0x80, b"\0\1" + TOPIC + b"\0"),
        packet(0x80, b"\0\1\0" + TOPIC + b"\0"),
        MALFORMED,
    ),
    "not-utf8": (packet(0x30, text(b"devices/\xff")), packet(0x30, text(b"devices/\xff") + b"\0"), MALFORMED),
    "connect-again": (
        packet(0x10, text("MQTT") + b"\4\2\0\0" + text("again")),
        packet(0x10, text("MQTT") + b"\5\2\0\0\0" + text("again")),
        PROTOCOL,
    ),
    "server-packet": (packet(0x20, b"\0\0"), packet(0x20, b"\0\0\0"), PROTOCOL),
    "wildcard-topic": (packet(0x30, text("devices/+/x")), packet(0x30, text("devices/+/x") + b"\0"), MALFORMED),
}


def refusals(gateway: RunningGateway, **wanted: str) -> list[dict[str, Any]]:
    with gateway.client as api:
        items: list[dict[str, Any]] = api.get("/api/v1/refusals").json()["items"]
    return [item for item in items if all(item[name] == value for name, value in wanted.items())]


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("breach", list(BREACHES))
def test_who_breaks_the_protocol_is_told_why_and_the_operator_who_it_was(
    gateway: RunningGateway, bystander: Client, breach: str, version: int
) -> None:
    device = f"broken-{version}-{breach}"
    secret = gateway.add_device(device)
    old, new, code = BREACHES[breach]
    with wire(gateway.mqtt_port, version) as broken:
        assert broken.connect(device, secret) == 0
        broken.send(new if version == 5 else old)
        # 3.1.1 has no DISCONNECT from the server: it closes the connection.
        assert broken.ended() == (code if version == 5 else None)
    (told,) = eventually(lambda: refusals(gateway, principal=device), what="the refusal")
    assert (told["action"], told["client"], told["reason_code"]) == ("protocol", "wire", code)
    assert told["reason"].startswith("it broke the protocol: ") and len(told["reason"]) > 30
    assert told["address"].startswith("127.0.0.1:")
    with gateway.client as api:
        eventually(lambda: api.get(f"/api/v1/devices/{device}").json()["status"] == "offline", what="offline")
    is_undisturbed(bystander, f"{breach}{version}")


def test_a_payload_of_the_permitted_size_passes_and_one_byte_more_does_not(
    gateway: RunningGateway, bystander: Client
) -> None:
    secret = gateway.add_device("wordy")
    topic = "devices/wordy/events/essay"
    head = len(text(topic)) + 2 + 1
    frame = 1 + 3
    most = (1 << 20) - frame - head
    with client(gateway.mqtt_port, "wordy", secret, client_id="wordy") as wordy:
        wordy.publish_acknowledged(topic, b"x" * most)
        wordy.publish(topic, b"x" * (most + 1))
        assert wordy.disconnected.get(timeout=20).value == TOO_LARGE
    (told,) = eventually(lambda: refusals(gateway, principal="wordy"), what="the refusal")
    assert told["reason_code"] == TOO_LARGE
    assert "large" in told["reason"] or "bytes" in told["reason"]
    is_undisturbed(bystander, "wordy")


def test_what_is_no_mqtt_is_closed_and_told_with_its_address(gateway: RunningGateway, bystander: Client) -> None:
    with wire(gateway.mqtt_port) as browser:
        browser.send(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
        assert browser.ended() is None
        address = "{}:{}".format(*browser.socket.getsockname())
    (told,) = eventually(lambda: refusals(gateway, address=address), what="the refusal")
    assert (told["action"], told["principal"]) == ("connect", "")
    assert told["reason"]
    is_undisturbed(bystander, "browser")
