"""The examples run: the device against a gateway, every rule through its check."""

import re
import shlex
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


def policy_commands() -> list[list[str]]:
    """The commands of docs/policy.md, in order, as words."""
    text = (EXAMPLES.parent / "docs" / "policy.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


def test_the_walk_through_the_policy_runs_as_it_is_written(gateway: RunningGateway) -> None:
    told = {}
    for line in policy_commands():
        words = [str(EXAMPLES / "roles.toml") if word == "examples/roles.toml" else word for word in line]
        told[" ".join(words[1:])] = gateway.run(*words)
    assert "press-1 may publish" in told["explain press-1 publish lines/a/state/press-1"]
    assert "press-1 may not publish" in told["explain press-1 publish lines/b/state/press-1"]
    assert "lines/+/stop" in told["explain panel-a publish lines/a/stop"]
    assert "may not subscribe" in told["explain panel-a subscribe lines/#"]
    assert "receive.deny" in told["explain panel-a receive devices/press-1/configuration/desired"]
    assert "quarantine" in told["explain press-1 publish devices/press-1/telemetry"]
    assert "it scans the network" in told["show press-1"]
    actions = ["device.allow", "device.kick", "device.throttle", "device.allow", "device.quarantine", "principal.roles"]
    places = [told["audit press-1"].index(action) for action in dict.fromkeys(actions)]
    assert places == sorted(places), "the newest first"


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
