"""What hostile or broken clients send: each is stopped by a limit, memory stays bounded, and nobody else notices.

The same for what is piled up within the hub, with a clock that tests set: crates/hub/tests/bombs.rs and limits.rs.
"""

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from tests.support.gateway import RunningGateway, eventually, running
from tests.support.mqtt import Client, client, is_undisturbed, kept
from tests.support.wire import packet, text, wire

CONFIG = """
[[mqtt.listeners]]
name = "ws"
bind = "127.0.0.1:0"
transport = "ws"

[limits]
connect_timeout = "1 s"
max_subscriptions = 5
max_sessions = 3
"""
QUOTA_EXCEEDED = 0x97
MIB = 1 << 20


@pytest.fixture(scope="module")
def gateway(native: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running(tmp_path_factory.mktemp("attacked"), CONFIG) as started:
        yield started


def memory(gateway: RunningGateway) -> int:
    """The bytes of the process that are in memory."""
    assert gateway.process is not None
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) * 1024


def is_over(connection: socket.socket) -> bool:
    """Has the other side closed it? Sends a byte in any case."""
    connection.setblocking(False)
    try:
        connection.send(b"a")
        return connection.recv(100) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize(
    ("listener", "beginning"),
    [
        ("default", packet(0x10, text("MQTT") + b"\5\2\0\0\0" + text("slow") + b"\0" * 2_000)[:20]),
        ("ws", b"GET / HTTP/1.1\r\nHost: gateway\r\nX: "),
    ],
    ids=["mqtt", "websocket"],
)
def test_slowloris_who_sends_a_byte_now_and_then_is_closed(
    gateway: RunningGateway, bystander: Client, listener: str, beginning: bytes
) -> None:
    port = gateway.endpoints["mqtt"][listener]
    with contextlib.ExitStack() as stack:
        left = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(300)]
        for each in left:
            each.sendall(beginning)
        is_undisturbed(bystander, listener)

        def all_over() -> bool:
            left[:] = [each for each in left if not is_over(each)]
            return not left

        eventually(all_over, within_s=20, what="the end of all that never say who they are")
    is_undisturbed(bystander, f"after {listener}")


def test_connections_that_say_nothing_are_closed_and_a_client_that_is_gone_is_missed(
    gateway: RunningGateway, bystander: Client
) -> None:
    secret = gateway.add_device("vanished")
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", gateway.mqtt_port))) for _ in range(300)]
        gone = stack.enter_context(wire(gateway.mqtt_port))
        will = b"\0" + text("devices/vanished/events/gone") + text("will")
        body = text("MQTT") + b"\5\xc6" + struct.pack(">H", 1) + b"\0" + text("vanished") + will
        gone.send(packet(0x10, body + text("vanished") + text(secret)))
        assert gone.next()[1][1] == 0
        # A connection whose other end is gone is silent too: one and a half keep-alives later it ends.
        assert gone.ended() == 0x8D
        for each in silent:
            each.settimeout(20)
            assert each.recv(1) == b""
    is_undisturbed(bystander, "vanished")


def test_a_million_topics_leave_nothing_behind_in_memory(gateway: RunningGateway, bystander: Client) -> None:
    secret = gateway.add_device("babbler")
    # Buffers have found their size after the first topics.
    first, count, batch = 500_000, 1_500_000, 10_000
    body = b"\x30" + bytes([len("devices/babbler/events/0000000") + 4]) + text("devices/babbler/events/%07d") + b"\0x"
    # The length within the text is of the number as it is written.
    body = body.replace(text("devices/babbler/events/%07d")[:2], struct.pack(">H", 30), 1)
    with wire(gateway.mqtt_port) as babbler:
        assert babbler.connect("babbler", secret) == 0
        for start in range(0, count, batch):
            if start == first:
                babbler.send(b"\xc0\0")
                assert babbler.next()[0] == 0xD0
                before = memory(gateway)
            babbler.send(b"".join(body % n for n in range(start, start + batch)))
        babbler.send(b"\xc0\0")
        assert babbler.next()[0] == 0xD0
        with gateway.client as api:

            def received() -> bool:
                return int(api.get("/api/v1/devices/babbler/connection").json()["messages_in"]) == count

            eventually(received, what="all messages")
        # Less than 64 bytes for each of a million topics.
        eventually(lambda: memory(gateway) - before < 64 * MIB, within_s=60, what="the memory before")
    is_undisturbed(bystander, "babbler")


def test_subscriptions_and_sessions_are_limited_as_the_configuration_says(
    gateway: RunningGateway, bystander: Client
) -> None:
    secret = gateway.add_device("bomber")
    with client(gateway.mqtt_port, "bomber", secret, client_id="bomber") as bomber:
        answers = [bomber.subscribe(f"devices/bomber/events/{n}")[0].value for n in range(6)]
        assert answers == [1, 1, 1, 1, 1, QUOTA_EXCEEDED]
    for n in range(3):
        with client(gateway.mqtt_port, "bomber", secret, client_id=f"kept-{n}", **kept()):
            pass
    with client(gateway.mqtt_port, "bomber", secret, client_id="kept-3", **kept()) as fourth:
        assert fourth.refused is not None and fourth.refused.value == QUOTA_EXCEEDED

    def told() -> set[str]:
        with gateway.client as api:
            items = api.get("/api/v1/refusals").json()["items"]
        return {word for item in items if item["principal"] == "bomber" for word in item["reason"].split()}

    eventually(lambda: {"limits.max_subscriptions", "limits.max_sessions"} <= told(), what="both refusals")
    is_undisturbed(bystander, "bomber")


def test_garbage_without_end_is_closed_at_once(gateway: RunningGateway, bystander: Client) -> None:
    for garbage in (b"\0", b"\xff", b"GET / HTTP/1.1\r\n", b"\x10\xff\xff\xff\xff"):
        with socket.create_connection(("127.0.0.1", gateway.mqtt_port), timeout=20) as connection:
            began = time.monotonic()
            with contextlib.suppress(OSError):
                while time.monotonic() - began < 20:
                    connection.sendall(garbage * 4_096)
            assert time.monotonic() - began < 20, "it takes garbage for ever"
    is_undisturbed(bystander, "garbage")
