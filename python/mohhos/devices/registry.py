"""The registry of devices: who exists, described how, allowed in with what secret."""

import asyncio
import base64
import dataclasses
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mohhos.clock import Clock
from mohhos.devices import rows
from mohhos.devices.checks import check_id, check_labels, check_location, check_new, check_text, invalid
from mohhos.devices.rows import DeviceQuery
from mohhos.errors import MohhosError
from mohhos.hub.directory import Directory
from mohhos.model import Device, Location, NewDevice, Page, Principal, PrincipalKind
from mohhos.storage import principals
from mohhos.storage.database import Database

__all__ = ["Credentials", "DeviceQuery", "DeviceRegistry", "DeviceSummary", "generate_secret"]

DEVICE_ROLE: Final = "device"
_PATCHABLE: Final = frozenset({"type", "model", "firmware", "location", "labels", "parent"})


def generate_secret() -> str:
    """256 random bits as base64url text (43 characters)."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a device signs in with. The secret is nowhere else: it is shown once."""

    device: str
    secret: str


@dataclass(frozen=True, slots=True)
class DeviceSummary:
    """How many devices there are, by what they are."""

    total: int
    by_status: dict[str, int]
    by_type: dict[str, int]
    sites: list[rows.Site]


class DeviceRegistry:
    """All devices. `hash_secret` is the keyed hash under the gateway's key (32 bytes)."""

    def __init__(
        self, database: Database, clock: Clock, hash_secret: Callable[[str], bytes], directory: Directory
    ) -> None:
        self._database = database
        self._clock = clock
        self._hash = hash_secret
        self._directory = directory

    async def get(self, device: str) -> Device:
        """The device. Raises MohhosError device-unknown."""
        return await self._database.read(lambda c: rows.get(c, device))

    async def page(
        self, query: DeviceQuery = rows.EVERYTHING, cursor: str | None = None, limit: int = 100
    ) -> Page[Device]:
        """One page of devices by id. Raises MohhosError cursor-invalid."""
        return await self._database.read(lambda c: rows.page(c, query, cursor, limit))

    async def summary(self) -> DeviceSummary:
        """The numbers of the overview."""

        def count(connection: sqlite3.Connection) -> DeviceSummary:
            by_status = rows.counts(connection, rows.EVERYTHING, "status")
            return DeviceSummary(
                total=sum(by_status.values()),
                by_status=by_status,
                by_type=rows.counts(connection, rows.EVERYTHING, "type"),
                sites=rows.sites(connection),
            )

        return await self._database.read(count)

    async def create(self, device: NewDevice) -> tuple[Device, Credentials]:
        """Registers a device; its secret is in the answer and nowhere else.

        Raises MohhosError: device-id-invalid, device-invalid, device-exists, name-taken.
        """
        (credentials,) = await self.create_many([device])
        return await self.get(device.id), credentials

    async def create_many(self, devices: Sequence[NewDevice]) -> list[Credentials]:
        """Registers devices in one transaction, all or none; a parent may be among them, before its children.

        Raises as `create` does.
        """
        ready = await asyncio.to_thread(self._prepared, devices)
        now_us = self._clock.now_us()

        def insert(connection: sqlite3.Connection) -> list[tuple[str, int]]:
            known = []
            for device, principal, _ in ready:
                _check_parent(connection, device.id, device.parent)
                known.append((device.id, rows.insert(connection, device, now_us)))
                principals.insert(connection, [principal], now_us)
            return known

        codes = await self._database.write(insert)
        await self._directory.put_devices(codes)
        await self._directory.put_principals(principal for _, principal, _ in ready)
        await self._refresh(device.parent for device, _, _ in ready)
        return [credentials for _, _, credentials in ready]

    def _prepared(self, devices: Sequence[NewDevice]) -> list[tuple[NewDevice, Principal, Credentials]]:
        """Checks devices and gives them credentials; for thousands it takes long enough to need a thread."""
        ready = []
        for device in devices:
            credentials = Credentials(check_new(device).id, device.secret or generate_secret())
            hashed = self._hash(credentials.secret)
            groups = principals.split_names(device.labels.get(principals.GROUP_LABEL, ""))
            principal = Principal(
                device.id, PrincipalKind.DEVICE, (DEVICE_ROLE,), hashed, None, parent=device.parent, groups=groups
            )
            ready.append((device, principal, credentials))
        return ready

    async def update(self, device: str, patch: Mapping[str, Any], if_version: int | None = None) -> Device:
        """Changes a device by a JSON merge patch (RFC 7396); null brings a field back to its default.

        Raises MohhosError: device-unknown, device-invalid, and device-changed when the version is not `if_version`.
        """

        def change(connection: sqlite3.Connection) -> tuple[Device, Device]:
            before = rows.get(connection, device)
            if if_version is not None and before.version != if_version:
                raise MohhosError(
                    "device-changed",
                    f'"{device}" was not changed',
                    f"it has version {before.version} meanwhile, and the request was made for version {if_version}",
                    "Read it again and repeat the change on what it is now",
                    version=before.version,
                )
            after = patched(before, patch)
            if after.parent != before.parent:
                _check_parent(connection, device, after.parent)
            rows.write_description(connection, after)
            return before, rows.get(connection, device)

        before, after = await self._database.write(change)
        group = principals.GROUP_LABEL
        if before.parent != after.parent:
            await self._refresh([device, before.parent, after.parent])
        elif before.labels.get(group) != after.labels.get(group):
            await self._refresh([device])
        return after

    async def delete(self, device: str) -> None:
        """Removes a device and disconnects it. Its code is never used again; its history stays until retention.

        Raises MohhosError: device-unknown, device-has-children.
        """

        def remove(connection: sqlite3.Connection) -> str | None:
            existing = rows.get(connection, device)
            if children := rows.children(connection, device):
                raise MohhosError(
                    "device-has-children",
                    f'"{device}" cannot be removed',
                    f"it speaks for {len(children)} others, {children[0]} among them",
                    "Remove the children first, or give them another parent",
                )
            rows.delete(connection, device)
            principals.delete(connection, [device])
            return existing.parent

        parent = await self._database.write(remove)
        await self._directory.remove_devices([device])
        await self._refresh([parent])

    async def renew_secret(self, device: str) -> Credentials:
        """A new secret for a device; the old one stops working at once. Raises MohhosError device-unknown."""
        secret = generate_secret()
        hashed = self._hash(secret)

        def replace(connection: sqlite3.Connection) -> None:
            rows.get(connection, device)
            principals.set_credentials(connection, device, hashed, None)

        await self._database.write(replace)
        await self._refresh([device])
        return Credentials(device, secret)

    async def set_enabled(self, device: str, enabled: bool) -> None:
        """Keeps a device out (and disconnects it), or lets it in again. Raises MohhosError device-unknown."""

        def change(connection: sqlite3.Connection) -> None:
            rows.get(connection, device)
            principals.set_enabled(connection, device, enabled)

        await self._database.write(change)
        await self._refresh([device])

    async def put_all(self) -> int:
        """Tells the attached gateway about every device; returns how many there are. For the start."""

        def load(connection: sqlite3.Connection) -> tuple[list[tuple[str, int]], list[Principal]]:
            return rows.codes(connection), principals.all_of(connection, PrincipalKind.DEVICE)

        codes, everybody = await self._database.read(load)
        await self._directory.put_devices(codes)
        await self._directory.put_principals(everybody)
        return len(codes)

    async def _refresh(self, devices: Iterable[str | None]) -> None:
        """Tells the gateway what these devices are now as principals."""
        names = {device for device in devices if device is not None}
        if names:
            await self._directory.put_principals(await self._database.read(lambda c: principals.load(c, names)))


