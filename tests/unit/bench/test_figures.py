"""What the benchmark makes of its measurements: medians, ratios, comparisons, tables."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bench import options
from bench.at_work import OperatorWork
from bench.latency import Latency
from bench.machine import Machine
from bench.measure import Measurement
from bench.options import Case
from bench.report import markdown
from bench.results import Results, save
from bench.targets import targets
from bench.throughput import CaseResult
from bench.verify import FIRST_SEQUENCE, Verification, sequence_sum

CASE = Case(1_000, 10, 10)
MACHINE = Machine("a processor", 2, 1 << 34, "6", "3.11", "2.0", "abc", 0, (0.1, 0.2, 0.3))


def run(server: str, rate: float) -> Measurement:
    return Measurement(server, int(rate * 60), 60, rate, 10, 1, 1 << 20, 2 << 20, 0, None, None)


def checked(**changes: object) -> Verification:
    good = {"sent": 10, "taken": 10, "ruled": {"a": 20}, "hot_sent": 1, "hot_found": 1, "stored": 10}
    lists = {"devices_wrong": [], "devices_in_order": 3, "devices_out_of_order": []}
    return Verification(**{**good, **lists, **changes})  # type: ignore[arg-type]  # one of them is changed by each case


def results(*runs: Measurement) -> Results:
    case = CaseResult(CASE, list(runs), [checked()])
    return Results(datetime(2026, 1, 31, tzinfo=UTC), "python -m bench", 60, 3, MACHINE, [case])


def test_the_ratio_compares_rounds_in_pairs() -> None:
    noisy = [run("bare sink", 100), run("gateway", 70), run("bare sink", 10), run("gateway", 8)]
    quiet = [run("bare sink", 110), run("gateway", 66), run("Mosquitto", 20)]
    case = CaseResult(CASE, noisy + quiet, [])
    assert case.ratio("gateway") == pytest.approx(0.7)
    assert case.ratio("Mosquitto") == pytest.approx(0.2)
    assert case.ratio("another") is None
    middle = case.median("bare sink")
    assert middle is not None
    assert middle.messages_per_s == 100


@pytest.mark.parametrize(("ours", "reached"), [(60, True), (59, False)])
def test_a_target_is_reached_or_not(ours: float, reached: bool) -> None:
    found = targets(results(run("bare sink", 100), run("gateway", ours)))
    assert [target.reached for target in found] == [reached, True]


@pytest.mark.parametrize(
    ("connections", "subscribers", "peer", "theirs", "reached"),
    [
        (10_000, 1, "NATS", 83, True),
        (10_000, 1, "NATS", 84, False),
        (1, 1_000, "rumqttd", 83, True),
        (1, 1_000, "rumqttd", 84, False),
        (10_000, 0, "rumqttd", 101, False),
    ],
)
def test_a_peer_is_beaten_by_as_much_as_is_wanted_or_not(
    connections: int, subscribers: int, peer: str, theirs: float, reached: bool
) -> None:
    case = CaseResult(Case(connections, 1, 10, subscribers=subscribers), [run("gateway", 100), run(peer, theirs)])
    found = Results(datetime(2026, 1, 31, tzinfo=UTC), "python -m bench", 60, 1, MACHINE)
    if subscribers:
        found.delivered.append(case)
    else:
        found.throughput.append(case)
    assert [target.reached for target in targets(found)] == [reached]
    assert f"| {peer} |" in re.sub(" +", " ", markdown(found))


@pytest.mark.parametrize(
    "changes",
    [
        {"taken": 9},
        {"ruled": {"a": 20, "b": 19}},
        {"hot_found": 2},
        {"stored": 11},
        {"devices_wrong": ["a device"]},
        {"devices_out_of_order": ["a device"]},
    ],
)
def test_whatever_is_not_the_same_is_noticed(changes: dict[str, object]) -> None:
    assert checked().holds
    assert checked(stored=None).holds, "the history is not asked after every load"
    assert not checked(**changes).holds


@pytest.mark.parametrize(("messages", "topics"), [(1, 1), (7, 1), (7, 3), (9, 3), (25, 10)])
def test_the_sum_of_sequence_numbers_is_that_of_the_messages_sent(messages: int, topics: int) -> None:
    assert sequence_sum(messages, topics) == sum(FIRST_SEQUENCE + n // topics for n in range(messages))


def test_the_result_files_hold_figures_and_no_failure_is_hidden(tmp_path: Path) -> None:
    found = results(run("bare sink", 1_500_000), run("gateway", 1_200_000))
    report = {"reactions": 99, "reactions_expected": 100}
    times = {"p50_ms": 0.5, "p90_ms": 1.0, "p99_ms": 2.0, "p999_ms": 3.0, "max_ms": 4.0}
    found.latency = Latency({**report, **times}, OperatorWork(queries=2, query_s=3.0), 1_000)
    found.failures.append("memory: it did not start")
    path = save(found, "try", markdown(found), tmp_path)
    text = re.sub(" +", " ", path.read_text())
    assert "| 1,000 connections, 10 per segment, QoS 0 | gateway | 0.80 | 1,200,000 | 10.0 |" in text
    assert "**Failed:** memory: it did not start" in text
    assert "| … commands that arrived | 100 | 99 | no |" in text
    kept = json.loads(path.with_suffix(".json").read_text())
    assert kept["throughput"][0]["runs"][1]["messages_per_s"] == 1_200_000
    assert kept["latency"]["report"]["p99_ms"] == 2.0


def test_the_loads_have_ten_thousand_topics() -> None:
    cases = options.parse([]).cases()
    assert {case.connections * case.topics for case in cases} == {10_000}
    assert {(case.connections, case.per_segment) for case in cases} == {
        (n, s) for n in (1_000, 10_000) for s in (1, 10)
    }
    assert options.parse(["--parts", "memory,latency"]).parts == ("latency", "memory")
    assert options.parse(["--peers", "none"]).peers == ()
    assert options.parse(["--peers", "rumqttd,nats"]).peers == ("nats", "rumqttd")
    for wrong in (["--parts", "speed"], ["--peers", "me"]):
        with pytest.raises(SystemExit):
            options.parse(wrong)
