"""Mosquitto's own broker tests, against a listener that gives anonymous clients a role over all topics but one.

They are scripts that send packets over a socket and compare what comes back, in MQTT 3.1.1 and 5;
scripts/mosquitto-suite fetches them. mosquitto_script.py runs one, mqtt_packets.py says what is compared. Left out is
what is about Mosquitto and not about MQTT, by name and with the reason; and where Mosquitto does another thing than the
gateway, what the standard says about that.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType

import pytest
from tests.support.gateway import CONFIG, RunningGateway
from tests.support.ports import free_port
from tests.support.wire import Wire, packet, text, wire

SCRIPTS = Path(__file__).parents[2] / ".make" / "mosquitto-suite" / "broker"
RUNNER = Path(__file__).with_name("mosquitto_script.py")
GATEWAYS = 3
WITHIN_S = 90
DENIED = "test/nosubscribe"
LISTENER = """
anonymous_role = "tester"
dangerously_allow_anonymous = true

[limits]
max_topic_levels = 128
"""

#: What begins so is about a part of Mosquitto that the gateway does not have, or has of its own kind.
OTHER_THAN_MQTT = {
    "06-": "Mosquitto's bridges; tests/integration/test_bridge.py joins one with the gateway",
    "08-": "Mosquitto's TLS configuration and pre-shared keys; tests/integration/test_transports.py",
    "09-": "Mosquitto's plugins, password files and access control lists; authentication methods: crates/hub/tests",
    "10-": "Mosquitto's mount points",
    "14-": "Mosquitto's dynamic security plugin",
}
CONFIGURED = "it is about a configuration of Mosquitto: "
LEFT_OUT = {
    "01-connect-allow-anonymous": CONFIGURED + "who may connect without a user name",
    "01-connect-invalid-id-missing": "it speaks MQTT 3.1 alone",
    "01-connect-uname-no-password-denied": CONFIGURED + "its password file",
    "01-connect-uname-or-anon": CONFIGURED + "its password file",
    "01-connect-uname-password-denied-no-will": CONFIGURED + "its password file",
    "01-connect-uname-password-denied": CONFIGURED + "its password file",
    "01-connect-uname-password-success-no-tls": CONFIGURED + "its password file",
    "01-connect-zero-length-id": CONFIGURED + "allow_zero_length_clientid, on two ports",
    "02-subpub-qos0-long-topic": "200 levels: limits.max_topic_levels goes up to 128 here",
    "02-subpub-qos0-oversize-payload": CONFIGURED + "message_size_limit",
    "02-subpub-qos1-oversize-payload": CONFIGURED + "message_size_limit",
    "02-subpub-qos2-receive-maximum-helper": "a part of another script",
    "02-subscribe-long-topic": "Mosquitto's limit of 200 levels, as an error of the packet",
    "03-publish-long-topic": "Mosquitto's limit of 200 levels, as an error of the packet",
    "03-publish-qos1-queued-bytes": CONFIGURED + "max_queued_bytes; it is in Python 2",
    "03-publish-qos1-retain-disabled": CONFIGURED + "retain_available",
    "04-retain-check-source": CONFIGURED + "check_retain_source, with an access control list",
    "04-retain-check-source-persist": CONFIGURED + "check_retain_source, with an access control list",
    "04-retain-check-source-persist-diff-port": CONFIGURED + "check_retain_source, with an access control list",
    "04-retain-upgrade-outgoing-qos": CONFIGURED + "upgrade_outgoing_qos",
    "07-will-oversize-payload": CONFIGURED + "message_size_limit",
    "12-prop-assigned-client-identifier": "it compares the limits of a CONNACK, which each server chooses (3.2.2.3)",
    "12-prop-maximum-packet-size-broker": CONFIGURED + "max_packet_size",
    "12-prop-server-keepalive": CONFIGURED + "max_keepalive",
    "12-prop-topic-alias-invalid": "it takes 10 for the highest topic alias, which each server chooses (3.2.2.3.8)",
    "13-malformed-publish-v5": CONFIGURED + "maximum_qos and retain_available",
}
PACKET_IDS = "2.2.1: the sender chooses packet identifiers; the gateway gives none to a message that has expired"
TOO_LONG = (
    "2.1.4: a packet's size is 'equal to the length of the Fixed Header plus the Remaining Length': the one that "
    "Mosquitto sends has 21 bytes, and the client accepts 20"
)
WILL_AT_ONCE = (
    "3.1.3.2.2: 'The Server delays publishing the Client's Will Message until the Will Delay Interval has passed or "
    "the Session ends, whichever happens first': these sessions end with their connections"
)
#: Where Mosquitto does another thing than the gateway, and the standard permits or asks what the gateway does.
DIFFERENT = {
    "02-shared-qos0-v5": "4.8.2: which member of a group gets a message is the server's choice",
    "02-subpub-qos1-message-expiry": PACKET_IDS,
    "02-subscribe-dollar-v5": "4.7.2: $SYS/ is a prefix that servers may use; the gateway has nothing there",
    "03-publish-dollar-v5": "4.7.2: 'The Server SHOULD prevent Clients from using such Topic Names to exchange "
    "messages with other Clients'",
    "03-publish-qos1-max-inflight-expire": PACKET_IDS,
    "07-will-delay-reconnect": WILL_AT_ONCE,
    "07-will-delay-recover": WILL_AT_ONCE,
    "07-will-delay": WILL_AT_ONCE,
    "07-will-takeover": "3.1.1, MQTT-3.1.2-8: 'The Will Message MUST be published when the Network Connection is "
    "subsequently closed unless the Will Message has been deleted by the Server on receipt of a DISCONNECT Packet': "
    "after a take-over too",
    "11-message-expiry": PACKET_IDS,
    "12-prop-maximum-packet-size-publish-qos1": TOO_LONG,
    "12-prop-maximum-packet-size-publish-qos2": TOO_LONG,
    "12-prop-subpub-payload-format": "3.3.2.3.2: the payload format indicator is 0 or 1; 237 is refused",
}


def left_out(script: str) -> str | None:
    """Why a script is not run."""
    by_kind = next((why for prefix, why in OTHER_THAN_MQTT.items() if script.startswith(prefix)), None)
    return by_kind or LEFT_OUT.get(script) or DIFFERENT.get(script)


FOUND = sorted(path.stem for path in SCRIPTS.glob("[0-9]*.py"))
RUN = [script for script in FOUND if left_out(script) is None]


class Target:
    """One gateway that scripts are pointed at, one after the other."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        # It is restarted between, and the scripts know one port.
        self.port = free_port()
        self.gateway = RunningGateway(directory)
        config = CONFIG.format(data=self.gateway.data)
        place = 'name = "default"\nbind = "127.0.0.1:0"'
        assert place in config
        self.gateway.config.write_text(config)
        self.gateway.start()
        role = {"publish": ["#"], "subscribe": {"allow": ["#"], "deny": [DENIED]}}
        with self.gateway.client as api:
            assert api.put("/api/v1/roles/tester", json=role).status_code == 200
        self.gateway.stop()
        at = f'name = "default"\nbind = "127.0.0.1:{self.port}"{LISTENER}'
        self.gateway.config.write_text(config.replace(place, at))
        self.gateway.start()

    def run(self, script: str) -> tuple[int, str]:
        """Runs a script to its end: its exit code and what it printed."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, str(RUNNER), str(SCRIPTS / f"{script}.py"), str(self.port)],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    pass_fds=[theirs.fileno()],
                    env={**os.environ, "MOHHOS_SUITE_CONTROL": str(theirs.fileno())},
                )
            ours.settimeout(WITHIN_S)
            try:
                while ours.recv(1):
                    # Not killed: a script counts on what it acknowledged a moment before.
                    self.gateway.stop()
                    self.gateway.start()
                    ours.sendall(b"r")
            except TimeoutError:
                process.kill()
            printed, _ = process.communicate()
        return process.returncode, printed.decode(errors="replace")


@pytest.fixture(scope="module")
def outcomes(
    native: ModuleType, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[str, Future[tuple[int, str]]]]:
    """What comes of each script that was asked for. They wait most of the time, so several run at once."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    asked = sorted({call.params["script"] for call in calls if call is not None and "script" in call.params})
    free: SimpleQueue[Target] = SimpleQueue()
    with ExitStack() as stack, ThreadPoolExecutor(GATEWAYS) as pool:
        for n in range(min(GATEWAYS, len(asked))):
            target = Target(tmp_path_factory.mktemp("suite") / str(n))
            stack.callback(target.gateway.kill)
            free.put(target)

        def run(script: str) -> tuple[int, str]:
            target = free.get()
            try:
                return target.run(script)
            finally:
                free.put(target)

        yield {script: pool.submit(run, script) for script in asked}
        pool.shutdown(cancel_futures=True)


