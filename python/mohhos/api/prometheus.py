"""The native counters as Prometheus text."""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from types import MappingProxyType
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


def _histogram(name: str, histogram: Mapping[str, Any]) -> list[str]:
    """Prometheus counts up: each bucket holds those before it."""
    counts = list(accumulate(histogram["counts"]))
    bounds = [*(_value(bound / 1e6) for bound in histogram["bounds_us"]), "+Inf"]
    buckets = [f'{name}_bucket{{le="{le}"}} {count}' for le, count in zip(bounds, counts, strict=True)]
    total = [f"{name}_sum {_value(histogram['sum_us'] / 1e6)}", f"{name}_count {counts[-1]}"]
    return [f"# TYPE {name} histogram", *buckets, *total]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def exposition(
    stats: Mapping[str, Any],
    rules: Iterable[Mapping[str, Any]],
    devices: Mapping[str, int],
    open_alerts: int,
    latencies: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> str:
    """All metrics as text: `mohhos_{part}_{counter}`, rules with their name as a label, latencies as histograms."""
    lines: list[str] = []
    for part, counters in stats.items():
        for counter, value in counters.items():
            if (number := _number(value)) is not None:
                gauge = counter in _GAUGES
                name = f"mohhos_{part}_{counter}" + ("" if gauge else "_total")
                lines += _family(name, "gauge" if gauge else "counter", [("", number)])
    for kind, histogram in latencies.items():
        lines += _histogram(f"mohhos_hub_{kind}_latency_seconds", histogram)
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
