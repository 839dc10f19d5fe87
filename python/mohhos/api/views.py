"""Records as the API shows them: the same words everywhere, times as ISO 8601."""

from typing import Any

from mohhos.api.times import iso
from mohhos.hub.directory import role_document
from mohhos.model import (
    Alarm,
    Alert,
    Application,
    AuditEntry,
    Command,
    Device,
    DeviceState,
    Operator,
    Principal,
    Refusal,
    Role,
    Rule,
)

__all__ = [
    "alarm_view",
    "alert_view",
    "application_view",
    "audit_view",
    "command_view",
    "device_view",
    "operator_view",
    "principal_view",
    "refusal_view",
    "role_view",
    "rule_view",
    "state_view",
]


def device_view(device: Device) -> dict[str, Any]:
    """A device."""
    where = device.location
    return {
        "id": device.id,
        "type": device.type,
        "model": device.model,
        "firmware": device.firmware,
        "location": {"lat": where.lat, "lon": where.lon, "site": where.site},
        "labels": dict(device.labels),
        "parent": device.parent,
        "status": device.status,
        "status_since": iso(device.status_since_us),
        "first_seen": iso(device.first_seen_us),
        "last_seen": iso(device.last_seen_us),
        "created": iso(device.created_us),
        "version": device.version,
    }


def alert_view(alert: Alert) -> dict[str, Any]:
    """An alert."""
    return {
        "id": alert.id,
        "rule": alert.rule,
        "device": alert.device,
        "severity": alert.severity,
        "dedup_key": alert.dedup_key,
        "state": alert.state,
        "message": alert.message,
        "num": alert.num,
        "occurrences": alert.occurrences,
        "opened": iso(alert.opened_us),
        "last": iso(alert.last_us),
        "acknowledged": iso(alert.acknowledged_us),
        "acknowledged_by": alert.acknowledged_by,
        "resolved": iso(alert.resolved_us),
        "resolved_by": alert.resolved_by,
    }


def command_view(command: Command) -> dict[str, Any]:
    """A command."""
    return {
        "id": command.id,
        "device": command.device,
        "name": command.name,
        "parameters": command.parameters,
        "issuer": command.issuer,
        "state": command.state,
        "created": iso(command.created_us),
        "deadline": iso(command.deadline_us),
        "updated": iso(command.updated_us),
        "output": command.output,
    }


def operator_view(operator: Operator) -> dict[str, Any]:
    """An operator's token, without the token."""
    return {
        "id": operator.id,
        "name": operator.name,
        "scope": operator.scope,
        "created": iso(operator.created_us),
        "last_used": iso(operator.last_used_us),
    }


def application_view(application: Application) -> dict[str, Any]:
    """An application, without its credentials."""
    return {
        "name": application.name,
        "roles": list(application.roles),
        "groups": list(application.groups),
        "enabled": application.enabled,
        "created": iso(application.created_us),
    }


def role_view(role: Role) -> dict[str, Any]:
    """A role."""
    return {"name": role.name, "description": role.description, **role_document(role), "built_in": role.built_in}


def principal_view(principal: Principal) -> dict[str, Any]:
    """A device or application as the policy sees it."""
    return {
        "name": principal.name,
        "kind": principal.kind,
        "enabled": principal.enabled,
        "roles": list(principal.roles),
        "groups": list(principal.groups),
        "parent": principal.parent,
        "children": list(principal.children),
    }


def state_view(state: DeviceState) -> dict[str, Any]:
    """The state of a device."""
    return {
        "device": state.device,
        "state": state.state,
        "rate": state.rate,
        "topics": list(state.topics),
        "reason": state.reason,
        "operator": state.operator,
        "since": iso(state.since_us),
    }


def audit_view(entry: AuditEntry) -> dict[str, Any]:
    """Who did what to whom, when and why."""
    return {
        "time": iso(entry.at_us),
        "operator": entry.operator,
        "action": entry.action,
        "subject": entry.subject,
        "reason": entry.reason,
        "detail": dict(entry.detail),
    }


def refusal_view(refusal: Refusal) -> dict[str, Any]:
    """Who was refused and why."""
    return {
        "principal": refusal.principal,
        "client": refusal.client,
        "address": refusal.address,
        "action": refusal.action,
        "topic": refusal.topic,
        "reason_code": refusal.reason_code,
        "reason": refusal.reason,
        "first": iso(refusal.first_us),
        "last": iso(refusal.last_us),
        "count": refusal.count,
    }


def alarm_view(alarm: Alarm) -> dict[str, Any]:
    """A condition of the gateway itself."""
    return {"code": alarm.code, "message": alarm.message, "since": iso(alarm.since_us)}


def rule_view(rule: Rule) -> dict[str, Any]:
    """A rule with its text and how it runs."""
    return {
        "name": rule.name,
        "version": rule.version,
        "sql": rule.sql,
        "state": rule.state,
        "error": rule.error,
        "rows_in": rule.rows_in,
        "rows_out": rule.rows_out,
        "late": rule.late,
        "state_bytes": rule.state_bytes,
        "last_output": iso(rule.last_output_us),
        "created": iso(rule.created_us),
        "updated": iso(rule.updated_us),
    }
