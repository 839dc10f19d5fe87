"""The words of the design as records. Times are integer microseconds UTC; a name that ends in `_us` says so."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

__all__ = [
    "Access",
    "Alarm",
    "Alert",
    "AlertState",
    "Application",
    "AuditEntry",
    "Command",
    "CommandState",
    "Device",
    "DeviceState",
    "DeviceStatus",
    "Location",
    "NewDevice",
    "Notice",
    "Operator",
    "Page",
    "Principal",
    "PrincipalKind",
    "Reading",
    "Refusal",
    "Role",
    "RoleLimits",
    "Rule",
    "Scope",
    "Session",
    "Severity",
    "State",
]


T = TypeVar("T")


class DeviceStatus(enum.StrEnum):
    """Whether a device is connected; `never` until its first connection."""

    NEVER = "never"
    ONLINE = "online"
    OFFLINE = "offline"


class State(enum.StrEnum):
    """What a device may do beside its roles; `kick` is an act and no state."""

    ALLOW = "allow"
    THROTTLE = "throttle"
    QUARANTINE = "quarantine"


class AlertState(enum.StrEnum):
    """Where an alert is in its life."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Severity(enum.StrEnum):
    """How bad an alert is, the worst last."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class CommandState(enum.StrEnum):
    """Where a command is in its life.

    queued: in the log, the device was not connected yet. sent: handed to the connected device. delivered: the device
    has acknowledged it (QoS 1 or 2), or said that it works on it. The last three are final.
    """

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def final(self) -> bool:
        """Nothing comes after it."""
        return self in (CommandState.SUCCEEDED, CommandState.FAILED, CommandState.EXPIRED)


class PrincipalKind(enum.StrEnum):
    """Who can authenticate."""

    DEVICE = "device"
    APPLICATION = "application"
    ADAPTER = "adapter"
    OPERATOR = "operator"


class Scope(enum.StrEnum):
    """What an operator token allows; each includes those before it."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"

    def allows(self, wanted: "Scope") -> bool:
        """Does this scope include `wanted`?"""
        order = list(Scope)
        return order.index(self) >= order.index(wanted)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a device is: WGS 84 degrees, and the name of the site."""

    lat: float | None = None
    lon: float | None = None
    site: str = ""


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A device to register. `secret` is generated when it is None."""

    id: str
    type: str = ""
    model: str = ""
    firmware: str = ""
    location: Location = Location()
    labels: Mapping[str, str] = field(default_factory=dict)
    parent: str | None = None
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A registered device. `version` grows with every change by an operator (not with its status): it is the ETag."""

    id: str
    code: int
    type: str
    model: str
    firmware: str
    location: Location
    labels: Mapping[str, str]
    parent: str | None
    status: DeviceStatus
    status_since_us: int | None
    first_seen_us: int | None
    last_seen_us: int | None
    created_us: int
    version: int


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `cursor` gets the next one, None at the end."""

    items: list[T]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """One measured value. Exactly one of `num` and `text` is not None."""

    device: str
    metric: str
    ts_us: int
    num: float | None
    text: str | None
    unit: str = ""
    quality: str = "good"
    table: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """What a rule raised for people. `id` is the id of the raise that opened it."""

    id: str
    rule: str
    device: str
    severity: Severity
    dedup_key: str
    state: AlertState
    message: str
    num: float | None
    opened_us: int
    last_us: int
    occurrences: int
    acknowledged_us: int | None
    acknowledged_by: str | None
    resolved_us: int | None
    resolved_by: str | None


@dataclass(frozen=True, slots=True)
class Command:
    """A request to one device. `issuer` is the operator's name or `rule:NAME`."""

    id: str
    device: str
    name: str
    parameters: Any
    issuer: str
    state: CommandState
    created_us: int
    deadline_us: int | None
    updated_us: int
    output: Any


@dataclass(frozen=True, slots=True)
class Rule:
    """A named, versioned rule: its text as it was written, and how it runs ("running" or "failed", and why)."""

    name: str
    version: int
    sql: str
    state: str
    error: str
    created_us: int
    updated_us: int
    rows_in: int = 0
    rows_out: int = 0
    late: int = 0
    state_bytes: int = 0
    last_output_us: int | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who may connect, with what: exactly one of `secret` (keyed hash, 32 bytes) and `password` (Argon2id PHC).

    `children` and `parent` are devices that it speaks for, or that speaks for it; `groups` what ${group} stands for.
    """

    name: str
    kind: PrincipalKind
    roles: tuple[str, ...]
    secret: bytes | None
    password: str | None
    enabled: bool = True
    children: tuple[str, ...] = ()
    parent: str | None = None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """Patterns of topics that one action is allowed and denied; deny wins. `allow` is None only where everything is."""

    allow: tuple[str, ...] | None = ()
    deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoleLimits:
    """How much a principal may use, over all its connections; None is no limit of the role."""

    messages_per_s: float | None = None
    bytes_per_s: float | None = None
    payload_bytes: int | None = None
    inflight: int | None = None
    connections: int | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """What may be published, subscribed and received, and how much. docs/policy.md is the reference."""

    name: str
    publish: Access = Access()
    subscribe: Access = Access()
    receive: Access | None = None
    limits: RoleLimits = RoleLimits()
    description: str = ""
    built_in: bool = False


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The state of a device: who set it, when and why. `rate` is in messages per second, of a throttle alone."""

    device: str
    state: State = State.ALLOW
    rate: float | None = None
    topics: tuple[str, ...] = ()
    reason: str = ""
    operator: str = ""
    since_us: int | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to whom, when and why; `detail` is what else is worth knowing."""

    seq: int
    at_us: int
    operator: str
    action: str
    subject: str
    reason: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Application:
    """A dashboard, a bridge, a tool: credentials with roles over any topics."""

    name: str
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    enabled: bool
    created_us: int


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator's token, without the token."""

    id: str
    name: str
    scope: Scope
    created_us: int
    last_used_us: int | None


@dataclass(frozen=True, slots=True)
class Session:
    """A browser's session, on behalf of an operator token."""

    operator: Operator
    csrf: str
    expires_us: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Who was refused and why; equal refusals are counted."""

    principal: str
    client: str
    address: str
    action: str
    topic: str
    reason_code: int
    reason: str
    first_us: int
    last_us: int
    count: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """A condition of the gateway itself that needs somebody (`code` is a code of docs/errors)."""

    code: str
    message: str
    since_us: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something changed that a live subscriber may want: `kind` is alert, command, device, rule or alarm."""

    kind: str
    data: Any
