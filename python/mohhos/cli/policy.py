"""`mohhos policy`."""

import json
import tomllib
from pathlib import Path
from typing import Any, Final

import click

from mohhos.cli.context import Settings
from mohhos.cli.output import console, format_option, record, table
from mohhos.errors import MohhosError

__all__ = ["command"]

COLUMNS: Final = ("name", "built_in", "publish", "subscribe", "receive", "limits")
AUDIT: Final = ("time", "operator", "action", "subject", "reason", "detail")
_ACTIONS: Final = click.Choice(["publish", "subscribe", "receive"])


def _patterns(access: dict[str, list[str]] | None) -> str:
    """An action's patterns in one line, the denied ones after a word."""
    if access is None:
        return ""
    denied = access["deny"]
    return ", ".join([*access.get("allow", []), *([f"deny {', '.join(denied)}"] if denied else [])])


def _flat(role: dict[str, Any]) -> dict[str, Any]:
    return {**role, **{action: _patterns(role.get(action)) for action in ("publish", "subscribe", "receive")}}


@click.group()
def command() -> None:
    """Roles: what may be published, subscribed and received, how much, and why."""


@command.command("ls")
@format_option
@click.pass_obj
def list_roles(settings: Settings, form: str) -> None:
    """Lists roles."""
    with settings.client() as client:
        roles = client.request("GET", "/roles")["items"]
    table(COLUMNS, roles if form == "json" else map(_flat, roles), form)


@command.command("show")
@click.argument("role")
@format_option
@click.pass_obj
def show(settings: Settings, role: str, form: str) -> None:
    """Shows ROLE as the document that it is."""
    with settings.client() as client:
        record(client.request("GET", f"/roles/{role}"), form)


@command.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def apply(settings: Settings, file: Path) -> None:
    """Makes or replaces the roles in FILE (TOML or JSON), which act on connected clients at once."""
    roles = _read(file)
    with settings.client() as client:
        for name, document in roles.items():
            client.request("PUT", f"/roles/{name}", json=document)
            console.print(f"{name} is in force")


def _read(file: Path) -> dict[str, Any]:
    """The roles of a file: `[roles.NAME]` in TOML, {"roles": {NAME: …}} in JSON. Raises MohhosError role-invalid."""
    text = file.read_text(encoding="utf-8")
    try:
        tree = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise MohhosError(
            "role-invalid", f"{file} was not read", str(error), "Correct it: it is TOML or JSON"
        ) from error
    roles = tree.get("roles") if isinstance(tree, dict) else None
    if not isinstance(roles, dict) or not roles or set(tree) != {"roles"}:
        raise MohhosError(
            "role-invalid", f"{file} was not applied", "it has no roles, or something else", "Write [roles.NAME] tables"
        )
    return roles


@command.command("rm")
@click.argument("role", nargs=-1, required=True)
@click.pass_obj
def remove(settings: Settings, role: tuple[str, ...]) -> None:
    """Removes roles that nobody has."""
    with settings.client() as client:
        for each in role:
            client.request("DELETE", f"/roles/{each}")
            console.print(f"{each} is removed")


@command.command("assign")
@click.argument("principal")
@click.argument("role", nargs=-1, required=True)
@click.option("--group", multiple=True, help="Of an application: the groups it belongs to; may be repeated.")
@click.option("--reason", default="", help="For the audit.")
@format_option
@click.pass_obj
def assign(
    settings: Settings, principal: str, role: tuple[str, ...], group: tuple[str, ...], reason: str, form: str
) -> None:
    """Gives PRINCIPAL (a device or an application) these roles instead of those that it had, at once."""
    body = {"roles": list(role), "groups": list(group) or None, "reason": reason}
    with settings.client() as client:
        record(client.request("PUT", f"/principals/{principal}/roles", json=body), form)


@command.command("explain")
@click.argument("principal")
@click.argument("action", type=_ACTIONS)
@click.argument("topic")
@click.option("--client", default="", help="The client id, where a role speaks of ${client}.")
@format_option
@click.pass_obj
def explain(settings: Settings, principal: str, action: str, topic: str, client: str, form: str) -> None:
    """Says whether PRINCIPAL may publish, subscribe or receive TOPIC, which rule decides, and why."""
    with settings.client() as api:
        found = api.request(
            "GET", "/policy/explain", principal=principal, action=action, topic=topic, client=client or None
        )
    if form != "table":
        table(tuple(found), [found], form)
        return
    verdict = "may" if found["allowed"] else "may not"
    console.print(f"{principal} {verdict} {action} {topic}")
    why = {"decided by": found["decided_by"], "role": found["role"], "list": found["list"], "pattern": found["pattern"]}
    why |= {"device": found["device"], "why": found["reason"]}
    record({name: value for name, value in why.items() if value}, form)


@command.command("audit")
@click.argument("subject", required=False)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@format_option
@click.pass_obj
def audit(settings: Settings, subject: str | None, limit: int, form: str) -> None:
    """Lists who changed what, when and why, the newest first; of one device, role or principal, if it is named."""
    with settings.client() as client:
        table(AUDIT, client.items("/audit", limit, subject=subject), form)
