"""After a load: what was sent, what the rules saw and what is stored must be the same, per device and in order."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from bench.gateway import Gateway
from bench.measure import READINGS, Sent
from bench.options import Case

__all__ = ["FIRST_SEQUENCE", "Verification", "sequence_sum", "verify"]

FIRST_SEQUENCE: Final = 10_000_000
PAGE: Final = 100_000
YEAR_2100_US: Final = 4_102_444_800_000_000


@dataclass(frozen=True)
class Verification:
    """The counts that must agree, and the devices where they do not (the first few)."""

    sent: int
    taken: int
    ruled: dict[str, int]
    hot_sent: int
    hot_found: int
    stored: int | None
    devices_wrong: list[str]
    devices_in_order: int
    devices_out_of_order: list[str]

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, doubled, or changed its place. The history is not asked after every load."""
        return (
            self.sent == self.taken
            and self.stored in {None, self.sent}
            and all(rows == READINGS * self.sent for rows in self.ruled.values())
            and self.hot_sent == self.hot_found
            and not self.devices_wrong
            and not self.devices_out_of_order
        )


def verify(gateway: Gateway, case: Case, sent: Sent, filter_rule: str, ordered: int | None) -> Verification:
    """Asks the gateway what it has, and compares; the history too, if `ordered` (devices to look at) is given."""
    rules = gateway.rules()
    taken = int(gateway.stats()["hub"]["messages_in"])
    stored: int | None = None
    wrong: list[str] = []
    checked: list[str] = []
    if ordered is not None:
        gateway.allow_long_queries()
        stored, wrong = _per_device(gateway, case, sent)
        checked = _spread([device for device, messages in sorted(sent.per_device.items()) if messages], ordered)
    out_of_order = [f"{device}: {why}" for device in checked if (why := _disorder(gateway, case, device, sent))]
    return Verification(
        sent=sent.messages,
        taken=taken,
        ruled={name: int(rule["rows_in"]) for name, rule in rules.items()},
        hot_sent=sent.hot,
        hot_found=int(rules[filter_rule]["rows_out"]),
        stored=stored,
        devices_wrong=wrong[:10],
        devices_in_order=len(checked) - len(out_of_order),
        devices_out_of_order=out_of_order[:10],
    )


def _per_device(gateway: Gateway, case: Case, sent: Sent) -> tuple[int, list[str]]:
    """How many messages are stored, and the devices whose rows are not exactly those sent.

    Count, least, greatest and sum of the sequence numbers, and the count of temperatures: a row lost, doubled or
    changed shows in at least one of them.
    """
    table = gateway.query(
        "SELECT device, count(*) FILTER (metric = 'seq'), count(*) FILTER (metric = 'temperature'), "
        "min(num) FILTER (metric = 'seq'), max(num) FILTER (metric = 'seq'), sum(num) FILTER (metric = 'seq') "
        "FROM telemetry GROUP BY device"
    )
    found = {row[0]: tuple(row[1:]) for row in table.rows}
    wrong = []
    for device, messages in sent.per_device.items():
        got = found.pop(device, None)
        if messages == 0:
            expected = None
        else:
            sequences = sequence_sum(messages, case.topics)
            last = FIRST_SEQUENCE + (messages - 1) // case.topics
            expected = (messages, messages, FIRST_SEQUENCE, last, sequences)
        if got != expected:
            wrong.append(f"{device}: {got} instead of {expected}")
    wrong += [f"{device}: {got} though nothing was sent" for device, got in found.items()]
    return sum(row[1] for row in table.rows), wrong


def sequence_sum(messages: int, topics: int) -> int:
    """The sum of FIRST_SEQUENCE + n // topics over n = 0 … messages - 1."""
    whole, rest = divmod(messages, topics)
    return FIRST_SEQUENCE * messages + topics * (whole * (whole - 1) // 2) + whole * rest


def _spread(devices: list[str], count: int) -> list[str]:
    """So many of the devices, evenly spread."""
    step = max(1, len(devices) // count) if count else len(devices) + 1
    return devices[::step][:count]


def _disorder(gateway: Gateway, case: Case, device: str, sent: Sent) -> str | None:
    """Where the nth stored message by time is not the nth that was sent: its topic and sequence number say so."""
    last_us, n = 0, -1
    for n, row in enumerate(_rows(gateway, device)):
        table, sequence = f"t{n % case.topics}", FIRST_SEQUENCE + n // case.topics
        if row["table"] != table or row["num"] != sequence or row["ts"] <= last_us:
            return f"row {n} is {row['table']} {row['num']:.0f} at {row['ts']}, not {table} {sequence} after {last_us}"
        last_us = row["ts"]
    messages = sent.per_device[device]
    return f"{n + 1} rows instead of {messages}" if n + 1 != messages else None


def _rows(gateway: Gateway, device: str) -> Iterator[dict[str, Any]]:
    """All sequence numbers of a device by time."""
    path = f"/devices/{device}/telemetry?metric=seq&from=0&to={YEAR_2100_US}&limit={PAGE}"
    cursor = ""
    while True:
        page = gateway.call("GET", f"{path}{cursor}", timeout_s=300)
        yield from page["items"]
        if page["next"] is None:
            return
        cursor = f"&cursor={page['next']}"