def _check_parent(connection: sqlite3.Connection, device: str, parent: str | None) -> None:
    """A parent exists and is no descendant: who speaks for whom has no circle. Raises MohhosError device-invalid."""
    above = parent
    while above is not None:
        if above == device:
            raise invalid("parent", f'"{parent}" is "{device}" or stands below it')
        row = connection.execute("SELECT parent FROM devices WHERE id = ?", (above,)).fetchone()
        if row is None:
            raise invalid("parent", f'no device "{above}" is registered')
        above = row[0]


def patched(device: Device, patch: Mapping[str, Any]) -> Device:
    """The device with a merge patch applied. Raises MohhosError device-invalid."""
    if unknown := sorted(set(patch) - _PATCHABLE):
        raise invalid(unknown[0], f"only {', '.join(sorted(_PATCHABLE))} can be changed")
    changed: dict[str, Any] = {}
    for name in ("type", "model", "firmware"):
        if name in patch:
            changed[name] = "" if patch[name] is None else check_text(name, patch[name])
    if "labels" in patch:
        changed["labels"] = check_labels(_merged(device.labels, patch["labels"], "labels"))
    if "location" in patch:
        now = {name: getattr(device.location, name) for name in ("lat", "lon", "site")}
        changed["location"] = _location(_merged(now, patch["location"], "location"))
    if "parent" in patch:
        changed["parent"] = None if patch["parent"] is None else check_id(str(patch["parent"]))
    return dataclasses.replace(device, **changed)


def _merged(now: Mapping[str, Any], patch: Any, field: str) -> dict[str, Any]:
    if patch is None:
        return {}
    if not isinstance(patch, Mapping):
        raise invalid(field, "it must be an object")
    return {name: value for name, value in {**now, **patch}.items() if value is not None}


def _location(members: Mapping[str, Any]) -> Location:
    if unknown := sorted(set(members) - {"lat", "lon", "site"}):
        raise invalid(f"location.{unknown[0]}", "a location has lat, lon and site")
    degrees = {}
    for name in ("lat", "lon"):
        value = members.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise invalid(f"location.{name}", "it must be a number of degrees")
        degrees[name] = None if value is None else float(value)
    return check_location(
        Location(degrees["lat"], degrees["lon"], check_text("location.site", members.get("site", "")))
    )
