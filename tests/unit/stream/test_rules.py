"""The registry of rules, against an engine that remembers what it was told and can be made to refuse."""

import json
import sqlite3
from typing import Any

import pytest

from mohhos.clock import Clock
from mohhos.errors import MohhosError
from mohhos.hub.broadcast import Broadcast
from mohhos.storage.database import Database
from mohhos.stream.errors import RuleError
from mohhos.stream.rules import RuleRegistry

pytestmark = pytest.mark.anyio

PUMPS = """CREATE TABLE pumps (device STRING, speed INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH ('topic' = 'devices/+/telemetry/pump');
"""
FAST = "INSERT INTO alerts (device) SELECT device FROM pumps WHERE speed > 10"
HOT = "INSERT INTO alerts (device) SELECT device FROM telemetry WHERE num > 80"


class NativeError(Exception):
    pass


class PlanError(NativeError):
    pass


class Engine:
    """Runs nothing; `refuse` names rules that it does not take, `log` has every call in order."""

    def __init__(self) -> None:
        self.running: dict[str, int] = {}
        self.plans: dict[str, dict[str, Any]] = {}
        self.tables: list[dict[str, Any]] = []
        self.refuse: set[str] = set()
        self.log: list[tuple[str, Any]] = []

    def put_tables(self, tables: str) -> None:
        self.tables = json.loads(tables)
        self.log.append(("tables", [(t["name"], t["id"]) for t in self.tables]))

    def deploy_rule(self, name: str, version: int, plan: str) -> None:
        self.log.append(("deploy", (name, version)))
        if name in self.refuse:
            raise PlanError("plan", "the operator tumble-1 is not known")
        self.running[name] = version
        self.plans[name] = json.loads(plan)

    def remove_rule(self, name: str) -> bool:
        return self.running.pop(name, None) is not None

    def rules(self) -> list[dict[str, Any]]:
        status = {"state": "running", "error": "", "rows_in": 5, "rows_out": 2, "late": 1, "state_bytes": 9}
        return [{"name": n, "version": v, **status, "last_output_us": 7} for n, v in self.running.items()]


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def rules(database: Database, clock: Clock, engine: Engine) -> RuleRegistry:
    return RuleRegistry(database, clock, engine, Broadcast())


async def test_a_rule_that_is_put_runs_and_is_stored(rules: RuleRegistry, engine: Engine) -> None:
    rule = await rules.put("fast", PUMPS + FAST)
    assert (rule.name, rule.version, rule.state, rule.error) == ("fast", 1, "running", "")
    assert (rule.rows_in, rule.rows_out, rule.late, rule.state_bytes, rule.last_output_us) == (5, 2, 1, 9, 7)
    assert await rules.list() == [rule]
    assert engine.running == {"fast": 1}
    assert (engine.plans["fast"]["rule"], engine.plans["fast"]["rule_version"]) == ("fast", 1)
    assert engine.tables == [
        {
            "id": 1,
            "name": "pumps",
            "filter": "devices/+/telemetry/pump",
            "columns": [
                {"name": "device", "kind": "device"},
                {"name": "speed", "kind": "int"},
                {"name": "ts", "kind": "timestamp"},
            ],
            "rowtime": 2,
            "watermark_us": 5_000_000,
        }
    ]
    assert engine.plans["fast"]["operators"][0]["table"] == 1


async def test_tables_are_known_to_the_engine_before_the_rule(rules: RuleRegistry, engine: Engine) -> None:
    await rules.put("fast", PUMPS + FAST)
    assert [kind for kind, _ in engine.log][:2] == ["tables", "deploy"]


async def test_the_same_text_again_changes_nothing(rules: RuleRegistry, engine: Engine) -> None:
    await rules.put("fast", PUMPS + FAST)
    calls = len(engine.log)
    assert (await rules.put("fast", PUMPS + FAST)).version == 1
    assert len(engine.log) == calls


async def test_a_new_text_is_a_new_version_and_versions_are_kept(rules: RuleRegistry, engine: Engine) -> None:
    await rules.put("fast", PUMPS + FAST)
    assert (await rules.put("fast", PUMPS + FAST.replace("10", "20"))).version == 2
    assert [(v.version, v.sql) for v in await rules.versions("fast")] == [
        (2, PUMPS + FAST.replace("10", "20")),
        (1, PUMPS + FAST),
    ]
    assert engine.running == {"fast": 2}
    assert [t["id"] for t in engine.tables] == [1]


