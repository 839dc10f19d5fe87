"""How much flows, now against what is usual: one sample of the native counters a second."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mohhos.clock import Clock
from mohhos.hub import native

if TYPE_CHECKING:
    from mohhos._native import Gateway

__all__ = ["Flow", "FlowMeter"]

SAMPLE_S: Final = 1.0
SERIES: Final = 600
BASELINE: Final = 3_600


@dataclass(frozen=True, slots=True)
class Flow:
    """Messages and readings per second now, the mean of the last hour, and the last ten minutes as (µs, messages/s)."""

    messages_per_s: float
    readings_per_s: float
    baseline_per_s: float
    series: list[tuple[int, float]]


class FlowMeter:
    """Keeps the rates. `stats` of the last sample is there for whoever wants counters without asking again."""

    def __init__(self, gateway: "Gateway", clock: Clock) -> None:
        self._gateway = gateway
        self._clock = clock
        self._series: deque[tuple[int, float]] = deque(maxlen=SERIES)
        self._hour: deque[float] = deque(maxlen=BASELINE)
        self._last: tuple[int, int, int] | None = None
        self._readings_per_s = 0.0
        self.stats: dict[str, Any] = {}

    async def run(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Samples until cancelled."""
        while True:
            self.note(self._clock.now_us(), await native.call(self._gateway.stats))
            await pause(SAMPLE_S)

    def note(self, now_us: int, stats: dict[str, Any]) -> None:
        """Takes one sample; one at which the clock did not move on only replaces the counters."""
        self.stats = stats
        messages = int(stats["hub"]["messages_in"])
        readings = int(stats["stream"]["rows_in"])
        if self._last is not None and now_us > self._last[0]:
            seconds = (now_us - self._last[0]) / 1e6
            rate = max(0, messages - self._last[1]) / seconds
            self._readings_per_s = max(0, readings - self._last[2]) / seconds
            self._series.append((now_us, round(rate, 3)))
            self._hour.append(rate)
        self._last = (now_us, messages, readings)

    def flow(self) -> Flow:
        """What the samples say."""
        return Flow(
            messages_per_s=self._series[-1][1] if self._series else 0.0,
            readings_per_s=self._readings_per_s,
            baseline_per_s=sum(self._hour) / len(self._hour) if self._hour else 0.0,
            series=list(self._series),
        )
