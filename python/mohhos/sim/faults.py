"""Faults with known times, so that what a rule finds can be compared with what was there."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["KINDS", "Fault", "schedule"]

#: The faults of each type of device.
KINDS: Final[dict[str, tuple[str, ...]]] = {
    "pump": ("leak", "bearing", "blocked", "silent"),
    "air_quality": ("smoke", "drift", "panel", "silent"),
    "street_light": ("lamp", "flicker", "silent"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something is wrong with a device from `start_s` to `end_s` (Unix seconds); it grows for `ramp_s`."""

    kind: str
    start_s: float
    end_s: float
    ramp_s: float = 0.0

    def strength(self, t_s: float) -> float:
        """From 0 (not there) to 1."""
        if not self.start_s <= t_s < self.end_s:
            return 0.0
        return 1.0 if self.ramp_s <= 0 else min(1.0, (t_s - self.start_s) / self.ramp_s)


def schedule(
    device: str, device_type: str, seed: int, start_s: float, horizon_s: float, mean_gap_s: float
) -> Iterator[Fault]:
    """The device's faults within a horizon: gaps and lengths are drawn from the seed alone."""
    drawn = random.Random(f"{seed}/{device}/faults")
    at = start_s + drawn.expovariate(1 / mean_gap_s)
    while at < start_s + horizon_s:
        kind = drawn.choice(KINDS[device_type])
        length = drawn.uniform(0.1, 0.3) * mean_gap_s
        yield Fault(kind, at, at + length, 0.0 if kind in {"silent", "lamp"} else length / 4)
        at += length + drawn.expovariate(1 / mean_gap_s)
