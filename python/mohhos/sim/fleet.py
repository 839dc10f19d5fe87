"""Which devices a simulation has: a city with a waterworks, its streets and its air."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from mohhos.sim.behaviour import BEHAVIOURS, Behaviour
from mohhos.sim.faults import Fault, schedule

__all__ = ["FleetPlan", "Member", "plan"]

#: Site, latitude, longitude.
SITES: Final = (
    ("Harbour", 51.9496, 4.1453),
    ("Old Town", 51.9225, 4.4792),
    ("North", 51.9590, 4.4777),
    ("Waterworks", 51.8930, 4.5470),
)
#: Type, share of the fleet, sites that it is found at.
SHARES: Final = (
    ("pump", 0.3, ("Waterworks", "Harbour")),
    ("air_quality", 0.2, ("Harbour", "Old Town", "North")),
    ("street_light", 0.5, ("Harbour", "Old Town", "North")),
)
HORIZON_S: Final = 30 * 86_400.0


@dataclass(frozen=True)
class Member:
    """One device of a fleet: what it is registered as, how it behaves, when it is faulty."""

    device: str
    body: dict[str, Any]
    behaviour: Behaviour
    faults: Sequence[Fault]


@dataclass(frozen=True)
class FleetPlan:
    """All devices of a simulation."""

    members: Sequence[Member]

    def truth(self) -> list[dict[str, Any]]:
        """The injected faults as a list of device, kind, from and to (Unix seconds)."""
        return [
            {"device": m.device, "fault": f.kind, "from": f.start_s, "to": f.end_s}
            for m in self.members
            for f in m.faults
        ]


def plan(devices: int, seed: int, start_s: float, fault_gap_s: float | None, prefix: str = "") -> FleetPlan:
    """A fleet of `devices` members. With `fault_gap_s`, faults come at that mean distance per device."""
    members = []
    counts = [int(devices * share) for _, share, _ in SHARES]
    counts[-1] += devices - sum(counts)
    for (kind, _, sites), count in zip(SHARES, counts, strict=True):
        for number in range(1, count + 1):
            members.append(
                _member(
                    f"{prefix}{kind.replace('_', '-')}-{number:04d}", kind, sites, number, seed, start_s, fault_gap_s
                )
            )
    return FleetPlan(members)


def _member(
    device: str, kind: str, sites: Sequence[str], number: int, seed: int, start_s: float, fault_gap_s: float | None
) -> Member:
    faults = [] if fault_gap_s is None else list(schedule(device, kind, seed, start_s, HORIZON_S, fault_gap_s))
    behaviour = BEHAVIOURS[kind](device, seed, faults)
    site, lat, lon = next(s for s in SITES if s[0] == sites[number % len(sites)])
    body = {
        "id": device,
        "type": kind,
        "model": behaviour.model,
        "firmware": behaviour.chance.choice(("1.4.2", "1.5.0")),
        "location": {
            "lat": round(lat + behaviour.chance.gauss(0, 0.008), 5),
            "lon": round(lon + behaviour.chance.gauss(0, 0.012), 5),
            "site": site,
        },
        "labels": {"simulated": "yes"},
    }
    return Member(device, body, behaviour, faults)
