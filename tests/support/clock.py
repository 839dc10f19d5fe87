"""A clock for tests: nothing waits for time to pass."""


class ManualClock:
    """A clock that stands still until a test moves it; `set_wall` is somebody who sets the clock."""

    def __init__(self, now_us: int = 1_700_000_000_000_000) -> None:
        self._now_us = now_us
        self._monotonic_us = 0

    def now_us(self) -> int:
        return self._now_us

    def monotonic_us(self) -> int:
        return self._monotonic_us

    def advance(self, seconds: float) -> None:
        self._now_us += round(seconds * 1_000_000)
        self._monotonic_us += round(seconds * 1_000_000)

    def set_wall(self, now_us: int) -> None:
        self._now_us = now_us
