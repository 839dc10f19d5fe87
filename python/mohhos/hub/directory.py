"""What the native gateway knows about devices, principals and roles, kept equal to the registry.

The areas change the database first and tell the directory afterwards. Until a gateway is attached there is nobody to
tell: at the start everything is put from the database, in chunks.
"""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from mohhos.hub import native
from mohhos.model import Access, DeviceState, Principal, Role

if TYPE_CHECKING:
    from mohhos._native import Explanation, Gateway, PrincipalSpec

__all__ = ["Directory", "role_document"]

CHUNK: Final = 5_000


def _spec(principal: Principal) -> "PrincipalSpec":
    spec: PrincipalSpec = {
        "name": principal.name,
        "kind": principal.kind.value,
        "roles": list(principal.roles),
        "enabled": principal.enabled,
        "children": list(principal.children),
        "parent": principal.parent,
        "groups": list(principal.groups),
    }
    if principal.secret is not None:
        spec["secret"] = principal.secret
    if principal.password is not None:
        spec["password"] = principal.password
    return spec


def role_document(role: Role) -> dict[str, Any]:
    """The role in the language of docs/policy.md, without what is not set."""
    document: dict[str, Any] = {"publish": _access(role.publish), "subscribe": _access(role.subscribe)}
    if role.receive is not None:
        document["receive"] = _access(role.receive)
    limits = dataclasses.asdict(role.limits)
    document["limits"] = {name: value for name, value in limits.items() if value is not None}
    return document


def _access(access: Access) -> dict[str, list[str]]:
    allow = {} if access.allow is None else {"allow": list(access.allow)}
    return {**allow, "deny": list(access.deny)}


class Directory:
    """The way to the native gateway for whoever changes identities. Every method raises MohhosError (native codes)."""

    def __init__(self) -> None:
        self._gateway: Gateway | None = None

    def attach(self, gateway: "Gateway") -> None:
        """From now on changes go to this gateway."""
        self._gateway = gateway

    def detach(self) -> None:
        """The gateway is stopping."""
        self._gateway = None

    async def put_devices(self, codes: Iterable[tuple[str, int]]) -> None:
        """Makes devices and their persisted codes known."""
        if (gateway := self._gateway) is not None:
            each = iter(codes)
            while chunk := list(islice(each, CHUNK)):
                await native.call(gateway.put_devices, chunk)

    async def put_principals(self, principals: Iterable[Principal]) -> None:
        """Adds or replaces principals; one whose credentials or state changed is disconnected, the others are held to
        what they may now."""
        if (gateway := self._gateway) is not None:
            each = iter(principals)
            while chunk := [_spec(p) for p in islice(each, CHUNK)]:
                await native.call(gateway.put_principals, chunk)

    async def remove_devices(self, devices: Sequence[str]) -> None:
        """Forgets devices and their principals, and disconnects them."""
        if (gateway := self._gateway) is not None and devices:
            await native.call(gateway.remove_principals, list(devices))
            await native.call(gateway.remove_devices, list(devices))

    async def remove_principals(self, names: Sequence[str]) -> None:
        """Forgets principals and disconnects them."""
        if (gateway := self._gateway) is not None and names:
            await native.call(gateway.remove_principals, list(names))

    async def put_roles(self, roles: Iterable[Role]) -> None:
        """Replaces all roles."""
        if (gateway := self._gateway) is not None:
            await native.call(gateway.put_roles, json.dumps({role.name: role_document(role) for role in roles}))

    async def kick(self, principal: str, text: str, *, will: bool) -> int:
        """Disconnects the principal's sessions, publishing their wills or not; returns how many there were."""
        gateway = self._gateway
        return 0 if gateway is None else await native.call(gateway.kick, principal, text, will)

    async def set_state(self, state: DeviceState) -> None:
        """Restricts a device or frees it, at once."""
        if (gateway := self._gateway) is not None:
            await native.call(gateway.set_state, state.device, state.state.value, state.rate, list(state.topics))

    async def explain(self, principal: str, action: str, topic: str, client: str) -> "Explanation | None":
        """What a session of the principal meets, and why; None if the principal is not known, or nobody is attached."""
        gateway = self._gateway
        return None if gateway is None else await native.call(gateway.explain, principal, action, topic, client)
