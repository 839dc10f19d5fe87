"""The pump of native events: what the hub reports goes to whoever keeps it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

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

_log = logging.getLogger(__name__)


class EventPump:
    """Reads native events until cancelled.

    `presence` gets what tells whether devices are there, in the order in which it happened, and an empty list when
    nothing did; the rest is kept here.
    """

    def __init__(self, presence: Callable[[Sequence["Event"]], Awaitable[None]], broadcast: Broadcast) -> None:
        self._presence = presence
        self._broadcast = broadcast
        self.refusals = Refusals()
        self.conditions = Conditions()
        self.rule_failures = RuleFailures()

    async def run(self, gateway: "Gateway") -> None:
        """Handles events until cancelled; a failure is logged and does not end it, nor the gateway."""
        while True:
            events = await native.call(gateway.next_events, BATCH, WAIT_MS)
            try:
                await self.handle(events)
            except MohhosError as error:
                _log.error("%d events of the hub were not noted: %s", len(events), error)
            except Exception:
                _log.exception("%d events of the hub were not noted", len(events))
            if events:
                await asyncio.sleep(GATHER_S)

    async def handle(self, events: Sequence["Event"]) -> None:
        """Handles one batch. Raises what `presence` raises, after everything else was handled."""
        presence = []
        for event in events:
            match event["kind"]:
                case "connected" | "disconnected" | "seen":
                    presence.append(event)
                case "refused":
                    self.refusals.note(_refusal(event))
                case "rule_failed":
                    self.rule_failures.note(event["rule"], event["message"], event["at_us"])
                    self._broadcast.publish([Notice("rule", {"rule": event["rule"], "message": event["message"]})])
                case "alarm":
                    self._alarm(event)
                case other:
                    _log.warning("the hub reports %r, which this version does not know", other)
        await self._presence(presence)

    def _alarm(self, event: "Event") -> None:
        code = event["code"]
        if event["raised"]:
            alarm = self.conditions.set(code, event["message"], event["at_us"])
            _log.error("%s [%s]", alarm.message, code)
            self._broadcast.publish([Notice("alarm", alarm)])
        elif self.conditions.clear(code):
            _log.info("over: %s [%s]", event["message"], code)
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
