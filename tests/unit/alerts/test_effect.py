from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.clock import ManualClock
from tests.support.records import record

from mohhos.alerts import rows
from mohhos.alerts.alerts import AlertQuery, Alerts
from mohhos.alerts.effect import AlertEffect, parse
from mohhos.errors import MohhosError
from mohhos.hub.broadcast import Broadcast
from mohhos.model import AlertState, Severity
from mohhos.storage.database import Database
from mohhos.storage.projection import apply

pytestmark = pytest.mark.anyio


def event(name: str, state: Any = "raise", **members: Any) -> dict[str, Any]:
    return {
        "id": name,
        "rule": "hot",
        "device": "a",
        "severity": "warning",
        "dedup_key": "",
        "state": state,
        "message": f"message of {name}",
        "num": 81.5,
        "ts": 1_000,
        **members,
    }


class Log:
    """Applies records one after the other, each at an offset of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.offset = 0
        self.effect = AlertEffect()

    async def add(self, payload: Any, principal: str = "gateway") -> int:
        made = record(self.offset, "gateway/alerts/hot/a", payload, principal)
        self.offset = made["next"]
        notices = await self.database.write(lambda c: apply(c, "registry", [self.effect], [made], made["next"]))
        return len(notices)


@pytest.fixture
def log(database: Database) -> Log:
    return Log(database)


@pytest.fixture
def broadcast() -> Broadcast:
    return Broadcast()


@pytest.fixture
def alerts(database: Database, clock: ManualClock, broadcast: Broadcast) -> Alerts:
    return Alerts(database, clock, broadcast)


async def test_a_raise_opens_an_alert(log: Log, alerts: Alerts) -> None:
    await log.add(event("e1"))
    alert = await alerts.get("e1")
    assert (alert.state, alert.severity, alert.occurrences) == (AlertState.OPEN, Severity.WARNING, 1)
    assert (alert.rule, alert.device, alert.message, alert.num) == ("hot", "a", "message of e1", 81.5)
    assert (alert.opened_us, alert.last_us) == (1_000, 1_000)


async def test_an_alert_may_concern_no_device(log: Log, alerts: Alerts) -> None:
    await log.add(event("e1", device=None))
    assert (await alerts.get("e1")).device == ""


async def test_a_repeated_raise_counts_up_and_says_what_is_now(log: Log, alerts: Alerts) -> None:
    await log.add(event("e1"))
    await log.add(event("e2", ts=5_000, severity="critical", num=None))
    await log.add(event("e3", ts=3_000))
    (alert,) = (await alerts.page()).items
    assert (alert.id, alert.occurrences, alert.opened_us, alert.last_us) == ("e1", 3, 1_000, 5_000)
    assert [each.id for each in await alerts.events("e1")] == ["e3", "e2", "e1"]


async def test_other_devices_rules_and_keys_are_other_alerts(log: Log, alerts: Alerts) -> None:
    for name, changes in [("1", {}), ("2", {"device": "b"}), ("3", {"rule": "cold"}), ("4", {"dedup_key": "k"})]:
        await log.add(event(name, **changes))
    assert [each.id for each in (await alerts.page()).items] == ["4", "3", "2", "1"]


async def test_a_clear_resolves_and_the_next_raise_opens_a_new_alert(log: Log, alerts: Alerts) -> None:
    await log.add(event("e1"))
    await log.add(event("e2", "clear", ts=9_000))
    alert = await alerts.get("e1")
    assert (alert.state, alert.resolved_us, alert.resolved_by) == (AlertState.RESOLVED, 9_000, "rule:hot")
    await log.add(event("e3"))
    assert [(a.id, a.state) for a in (await alerts.page()).items] == [("e3", "open"), ("e1", "resolved")]


async def test_a_clear_without_an_alert_has_no_effect(log: Log, alerts: Alerts) -> None:
    assert await log.add(event("e1", "clear")) == 0
    assert (await alerts.page()).items == []


async def test_an_id_that_was_applied_is_ignored_when_a_rule_repeats_it(log: Log, alerts: Alerts) -> None:
    await log.add(event("e1"))
    await log.add(event("e2", "clear"))
    before = await alerts.get("e1")
    assert await log.add(event("e1")) == 0
    assert await log.add(event("e2", "clear")) == 0
    assert (await alerts.page()).items == [before]


async def test_a_record_below_the_projections_offset_is_not_applied_again(log: Log, alerts: Alerts) -> None:
    await log.add(event("e1"))
    log.offset = 0
    assert await log.add(event("e2")) == 0
    assert (await alerts.get("e1")).occurrences == 1


async def test_only_the_gateway_itself_raises_alerts(log: Log, alerts: Alerts) -> None:
    assert await log.add(event("e1"), principal="bridge-1") == 0
    assert (await alerts.page()).items == []


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        event(""),
        event("e", rule=""),
        event("e", state="maybe"),
        event("e", state=["raise"]),
        event("e", severity="bad"),
        event("e", severity={}),
        event("e", ts="now"),
        event("e", ts=True),
        event("e", message=7),
        event("e", device={}),
    ],
)
async def test_what_is_no_alert_has_no_effect_and_the_projection_goes_on(
    log: Log, alerts: Alerts, payload: Any
) -> None:
    assert await log.add(payload) == 0
    await log.add(event("good"))
    assert [each.id for each in (await alerts.page()).items] == ["good"]


@given(st.binary(max_size=200))
def test_no_payload_makes_the_parser_raise(payload: bytes) -> None:
    parse(payload)


async def test_an_alert_is_acknowledged_once_and_resolved_by_an_operator(
    log: Log, alerts: Alerts, clock: ManualClock, broadcast: Broadcast
) -> None:
    await log.add(event("e1"))
    with broadcast.subscribe(["alert"]) as subscription:
        alert = await alerts.acknowledge("e1", "anna")
        assert (alert.state, alert.acknowledged_by, alert.acknowledged_us) == ("acknowledged", "anna", clock.now_us())
        clock.advance(5)
        assert await alerts.acknowledge("e1", "bob") == alert
        await log.add(event("e2"))
        assert (await alerts.get("e1")).state is AlertState.ACKNOWLEDGED
        resolved = await alerts.resolve("e1", "bob")
        assert (resolved.state, resolved.resolved_by, resolved.occurrences) == ("resolved", "bob", 2)
        assert (await subscription.next()).data == alert
    for work in (alerts.resolve("e1", "x"), alerts.acknowledge("e1", "x")):
        with pytest.raises(MohhosError) as caught:
            await work
        assert caught.value.code == "alert-resolved"
    with pytest.raises(MohhosError) as caught:
        await alerts.acknowledge("nothing", "x")
    assert caught.value.code == "alert-unknown"


async def test_alerts_are_filtered_paged_and_grouped_by_cause(log: Log, alerts: Alerts) -> None:
    for i in range(5):
        await log.add(event(f"h{i}", device=f"d{i}", ts=i))
    await log.add(event("c", rule="cold", severity="critical", device="d0"))
    await log.add(event("h0-clear", "clear", device="d0"))
    await alerts.acknowledge("h1", "anna")
    first = await alerts.page(AlertQuery(states=(AlertState.OPEN,), rule="hot"), limit=2)
    assert [each.id for each in first.items] == ["h4", "h3"]
    rest = await alerts.page(AlertQuery(states=(AlertState.OPEN,), rule="hot"), first.cursor, 2)
    assert ([each.id for each in rest.items], rest.cursor) == (["h2"], None)
    assert [each.id for each in (await alerts.page(AlertQuery(device="d0"))).items] == ["c", "h0"]
    groups = await alerts.groups()
    assert [(g.rule, g.alerts, g.devices, g.unacknowledged) for g in groups] == [("cold", 1, 1, 1), ("hot", 4, 4, 3)]


async def test_what_is_kept_is_bounded_by_number_and_nothing_unresolved_goes(
    log: Log, database: Database, alerts: Alerts
) -> None:
    for i in range(6):
        await log.add(event(f"e{i}", dedup_key=str(i)))
        if i != 0:
            await log.add(event(f"c{i}", "clear", dedup_key=str(i)))
    await database.write(lambda c: rows.prune(c, kept_events=4, kept_resolved=2))
    assert [each.id for each in (await alerts.page()).items] == ["e5", "e4", "e0"]
    kept = await database.read(lambda c: c.execute("SELECT id FROM alert_events ORDER BY seq").fetchall())
    assert [name for (name,) in kept] == ["e4", "c4", "e5", "c5"]
