"""The command line against a running gateway: exit codes, forms of output, words."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.gateway import RunningGateway

from mohhos.cli.program import COMMANDS

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


def test_a_simulated_fleet_connects_and_speaks(gateway: RunningGateway, tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    done = mohhos(gateway, "sim", "--devices", "6", "--rate", "20", "--seconds", "3", "--faults", "--truth", str(truth))
    assert done.returncode == 0, done.stderr
    assert "6 of 6 connected" in done.stdout
    assert isinstance(json.loads(truth.read_text()), list)
    assert mohhos(gateway, "telemetry", "pump-0001", "--metric", "flow", "--format", "csv").stdout.count("\n") > 2


def test_doctor_says_what_it_looked_at(gateway: RunningGateway) -> None:
    done = mohhos(gateway, "doctor")
    for subject in ("open files", "memory", "data directory", "disk", "clock"):
        assert subject in done.stdout


def test_an_unknown_key_is_refused_with_the_nearest(gateway: RunningGateway, tmp_path: Path) -> None:
    wrong = tmp_path / "mohhos.toml"
    wrong.write_text('[gatway]\nname = "x"\n')
    done = mohhos(gateway, "--config", str(wrong), "up")
    assert done.returncode == 1
    assert "gatway" in done.stderr
    assert "gateway" in done.stderr