async def test_a_version_number_never_comes_again(rules: RuleRegistry) -> None:
    await rules.put("hot", HOT)
    await rules.delete("hot")
    assert (await rules.put("hot", HOT)).version == 2


async def test_a_wrong_text_is_refused_and_the_version_before_goes_on(rules: RuleRegistry, engine: Engine) -> None:
    await rules.put("fast", PUMPS + FAST)
    with pytest.raises(RuleError) as caught:
        await rules.put("fast", PUMPS + FAST.replace("speed >", "sped >"))
    assert (caught.value.code, caught.value.line) == ("rule-column", 3)
    assert (await rules.get("fast")).version == 1
    assert engine.running == {"fast": 1}


async def test_a_plan_that_the_engine_refuses_leaves_everything_as_it_was(rules: RuleRegistry, engine: Engine) -> None:
    await rules.put("fast", PUMPS + FAST)
    before = list(engine.tables)
    engine.refuse = {"fast"}
    with pytest.raises(RuleError) as caught:
        await rules.put("fast", PUMPS.replace("speed INT", "speed BIGINT") + FAST)
    assert caught.value.code == "rule-engine"
    assert "tumble-1" in caught.value.reason
    assert (await rules.get("fast")).version == 1
    assert engine.tables == before
    engine.refuse = set()
    assert (await rules.put("fast", PUMPS.replace("speed INT", "speed BIGINT") + FAST)).version == 2
    assert [t["columns"][1]["kind"] for t in engine.tables] == ["bigint"]


async def test_a_first_version_that_the_engine_refuses_is_not_there(rules: RuleRegistry, engine: Engine) -> None:
    engine.refuse = {"fast"}
    with pytest.raises(RuleError):
        await rules.put("fast", PUMPS + FAST)
    assert await rules.list() == []
    assert engine.tables == []
    assert [t.name for t in await rules.tables()] == ["telemetry", "alerts", "commands"]


