"""How simulated devices behave: a pure function of seed, time and faults, so that every run can be repeated."""

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from mohhos.sim.faults import Fault

__all__ = ["BEHAVIOURS", "AirQualityStation", "Behaviour", "Pump", "StreetLight"]

DAY_S: Final = 86_400.0


def daily(t_s: float, peak_hour: float) -> float:
    """A daily cycle between 0 and 1 with its peak at an hour of the day (UTC)."""
    return 0.5 + 0.5 * math.cos(2 * math.pi * (t_s / DAY_S - peak_hour / 24))


class Walk:
    """A mean-reverting random walk (an Ornstein-Uhlenbeck process): noise with a memory."""

    def __init__(self, random_: random.Random, spread: float, memory_s: float) -> None:
        self._random = random_
        self._spread = spread
        self._memory_s = memory_s
        self._value = random_.gauss(0, spread)

    def step(self, dt_s: float) -> float:
        """The value after a time step."""
        keep = math.exp(-dt_s / self._memory_s)
        self._value = self._value * keep + self._random.gauss(0, self._spread) * math.sqrt(1 - keep * keep)
        return self._value


@dataclass
class Behaviour(ABC):
    """One device. `faults` say when it misbehaves; `commands` change what it does."""

    device: str
    seed: int
    faults: Sequence[Fault] = ()
    chance: random.Random = field(init=False)
    last_s: float | None = field(default=None, init=False)

    kind: ClassVar[str]
    model: ClassVar[str]

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.seed}/{self.device}")
        self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """Draws what is particular to this device."""

    @abstractmethod
    def measure(self, t_s: float, dt_s: float) -> dict[str, float | str | bool]:
        """The readings at a time, `dt_s` after those before."""

    def step(self, t_s: float) -> dict[str, float | str | bool] | None:
        """The readings at a time (Unix seconds), None while a fault keeps the device silent."""
        dt_s = 1.0 if self.last_s is None else max(1e-3, t_s - self.last_s)
        self.last_s = t_s
        readings = self.measure(t_s, dt_s)
        return None if self.fault("silent", t_s) else readings

    def fault(self, kind: str, t_s: float) -> float:
        """How strong a fault is now, from 0 (none) to 1."""
        return max((f.strength(t_s) for f in self.faults if f.kind == kind), default=0.0)

    def command(self, name: str, parameters: Any) -> Any:
        """Carries a command out and gives its output. Raises ValueError with words for what it cannot do."""
        raise ValueError(f"a {self.kind} has no command {name!r} (parameters: {parameters!r})")


class Pump(Behaviour):
    """A water pump: pressure and flow follow the load, vibration and temperature tell of wear and faults."""

    kind = "pump"
    model = "WP-40"

    def prepare(self) -> None:
        self._load = Walk(self.chance, 0.08, 600)
        self._jitter = Walk(self.chance, 0.01, 5)
        self._wear = self.chance.uniform(0.0, 0.15)
        self._hours = self.chance.uniform(100, 20_000)
        self._running = True

    def measure(self, t_s: float, dt_s: float) -> dict[str, float | str | bool]:
        leak, bearing, blocked = (self.fault(kind, t_s) for kind in ("leak", "bearing", "blocked"))
        if self._running:
            self._hours += dt_s / 3600
        load = min(1.0, max(0.1, 0.45 + 0.3 * daily(t_s, 18) + self._load.step(dt_s))) if self._running else 0.0
        jitter = self._jitter.step(dt_s)
        return {
            "pressure": round(6.0 * load * (1 - 0.5 * leak) * (1 + 0.6 * blocked) + jitter, 3),
            "flow": round(max(0.0, 120 * load * (1 + 0.3 * leak) * (1 - 0.9 * blocked) + 10 * jitter), 2),
            "vibration": round(0.2 + 0.3 * load + self._wear + 2.5 * bearing + abs(jitter), 4),
            "temperature": round(25 + 40 * load + 15 * self._wear + 35 * bearing + 20 * blocked + 5 * jitter, 2),
            "current": round(12 * load * (1 + 0.4 * bearing + 0.5 * blocked) + jitter, 3),
            "hours": round(self._hours, 3),
            "state": "running" if self._running else "stopped",
        }

    def command(self, name: str, parameters: Any) -> Any:
        """`stop` and `start`."""
        if name not in {"stop", "start"}:
            return super().command(name, parameters)
        self._running = name == "start"
        return {"running": self._running}


