"""The clock, injected everywhere: nothing in the gateway asks the operating system for the time by itself."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time and monotonic time, both in integer microseconds."""

    def now_us(self) -> int:
        """Wall time, UTC."""

    def monotonic_us(self) -> int:
        """Time that only ever goes forward, from an arbitrary zero."""


class SystemClock:
    """The operating system's clocks, never earlier than `floor_us`.

    Without a battery-backed clock the machine boots in 1970; the floor is when the program was built.
    """

    def __init__(self, floor_us: int = 0) -> None:
        self._floor_us = floor_us

    def now_us(self) -> int:
        """Wall time, UTC."""
        return max(self._floor_us, time.time_ns() // 1000)

    def monotonic_us(self) -> int:
        """Time since an arbitrary zero."""
        return time.monotonic_ns() // 1000
