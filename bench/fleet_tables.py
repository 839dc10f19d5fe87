"""The tables about large fleets: connections held, kicks, storms, handshakes, pings."""

from typing import Any

from bench.handshakes import CLIENTS, Handshakes
from bench.hold import IMPATIENCE_S, TALKERS, Hold
from bench.idle import KEEP_ALIVE_S, PINGING, Idle
from bench.results import Results
from bench.sizes import COUNT, PAYLOAD, Sizes
from bench.table import Table, mib

__all__ = ["fleet_tables"]


def fleet_tables(results: Results) -> list[Table]:
    """Those of the parts that ran."""
    found = [table for fleet in results.hold for table in (_held(fleet), _storm(fleet))]
    found += [_handshakes(results.handshakes)] if results.handshakes is not None else []
    found += [_idle(results.idle)] if results.idle is not None else []
    found += [_sizes(results.sizes)] if results.sizes is not None else []
    return found


def _held(fleet: Hold) -> Table:
    opened = fleet.opened
    rows = [
        ("registering the devices", f"{fleet.register_s:.0f} s"),
        ("resident, devices registered, none connected", f"{mib(fleet.registered)} MiB"),
        (f"resident, {fleet.connections:,} idle connections", f"{mib(fleet.with_connections)} MiB"),
        ("… for each connection", f"{fleet.bytes_per_connection:,.0f} bytes"),
        ("resident after the storm", f"{mib(fleet.after_storm)} MiB"),
        ("opened in an orderly way", f"{opened['through'] / opened['seconds']:,.0f} per second"),
        (
            f"kick of a random one of {len(fleet.kicks_ms):,}: p50, p99, max",
            f"{fleet.kick_ms(0.5):.1f}, {fleet.kick_ms(0.99):.1f}, {max(fleet.kicks_ms):.1f} ms",
        ),
    ]
    return Table(
        f"{fleet.total:,} connections, {fleet.transport}",
        ("what", "found"),
        rows,
        f"{TALKERS} of the devices, and one subscriber, are connected only for the storm. A kick counts from the "
        "request to the API until the device sees the end of its connection. TLS: 1.3, each with a client certificate.",
    )


def _storm(fleet: Hold) -> Table:
    storm = fleet.storm
    rows = [
        ("all are back after", f"{storm['seconds']:.1f} s"),
        ("each, from connect to CONNACK: p50, p99, max", _seconds(storm)),
        (f"time-outs (of {IMPATIENCE_S} s)", f"{storm['timed_out']:,}"),
        ("refused, or closed before CONNACK; each tried again after 1 s", f"{storm['refused']:,}"),
        ("sessions of TLS resumed", f"{storm['resumed']:,}"),
        ("never came back", f"{storm['given_up']:,}"),
        ("talkers to a subscriber before the storm: p50, p99, max", _milliseconds(fleet.quiet)),
        ("… during the storm", _milliseconds(fleet.stormy)),
    ]
    return Table(
        f"All but {TALKERS} of {fleet.total:,} are cut at once and come back at once, {fleet.transport}",
        ("what", "found"),
        rows,
        "Clients and gateway share the machine. Latency counts from when a message was due, open loop.",
    )


def _seconds(report: dict[str, Any]) -> str:
    return ", ".join(f"{report[key]:.1f}" for key in ("p50_s", "p99_s", "max_s") if report[key] is not None) + " s"


def _milliseconds(report: dict[str, Any]) -> str:
    return ", ".join(f"{report[key]:.2f}" for key in ("p50_ms", "p99_ms", "max_ms") if report[key] is not None) + " ms"


def _handshakes(found: Handshakes) -> Table:
    rows = [
        (
            shaken.what,
            f"{shaken.handshakes:,}",
            f"{shaken.handshakes / shaken.seconds:,.0f}",
            f"{shaken.tls_threads_s / shaken.handshakes * 1e3:.3f}",
            f"{shaken.process_s / shaken.handshakes * 1e3:.3f}",
            f"{shaken.per_core:,.0f}",
            f"{shaken.predicted:,.0f}" if shaken.predicted is not None else "-",
            f"{shaken.share:.0%}" if shaken.share is not None else "-",
        )
        for shaken in found.shaken
    ]
    openssl = found.openssl
    return Table(
        f"TLS 1.3 handshakes with client certificates, P-256, {CLIENTS:,} clients",
        (
            "what",
            "handshakes",
            "per second",
            "ms of the TLS threads",
            "ms of the process",
            "per core",
            "predicted",
            "share",
        ),
        rows,
        "Per second: of the whole machine, clients included. Per core: by the processor time of the threads that make "
        "handshakes; that of the process has accepting, reading and closing as well. Predicted, per core: "
        "1 / (2 / sign + n / verify + 1 / derive), n = 2 for a chain not seen before, else 1, of openssl speed "
        f"ecdsap256 ecdhp256: {openssl.sign:,.0f}, {openssl.verify:,.0f} and {openssl.derive:,.0f} per second.",
    )


def _idle(found: Idle) -> Table:
    return Table(
        f"Processor time, {PINGING:,} devices that ping every {KEEP_ALIVE_S} s",
        ("what", "of a core"),
        [
            ("nobody connected", f"{found.alone:.2%}"),
            (f"{PINGING:,} connected", f"{found.pinging:.2%}"),
        ],
        f"Gateway with its query process, over {found.seconds:.0f} s. {found.answered:,} of {found.pings:,} pings were "
        "answered.",
    )


def _sizes(found: Sizes) -> Table:
    rows = [
        ("a registered device, resident", found.device),
        ("an idle connection, plain, resident", found.connection),
        ("a subscription to a topic of its own, resident", found.subscription),
        (f"a retained message of {PAYLOAD} bytes, topic of 20, resident", found.retained),
        ("a message in the log (QoS 1, payload of 40), on disk", found.log_message),
        (f"a reading in the history (of {found.readings:,}), on disk", found.history_reading),
    ]
    return Table(
        f"What one more takes, {COUNT:,} of each",
        ("what", "bytes"),
        [(what, f"{size:,.0f}" if size >= 10 else f"{size:.1f}") for what, size in rows],
        "Resident bytes of the gateway's process, all parts of it: hub, registry, events, page.",
    )
