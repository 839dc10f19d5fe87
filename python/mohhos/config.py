"""The configuration: typed, frozen, read from `mohhos.toml`.

Every key says here what it means, what is allowed and whether a running gateway takes a change of it;
docs/configuration.md is generated from that (`python -m mohhos.config_reference`). Unknown keys are refused.
"""

import dataclasses
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mohhos import config_listener, config_log
from mohhos.config_keys import Key, key, read_section
from mohhos.config_listener import Listener
from mohhos.config_log import LogClass
from mohhos.errors import MohhosError

__all__ = ["Config", "Listener", "changes", "load", "native_json", "parse"]

DATA_DIR_VARIABLE: Final = "MOHHOS_DATA_DIR"


@dataclass(frozen=True)
class GatewaySection:
    """The gateway as a whole."""

    name: str = key(
        "mohhos", "What the gateway is called: on the page, in messages to the cloud.", pattern=r"[\w.-]{1,64}"
    )
    data_dir: str = key(
        "data",
        "Where everything is kept; a relative path starts at the configuration file. "
        f"The environment variable {DATA_DIR_VARIABLE} goes before it.",
    )
    shards: int = key(0, "Native threads that serve connections; 0 is one per core.", low=0, high=256)
    log_level: str = key(
        "info", "How much the gateway's own messages tell.", one_of=("debug", "info", "warning", "error"), live=True
    )


@dataclass(frozen=True)
class MqttSection:
    """Where MQTT clients connect."""

    listeners: tuple[Listener, ...] = key((Listener(),), "One `[[mqtt.listeners]]` each.", section=Listener)


@dataclass(frozen=True)
class ApiSection:
    """The page, the REST API and the command line's way in."""

    bind: str = key("127.0.0.1:8080", "Address and port.", kind="bind")
    session_lifetime: int = key(
        "12 h", "After this a browser has to sign in again.", kind="duration", low="1 min", high="30 d", live=True
    )
    secure_cookie: bool = key(
        False, "Send the session cookie over HTTPS only: set it when a TLS proxy stands before the gateway.", live=True
    )


@dataclass(frozen=True)
class LimitsSection:
    """Bounds, so that no client can take what others need."""

    max_connections: int = key(
        30_000,
        "Connections at once. There are as many shards as these need open files, at least one per core.",
        low=1,
        high=10_000_000,
    )
    max_packet: int = key(
        "1 MiB", "The largest MQTT packet.", kind="size", low="1 KiB", high="256 MiB", native="max_packet_bytes"
    )
    max_inflight: int = key(256, "Messages in flight to one client (QoS 1 and 2).", low=1, high=65_535)
    max_queued: int = key(1_000, "Messages that wait for one client that is away or slow.", low=1, high=1_000_000)
    max_backlog: int = key(
        "1 MiB",
        "Messages of QoS 0 that wait for one slow client; the oldest go when there are more.",
        kind="size",
        low="64 KiB",
        high="1 GiB",
        native="max_backlog_bytes",
    )
    max_topic_levels: int = key(16, "Levels of a topic.", low=2, high=128)
    max_subscriptions: int = key(1_000, "Subscriptions of one session.", low=1, high=1_000_000)
    max_subscription_size: int = key(
        "1 GiB",
        "What the subscriptions of all sessions may take of the memory, each counted as if it shared nothing with "
        "others: two times its length and 512 bytes for each of its levels.",
        kind="size",
        low="1 MiB",
        high="1024 GiB",
        native="max_subscription_bytes",
    )
    max_sessions: int = key(
        1_000, "Sessions of one device or application that outlive their connections.", low=1, high=100_000_000
    )
    max_unfinished: int = key(
        "256 MiB",
        "What may be held of packets that have begun and not ended, over all connections; beyond it those with large "
        "ones are disconnected.",
        kind="size",
        low="1 MiB",
        high="1024 GiB",
        native="max_unfinished_bytes",
    )
    keep_alive_max: int = key(
        "1 h",
        "The longest keep-alive that a client gets.",
        kind="duration",
        low="5 s",
        high="18 h",
        native="keep_alive_max_s",
    )
    session_expiry_max: int = key(
        "7 d",
        "How long a session outlives its connection at most.",
        kind="duration",
        low="0 s",
        high="365 d",
        native="session_expiry_max_s",
    )
    connect_timeout: int = key(
        "10 s",
        "How long a new connection may take to say who it is.",
        kind="duration",
        low="1 s",
        high="5 min",
        native="connect_timeout_s",
    )
    max_handshakes: int = key(
        1_000,
        "TLS handshakes that have begun; when more clients come at once, they wait for their turn.",
        low=1,
        high=100_000,
    )
    metrics_per_device: int = key(1_000, "Different metrics of one device; more are dead letters.", low=1, high=65_536)
    max_retained: int = key(200_000, "Retained messages.", low=1, high=100_000_000)
    max_retained_size: int = key(
        "64 MiB",
        "Retained messages together, their topics included.",
        kind="size",
        low="64 KiB",
        high="1024 GiB",
        native="max_retained_bytes",
    )
    disconnect_refused: bool = key(
        False,
        "An MQTT 3.1.1 client cannot be told that its message of QoS 1 or 2 is refused: end its connection (true), or "
        "acknowledge the message and drop it (false).",
    )


