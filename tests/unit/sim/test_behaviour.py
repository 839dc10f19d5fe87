"""Simulated devices: the same seed is the same device, and faults are in the data when they are due."""

import itertools

import pytest

from mohhos.sim.behaviour import BEHAVIOURS, AirQualityStation, Behaviour, Pump, StreetLight
from mohhos.sim.faults import KINDS, Fault, schedule
from mohhos.sim.fleet import plan

NOON = 1_750_000_000 - 1_750_000_000 % 86_400 + 43_200.0


def run(behaviour: Behaviour, seconds: int, start: float = NOON) -> list[dict[str, float | str | bool] | None]:
    return [behaviour.step(start + n) for n in range(seconds)]


@pytest.mark.parametrize("kind", sorted(BEHAVIOURS))
def test_the_same_seed_behaves_the_same_and_another_does_not(kind: str) -> None:
    make = BEHAVIOURS[kind]
    assert run(make("d", 1), 100) == run(make("d", 1), 100)
    assert run(make("d", 1), 100) != run(make("d", 2), 100)
    assert run(make("d", 1), 100) != run(make("e", 1), 100)


@pytest.mark.parametrize(
    ("make", "kind", "metric", "grows"),
    [
        (Pump, "bearing", "vibration", True),
        (Pump, "leak", "pressure", False),
        (Pump, "blocked", "temperature", True),
        (Pump, "blocked", "flow", False),
        (AirQualityStation, "smoke", "pm25", True),
        (AirQualityStation, "drift", "no2", True),
        (StreetLight, "flicker", "power", False),
        (StreetLight, "lamp", "power", False),
        (StreetLight, "lamp", "lux", False),
    ],
)
def test_a_fault_shows_in_its_metric_at_its_time(make: type[Behaviour], kind: str, metric: str, grows: bool) -> None:
    start = NOON + 8 * 3600 if make is StreetLight else NOON  # a lamp fails where one sees it
    faulty = run(make("d", 1, [Fault(kind, start + 50, start + 100)]), 150, start)
    sound = run(make("d", 1), 150, start)

    def differs(n: int) -> bool:
        assert faulty[n] is not None and sound[n] is not None
        change = float(faulty[n][metric]) - float(sound[n][metric])  # type: ignore[index]
        return change > 0.1 if grows else change < -0.1

    assert not any(differs(n) for n in range(50))
    assert all(differs(n) for n in range(50, 100))
    assert not any(differs(n) for n in range(100, 150))


def test_a_battery_empties_while_its_panel_is_broken() -> None:
    sound, broken = (AirQualityStation("d", 1, faults) for faults in ((), [Fault("panel", NOON, NOON + 7200)]))
    levels = [[float(each.step(NOON + n * 600)["battery"]) for n in range(12)] for each in (sound, broken)]  # type: ignore[index]
    assert levels[0][0] <= levels[0][-1] or levels[0][-1] == 100
    assert all(b < a for a, b in itertools.pairwise(levels[1]))


def test_a_fault_grows_for_its_ramp() -> None:
    fault = Fault("leak", 100, 200, ramp_s=50)
    assert [fault.strength(t) for t in (99.9, 100, 125, 150, 199.9, 200)] == [0, 0, 0.5, 1, 1, 0]


def test_a_stopped_pump_moves_no_water() -> None:
    pump = Pump("d", 1)
    assert pump.command("stop", None) == {"running": False}
    stopped = pump.step(NOON)
    assert stopped is not None
    assert (stopped["state"], float(stopped["flow"]) < 1) == ("stopped", True)
    assert pump.step(NOON + 3600)["hours"] == stopped["hours"]  # type: ignore[index]
    pump.command("start", None)
    assert float(pump.step(NOON + 3601)["flow"]) > 10  # type: ignore[index]


def test_a_silent_device_says_nothing() -> None:
    readings = run(Pump("d", 1, [Fault("silent", NOON + 2, NOON + 4)]), 6)
    assert [r is None for r in readings] == [False, False, True, True, False, False]


def test_a_street_light_burns_at_night_and_takes_commands() -> None:
    light = StreetLight("d", 1)
    assert light.step(NOON)["on"] is False  # type: ignore[index]
    assert light.step(NOON + 10 * 3600)["on"] is True  # type: ignore[index]
    assert light.command("set_level", {"level": 40}) == {"level": 40.0}
    assert light.step(NOON + 24 * 3600)["level"] == 40.0  # type: ignore[index]
    with pytest.raises(ValueError, match="0 to 100"):
        light.command("set_level", {"level": 101})
    with pytest.raises(ValueError, match="no command"):
        light.command("dance", None)


def test_a_fleet_has_as_many_as_asked_and_its_faults_are_known() -> None:
    fleet = plan(30, 7, NOON, fault_gap_s=600)
    assert len({m.device for m in fleet.members}) == 30
    truth = fleet.truth()
    assert truth == plan(30, 7, NOON, fault_gap_s=600).truth()
    assert all(
        t["fault"] in KINDS[next(m for m in fleet.members if m.device == t["device"]).behaviour.kind] for t in truth
    )
    assert plan(30, 7, NOON, None).truth() == []


def test_faults_do_not_overlap() -> None:
    faults = list(schedule("d", "pump", 1, 0, 100_000, 500))
    assert len(faults) > 50
    assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(faults))
