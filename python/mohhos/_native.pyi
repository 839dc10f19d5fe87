"""The native gateway, as Python sees it.

Offsets are byte positions in the log. Times are integer microseconds UTC unless a name says otherwise. Every method
that waits releases the GIL. All methods may be called from any thread.
"""

from typing import Any, Literal, TypedDict

class NativeError(Exception):
    """Something native failed. `args` is (code, message): a stable code of docs/errors, and words for people."""

class PlanError(NativeError):
    """A plan cannot be run: unknown version, operator or type. The rule that was there before goes on."""

class PrincipalSpec(TypedDict, total=False):
    """Who may connect. `secret` is HMAC-SHA-256(key = gateway key, message = the secret's text), 32 bytes;
    `password` an Argon2id PHC string; exactly one of the two."""

    name: str  # the MQTT user name; for a device, its device id
    kind: Literal["device", "application", "adapter", "operator"]
    roles: list[str]  # names of roles; "device" is built in
    secret: bytes
    password: str
    enabled: bool
    children: list[str]  # device ids it may speak for
    parent: str | None  # the device that speaks for it: what ${parent} stands for
    groups: list[str]  # what ${group} stands for

class Event(TypedDict, total=False):
    """Something the control plane should know. Bounded: the oldest are dropped and counted.

    kind "connected":    principal, client, at_us, address, protocol (4 or 5)
    kind "disconnected": principal, client, at_us, reason (words), clean (bool), will (bool), last (bool: no other
                         session of the principal is connected)
    kind "presence":     principals: list of (principal, online (bool), since_us), of those whose events of the two
                         kinds above were dropped: how it stands now
    kind "seen":         devices: list of (device id, last seen at_us), gathered over a second at least
    kind "refused":      principal, client, at_us, address, reason_code (MQTT 5), reason (words), action
                         ("connect", "publish", "subscribe"; "protocol": it broke MQTT and was disconnected; "receive":
                         count messages for it were dropped), topic; the same refusal within a minute is counted: count
    kind "delivered":    commands: list of (device, command id, offset in the log, at_us): a device, or who speaks for
                         it, has acknowledged them (QoS 1 or 2)
    kind "rule_failed":  rule, message, at_us, stopped (bool: False when it goes on with the next rows)
    kind "alarm":        code (of docs/errors), message, at_us, raised (bool: False when it is over)
    """

    kind: str
    principal: str
    client: str
    at_us: int
    address: str
    protocol: int
    reason: str
    clean: bool
    will: bool
    last: bool
    devices: list[tuple[str, int]]
    principals: list[tuple[str, bool, int]]
    commands: list[tuple[str, str, int, int]]
    reason_code: int
    action: str
    topic: str
    count: int
    rule: str
    message: str
    stopped: bool
    code: str
    raised: bool

class Explanation(TypedDict):
    """What decides about a principal and a topic.

    decided_by: "role" (a pattern of one), "no-role" (none allows it), "role-unknown", "gateway" (its own topic),
    "levels", "registry" (the device is not registered), "state" (of a device) or "account" (it is disabled).
    """

    allowed: bool
    decided_by: str
    role: str  # "" if none decides
    list: str  # "publish.allow", "publish.deny" and so on; "" if none decides
    pattern: str
    device: str  # whose state decides; "" if none does
    reason: str

class TracePart(TypedDict):
    """A part of a trace."""

    packets: list[tuple[int, str]]  # numbers from 1 on, without a gap, and JSON
    left_out: int  # packets that came faster than max_per_second
    ended: str | None  # why; None while it runs
    until_us: int

class LogRecord(TypedDict):
    """One message record."""

    offset: int
    next: int  # the offset of the record after it
    principal: str
    device: str  # "" if it concerns none
    topic: str
    qos: int
    retain: bool
    wall_us: int
    content_type: str
    payload: bytes

class TapRow(TypedDict):
    """One reading, live."""

    device: str
    metric: str
    ts: int
    num: float | None
    text: str | None
    quality: str
    table: str

class Tap:
    """A bounded live view, the oldest dropped first. Ends when it is garbage collected or closed."""

    def next(self, max_items: int, timeout_ms: int) -> list[Any]: ...
    def dropped(self) -> int: ...
    def close(self) -> None: ...

