"""What the gateway's operators should see now: alarms, refusals, rules that failed. In memory and bounded."""

import dataclasses
from collections import OrderedDict
from itertools import islice
from typing import Final

from mohhos.model import Alarm, Refusal

__all__ = ["Conditions", "Refusals", "RuleFailures"]

MAX_REFUSALS: Final = 1_000
MAX_ALARMS: Final = 200
MAX_FAILURES: Final = 1_000
TOLD_EVERY_US: Final = 60_000_000


class Refusals:
    """Who was refused and why, the newest last; the same refusal again is counted and becomes the newest."""

    def __init__(self, capacity: int = MAX_REFUSALS) -> None:
        self._capacity = capacity
        self._refusals: OrderedDict[tuple[str, str, str, int], Refusal] = OrderedDict()
        self.total = 0

    def note(self, refusal: Refusal) -> None:
        """Adds a refusal (which may stand for several)."""
        key = (refusal.principal, refusal.action, refusal.topic, refusal.reason_code)
        before = self._refusals.pop(key, None)
        self.total += refusal.count
        if before is not None:
            count = before.count + refusal.count
            refusal = dataclasses.replace(refusal, first_us=before.first_us, count=count)
        self._refusals[key] = refusal
        if len(self._refusals) > self._capacity:
            self._refusals.popitem(last=False)

    def list(self, limit: int = 100, principal: str | None = None) -> "list[Refusal]":
        """The newest first, of one principal or of all."""
        newest = reversed(self._refusals.values())
        return list(islice((each for each in newest if principal in (None, each.principal)), limit))


class Conditions:
    """Conditions that hold now, by code."""

    def __init__(self, capacity: int = MAX_ALARMS) -> None:
        self._capacity = capacity
        self._alarms: OrderedDict[str, Alarm] = OrderedDict()

    def set(self, code: str, message: str, at_us: int) -> Alarm:
        """The condition holds; `since_us` stays that of the first time."""
        before = self._alarms.get(code)
        alarm = Alarm(code, message, before.since_us if before else at_us)
        self._alarms[code] = alarm
        if len(self._alarms) > self._capacity:
            self._alarms.popitem(last=False)
        return alarm

    def clear(self, code: str) -> bool:
        """The condition is over; was it there?"""
        return self._alarms.pop(code, None) is not None

    def holds(self, code: str) -> bool:
        """Does the condition hold now?"""
        return code in self._alarms

    def list(self) -> "list[Alarm]":
        """What holds now, the oldest first."""
        return list(self._alarms.values())


class RuleFailures:
    """The last failure of each rule at run time."""

    def __init__(self, capacity: int = MAX_FAILURES) -> None:
        self._capacity = capacity
        self._failures: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._told_us: dict[str, int] = {}

    def note(self, rule: str, message: str, at_us: int, *, stopped: bool = False) -> bool:
        """A rule failed. Is it to be told? A rule that cannot take its rows says so once a minute."""
        self._failures.pop(rule, None)
        self._failures[rule] = (message, at_us)
        tell = stopped or at_us - self._told_us.get(rule, at_us - TOLD_EVERY_US) >= TOLD_EVERY_US
        if tell:
            self._told_us[rule] = at_us
        if len(self._failures) > self._capacity:
            forgotten, _ = self._failures.popitem(last=False)
            self._told_us.pop(forgotten, None)
        return tell

    def of(self, rule: str) -> tuple[str, int] | None:
        """The message and time of a rule's last failure."""
        return self._failures.get(rule)