class AirQualityStation(Behaviour):
    """A street-level air-quality station on a battery with a solar panel."""

    kind = "air_quality"
    model = "AQ-7"

    def prepare(self) -> None:
        self._traffic = Walk(self.chance, 0.2, 3600)
        self._weather = Walk(self.chance, 1.0, 6 * 3600)
        self._drift = self.chance.uniform(-1e-7, 1e-7)
        self._started_s: float | None = None
        self._battery = self.chance.uniform(60, 100)

    def measure(self, t_s: float, dt_s: float) -> dict[str, float | str | bool]:
        if self._started_s is None:
            self._started_s = t_s
        drift = 1 + self._drift * (t_s - self._started_s) + 0.8 * self.fault("drift", t_s)
        sun = max(0.0, 2 * daily(t_s, 13) - 1)
        panel = 0.0 if self.fault("panel", t_s) else sun
        self._battery = min(100.0, max(0.0, self._battery + dt_s / 3600 * (6 * panel - 1.5)))
        traffic = max(0.05, 0.4 + 0.5 * max(daily(t_s, 8), daily(t_s, 18)) + self._traffic.step(dt_s))
        weather = self._weather.step(dt_s)
        smoke = self.fault("smoke", t_s)
        return {
            "pm25": round((6 + 14 * traffic + 180 * smoke) * drift, 2),
            "pm10": round((10 + 22 * traffic + 240 * smoke) * drift, 2),
            "no2": round((8 + 40 * traffic) * drift, 2),
            "temperature": round(12 + 6 * daily(t_s, 15) + 3 * weather, 2),
            "humidity": round(min(100.0, max(5.0, 70 - 25 * daily(t_s, 15) - 8 * weather)), 1),
            "battery": round(self._battery, 2),
        }


class StreetLight(Behaviour):
    """A street light: on at night, dimmed after midnight, lamps that fail and a meter that counts."""

    kind = "street_light"
    model = "SL-LED-90"

    def prepare(self) -> None:
        self._mains = Walk(self.chance, 1.5, 300)
        self._energy = self.chance.uniform(0, 4000)
        self._level: float | None = None

    def measure(self, t_s: float, dt_s: float) -> dict[str, float | str | bool]:
        hour = t_s % DAY_S / 3600
        dark = hour < 6.5 or hour > 17.5
        scheduled = (50.0 if hour < 5 else 100.0) if dark else 0.0
        level = scheduled if self._level is None else self._level
        burning = level > 0 and not self.fault("lamp", t_s)
        flicker = self.fault("flicker", t_s)
        power = (90 * level / 100 if burning else 0.6) * (1 - flicker * self.chance.random())
        self._energy += power * dt_s / 3_600_000
        return {
            "level": level,
            "power": round(power + self.chance.gauss(0, 0.05), 2),
            "voltage": round(230 + self._mains.step(dt_s), 1),
            "energy": round(self._energy, 4),
            "lux": round(max(0.0, (0 if dark else 8000 * daily(t_s, 13)) + (25 if burning else 0)), 1),
            "on": burning,
        }

    def command(self, name: str, parameters: Any) -> Any:
        """`set_level` with {"level": 0 … 100}; null goes back to the schedule."""
        if name != "set_level":
            return super().command(name, parameters)
        level = parameters.get("level") if isinstance(parameters, dict) else None
        if level is not None and (
            isinstance(level, bool) or not isinstance(level, int | float) or not 0 <= level <= 100
        ):
            raise ValueError(f"level must be 0 to 100, not {level!r}")
        self._level = None if level is None else float(level)
        return {"level": self._level}


BEHAVIOURS: Final[dict[str, type[Behaviour]]] = {b.kind: b for b in (Pump, AirQualityStation, StreetLight)}
