from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import pytest
from tests.support.clock import ManualClock

from mohhos.errors import MohhosError
from mohhos.hub.broadcast import Broadcast
from mohhos.hub.events import EventPump
from mohhos.model import Alarm

if TYPE_CHECKING:
    from mohhos._native import Event, Gateway

pytestmark = pytest.mark.anyio


class Presence:
    def __init__(self) -> None:
        self.batches: list[list[Event]] = []

    async def note(self, events: Sequence["Event"]) -> None:
        self.batches.append(list(events))


def refused(principal: str, at_us: int, count: int = 1, topic: str = "x/y") -> "Event":
    return {
        "kind": "refused",
        "principal": principal,
        "client": "c",
        "address": "127.0.0.1:5",
        "action": "publish",
        "topic": topic,
        "reason_code": 0x87,
        "reason": "not authorized",
        "at_us": at_us,
        "count": count,
    }


def rule_failed(rule: str, message: str, at_us: int, stopped: bool = False) -> "Event":
    return {"kind": "rule_failed", "rule": rule, "message": message, "at_us": at_us, "stopped": stopped}


async def test_presence_gets_its_events_in_their_order_and_nothing_else() -> None:
    presence = Presence()
    pump = EventPump(presence.note, Broadcast(), ManualClock())
    connected: Event = {"kind": "connected", "principal": "a", "at_us": 1}
    seen: Event = {"kind": "seen", "devices": [("a", 2)]}
    await pump.handle([connected, refused("x", 1), seen, {"kind": "of another version"}])
    assert presence.batches == [[connected, seen]]
    await pump.handle([])
    assert presence.batches[1:] == [[]], "it is called without events too, for what it gathers"


async def test_what_was_delivered_goes_to_who_notes_it() -> None:
    noted: list[tuple[str, str, int, int]] = []
    pump = EventPump(Presence().note, Broadcast(), ManualClock(), noted.extend)
    await pump.handle([{"kind": "delivered", "commands": [("a", "c1", 8, 9)]}, refused("a", 1), refused("b", 2)])
    assert noted == [("a", "c1", 8, 9)]
    assert [r.principal for r in pump.refusals.list(principal="b")] == ["b"]


async def test_equal_refusals_are_counted_and_the_newest_come_first() -> None:
    pump = EventPump(Presence().note, Broadcast(), ManualClock())
    await pump.handle([refused("a", 1), refused("b", 2), refused("a", 3, count=5), refused("a", 4, topic="z")])
    seen = [(r.principal, r.topic, r.count, r.first_us, r.last_us) for r in pump.refusals.list()]
    assert seen == [("a", "z", 1, 4, 4), ("a", "x/y", 6, 1, 3), ("b", "x/y", 1, 2, 2)]
    assert pump.refusals.total == 8


async def test_refusals_are_bounded_and_the_oldest_go() -> None:
    pump = EventPump(Presence().note, Broadcast(), ManualClock())
    await pump.handle([refused(f"p{i}", i) for i in range(1_500)])
    listed = pump.refusals.list(5_000)
    assert len(listed) == 1_000
    assert (listed[0].principal, listed[-1].principal) == ("p1499", "p500")


async def test_an_alarm_holds_from_its_first_report_until_it_is_over() -> None:
    broadcast = Broadcast()
    pump = EventPump(Presence().note, broadcast, ManualClock())
    with broadcast.subscribe(["alarm"]) as subscription:
        await pump.handle([{"kind": "alarm", "code": "log-full", "message": "m1", "at_us": 5, "raised": True}])
        await pump.handle([{"kind": "alarm", "code": "log-full", "message": "m2", "at_us": 9, "raised": True}])
        assert pump.conditions.list() == [Alarm("log-full", "m2", 5)]
        over: Event = {"kind": "alarm", "code": "log-full", "message": "ok", "at_us": 9, "raised": False}
        await pump.handle([over, over])
        assert pump.conditions.list() == []
        notices = [(await subscription.next()).data for _ in range(3)]
        assert notices[2] == {"code": "log-full", "over": True}


async def test_the_last_failure_of_a_rule_is_kept() -> None:
    pump = EventPump(Presence().note, Broadcast(), ManualClock())
    await pump.handle([rule_failed("hot", "m", 5)])
    await pump.handle([rule_failed("hot", "n", 6)])
    assert pump.rule_failures.of("hot") == ("n", 6)
    assert pump.rule_failures.of("cold") is None


async def test_rows_that_a_rule_loses_are_logged_once_a_minute_and_its_end_always(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pump = EventPump(Presence().note, Broadcast(), ManualClock())
    await pump.handle([rule_failed("hot", f"lost {n}", n * 1_000_000) for n in range(130)])
    await pump.handle([rule_failed("hot", "gone", 130_000_000, stopped=True)])
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert told == [
        *(("WARNING", f"rule hot goes on without some rows: lost {n}") for n in (0, 60, 120)),
        ("ERROR", "rule hot failed and does not run any more: gone"),
    ]


async def test_a_registry_that_takes_no_writes_loses_nothing_else() -> None:
    async def failing(_: Sequence["Event"]) -> None:
        raise MohhosError("storage-failed", "what", "why", "next")

    pump = EventPump(failing, Broadcast(), ManualClock())
    with pytest.raises(MohhosError):
        await pump.handle([{"kind": "connected", "principal": "a", "at_us": 1}, refused("x", 1)])
    assert pump.refusals.total == 1


async def test_a_registry_that_takes_no_writes_is_a_condition_told_once_until_it_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Hub:
        """Reports nothing, as often as it is asked, and ends the pump after the fifth time."""

        asked = 0

        def next_events(self, _max: int, _timeout_ms: int) -> list["Event"]:
            self.asked += 1
            if self.asked > 5:
                raise EOFError
            return []

    hub = Hub()

    async def failing(_: Sequence["Event"]) -> None:
        if hub.asked < 5:
            raise MohhosError("storage-failed", "what", "why", "next")
        assert [alarm.code for alarm in pump.conditions.list()] == ["storage-failed"]

    pump = EventPump(failing, Broadcast(), ManualClock())
    with pytest.raises(EOFError):
        await pump.run(cast("Gateway", hub))
    assert pump.conditions.list() == []
    assert [record.levelname for record in caplog.records] == ["ERROR"]
