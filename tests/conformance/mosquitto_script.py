"""Runs one script of Mosquitto's broker tests against a gateway that runs: `python mosquitto_script.py SCRIPT PORT`.

The scripts start a Mosquitto with a configuration of their own and compare the bytes that come back. Here no broker is
started, and packets of MQTT 5 are compared by what they say (mqtt_packets.py). Where a script ends its broker, the
sessions and retained messages that it left are removed, so that its next part, and the next script, begin with none.
Where it starts a broker again on the same database, the parent, at the socket MOHHOS_SUITE_CONTROL, stops the gateway
and starts it again.
"""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import mqtt_packets

V311, V5 = 4, 5
#: A call in MQTT 3.1, which the gateway does not speak: that part of a script is left out.
V31 = re.compile(r"^do_test\(proto_ver=3\)$", re.MULTILINE)


def say(text: str) -> None:
    """Writes for who reads why a script failed."""
    sys.stdout.write(f"{text}\n")


class Broker:
    """What a script takes for the broker's process."""

    returncode = 0
    pid = 0

    def __init__(self, suite: "Suite") -> None:
        self._suite = suite
        self._runs = True

    def terminate(self) -> None:
        """The gateway goes on; what the script left goes."""
        if self._runs:
            self._runs = False
            self._suite.ended()

    kill = terminate

    def poll(self) -> int | None:
        """Whether it has ended."""
        return None if self._runs else 0

    def wait(self, **_options: object) -> int:
        """It ended well."""
        return 0

    def communicate(self, *_words: object, **_options: object) -> tuple[bytes, bytes]:
        """The gateway's messages are in its own log."""
        return b"", b""


class Socket(socket.socket):
    """A socket whose scripts see the end of a connection at a DISCONNECT of the server: some look for the end alone."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Reads, except a DISCONNECT of the server."""
        if not flags and (head := super().recv(3, socket.MSG_PEEK))[:1] == bytes([mqtt_packets.DISCONNECT]):
            whole = super().recv(2 + head[1], socket.MSG_PEEK) if len(head) == 3 and head[1] < 0x80 else b""
            if head[2] >= mqtt_packets.ERROR and len(whole) == 2 + head[1]:
                return b""
        return super().recv(size, flags)


def script_of_a_script(command: Any, **options: Any) -> "subprocess.Popen[bytes]":
    """Starts a helper as this program runs the script itself."""
    if str(command[0]).endswith(".py"):
        command = [sys.executable, __file__, os.path.abspath(command[0]), *command[1:]]  # noqa: PTH100
    return popen(command, **options)


popen = subprocess.Popen