async def test_a_rule_that_cannot_be_stored_is_taken_back(
    rules: RuleRegistry, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rules.put("fast", PUMPS + FAST)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("mohhos.stream.rows.save_rule", full)
    for name in ("fast", "new"):
        with pytest.raises(MohhosError, match="disk is full"):
            await rules.put(name, PUMPS + FAST.replace("10", "20"))
    monkeypatch.undo()
    assert engine.running == {"fast": 1}
    assert "10" in json.dumps(engine.plans["fast"])
    assert [r.name for r in await rules.list()] == ["fast"]


async def test_a_changed_table_gets_a_new_id_and_both_are_there_while_the_rule_changes(
    rules: RuleRegistry, engine: Engine
) -> None:
    await rules.put("fast", PUMPS + FAST)
    engine.log.clear()
    await rules.put("fast", PUMPS.replace("speed INT", "speed BIGINT") + FAST)
    assert engine.log == [
        ("tables", [("pumps", 1), ("pumps", 2)]),
        ("deploy", ("fast", 2)),
        ("tables", [("pumps", 2)]),
    ]


async def test_a_table_that_another_rule_uses_is_not_changed_or_dropped(rules: RuleRegistry) -> None:
    await rules.put("fast", PUMPS + FAST)
    await rules.put("faster", FAST.replace("10", "100"))
    with pytest.raises(RuleError) as caught:
        await rules.put("faster", PUMPS.replace("speed INT", "speed BIGINT") + FAST)
    assert (caught.value.code, caught.value.text) == ("table-in-use", "pumps")
    assert "fast" in caught.value.reason
    with pytest.raises(RuleError) as caught:
        await rules.put_tables(PUMPS.replace("speed INT", "speed BIGINT"))
    assert caught.value.code == "table-in-use"
    with pytest.raises(RuleError) as caught:
        await rules.drop_table("pumps")
    assert caught.value.code == "table-in-use"
    assert await rules.put_tables(PUMPS) == ["pumps"]


async def test_a_table_goes_with_the_last_rule_that_uses_it(rules: RuleRegistry, engine: Engine) -> None:
    await rules.put("fast", PUMPS + FAST)
    await rules.put("faster", FAST)
    await rules.delete("fast")
    assert [t["name"] for t in engine.tables] == ["pumps"]
    await rules.delete("faster")
    assert engine.tables == []
    assert engine.running == {}


async def test_a_table_that_a_new_version_does_not_declare_any_more_goes(rules: RuleRegistry, engine: Engine) -> None:
    await rules.put("fast", PUMPS + FAST)
    await rules.put("fast", HOT)
    assert engine.tables == []


async def test_a_table_that_was_put_by_itself_stays(rules: RuleRegistry, engine: Engine) -> None:
    await rules.put_tables(PUMPS)
    await rules.put("fast", PUMPS + FAST)
    await rules.delete("fast")
    assert [t["name"] for t in engine.tables] == ["pumps"]
    await rules.drop_table("pumps")
    assert engine.tables == []
    with pytest.raises(MohhosError) as caught:
        await rules.drop_table("pumps")
    assert caught.value.code == "table-unknown"


async def test_only_tables_can_be_put_as_tables(rules: RuleRegistry) -> None:
    for text in (HOT, PUMPS + FAST, ""):
        with pytest.raises(RuleError) as caught:
            await rules.put_tables(text)
        assert caught.value.code == "rule-syntax"


async def test_check_finds_what_is_wrong_and_changes_nothing(rules: RuleRegistry, engine: Engine) -> None:
    assert await rules.check("fast", PUMPS + FAST) == {"tables": ["pumps"], "warnings": []}
    zero_delay = PUMPS.replace("ts - INTERVAL '5' SECOND", "ts")
    assert len((await rules.check("fast", zero_delay + FAST))["warnings"]) == 1
    with pytest.raises(RuleError):
        await rules.check("fast", FAST)
    assert engine.log == []
    assert await rules.list() == []
    assert len(await rules.tables()) == 3


@pytest.mark.parametrize("name", ["", "a/b", "a+", "#", "-a", "a b", "é", "x" * 65])
async def test_a_name_that_cannot_be_part_of_a_topic_is_refused(name: str, rules: RuleRegistry) -> None:
    for method in (rules.put, rules.check):
        with pytest.raises(RuleError) as caught:
            await method(name, HOT)
        assert caught.value.code == "rule-name"


async def test_what_is_not_there_is_said_to_be_unknown(rules: RuleRegistry) -> None:
    for method in (rules.get, rules.delete, rules.versions):
        with pytest.raises(MohhosError) as caught:
            await method("nothing")
        assert caught.value.code == "rule-unknown"


async def test_everything_is_deployed_again_at_the_start_and_what_fails_is_marked(
    rules: RuleRegistry, database: Database, clock: Clock
) -> None:
    await rules.put("fast", PUMPS + FAST)
    await rules.put("hot", HOT)
    again = Engine()
    again.refuse = {"fast"}
    restarted = RuleRegistry(database, clock, again, Broadcast())
    assert await restarted.deploy_all() == 1
    assert [t["name"] for t in again.tables] == ["pumps"]
    assert again.running == {"hot": 1}
    states = {r.name: (r.state, r.error) for r in await restarted.list()}
    assert states["hot"] == ("running", "")
    assert states["fast"][0] == "failed"
    assert "tumble-1" in states["fast"][1]
    again.refuse = set()
    assert (await restarted.put("fast", PUMPS + FAST)).state == "running"


async def test_a_stored_text_that_is_not_understood_any_more_is_marked_and_the_others_run(
    rules: RuleRegistry, database: Database, clock: Clock
) -> None:
    await rules.put("hot", HOT)
    await rules.put("old", HOT)
    await database.write(lambda c: c.execute("UPDATE rules SET sql = 'INSERT INTO nowhere' WHERE name = 'old'"))
    restarted = RuleRegistry(database, clock, Engine(), Broadcast())
    assert await restarted.deploy_all() == 1
    states = {r.name: r.state for r in await restarted.list()}
    assert states == {"hot": "running", "old": "failed"}


async def test_live_subscribers_hear_of_a_change(database: Database, clock: Clock, engine: Engine) -> None:
    broadcast = Broadcast()
    rules = RuleRegistry(database, clock, engine, broadcast)
    with broadcast.subscribe(["rule"]) as subscription:
        await rules.put("hot", HOT)
        assert (await subscription.next()).data == {"rule": "hot", "version": 1, "state": "running"}
        await rules.delete("hot")
        assert (await subscription.next()).data == {"rule": "hot", "state": "removed"}
