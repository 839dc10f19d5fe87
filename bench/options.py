"""What is measured, and for how long."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bench.peers import PEERS

__all__ = ["PARTS", "Case", "Options", "parse"]

PARTS: Final = (
    "throughput",
    "delivered",
    "fanout",
    "durable",
    "acknowledgement",
    "delivery",
    "latency",
    "busy",
    "memory",
    "hold",
    "handshakes",
    "idle",
    "sizes",
    "start",
)

TRANSPORTS: Final = ("plain", "TLS")


@dataclass(frozen=True)
class Case:
    """One load: devices on a connection each, topics per device, messages per TCP segment, quality of service, and
    those who have subscribed to all of it.
    """

    connections: int
    topics: int
    per_segment: int
    qos: int = 0
    subscribers: int = 0

    def __str__(self) -> str:
        many = "connection" if self.connections == 1 else "connections"
        load = f"{self.connections:,} {many}, {self.per_segment} per segment, QoS {self.qos}"
        return load if not self.subscribers else f"{load}, to {self.subscribers:,} subscribers"


@dataclass(frozen=True)
class Options:
    """The whole run."""

    name: str
    seconds: float
    rounds: int
    parts: tuple[str, ...]
    connections: tuple[int, ...]
    held: int
    fleet: int
    transports: tuple[str, ...]
    peers: tuple[str, ...]
    ordered: int
    cold_make_run: bool

    def cases(self) -> list[Case]:
        """The loads of the throughput part: 10 messages per segment and one, over 10,000 topics where there is room."""
        topics = {n: max(1, min(10, 10_000 // n)) for n in self.connections}
        return [Case(n, topics[n], per_segment) for per_segment in (10, 1) for n in self.connections]

    def delivered(self) -> list[Case]:
        """The loads of the throughput part with the most connections, and one subscriber to everything."""
        most = max(self.connections)
        return [replace(case, subscribers=1) for case in self.cases() if case.connections == most]

    def fanout(self) -> Case:
        """One publisher, and a thousand subscribers."""
        return Case(1, 10, 10, subscribers=1_000)

    def durable(self) -> Case:
        """The load of the durable part."""
        return Case(min(1_000, max(self.connections)), 10, 10, qos=1)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


def _some_of(known: Sequence[str], what: str, text: str) -> tuple[str, ...]:
    words = text.split(",")
    for word in words:
        if word not in known:
            raise argparse.ArgumentTypeError(f"{word!r} is no {what}: one of {', '.join(known)}")
    return tuple(name for name in known if name in words)


def _parts(text: str) -> tuple[str, ...]:
    return _some_of(PARTS, "part", text)


def _transports(text: str) -> tuple[str, ...]:
    return _some_of(TRANSPORTS, "transport", text)


def _peers(text: str) -> tuple[str, ...]:
    return () if text == "none" else _some_of(tuple(PEERS), "peer", text)


def parse(words: Sequence[str]) -> Options:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--name", default="bench", help="part of the result's file name")
    parser.add_argument("--seconds", type=float, default=60, help="length of each load (default 60)")
    parser.add_argument("--rounds", type=int, default=3, help="sink and gateway in turn, so often (default 3)")
    parser.add_argument("--parts", type=_parts, default=PARTS, help=f"some of {','.join(PARTS)}")
    parser.add_argument("--connections", type=_numbers, default=(1_000, 10_000), help="default 1000,10000")
    parser.add_argument("--held", type=int, default=25_000, help="idle connections to hold (default 25000)")
    parser.add_argument("--fleet", type=int, default=100_000, help="connections of the part hold (default 100000)")
    parser.add_argument("--transports", type=_transports, default=TRANSPORTS, help="of the part hold: plain,TLS")
    parser.add_argument("--peers", type=_peers, default=tuple(PEERS), help=f"some of {','.join(PEERS)}, or none")
    parser.add_argument("--ordered", type=int, default=100, help="devices whose rows are checked one by one")
    parser.add_argument("--cold-make-run", action="store_true", help="also clone, and time `make run` from nothing")
    given = parser.parse_args(words)
    return Options(
        name=given.name,
        seconds=given.seconds,
        rounds=given.rounds,
        parts=given.parts,
        connections=given.connections,
        held=given.held,
        fleet=given.fleet,
        transports=given.transports,
        peers=given.peers,
        ordered=given.ordered,
        cold_make_run=given.cold_make_run,
    )
