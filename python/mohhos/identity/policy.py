"""Who has which roles and belongs to which groups, and what that comes to: the policy as people ask about it."""

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mohhos.clock import Clock
from mohhos.errors import MohhosError
from mohhos.hub.directory import Directory
from mohhos.identity import roles
from mohhos.model import Principal, PrincipalKind
from mohhos.storage import audit, principals
from mohhos.storage.database import Database

if TYPE_CHECKING:
    from mohhos._native import Explanation

__all__ = ["ACTIONS", "PrincipalPolicy", "check_roles", "unknown"]

ACTIONS: Final = ("publish", "subscribe", "receive")
MAX_ROLES: Final = 16
_OF_DEVICES: Final = ("${device}", "${child}", "${parent}")


def unknown(name: str) -> MohhosError:
    """Nobody has that name."""
    return MohhosError(
        "principal-unknown",
        f'"{name}" is not known',
        "no device and no application signs in with that name",
        "See mohhos devices ls and mohhos applications ls",
        principal=name,
    )


def check_roles(connection: sqlite3.Connection, names: Sequence[str], kind: PrincipalKind) -> tuple[str, ...]:
    """The roles, if they exist and suit the kind of principal, each once.

    Raises MohhosError: role-unknown, role-invalid.
    """
    if len(names) > MAX_ROLES:
        raise MohhosError(
            "role-invalid", "The roles were not given", f"{MAX_ROLES} roles are the most", "Join some of them into one"
        )
    found = dict.fromkeys(names)
    for name in found:
        role = roles.get(connection, name)
        allowed = [*(role.publish.allow or ()), *(role.subscribe.allow or ())]
        for variable in _OF_DEVICES if kind is PrincipalKind.APPLICATION else ():
            if any(variable in pattern for pattern in allowed):
                raise MohhosError(
                    "role-invalid",
                    f'The role "{name}" was not given to the application',
                    f"it speaks of {variable}, and an application is no device",
                    "Take observer, bridge, or a role of your own",
                )
    return tuple(found)


class PrincipalPolicy:
    """The roles and groups of principals. Changes act on their live sessions at once."""

    def __init__(self, database: Database, clock: Clock, directory: Directory) -> None:
        self._database = database
        self._clock = clock
        self._directory = directory

    async def get(self, name: str) -> Principal:
        """A principal with its roles, groups, parent and children. Raises MohhosError principal-unknown."""
        found = await self._database.read(lambda c: principals.load(c, [name]))
        if not found:
            raise unknown(name)
        return found[0]

    async def assign(
        self, name: str, roles: Sequence[str], groups: Sequence[str] | None = None, operator: str = "", reason: str = ""
    ) -> Principal:
        """Gives a principal these roles instead of those that it had, and an application these groups.

        Raises MohhosError: principal-unknown, role-unknown, role-invalid.
        """
        now_us = self._clock.now_us()

        def store(connection: sqlite3.Connection) -> Principal:
            before = principals.get(connection, name)
            if before is None:
                raise unknown(name)
            principals.set_roles(connection, name, check_roles(connection, roles, before.kind))
            if groups is not None:
                principals.set_groups(connection, name, _check_groups(before, groups))
            (after,) = principals.load(connection, [name])
            detail = {"roles": list(after.roles), "groups": list(after.groups), "before": list(before.roles)}
            audit.add(connection, now_us, operator, "principal.roles", name, reason, **detail)
            return after

        principal = await self._database.write(store)
        await self._directory.put_principals([principal])
        return principal

    async def explain(self, name: str, action: str, topic: str, client: str = "") -> "Explanation":
        """Which rule decides, and why. Raises MohhosError: principal-unknown, request-invalid."""
        if action not in ACTIONS:
            raise MohhosError(
                "request-invalid",
                f'"{action}" cannot be explained',
                "it is no action of the policy",
                f"Take one of {', '.join(ACTIONS)}",
            )
        explanation = await self._directory.explain(name, action, topic, client)
        if explanation is None:
            raise unknown(name)
        return explanation


def _check_groups(principal: Principal, groups: Sequence[str]) -> tuple[str, ...]:
    if principal.kind is PrincipalKind.DEVICE:
        raise MohhosError(
            "role-invalid",
            f'The groups of "{principal.name}" were not changed',
            f'a device belongs to the groups in its label "{principals.GROUP_LABEL}"',
            f"Change that label: PATCH /api/v1/devices/{principal.name}",
        )
    for group in groups:
        if not group or len(group) > 128 or not group.isprintable() or set(group) & set(",/+#$ "):
            raise MohhosError(
                "role-invalid",
                f'"{group}" cannot be a group',
                "a group is one level of a topic: 1 to 128 printable characters without , / + # $ and spaces",
                "Choose such a name",
            )
    return tuple(dict.fromkeys(groups))