class Suite:
    """The module mosq_test with the parts replaced that start a broker and that compare."""

    def __init__(self, module: Any, port: int, restarts: bool) -> None:
        self.module = module
        self.port = port
        self.versions: set[int] = set()
        self.restarts = restarts
        self.clients: set[str] = set()
        self.retained: set[str] = set()
        self.make_connect, self.make_publish = module.gen_connect, module.gen_publish
        module.start_broker = lambda *_words, **_options: Broker(self)
        module.expect_packet = self.expect
        module.packet_matches = self.matches
        module.receive_unordered = self.expect_both
        module.gen_connect = self.connect
        module.gen_publish = self.publish

    def ended(self) -> None:
        """A script has ended its broker."""
        if not self.restarts:
            self.versions.clear()
            return self.clean()
        with socket.socket(fileno=os.dup(int(os.environ["MOHHOS_SUITE_CONTROL"]))) as control:
            control.sendall(b"r")
            if control.recv(1) != b"r":
                raise OSError("the gateway was not restarted")
        return None

    def expect(self, sock: socket.socket, name: str, expected: bytes) -> bool:
        """Reads as many packets as are expected, or to the end, and compares."""
        wanted = mqtt_packets.split(expected) if expected else []
        if not wanted:
            received = mqtt_packets.read_to_end(sock)
            return self.judge(name, mqtt_packets.is_refusal(received), received, expected)
        received = b""
        for each in wanted:
            one = mqtt_packets.read(sock)
            received += one
            if not self.same(one, each):
                return self.judge(name, False, received, expected)
        return True

    def expect_both(self, sock: socket.socket, one: bytes, other: bytes, name: str) -> None:
        """Reads two packets that may come in either order."""
        first, second = mqtt_packets.read(sock), mqtt_packets.read(sock)
        right = any(self.same(first, a) and self.same(second, b) for a, b in ((one, other), (other, one)))
        self.judge(name, right, first + second, one + other)

    def same(self, received: bytes, expected: bytes) -> bool:
        """Whether two packets say the same."""
        return mqtt_packets.same(received, expected, is_v5=V5 in self.versions)

    def judge(self, name: str, right: bool, received: bytes, expected: bytes) -> bool:
        """Raises what a script takes for a failure."""
        if right:
            return True
        say(f"{name}: received {received.hex(' ')} {received!r}\n{name}: expected {expected.hex(' ')} {expected!r}")
        raise self.module.TestError

    def matches(self, name: str, received: bytes, expected: bytes) -> bool:
        """Compares what a script has read by itself."""
        if self.same(received, expected):
            return True
        say(f"{name}: received {received.hex(' ')} {received!r}\n{name}: expected {expected.hex(' ')} {expected!r}")
        return False

    def connect(self, client_id: str | None, *words: Any, **options: Any) -> bytes:
        """Makes a CONNECT and remembers whose."""
        self.versions.add(options.get("proto_ver", V311))
        if client_id:
            self.clients.add(client_id)
        if options.get("will_retain"):
            self.retained.add(options["will_topic"])
        made: bytes = self.make_connect(client_id, *words, **options)
        return made

    def publish(self, topic: str, *words: Any, **options: Any) -> bytes:
        """Makes a PUBLISH and remembers what is retained."""
        if options.get("retain"):
            self.retained.add(topic)
        made: bytes = self.make_publish(topic, *words, **options)
        return made

    def clean(self) -> None:
        """Ends the sessions and removes the retained messages."""
        for client_id in self.clients:
            self.once(self.make_connect(client_id, clean_session=True, proto_ver=V311))
        clear = b"".join(
            self.make_publish(topic, qos=1, retain=True, mid=n, proto_ver=V311)
            for n, topic in enumerate(sorted(self.retained), 1)
            if topic and not set(topic) & set("+#\0")
        )
        if clear:
            self.once(self.make_connect("cleaner", clean_session=True, proto_ver=V311) + clear)

    def once(self, packets: bytes) -> None:
        """Sends packets and waits for the end that DISCONNECT brings."""
        try:
            with socket.create_connection(("localhost", self.port), timeout=10) as sock:
                sock.sendall(packets + b"\xe0\0")
                mqtt_packets.read_to_end(sock)
        except OSError as error:
            say(f"cleaning: {error}")


def main() -> None:
    """Runs the script in its directory, as its makefile does."""
    script, port = Path(sys.argv[1]), int(sys.argv[2])
    os.chdir(script.parent)
    sys.path[:0] = [str(script.parent), str(script.parent.parent)]
    # Where there is a database, the broker is started again on it.
    restarts = "persistence true" in script.read_text()
    socket.socket = Socket  # type: ignore[misc]
    subprocess.Popen = script_of_a_script  # type: ignore[assignment,misc]
    import mosq_test

    suite = Suite(mosq_test, port, restarts)
    remove, exists = os.remove, os.path.exists

    def remove_database(path: str) -> None:
        if str(path).endswith(".db"):
            suite.clean()
        else:
            remove(path)

    os.remove = os.unlink = remove_database  # type: ignore[assignment]
    os.path.exists = lambda path: str(path).endswith(".db") or exists(path)  # type: ignore[assignment]
    sys.argv = [script.name, str(port)]
    source = V31.sub("", script.read_text())
    try:
        exec(compile(source, script.name, "exec"), {"__name__": "__main__", "__file__": script.name})
    finally:
        suite.clean()


if __name__ == "__main__":
    main()
