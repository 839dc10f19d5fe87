"""mosquitto_pub and mosquitto_sub, over TCP and TLS, in both versions. Version 2.0 of them has no WebSocket."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from tests.support.mqtt import Listener, client, needs
from tests.support.transports import gateway_of_all_transports, port

WITHIN_S = 30
pytestmark = [
    pytest.mark.parametrize("transport", ["tcp", "tls"]),
    pytest.mark.parametrize("version", ["mqttv311", "mqttv5"]),
]


@pytest.fixture(scope="module")
def rig(native: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    with gateway_of_all_transports(tmp_path_factory.mktemp("mosquitto"), "pump-1") as started:
        yield started


class Side:
    """How to reach the gateway in one version over one transport."""

    def __init__(self, rig: SimpleNamespace, transport: str, version: str) -> None:
        self.topic = f"devices/pump-1/events/{transport}-{version}"
        self.to = ["-h", "localhost", "-p", str(port(rig, transport)), "-V", version, "-u", "pump-1"]
        self.secret = ["-P", rig.secrets["pump-1"]]
        self.to += ["--cafile", rig.pki["ca.pem"]] if transport == "tls" else []

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Runs one of the programs to its end."""
        whole = [needs(program), *self.to, *([] if "-P" in words else self.secret), *words]
        return subprocess.run(whole, capture_output=True, check=False, timeout=WITHIN_S)

    def publish(self, *words: str) -> None:
        """Publishes, and it is acknowledged."""
        done = self.run("mosquitto_pub", *words)
        assert done.returncode == 0, done.stderr

    def listen(self, *words: str) -> "subprocess.Popen[str]":
        """Starts mosquitto_sub; its messages come out one a line."""
        whole = ["stdbuf", "-oL", needs("mosquitto_sub"), *self.to, *self.secret, "-d", "-v", *words]
        return subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture
def side(rig: SimpleNamespace, transport: str, version: str) -> Side:
    return Side(rig, transport, version)


def test_a_wrong_password_is_refused(side: Side) -> None:
    refused = side.run("mosquitto_pub", "-P", "wrong", "-t", side.topic, "-m", "x", "-q", "1")
    assert refused.returncode != 0
    assert b"not authorised" in refused.stderr.lower() or b"bad user name" in refused.stderr.lower(), refused.stderr


@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_what_one_publishes_the_other_prints_in_order(side: Side, qos: str) -> None:
    heard = Listener(side.listen("-t", f"{side.topic}/qos{qos}", "-q", qos))
    try:
        heard.until("SUBACK")
        lines = "".join(f"{n}\n" for n in range(50))
        words = [needs("mosquitto_pub"), *side.to, *side.secret, "-t", f"{side.topic}/qos{qos}", "-q", qos, "-l"]
        subprocess.run(words, input=lines, text=True, check=True, timeout=WITHIN_S)
        assert [heard.message(side.topic) for _ in range(50)] == [str(n) for n in range(50)]
    finally:
        heard.end()


def test_a_retained_message_is_printed_as_such_to_who_comes_later(side: Side) -> None:
    topic = f"{side.topic}/retained"
    side.publish("-t", topic, "-m", "kept", "-q", "1", "-r")
    got = side.run("mosquitto_sub", "-t", topic, "-C", "1", "-q", "1", "--retained-only", "-F", "%r %p")
    assert got.stdout == b"1 kept\n"
    side.publish("-t", topic, "-n", "-q", "1", "-r")
    none = side.run("mosquitto_sub", "-t", topic, "-W", "1", "-E")
    assert none.stdout == b""


def test_a_large_file_comes_out_as_it_went_in(side: Side, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(range(251)) * 1_200)
    side.publish("-t", f"{side.topic}/large", "-f", str(file), "-q", "2", "-r")
    got = side.run("mosquitto_sub", "-t", f"{side.topic}/large", "-C", "1", "-q", "2", "-N")
    assert got.stdout == file.read_bytes()
    side.publish("-t", f"{side.topic}/large", "-n", "-q", "1", "-r")


def test_a_session_keeps_what_comes_while_it_is_away(side: Side, version: str) -> None:
    topic = f"{side.topic}/session"
    session = ["-i", f"session-{side.topic}", "-c", "-q", "2", "-t", topic]
    session += ["-x", "600"] if version == "mqttv5" else []
    done = side.run("mosquitto_sub", *session, "-E")
    assert done.returncode == 0, done.stderr
    for n in range(10):
        side.publish("-t", topic, "-m", str(n), "-q", str(1 + n // 5))
    got = side.run("mosquitto_sub", *session, "-C", "10")
    assert got.stdout.split() == [str(n).encode() for n in range(10)]


def test_the_will_of_one_that_is_killed_is_published(rig: SimpleNamespace, side: Side) -> None:
    topic = f"{side.topic}/will"
    with client(port(rig, "tcp"), "pump-1", rig.secrets["pump-1"], client_id="heir") as heir:
        heir.subscribe(topic)
        will = ["--will-topic", topic, "--will-payload", "gone", "--will-qos", "1"]
        holder = Listener(side.listen("-t", side.topic, *will))
        try:
            holder.until("SUBACK")
        finally:
            holder.end()
        message = heir.next(within_s=20)
        assert (message.topic, message.payload) == (topic, b"gone")
