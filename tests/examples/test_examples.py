"""The examples run: the device against a gateway, every rule through its check."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.gateway import RunningGateway, eventually, running

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def gateway(native: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running(tmp_path_factory.mktemp("examples")) as started:
        yield started


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.sql")), ids=lambda path: path.name)
def test_a_rule_is_deployed(gateway: RunningGateway, path: Path) -> None:
    gateway.run("rules", "check", str(path))
    gateway.run("rules", "apply", str(path))
    assert path.stem in gateway.run("rules", "ls", "--format", "csv")


def test_the_device_publishes_and_answers(gateway: RunningGateway) -> None:
    secret = gateway.add_device("first")
    program = [sys.executable, str(EXAMPLES / "first_device.py")]
    process = subprocess.Popen([*program, "127.0.0.1", str(gateway.mqtt_port), "first", secret])
    try:
        with gateway.client as api:
            latest = "/api/v1/devices/first/latest"
            eventually(lambda: len(api.get(latest).json()["items"]) == 2, what="the readings")
            body = {"name": "set_level", "parameters": {"level": 7}}
            answer = api.post("/api/v1/devices/first/commands?wait=10", json=body)
            assert (answer.status_code, answer.json()["output"]) == (200, {"level": 7})
    finally:
        process.kill()
        process.wait(10)
