"""The pump of native events: what the hub reports goes to whoever keeps it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from mohhos.clock import Clock
from mohhos.errors import MohhosError
from mohhos.hub import native
from mohhos.hub.broadcast import Broadcast
from mohhos.hub.current import Conditions, Refusals, RuleFailures
from mohhos.model import Notice, Refusal

if TYPE_CHECKING:
    from mohhos._native import Event, Gateway

__all__ = ["Conditions", "EventPump", "Refusals"]

BATCH: Final = 4_096
WAIT_MS: Final = 250
GATHER_S: Final = 0.05
"""Between batches: thousands of devices that connect at once become a few transactions, not one each."""

BEHIND: Final = "storage-failed"

_log = logging.getLogger(__name__)


class EventPump:
    """Reads native events until cancelled.

    `presence` gets what tells whether devices are there, in the order in which it happened, and an empty list when
    nothing did; `delivered` gets the commands that devices have acknowledged; the rest is kept here.
    """

    def __init__(
        self,
        presence: Callable[[Sequence["Event"]], Awaitable[None]],
        broadcast: Broadcast,
        clock: Clock,
        delivered: Callable[[list[tuple[str, str, int, int]]], None] = lambda _: None,
    ) -> None:
        self._presence = presence
        self._delivered = delivered
        self._broadcast = broadcast
        self._clock = clock
        self.refusals = Refusals()
        self.conditions = Conditions()
        self.rule_failures = RuleFailures()

    async def run(self, gateway: "Gateway") -> None:
        """Handles events until cancelled; a failure is told and does not end it, nor the gateway."""
        while True:
            events = await native.call(gateway.next_events, BATCH, WAIT_MS)
            try:
                await self.handle(events)
            except MohhosError as error:
                self._behind(error)
            except Exception:
                _log.exception("%d events of the hub were not noted", len(events))
            if events:
                await asyncio.sleep(GATHER_S)

    async def handle(self, events: Sequence["Event"]) -> None:
        """Handles one batch. Raises what `presence` raises, after everything else was handled."""
        presence = []
        for event in events:
            match event["kind"]:
                case "connected" | "disconnected" | "presence" | "seen":
                    presence.append(event)
                case "refused":
                    self.refusals.note(_refusal(event))
                case "delivered":
                    self._delivered(event["commands"])
                case "rule_failed":
                    self._rule_failed(event)
                case "alarm":
                    self._alarm(event)
                case other:
                    _log.warning("the hub reports %r, which this version does not know", other)
        await self._presence(presence)
        if self.conditions.holds(BEHIND):
            self._over(BEHIND, "devices' presence is up to date again")

    def _behind(self, error: MohhosError) -> None:
        """The registry does not take who is there: told once, and over with the first success."""
        if not self.conditions.holds(BEHIND):
            message = f"which devices are online is not up to date: {error.what}: {error.why}. {error.next_step}"
            self._raised(BEHIND, message, self._clock.now_us())

    def _rule_failed(self, event: "Event") -> None:
        rule, message, stopped = event["rule"], event["message"], event["stopped"]
        if self.rule_failures.note(rule, message, event["at_us"], stopped=stopped):
            _log.log(
                logging.ERROR if stopped else logging.WARNING,
                "rule %s %s: %s",
                rule,
                "failed and does not run any more" if stopped else "goes on without some rows",
                message,
            )
        self._broadcast.publish([Notice("rule", {"rule": rule, "message": message})])

    def _alarm(self, event: "Event") -> None:
        if event["raised"]:
            self._raised(event["code"], event["message"], event["at_us"])
        else:
            self._over(event["code"], event["message"])

    def _raised(self, code: str, message: str, at_us: int) -> None:
        alarm = self.conditions.set(code, message, at_us)
        _log.error("%s [%s]", alarm.message, code)
        self._broadcast.publish([Notice("alarm", alarm)])

    def _over(self, code: str, message: str) -> None:
        if self.conditions.clear(code):
            _log.info("over: %s [%s]", message, code)
            self._broadcast.publish([Notice("alarm", {"code": code, "over": True})])


def _refusal(event: "Event") -> Refusal:
    return Refusal(
        principal=event["principal"],
        client=event["client"],
        address=event["address"],
        action=event["action"],
        topic=event.get("topic") or "",
        reason_code=event["reason_code"],
        reason=event["reason"],
        first_us=event["at_us"],
        last_us=event["at_us"],
        count=event.get("count", 1),
    )