def test_the_suite_is_there_and_nothing_is_left_out_that_it_does_not_have() -> None:
    if not FOUND:
        message = "Mosquitto's tests are not there: scripts/mosquitto-suite"
        assert os.environ.get("CI") != "true", message
        pytest.skip(message)
    assert len(RUN) > 60
    for script in [*LEFT_OUT, *DIFFERENT]:
        assert script in FOUND, f"{script} is not in this version of the suite"


@pytest.mark.parametrize("script", RUN)
def test_a_script_of_mosquitto_finds_nothing(outcomes: dict[str, Future[tuple[int, str]]], script: str) -> None:
    code, printed = outcomes[script].result()
    assert code == 0, f"{script} ended with {code}:\n{printed}"


@pytest.mark.parametrize("version", [4, 5], ids=["3.1.1", "5"])
def test_anonymous_clients_have_all_topics_but_the_one_that_is_denied(
    native: ModuleType, tmp_path: Path, version: int
) -> None:
    target = Target(tmp_path / "gateway")
    try:
        with wire(target.port, version) as hears, wire(target.port, version) as speaks:
            assert hears.connect(None, None, "hears") == speaks.connect(None, None, "speaks") == 0
            assert granted(hears, DENIED) == (0x87 if version == 5 else 0x80)
            assert granted(hears, "#") == granted(hears, "+/+") == 0
            for topic in (DENIED, "other"):
                speaks.send(packet(0x30, text(topic) + (b"\0" if version == 5 else b"") + topic.encode()))
            assert hears.message() == ("other", b"other")
    finally:
        target.gateway.kill()


def granted(client: Wire, topic: str) -> int:
    """The code of the SUBACK."""
    client.send(packet(0x82, b"\0\1" + (b"\0" if client.version == 5 else b"") + text(topic) + b"\0"))
    first, body = client.next()
    assert first == 0x90
    return body[-1]
