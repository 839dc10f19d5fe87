"""What records of commands and of their results in the log do to the registry.

A command is JSON on `devices/{device}/commands/{id}`: `id`, `name`, `parameters` (any JSON), `deadline` (microseconds
UTC or null), and `issuer` (an operator) or `rule`. Its result is JSON on `…/{id}/result`, by the device or by who
speaks for it: `status` ("running", "succeeded" or "failed") and `output` (any JSON).
"""

import json
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from mohhos.devices import command_rows as rows
from mohhos.hub.topics import COMMANDS, from_gateway, json_object
from mohhos.model import Command, CommandState, Notice, PrincipalKind
from mohhos.storage import principals

if TYPE_CHECKING:
    from mohhos._native import LogRecord

__all__ = ["CommandEffect"]

KEPT: Final = 200_000
MAX_OUTPUT: Final = 64 * 1024
_PRUNED_EVERY: Final = 1_000
_STATES: Final = {
    "running": CommandState.DELIVERED,
    "succeeded": CommandState.SUCCEEDED,
    "failed": CommandState.FAILED,
}


class CommandEffect:
    """The projection of commands and results."""

    prefixes: Sequence[str] = (COMMANDS,)

    def __init__(self) -> None:
        self._since_pruned = 0

    def apply(self, connection: sqlite3.Connection, record: "LogRecord") -> list[Notice]:
        """Applies a command or a result; a command whose id is known has no effect."""
        match record["topic"].split("/"):
            case ["devices", device, "commands", command]:
                return self._command(connection, device, command, record)
            case ["devices", device, "commands", command, "result"]:
                return _result(connection, device, command, record)
            case _:
                return []

    def _command(self, connection: sqlite3.Connection, device: str, command: str, record: "LogRecord") -> list[Notice]:
        members = json_object(record["payload"])
        issuer = _issuer(connection, record, members or {})
        if members is None or issuer is None or not isinstance(members.get("name"), str):
            return []
        row = connection.execute("SELECT status FROM devices WHERE id = ?", (device,)).fetchone()
        if row is None:
            return []
        deadline = members.get("deadline")
        parsed = Command(
            id=command,
            device=device,
            name=members["name"],
            parameters=members.get("parameters", {}),
            issuer=issuer,
            state=CommandState.SENT if row[0] == "online" else CommandState.QUEUED,
            created_us=record["wall_us"],
            deadline_us=deadline if isinstance(deadline, int) and not isinstance(deadline, bool) else None,
            updated_us=record["wall_us"],
            output=None,
        )
        if not rows.insert(connection, parsed):
            return []
        self._since_pruned += 1
        if self._since_pruned >= _PRUNED_EVERY:
            self._since_pruned = 0
            rows.prune(connection, KEPT)
        return [Notice("command", parsed)]


def _issuer(connection: sqlite3.Connection, record: "LogRecord", members: dict[str, Any]) -> str | None:
    """Who gave the command; None for a device, which may write below its own topic but commands nobody."""
    if from_gateway(record):
        if isinstance(rule := members.get("rule"), str) and rule:
            return f"rule:{rule}"
        return issuer if isinstance(issuer := members.get("issuer"), str) else "gateway"
    principal = principals.get(connection, record["principal"])
    return None if principal is None or principal.kind is PrincipalKind.DEVICE else principal.name


def _result(connection: sqlite3.Connection, device: str, command: str, record: "LogRecord") -> list[Notice]:
    existing = rows.find(connection, command)
    if existing is None or existing.device != device:
        return []
    state, output = _outcome(record["payload"])
    # A late result is still the truth about an expired command; the first final word of the device stands.
    finished = existing.state in (CommandState.SUCCEEDED, CommandState.FAILED)
    if finished or (state is CommandState.DELIVERED and existing.state is CommandState.EXPIRED):
        return []
    rows.move(connection, command, state, record["wall_us"], output)
    return [Notice("command", rows.get(connection, command))]


def _outcome(payload: bytes) -> tuple[CommandState, Any]:
    """The state and output that a result stands for; what is not understood is a failure that says so."""
    members = json_object(payload)
    status = None if members is None else members.get("status")
    state = _STATES.get(status) if isinstance(status, str) else None
    if members is None or state is None:
        head = payload[:256].decode(errors="replace")
        return CommandState.FAILED, f'the result is not {{"status": "running", "succeeded" or "failed", …}}: {head}'
    output = members.get("output")
    if len(json.dumps(output)) > MAX_OUTPUT:
        return state, f"the output was larger than {MAX_OUTPUT} bytes and was not kept"
    return state, output