class Gateway:
    """One running native gateway.

    `config` is the JSON of mohhos.config's native part:
    {"data_dir": str, "name": str, "shards": int (0: automatic),
     "listeners": [{"name", "bind": "127.0.0.1:1883", "anonymous_role": str|null, "proxy_protocol": bool,
                    "websocket_origins": [str]|null (null: no WebSocket),
                    "tls": {"certificate", "key", "only_newest": bool (TLS 1.3 alone),
                            "clients": "off"|"optional"|"required", "client_ca": str|null,
                            "client_revocations": str|null, "identity": "cn"|"san"|"none"}|null}],
     "limits": {"max_connections", "max_packet_bytes", "max_inflight", "max_queued", "max_backlog_bytes",
                "max_topic_levels", "max_subscriptions", "max_subscription_bytes", "max_sessions",
                "max_unfinished_bytes",
                "keep_alive_max_s", "session_expiry_max_s", "connect_timeout_s", "max_handshakes",
                "metrics_per_device", "max_retained", "max_retained_bytes", "disconnect_refused"},
     "log": {"segment_bytes", "retain_bytes", "retain_age_s", "commit_interval_us", "buffer_bytes", "trim_when_full",
             "classes": [{"name", "topics": [str], "retain_bytes", "retain_age_s", "sync_interval_us"}]},
     "history": {"flush_rows", "flush_interval_s", "retain_bytes", "retain_age_s"},
     "stream": {"idle_timeout_s", "snapshot_interval_s", "max_state_bytes"},
     "time": {"max_future_s": 300, "build_time_us": int},
     "gateway_key": hex of 32 bytes}
    Raises NativeError: data directory locked or of another format, port taken, log damaged beyond a torn tail.
    """

    def __init__(self, config: str) -> None: ...
    def start(self) -> None:
        """Recovers the log, replays what the snapshots miss, then opens the listeners.
        Devices, metrics, roles, principals, tables and rules are put before it."""

    def stop(self) -> None:
        """Closes listeners and connections, commits, snapshots, flushes history, joins all threads."""

    def ports(self) -> dict[str, int]:
        """The port of each listener by name (for bind port 0)."""

    def reload_tls(self) -> list[str]:
        """Reads certificates, keys and revocation lists of all listeners again; the names of those that changed.
        Connections go on, except those whose certificate is revoked now. Raises NativeError tls-file-unreadable,
        tls-key-exposed, tls-file-invalid: that listener goes on with the files before."""
    # identity and policy
    def put_devices(self, codes: list[tuple[str, int]]) -> None:
        """Makes registered devices and their persisted codes known; messages of others are refused."""

    def remove_devices(self, devices: list[str]) -> None: ...
    def put_principals(self, principals: list[PrincipalSpec]) -> None:
        """Adds or replaces. A connected principal whose credentials changed, or that is now disabled, is disconnected
        (without its will); one whose roles, groups, parent or children changed is held to these at once."""

    def remove_principals(self, names: list[str]) -> None:
        """Removes, disconnects their sessions and forgets them."""

    def put_roles(self, roles: str) -> None:
        """Replaces all roles: JSON {role: {"publish", "subscribe", "receive": {"allow": [patterns], "deny":
        [patterns]}, "limits": {…}}}, the language of docs/policy.md. Acts on live sessions at once."""

    def kick(self, principal: str, text: str = ..., will: bool = False) -> int:
        """Disconnects its sessions (0x98 administrative action, with this text); returns how many. Their wills are
        published only if `will`."""

    def set_state(self, device: str, state: str, rate: float | None = None, topics: list[str] = ...) -> None:
        """Restricts a device or frees it, at once, also behind its parent: "allow", "throttle" (to a rate in messages
        per second), "quarantine" (to these topics, or to its commands). May be put before the start."""

    def explain(self, principal: str, action: str, topic: str, client: str = "") -> Explanation | None:
        """What a session of the principal meets that does this ("publish", "subscribe", "receive"), and why; None if
        there is no such principal."""
    # topic space
    def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 1,
        retain: bool = False,
        content_type: str = "",
        device: str = "",
        expiry_s: int | None = None,
    ) -> int:
        """Publishes as the gateway; returns the offset to wait for (0 for QoS 0).
        Raises NativeError when the log cannot take it (disk full)."""

    def wait_committed(self, offset: int, timeout_ms: int) -> bool: ...
    def tap_messages(self, topic_filter: str, capacity: int) -> Tap:
        """Items are (topic, payload, principal, at_us)."""

    def tap_telemetry(self, device: str, capacity: int) -> Tap:
        """Items are TapRow; device "" for all."""
    # tables and rules
    def put_tables(self, tables: str) -> None:
        """JSON [{"id", "name", "filter", "columns": [{"name", "kind"}], "rowtime": int, "watermark_us": int}]:
        the whole set of declared tables, replacing the set before; kind as ColumnType in lower case."""

    def deploy_rule(self, name: str, version: int, plan: str) -> None:
        """Starts or replaces a rule at a batch boundary. Raises PlanError and leaves the version before running."""

    def remove_rule(self, name: str) -> bool: ...
    def rules(self) -> list[dict[str, Any]]:
        """Per rule: name, version, state ("running", "failed"), error, rows_in, rows_out, late, state_bytes,
        last_output_us."""
    # log and projections
    def committed(self) -> int: ...
    def read_log(self, offset: int, topic_prefixes: list[str], max_records: int) -> tuple[list[LogRecord], int]:
        """Committed message records from `offset` on whose topic starts with one of the prefixes, and where to go on.

        A level `+` in a prefix stands for any one level: "devices/+/commands/" leaves out the telemetry, which Python
        could not read at the rate at which it comes. "Where to go on" moves past records that were left out.
        """

    def wait_log(self, offset: int, timeout_ms: int) -> bool:
        """Waits until something beyond `offset` is committed."""

    def hold_log(self, projection: str, offset: int) -> None:
        """The projection has everything below `offset`; the log is not trimmed beyond the smallest of all."""
    # history
    def history_cut(self, devices: list[str], metrics: list[str], from_us: int, to_us: int) -> str:
        """One consistent cut, as JSON {"files": [paths that may hold such rows], "tail": path or null,
        "rows_in_tail": int, "lease": int}. Empty lists mean all. Columns of all the files: device, metric, table
        (INT32 codes), ts (INT64, microseconds), num (DOUBLE), text (VARCHAR), quality (UINT8), arrival (INT64). The
        same reading may occur twice."""

    def history_release(self, lease: int) -> None:
        """The files of a cut may be deleted (retention, compaction); its tail file is."""

    def history_flush(self) -> None:
        """Writes the tail to a file and commits the manifest."""

    def codes(self) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        """(devices, metrics): names and codes. Table names are in the metrics' dictionary."""
    # observation
    def now_us(self) -> int:
        """The time that records get: never before the build, nor before the log's last record at the start."""

    def next_events(self, max_events: int, timeout_ms: int) -> list[Event]: ...
    def stats(self) -> dict[str, Any]:
        """Counters and gauges of hub, log, stream and history, as nested dictionaries of numbers."""

    def connection(self, device: str) -> dict[str, Any] | None:
        """What is counted for a device (docs/observing.md), its `sessions`, and its ended connections (`history`); None
        if it is not known. Waits for the shards, at most a second."""

    def latencies(self) -> dict[str, dict[str, Any]]:
        """Histograms since the start, "commit" (QoS 1 and 2, from the socket to the disk) and "delivery" (from
        sending to the last acknowledgement): bounds_us, counts (one more than bounds), sum_us."""

    def device_table(self) -> tuple[int, list[tuple[str, str, list[bytes]]]]:
        """All devices by id: how many, and the columns: name, kind ("text", "bool", "count", "time"), buffers as Arrow
        lays them out (text: offsets of 32 bits and bytes; bool: bits; the others: 64 bits)."""

    def begin_trace(
        self, principal: str, seconds: int, max_bytes: int, max_per_second: int, payload_bytes: int
    ) -> TracePart:
        """Traces a principal's packets from now on, in place of the trace that it may have. Raises NativeError
        trace-limit."""

    def read_trace(self, principal: str, after: int, max_packets: int, timeout_ms: int) -> TracePart | None:
        """The packets after a number; waits for the first. None if there is no trace."""

    def end_trace(self, principal: str) -> bool:
        """Ends a trace and forgets it; False if there is none."""

    def dead_letters(self) -> list[dict[str, Any]]:
        """The newest undecodable payloads: device, topic, reason, head (bytes), at_us."""

    def backup(self, directory: str) -> None:
        """Copies log, manifest, history and snapshots as of one committed offset into an empty directory."""

def built_in_roles() -> str:
    """The roles that are always there and cannot be replaced, as JSON in the language of docs/policy.md."""

def hash_secret(gateway_key: bytes, secret: str) -> bytes:
    """HMAC-SHA-256(gateway_key, secret)."""

def hash_password(password: str) -> str:
    """Argon2id PHC string with a random salt."""

def verify_password(phc: str, password: str) -> bool: ...

BUILD_TIME_US: int
VERSION: str
