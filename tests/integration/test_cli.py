"""The command line against a running gateway: exit codes, forms of output, words."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tests.support.data import recorded
from tests.support.gateway import RunningGateway, eventually
from tests.support.mqtt import client

from mohhos.cli.program import COMMANDS, program
from mohhos.sim.recording import load_map, read

EXCERPT = Path(__file__).parents[1] / "data" / "air_quality_excerpt.csv"


def mohhos(gateway: RunningGateway, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "mohhos", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "MOHHOS_CONFIG": str(gateway.config), "MOHHOS_TOKEN": gateway.token, **environment},
    )


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(gateway: RunningGateway, command: str) -> None:
    done = mohhos(gateway, command, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout
    assert "\x1b" not in done.stdout


def test_every_command_within_a_group_says_what_it_does() -> None:
    context = click.Context(program)
    seen = 0
    for name in COMMANDS:
        group = program.get_command(context, name)
        assert group is not None and group.help
        for word, each in getattr(group, "commands", {}).items():
            seen += 1
            assert each.help, f"mohhos {name} {word} has no help"
            assert "Usage:" in each.get_help(click.Context(each, info_name=word))
    assert seen > 15


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("devices", "show", "none"), 3),
        (("devices", "secret", "none"), 3),
        (("devices", "rm", "none", "--yes"), 3),
        (("devices", "add", "a/b"), 1),
        (("rules", "show", "none"), 3),
        (("rules", "rm", "none"), 3),
        (("alerts", "ack", "none"), 3),
        (("alerts", "resolve", "none"), 3),
        (("alerts", "ls", "--state", "asleep"), 2),
        (("telemetry", "none"), 3),
        (("telemetry",), 2),
        (("command", "none", "restart"), 3),
        (("command", "none", "restart", "{"), 2),
        (("applications", "rm", "none"), 3),
        (("applications", "add", "x", "--role", "none"), 3),
        (("applications", "add", "x"), 2),
        (("token", "rm", "none"), 3),
        (("token", "create", "x", "--scope", "all"), 2),
        (("backup",), 2),
        (("restore", "none.tar"), 2),
        (("sim", "--devices", "0"), 2),
        (("sim", "--replay", str(EXCERPT)), 2),
        (("sim", "--replay", str(EXCERPT), "--map", "none"), 1),
        (("sim", "--replay", str(EXCERPT), "--map", "skab"), 1),
    ],
    ids=lambda value: "-".join(w for w in value if "/" not in w) if isinstance(value, tuple) else str(value),
)
def test_what_fails_says_so_without_a_traceback(gateway: RunningGateway, words: tuple[str, ...], code: int) -> None:
    done = mohhos(gateway, *words)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("devices", "ls"),
        ("rules", "ls"),
        ("alerts", "ls"),
        ("applications", "ls"),
        ("telemetry", "none"),
        ("backup", "refused.tar"),
        ("command", "none", "restart"),
    ],
    ids=lambda words: words[0],
)
def test_who_is_not_let_in_and_who_finds_no_gateway(
    gateway: RunningGateway, tmp_path: Path, words: tuple[str, ...]
) -> None:
    words = tuple(str(tmp_path / w) if w.endswith(".tar") else w for w in words)
    refused = mohhos(gateway, *words, MOHHOS_TOKEN="wrong")
    assert (refused.returncode, "token-invalid" in refused.stderr) == (4, True), refused.stderr
    gone = mohhos(gateway, *words, MOHHOS_URL="http://127.0.0.1:9")
    assert (gone.returncode, "gateway-unreachable" in gone.stderr) == (5, True), gone.stderr
    assert list(tmp_path.iterdir()) == []


def test_tokens_and_applications_come_and_go(gateway: RunningGateway, tmp_path: Path) -> None:
    token = mohhos(gateway, "token", "create", "watcher", "--scope", "read", "--quiet").stdout.strip()
    assert mohhos(gateway, "devices", "ls", MOHHOS_TOKEN=token).returncode == 0
    assert mohhos(gateway, "devices", "add", "watched", MOHHOS_TOKEN=token).returncode == 4
    listed = [json.loads(line) for line in mohhos(gateway, "token", "ls", "--format", "json").stdout.splitlines()]
    (mine,) = [item for item in listed if item["name"] == "watcher"]
    assert token not in str(listed)
    assert mohhos(gateway, "token", "rm", mine["id"]).returncode == 0
    assert mohhos(gateway, "devices", "ls", MOHHOS_TOKEN=token).returncode == 4

    made = mohhos(gateway, "applications", "add", "panel", "--role", "observer", "--format", "json")
    with client(gateway.mqtt_port, "panel", json.loads(made.stdout)["secret"]) as panel:
        assert panel.refused is None
    assert "panel" in mohhos(gateway, "applications", "ls", "--format", "csv").stdout
    assert mohhos(gateway, "applications", "rm", "panel").returncode == 0
    assert "panel" not in mohhos(gateway, "applications", "ls", "--format", "csv").stdout


def test_a_device_that_answers_gives_its_output(gateway: RunningGateway) -> None:
    secret = json.loads(mohhos(gateway, "devices", "add", "valve", "--format", "json").stdout)["secret"]
    late = mohhos(gateway, "command", "valve", "open", "--wait", "0.2")
    assert (late.returncode, "command-timeout" in late.stderr) == (1, True)
    renewed = mohhos(gateway, "devices", "secret", "valve").stdout.strip()
    with client(gateway.mqtt_port, "valve", secret) as old:
        assert old.refused is not None
    with client(gateway.mqtt_port, "valve", renewed) as valve:
        valve.subscribe("devices/valve/commands/+")
        valve.paho.on_message = lambda _c, _u, message: valve.publish(
            f"{message.topic}/result", {"status": "succeeded", "output": json.loads(message.payload)["parameters"]}
        )
        done = mohhos(gateway, "command", "valve", "open", '{"by": 5}', "--wait", "20", "--format", "json")
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert (body["state"], body["output"]) == ("succeeded", {"by": 5})


def test_an_alert_is_acknowledged_and_resolved_by_its_id(gateway: RunningGateway, tmp_path: Path) -> None:
    rule = tmp_path / "warm.sql"
    rule.write_text("INSERT INTO alerts (device, message) SELECT device, 'warm' FROM telemetry WHERE num > 30")
    assert mohhos(gateway, "rules", "apply", str(rule)).returncode == 0
    with client(gateway.mqtt_port, "oven", gateway.add_device("oven")) as oven:
        oven.publish_acknowledged("devices/oven/telemetry", {"temperature": 31})

    def alerts(*words: str) -> list[dict[str, str]]:
        listed = mohhos(gateway, "alerts", "ls", "--rule", "warm", "--format", "csv", *words).stdout
        return list(csv.DictReader(io.StringIO(listed)))

    (alert,) = eventually(alerts, what="the alert")
    assert (alert["state"], alert["device"], alert["message"]) == ("open", "oven", "warm")
    assert mohhos(gateway, "alerts", "ack", alert["id"]).returncode == 0
    assert alerts()[0]["state"] == "acknowledged"
    assert mohhos(gateway, "alerts", "resolve", alert["id"]).returncode == 0
    assert alerts() == []
    again = mohhos(gateway, "alerts", "resolve", alert["id"])
    assert (again.returncode, "alert-resolved" in again.stderr) == (1, True)
    assert mohhos(gateway, "rules", "rm", "warm").returncode == 0


def test_exit_codes(gateway: RunningGateway) -> None:
    assert mohhos(gateway, "devices", "ls").returncode == 0
    exists = mohhos(gateway, "devices", "add", "twice")
    assert exists.returncode == 0
    again = mohhos(gateway, "devices", "add", "twice")
    assert (again.returncode, "device-exists" in again.stderr) == (1, True)
    assert mohhos(gateway, "devices", "nonsense").returncode == 2
    assert "Did you mean devices" in mohhos(gateway, "device", "ls").stderr
    missing = mohhos(gateway, "devices", "show", "none")
    assert (missing.returncode, "device-unknown" in missing.stderr) == (3, True)
    assert mohhos(gateway, "devices", "ls", MOHHOS_TOKEN="wrong").returncode == 4
    gone = mohhos(gateway, "devices", "ls", MOHHOS_URL="http://127.0.0.1:9")
    assert (gone.returncode, "mohhos up" in gone.stderr) == (5, True)


def test_output_for_programs_has_no_colours(gateway: RunningGateway) -> None:
    mohhos(gateway, "devices", "add", "lamp", "--type", "light", "--site", "Hall 3", "--label", "row:1")
    for form in ("table", "csv", "json"):
        text = mohhos(gateway, "devices", "ls", "lamp", "--format", form).stdout
        assert "\x1b" not in text
        assert "lamp" in text
    (row,) = csv.DictReader(io.StringIO(mohhos(gateway, "devices", "ls", "lamp", "--format", "csv").stdout))
    assert (row["id"], row["status"], row["site"]) == ("lamp", "never", "Hall 3")
    (line,) = mohhos(gateway, "devices", "ls", "lamp", "--format", "json").stdout.splitlines()
    assert json.loads(line)["labels"] == {"row": "1"}
    assert mohhos(gateway, "devices", "rm", "lamp", "--yes").returncode == 0


def test_a_wrong_rule_is_told_with_its_place(gateway: RunningGateway, tmp_path: Path) -> None:
    rule = tmp_path / "hot.sql"
    rule.write_text("INSERT INTO alerts (device)\nSELECT devise FROM telemetry")
    done = mohhos(gateway, "rules", "check", str(rule))
    assert done.returncode == 1
    assert "line 2, column 8" in done.stderr
    assert "device" in done.stderr.split("hint:")[1]
    rule.write_text("INSERT INTO alerts (device) SELECT device FROM telemetry WHERE num > 9")
    assert mohhos(gateway, "rules", "check", str(rule)).returncode == 0
    assert "hot runs, version 1" in mohhos(gateway, "rules", "apply", str(rule)).stdout
    assert "hot" in mohhos(gateway, "rules", "ls").stdout
    assert mohhos(gateway, "rules", "rm", "hot").returncode == 0
    assert mohhos(gateway, "alerts", "ls").returncode == 0


def test_a_replayed_recording_is_in_the_history_as_it_was(gateway: RunningGateway) -> None:
    done = mohhos(
        gateway, "sim", "--replay", str(EXCERPT), "--map", "air-quality-uci", "--speed", "0", "--device", "street"
    )
    assert done.returncode == 0, done.stderr
    assert "48 messages were sent and acknowledged" in done.stdout
    text = mohhos(gateway, "telemetry", "street", "--metric", "benzene", "--from", "2004-01-01", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(text.stdout)))
    assert (rows[0]["time"], rows[0]["num"]) == ("2004-03-10T18:00:00.000000Z", "11.9")
    lines = [line.split(";") for line in EXCERPT.read_text(encoding="utf-8").splitlines()[1:]]
    assert [float(r["num"]) for r in rows] == [float(c[5].replace(",", ".")) for c in lines if c[5] != "-200"]


def test_the_whole_air_quality_recording_is_in_the_history_row_by_row(gateway: RunningGateway) -> None:
    path = recorded("air_quality_uci.csv")
    rows = list(read(path, load_map("air-quality-uci")))
    done = mohhos(gateway, "sim", "--replay", str(path), "--map", "air-quality-uci", "--speed", "0", "--device", "uci")
    assert done.returncode == 0, done.stderr
    assert f"{len(rows)} messages were sent and acknowledged" in done.stdout
    expected = {(row.ts_us, metric): value for row in rows for metric, value in row.readings.items()}
    assert len(rows) == 9357 and len(expected) > 100_000
    query = {"from": "2004-01-01", "to": "2006-01-01", "limit": 100_000}
    stored, cursor = [], None
    with gateway.client as api:
        while True:
            page = api.get("/api/v1/devices/uci/telemetry", params={**query, **({"cursor": cursor} if cursor else {})})
            stored += [((item["ts"], item["metric"]), item["num"]) for item in page.json()["items"]]
            if (cursor := page.json()["next"]) is None:
                break
    assert len(stored) == len(expected), "each reading once"
    assert dict(stored) == expected


def test_a_backup_fills_an_empty_data_directory(gateway: RunningGateway, tmp_path: Path) -> None:
    secret = gateway.add_device("kept", labels={"row": "7"})
    with client(gateway.mqtt_port, "kept", secret) as kept:
        kept.publish_acknowledged("devices/kept/telemetry", {"level": 12.5})
    archive = tmp_path / "gateway.tar"
    assert mohhos(gateway, "backup", str(archive)).returncode == 0
    assert archive.stat().st_mode & 0o077 == 0, "it holds secrets"
    assert mohhos(gateway, "backup", str(archive)).returncode == 2, "it is there already"
    assert mohhos(gateway, "backup", str(archive), "--force").returncode == 0
    full = mohhos(gateway, "restore", str(archive))
    assert (full.returncode, "Traceback" in full.stderr) == (1, False), "the directory of a running gateway"

    other = RunningGateway(tmp_path / "other", token=gateway.token)
    other.directory.mkdir()
    other.config.write_text(gateway.config.read_text().replace(str(gateway.data), str(other.data)))
    assert mohhos(other, "restore", str(archive)).returncode == 0
    try:
        other.start()
        shown = json.loads(mohhos(other, "devices", "show", "kept", "--format", "json").stdout)
        assert shown["labels"] == {"row": "7"}
        assert [(i["metric"], i["num"]) for i in shown["latest"]] == [("level", 12.5)]
        with client(other.mqtt_port, "kept", secret) as again:
            assert again.refused is None
    finally:
        if other.process is not None:
            other.kill()


def test_a_file_that_is_no_backup_is_refused(gateway: RunningGateway, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.tar"
    wrong.write_bytes(b"no archive")
    config = tmp_path / "mohhos.toml"
    config.write_text(f'[gateway]\ndata_dir = "{tmp_path / "data"}"\n')
    done = mohhos(gateway, "--config", str(config), "restore", str(wrong))
    assert (done.returncode, "backup-unusable" in done.stderr) == (1, True), done.stderr


def test_a_simulated_fleet_connects_and_speaks(gateway: RunningGateway, tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    done = mohhos(gateway, "sim", "--devices", "5", "--rate", "20", "--seconds", "3", "--faults", "--truth", str(truth))
    assert done.returncode == 0, done.stderr
    assert "5 of 5 connected" in done.stdout
    assert isinstance(json.loads(truth.read_text()), list)
    assert mohhos(gateway, "telemetry", "pump-0001", "--metric", "flow", "--format", "csv").stdout.count("\n") > 2


def test_doctor_says_what_it_looked_at(gateway: RunningGateway) -> None:
    done = mohhos(gateway, "doctor")
    for subject in ("open files", "memory", "data directory", "disk", "clock"):
        assert subject in done.stdout
    assert f"gateway: it runs and is ready ({gateway.endpoints['api']})" in done.stdout
    assert "FAIL  listener" not in done.stdout and "FAIL  api.bind" not in done.stdout, "its ports are its own"


def test_doctor_says_that_no_gateway_runs_and_who_has_its_port(gateway: RunningGateway, tmp_path: Path) -> None:
    other = tmp_path / "mohhos.toml"
    other.write_text(f'[[mqtt.listeners]]\nbind = "127.0.0.1:{gateway.mqtt_port}"\n')
    done = mohhos(gateway, "--config", str(other), "doctor")
    assert done.returncode == 1
    assert "gateway: none runs on this data directory" in done.stdout
    assert f"listener mqtt: 127.0.0.1:{gateway.mqtt_port} cannot be used: Address already in use" in done.stdout
    assert "End the other program, or name another port" in done.stdout


def test_an_unknown_key_is_refused_with_the_nearest(gateway: RunningGateway, tmp_path: Path) -> None:
    wrong = tmp_path / "mohhos.toml"
    wrong.write_text('[gatway]\nname = "x"\n')
    done = mohhos(gateway, "--config", str(wrong), "up")
    assert done.returncode == 1
    assert "gatway" in done.stderr
    assert "gateway" in done.stderr
