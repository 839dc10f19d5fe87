"""The native counters as Prometheus text."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

__all__ = ["exposition"]

_GAUGES: Final = frozenset(
    {
        "connections",
        "sessions",
        "retained",
        "uncommitted_bytes",
        "bytes",
        "segments",
        "tail_rows",
        "files",
        "state_bytes",
        "resident_bytes",
        "clock_synchronised",
        "rules",
        "tables",
        "devices",
        "metrics",
        "subscriptions",
        "stalled",
        "tls_waiting",
    }
)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _value(value: float) -> str:
    """All digits: a rate is the difference of two large counters."""
    return str(int(value)) if float(value).is_integer() else repr(value)


def _family(name: str, kind: str, samples: Iterable[tuple[str, float]]) -> list[str]:
    return [f"# TYPE {name} {kind}", *(f"{name}{labels} {_value(value)}" for labels, value in samples)]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def exposition(
    stats: Mapping[str, Any], rules: Iterable[Mapping[str, Any]], devices: Mapping[str, int], open_alerts: int
) -> str:
    """All metrics as text: `mohhos_{part}_{counter}`, rules with their name as a label."""
    lines: list[str] = []
    for part, counters in stats.items():
        for counter, value in counters.items():
            if (number := _number(value)) is not None:
                gauge = counter in _GAUGES
                name = f"mohhos_{part}_{counter}" + ("" if gauge else "_total")
                lines += _family(name, "gauge" if gauge else "counter", [("", number)])
    lines += _family("mohhos_devices", "gauge", ((f'{{status="{_escape(s)}"}}', n) for s, n in sorted(devices.items())))
    lines += _family("mohhos_alerts_open", "gauge", [("", open_alerts)])
    known = list(rules)
    labelled = [(f'{{rule="{_escape(rule["name"])}"}}', rule) for rule in known]
    for counter in ("rows_in", "rows_out", "late"):
        name = f"mohhos_rule_{counter}_total"
        lines += _family(name, "counter", ((label, float(rule.get(counter) or 0)) for label, rule in labelled))
    lines += _family(
        "mohhos_rule_running", "gauge", ((label, float(rule.get("state") == "running")) for label, rule in labelled)
    )
    return "\n".join(lines) + "\n"