@dataclass(frozen=True)
class LogSection:
    """The log: what was acknowledged."""

    segment: int = key(
        "64 MiB", "The size of one file of the log.", kind="size", low="1 MiB", high="1 GiB", native="segment_bytes"
    )
    retain_size: int = key(
        "4 GiB",
        "The oldest messages of no class go when there are more bytes of them and every projection has them.",
        kind="size",
        low="64 MiB",
        high="1024 TiB",
        native="retain_bytes",
    )
    retain_age: int = key(
        "7 d",
        "Messages of no class go when they are older and every projection has them.",
        kind="duration",
        low="1 min",
        high="3650 d",
        native="retain_age_s",
    )
    commit_interval: int = key(
        "1 ms",
        "The least time between two commits: more per commit against a quicker acknowledgement.",
        kind="duration",
        low="0 us",
        high="1 s",
        native="commit_interval_us",
    )
    buffer: int = key(
        "32 MiB",
        "What may wait for a commit before sockets are no longer read.",
        kind="size",
        low="1 MiB",
        high="4 GiB",
        native="buffer_bytes",
    )
    trim_when_full: bool = key(
        True,
        "On a full disk, old messages that every projection has go before their time. With false the log, and with "
        "it the devices, wait until there is space.",
    )
    classes: tuple[LogClass, ...] = key((), "One `[[log.classes]]` each.", section=LogClass, native="")


@dataclass(frozen=True)
class HistorySection:
    """Readings in Parquet files, and queries over them."""

    flush_rows: int = key(1_000_000, "Rows in memory after which a file is written.", low=1_000, high=100_000_000)
    flush_interval: int = key(
        "5 min",
        "The time after which a file is written with what there is.",
        kind="duration",
        low="1 s",
        high="1 d",
        native="flush_interval_s",
    )
    retain_size: int = key(
        "20 GiB",
        "The oldest files go when all together are larger.",
        kind="size",
        low="1 MiB",
        high="1024 TiB",
        native="retain_bytes",
    )
    retain_age: int = key(
        "365 d",
        "Files go when all their readings arrived longer ago.",
        kind="duration",
        low="1 min",
        high="36500 d",
        native="retain_age_s",
    )
    query_memory: int = key(
        "256 MiB", "What the query process may use.", kind="size", low="64 MiB", high="64 GiB", native=""
    )
    query_timeout: int = key(
        "30 s", "A query is ended after this.", kind="duration", low="1 s", high="1 h", live=True, native=""
    )
    query_idle: int = key(
        "1 min",
        "The query process ends after so long without a query.",
        kind="duration",
        low="1 s",
        high="1 d",
        live=True,
        native="",
    )


@dataclass(frozen=True)
class StreamSection:
    """The rules' engine."""

    idle_timeout: int = key(
        "1 min",
        "After so long without readings, a device's watermark follows the gateway's clock.",
        kind="duration",
        low="1 s",
        high="1 d",
        native="idle_timeout_s",
    )
    snapshot_interval: int = key(
        "10 s",
        "How often the rules' state is saved; a restart replays what came after.",
        kind="duration",
        low="1 s",
        high="1 h",
        native="snapshot_interval_s",
    )
    max_state: int = key(
        "512 MiB",
        "What one rule may remember; beyond it the rule stops with an error.",
        kind="size",
        low="1 MiB",
        high="64 GiB",
        native="max_state_bytes",
    )


@dataclass(frozen=True)
class TimeSection:
    """Clocks."""

    max_future: int = key(
        "5 min",
        "A reading further ahead than this gets its arrival time and the quality `clock`.",
        kind="duration",
        low="0 s",
        high="365 d",
        native="max_future_s",
    )


@dataclass(frozen=True)
class CommandsSection:
    """Requests to devices."""

    default_deadline: int = key(
        "1 h", "The deadline of a command that names none.", kind="duration", low="1 s", high="365 d", live=True
    )


