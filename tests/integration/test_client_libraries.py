"""The same conversation with every client library, over every transport that it has, in both versions of MQTT.

Credentials right and wrong, all QoS in order, retained messages, a large payload, a session that goes on, a will.
paho is driven from here; MQTT.js and the Go clients are programs in clients/, built by scripts/client-libraries;
mosquitto_pub and mosquitto_sub are in test_mosquitto_clients.py.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tests.support.mqtt import Client, client, kept, needs
from tests.support.transports import gateway_of_all_transports, port, trusting

BUILT = Path(__file__).parents[2] / ".make" / "clients"
STEPS = ["credentials", "qos", "retained", "large", "session"]
SCHEMES = {
    "mqttjs": {"tcp": "mqtt", "tls": "mqtts", "ws": "ws", "wss": "wss"},
    "go": {"tcp": "tcp", "tls": "ssl", "ws": "ws", "wss": "wss"},
}
MESSAGES = 50
WITHIN_S = 120

libraries = pytest.mark.parametrize("library", ["mqttjs", "go"])
transports = pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])
versions = pytest.mark.parametrize("version", [4, 5], ids=["3.1.1", "5"])


@pytest.fixture(scope="module")
def rig(native: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    with gateway_of_all_transports(tmp_path_factory.mktemp("libraries"), "pump-1") as started:
        yield started


def command(library: str, *words: str) -> list[str]:
    """How its program is started; where it is not built the test is skipped, except in CI, where that is a failure."""
    program = BUILT / ("mqttjs/client.mjs" if library == "mqttjs" else "go-client")
    modules = BUILT / "mqttjs" / "node_modules" / "mqtt"
    if not program.exists() or (library == "mqttjs" and not modules.exists()):
        message = f"the {library} client is not built: scripts/client-libraries"
        assert os.environ.get("CI") != "true", message
        pytest.skip(message)
    return [*([needs("node")] if library == "mqttjs" else []), str(program), *words]


def job(rig: SimpleNamespace, library: str, transport: str, version: int) -> str:
    name = f"{library}-{transport}-{version}"
    return json.dumps(
        {
            "url": f"{SCHEMES[library][transport]}://localhost:{port(rig, transport)}/mqtt",
            "ca": rig.pki["ca.pem"] if transport in {"tls", "wss"} else "",
            "user": "pump-1",
            "password": rig.secrets["pump-1"],
            "name": name,
            "topic": f"devices/pump-1/events/{name}",
            "version": version,
        }
    )


@versions
@transports
@libraries
def test_a_library_holds_the_conversation(rig: SimpleNamespace, library: str, transport: str, version: int) -> None:
    done = subprocess.run(
        command(library, "check"),
        input=job(rig, library, transport, version),
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )
    assert done.returncode == 0, f"after {done.stdout.split()}:\n{done.stderr}"
    assert done.stdout.split() == STEPS


@versions
@transports
@libraries
def test_the_will_of_a_library_that_is_killed_is_published(
    rig: SimpleNamespace, library: str, transport: str, version: int
) -> None:
    asked = job(rig, library, transport, version)
    topic = f"{json.loads(asked)['topic']}/will"
    with client(port(rig, "tcp"), "pump-1", rig.secrets["pump-1"], client_id=f"heir-{library}") as heir:
        heir.subscribe(topic)
        with subprocess.Popen(
            command(library, "hold"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            try:
                assert holder.stdin is not None and holder.stdout is not None
                holder.stdin.write(asked)
                holder.stdin.close()
                assert holder.stdout.readline() == "holds\n"
                assert heir.messages.empty(), "a will before the end"
            finally:
                holder.kill()
            will = heir.next(within_s=20)
            assert (will.topic, will.payload) == (topic, b"gone")


@versions
@transports
def test_paho_for_python_holds_the_conversation(rig: SimpleNamespace, transport: str, version: int) -> None:
    name = f"paho-{transport}-{version}"
    topic = f"devices/pump-1/events/{name}"

    def opened(who: str, **options: Any) -> Client:
        options |= {"transport": "websockets"} if transport in {"ws", "wss"} else {}
        tls = trusting(rig.pki) if transport in {"tls", "wss"} else None
        password = options.pop("password", rig.secrets["pump-1"])
        return Client(port(rig, transport), "pump-1", password, version, client_id=f"{name}-{who}", tls=tls, **options)

    wrong = opened("wrong", password="wrong")
    assert wrong.refused is not None
    with closing(opened("hears")) as hears, closing(opened("speaks")) as speaks:
        for qos in (0, 1, 2):
            hears.subscribe(f"{topic}/qos", qos)
            for n in range(MESSAGES):
                speaks.publish(f"{topic}/qos", {"n": n}, qos)
            got = [hears.next() for _ in range(MESSAGES)]
            assert [(json.loads(each.payload)["n"], each.qos, each.retain) for each in got] == [
                (n, qos, False) for n in range(MESSAGES)
            ]
        speaks.publish_acknowledged(f"{topic}/retained", b"kept", retain=True)
        hears.subscribe(f"{topic}/retained")
        message = hears.next()
        assert (message.payload, message.retain) == (b"kept", True)
        speaks.publish_acknowledged(f"{topic}/retained", b"", retain=True)
        assert hears.next().payload == b""
        large = bytes(range(251)) * 1_200
        hears.subscribe(f"{topic}/large", 2)
        speaks.publish_acknowledged(f"{topic}/large", large, 2)
        assert hears.next().payload == large
        session: dict[str, Any] = kept(600) if version == 5 else {"clean_session": False}
        with closing(opened("session", **session)) as before:
            assert not before.session_present
            before.subscribe(f"{topic}/session", 2)
        for n in range(MESSAGES):
            speaks.publish_acknowledged(f"{topic}/session", {"n": n}, 1 + 2 * n // MESSAGES)
        with closing(opened("session", **session)) as after:
            assert after.session_present
            assert [json.loads(after.next().payload)["n"] for _ in range(MESSAGES)] == list(range(MESSAGES))
        holds = opened("holds", will=f"{topic}/will")
        hears.subscribe(f"{topic}/will")
        cut(holds)
        assert (will := hears.next()).topic == f"{topic}/will" and will.payload == b"gone"


def cut(held: Client) -> None:
    """Ends a connection without DISCONNECT."""
    held.paho.loop_stop()
    held.paho.socket().close()
