"""A gateway that cannot start says why, what to do, and ends with 1; the one that runs does not notice."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.gateway import CONFIG, RunningGateway
from tests.support.mqtt import client

ANY_API = '[api]\nbind = "127.0.0.1:0"'
ANY_MQTT = 'name = "default"\nbind = "127.0.0.1:0"'


def up(config: Path) -> "subprocess.CompletedProcess[str]":
    """`mohhos up`, which is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "mohhos", "up", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "NO_COLOR": "1"},
    )


def refused(done: "subprocess.CompletedProcess[str]", code: str, *words: str) -> None:
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"code: {code}" in done.stderr, done.stderr
    assert " next: " in done.stderr, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    for word in words:
        assert word in done.stderr, f"{word!r} is not in {done.stderr}"


@pytest.fixture(scope="module")
def secret(gateway: RunningGateway) -> str:
    return gateway.add_device("pump")


@pytest.mark.parametrize("way", ["data directory", "MQTT port", "API port"])
def test_a_second_gateway_is_refused_and_the_first_goes_on(
    gateway: RunningGateway, secret: str, tmp_path: Path, way: str
) -> None:
    assert gateway.process is not None
    before = gateway.endpoints
    api = f"127.0.0.1:{before['api'].rpartition(':')[2]}"
    mqtt = f"127.0.0.1:{gateway.mqtt_port}"
    config = tmp_path / "second.toml"
    text = CONFIG.format(data=gateway.data if way == "data directory" else tmp_path / "data")
    with client(gateway.mqtt_port, "pump", secret, client_id="pump") as pump:
        pump.subscribe("devices/pump/events/#")
        if way == "data directory":
            config.write_text(text)
            refused(up(config), "data-dir-locked", str(gateway.data), f"process {gateway.process.pid}")
        elif way == "MQTT port":
            config.write_text(text.replace(ANY_MQTT, f'name = "default"\nbind = "{mqtt}"'))
            refused(up(config), "listener-unavailable", mqtt, "default")
        else:
            config.write_text(text.replace(ANY_API, f'[api]\nbind = "{api}"'))
            refused(up(config), "api-port-taken", api)
        pump.publish_acknowledged("devices/pump/events/still", {"here": True})
        assert pump.next().topic == "devices/pump/events/still"
        assert pump.disconnected.empty()
    assert gateway.endpoints == before, "where the first one is stays written down"
    with gateway.client as running:
        assert running.get("/readyz").status_code == 200


def configured(tmp_path: Path) -> tuple[Path, Path]:
    config, data = tmp_path / "mohhos.toml", tmp_path / "data"
    config.write_text(CONFIG.format(data=data))
    return config, data


def tree(data: Path) -> dict[str, bytes]:
    """All files but the lock, whose content is the process that tried."""
    return {
        str(path.relative_to(data)): path.read_bytes()
        for path in sorted(data.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def test_data_of_a_newer_version_are_refused_and_left_as_they_are(native: object, tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path).start()
    assert gateway.stop() == 0
    known = (gateway.data / "FORMAT").read_text()
    newer = known.replace("format 1", "format 99")
    assert newer != known
    (gateway.data / "FORMAT").write_text(newer)
    before = tree(gateway.data)
    refused(up(gateway.config), "data-dir-newer", "format 99", str(gateway.data), "newer program", "backup")
    assert tree(gateway.data) == before, "a program that does not know the format changes nothing"
    (gateway.data / "FORMAT").write_text(known)
    gateway.start()
    assert gateway.stop() == 0


def test_a_registry_of_a_newer_version_is_refused(native: object, tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path).start()
    assert gateway.stop() == 0
    with sqlite3.connect(gateway.data / "registry.db") as registry:
        registry.execute("PRAGMA user_version = 9999")
    registry.close()
    refused(up(gateway.config), "data-dir-newer", "9999")


def test_a_directory_that_is_none_of_ours_is_refused(native: object, tmp_path: Path) -> None:
    config, data = configured(tmp_path)
    data.mkdir()
    (data / "FORMAT").write_text("a file of somebody else\n")
    refused(up(config), "data-dir-unusable", "FORMAT")


def test_a_data_directory_that_cannot_be_made_is_refused(native: object, tmp_path: Path) -> None:
    config, data = configured(tmp_path)
    data.write_text("a file, where a directory should be")
    refused(up(config), "data-dir-unusable", str(data))


def test_an_address_of_another_machine_is_refused(native: object, tmp_path: Path) -> None:
    config, _ = configured(tmp_path)
    config.write_text(config.read_text().replace(ANY_MQTT, 'bind = "192.0.2.1:1883"'))
    refused(up(config), "listener-unavailable", "192.0.2.1:1883")