@dataclass(frozen=True)
class Config:
    """The whole configuration."""

    gateway: GatewaySection = GatewaySection()
    mqtt: MqttSection = MqttSection()
    api: ApiSection = ApiSection()
    limits: LimitsSection = LimitsSection()
    log: LogSection = LogSection()
    history: HistorySection = HistorySection()
    stream: StreamSection = StreamSection()
    time: TimeSection = TimeSection()
    commands: CommandsSection = CommandsSection()

    @property
    def data_dir(self) -> Path:
        """The data directory, absolute after `load`."""
        return Path(self.gateway.data_dir)

    @property
    def endpoints(self) -> Path:
        """Where a running gateway writes down where it listens: the ports may have been chosen by the system."""
        return self.data_dir / "run" / "endpoints.json"


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration in the file; the defaults when `path` is None (then relative to the working directory).

    Raises MohhosError: config-missing, config-syntax, and what `parse` raises.
    """
    if path is None:
        return _resolved(Config(), Path.cwd(), environment)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MohhosError(
            "config-missing",
            f"{path} cannot be read",
            str(error),
            "Give the right path with --config, or create the file: an empty one means all defaults",
        ) from error
    return _resolved(parse(text, str(path)), path.absolute().parent, environment)


def parse(text: str, name: str = "mohhos.toml") -> Config:
    """The configuration in a TOML text; paths in it stay as they are.

    Raises MohhosError: config-syntax, config-unknown-key, config-wrong-type, config-out-of-range, config-anonymous,
    config-transport.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MohhosError(
            "config-syntax", f"{name} is not valid TOML", str(error), "Correct the line; strings stand in quotes"
        ) from error
    config = read_section(Config, tree, "")
    config_listener.check(config.mqtt.listeners)
    config_log.check(config.log.classes)
    return config


def _resolved(config: Config, base: Path, environment: Mapping[str, str]) -> Config:
    given = environment.get(DATA_DIR_VARIABLE)
    data_dir = Path(given).absolute() if given else (base / config.gateway.data_dir)
    listeners = tuple(config_listener.resolved(each, base) for each in config.mqtt.listeners)
    return dataclasses.replace(
        config,
        gateway=dataclasses.replace(config.gateway, data_dir=str(data_dir)),
        mqtt=dataclasses.replace(config.mqtt, listeners=listeners),
    )


def changes(old: Config, new: Config) -> tuple[list[str], list[str]]:
    """The paths of keys whose values differ: those that a running gateway takes, and those that need a restart."""
    live: list[str] = []
    restart: list[str] = []
    for section in dataclasses.fields(Config):
        before, after = getattr(old, section.name), getattr(new, section.name)
        for item in dataclasses.fields(before):
            if getattr(before, item.name) != getattr(after, item.name):
                (live if Key.of(item).live else restart).append(f"{section.name}.{item.name}")
    return live, restart


def with_live(old: Config, new: Config) -> Config:
    """`old` with those values of `new` that a running gateway takes."""
    sections = {}
    for section in dataclasses.fields(Config):
        before, after = getattr(old, section.name), getattr(new, section.name)
        taken = {f.name: getattr(after, f.name) for f in dataclasses.fields(before) if Key.of(f).live}
        sections[section.name] = dataclasses.replace(before, **taken)
    return dataclasses.replace(old, **sections)


def native_json(config: Config, *, build_time_us: int, gateway_key: bytes) -> str:
    """The configuration as `mohhos._native.Gateway` takes it."""
    return json.dumps(
        {
            "data_dir": config.gateway.data_dir,
            "name": config.gateway.name,
            "shards": config.gateway.shards,
            "listeners": [config_listener.native_listener(each) for each in config.mqtt.listeners],
            "limits": _native_section(config.limits),
            "log": {**_native_section(config.log), "classes": [_native_section(each) for each in config.log.classes]},
            "history": _native_section(config.history),
            "stream": _native_section(config.stream),
            "time": {**_native_section(config.time), "build_time_us": build_time_us},
            "gateway_key": gateway_key.hex(),
        }
    )


def _native_section(section: Any) -> dict[str, Any]:
    """The keys of a section under their native names; `_s` in seconds, `_us` in microseconds, the rest as they are."""
    values = {}
    for item in dataclasses.fields(section):
        name = Key.of(item).native
        if name is not None and name != "":
            value = getattr(section, item.name)
            values[name] = value // 1_000_000 if name.endswith("_s") else value
        elif name is None:
            values[item.name] = getattr(section, item.name)
    return values
