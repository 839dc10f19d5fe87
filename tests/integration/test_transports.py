"""TLS, WebSocket and the PROXY protocol, with the clients that people use."""

import signal
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.gateway import RunningGateway, eventually
from tests.support.mqtt import client as connected
from tests.support.mqtt import needs
from tests.support.transports import gateway_of_all_transports, port, trusting


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    names = ("pump-1", "pump-2", "pump-3")
    with gateway_of_all_transports(tmp_path_factory.mktemp("transports"), *names) as started:
        yield started


def connection(gateway: RunningGateway, device: str) -> dict[str, Any]:
    with gateway.client as client:
        answer: dict[str, Any] = client.get(f"/api/v1/devices/{device}/connection").json()
    return answer


def counter(gateway: RunningGateway, name: str) -> float:
    with gateway.client as client:
        lines = client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"mohhos_hub_{name} "))


@pytest.mark.parametrize(
    ("listener", "options"),
    [("tls", {}), ("ws", {"transport": "websockets"}), ("wss", {"transport": "websockets"})],
)
@pytest.mark.parametrize("version", [4, 5])
def test_paho_exchanges_large_messages_over_every_transport(
    rig: SimpleNamespace, listener: str, options: dict[str, Any], version: int
) -> None:
    context = trusting(rig.pki) if listener != "ws" else None
    topic = "devices/pump-1/events/echo"
    with connected(port(rig, listener), "pump-1", rig.secrets["pump-1"], version, tls=context, **options) as device:
        assert device.refused is None
        payloads = [bytes([n]) * 200_000 for n in range(10)]
        infos = [device.publish(topic, payload, qos=1) for payload in payloads]
        for info in infos:
            info.wait_for_publish(30)
            assert info.is_published()
    eventually(lambda: not connection(rig.gateway, "pump-1")["connected"], what="its end")


def test_mosquitto_pub_is_known_by_its_certificate(rig: SimpleNamespace) -> None:
    rig.pki.issue("pump-2", "pump-2")
    command = [
        *(needs("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(port(rig, "tls")), "-V", "mqttv5", "-q", "1"),
        *("--cafile", rig.pki["ca.pem"], "--cert", rig.pki["pump-2.pem"], "--key", rig.pki["pump-2.key"]),
        *("-t", "devices/pump-2/events/door", "-m", "open"),
    ]
    before = connection(rig.gateway, "pump-2")["messages_in"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    assert connection(rig.gateway, "pump-2")["messages_in"] == before + 1


def test_a_revoked_certificate_is_disconnected_and_refused_after_a_reload(rig: SimpleNamespace) -> None:
    rig.pki.issue("pump-3", "pump-3")
    context = trusting(rig.pki, "pump-3")
    with connected(port(rig, "tls"), "", "", tls=context, client_id="revoked") as device:
        assert device.refused is None
        rig.pki.revoke("pump-3")
        reload(rig.gateway)
        assert device.disconnected.get(timeout=20).is_failure
        device.paho.loop_stop()
    with pytest.raises((ssl.SSLError, OSError)), tls_socket(rig, context) as stream:
        stream.sendall(b"\x10")
        while stream.recv(100):
            pass
        raise OSError("closed")
    assert counter(rig.gateway, "tls_failed_total") >= 1


def test_a_renewed_certificate_is_shown_to_new_connections_while_an_old_one_lives_on(rig: SimpleNamespace) -> None:
    def shown() -> bytes | None:
        with tls_socket(rig, trusting(rig.pki)) as stream:
            return stream.getpeercert(binary_form=True)

    with connected(port(rig, "tls"), "pump-1", rig.secrets["pump-1"], tls=trusting(rig.pki)) as old:
        before = shown()
        rig.pki.issue("server", "gateway")
        reload(rig.gateway)
        eventually(lambda: shown() != before, what="the new certificate")
        old.publish_acknowledged("devices/pump-1/events/still", "here")
        assert old.disconnected.empty()


def test_a_tls_session_is_resumed(rig: SimpleNamespace) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = trusting(rig.pki)
        context.minimum_version = context.maximum_version = version
        before = counter(rig.gateway, "tls_resumed_total")
        with tls_socket(rig, context) as first:
            # A garbled CONNECT is answered, and with TLS 1.3 the ticket comes before the answer.
            first.sendall(b"\x10\x00")
            first.recv(100)
            session = first.session
        with tls_socket(rig, context, session) as second:
            assert second.session_reused
        assert counter(rig.gateway, "tls_resumed_total") == before + 1


def test_the_address_that_a_load_balancer_tells_is_shown_to_operators(rig: SimpleNamespace) -> None:
    name, secret = b"pump-1", rig.secrets["pump-1"].encode()
    addresses = socket.inet_aton("203.0.113.7") + socket.inet_aton("10.0.0.1") + struct.pack(">HH", 51_000, 1883)
    header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack(">H", len(addresses)) + addresses
    fields = [b"balanced", name, secret]
    body = b"\0\x04MQTT\x04\xc2\0\x3c" + b"".join(struct.pack(">H", len(each)) + each for each in fields)
    assert len(body) < 128
    with socket.create_connection(("127.0.0.1", port(rig, "balanced")), timeout=10) as stream:
        stream.sendall(header + bytes([0x10, len(body)]) + body)
        assert stream.recv(4) == b"\x20\x02\0\0"
        shown = connection(rig.gateway, "pump-1")
        assert (shown["connected"], shown["address"]) == (True, "203.0.113.7:51000")


def test_garbage_instead_of_tls_is_answered_counted_and_told(rig: SimpleNamespace) -> None:
    before = counter(rig.gateway, "tls_failed_total")
    with socket.create_connection(("127.0.0.1", port(rig, "tls")), timeout=10) as stream:
        stream.sendall(b"\x10\x0e\0\x04MQTT\x05\x02\0\x3c\0\0\0")
        alert = stream.recv(100)
        assert (alert[0], alert[5]) == (21, 2)
    assert counter(rig.gateway, "tls_failed_total") == before + 1


def reload(gateway: RunningGateway) -> None:
    """SIGHUP."""
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGHUP)


def tls_socket(rig: SimpleNamespace, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port(rig, "tls")), timeout=10)
    return context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
