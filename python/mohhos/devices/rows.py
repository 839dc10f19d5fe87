"""Devices as rows of the registry."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mohhos.errors import MohhosError
from mohhos.model import Device, DeviceStatus, Location, NewDevice, Page
from mohhos.storage import cursors

__all__ = [
    "DeviceQuery",
    "Site",
    "children",
    "codes",
    "counts",
    "delete",
    "get",
    "insert",
    "page",
    "write_description",
]

_COLUMNS: Final = (
    "id, code, type, model, firmware, lat, lon, site, labels, parent, status, status_since_us, first_seen_us, "
    "last_seen_us, created_us, version"
)


@dataclass(frozen=True, slots=True)
class DeviceQuery:
    """Which devices: every given condition holds. `prefix` is of the id."""

    type: str | None = None
    status: DeviceStatus | None = None
    site: str | None = None
    prefix: str = ""
    parent: str | None = None
    labels: tuple[tuple[str, str], ...] = ()


EVERYTHING: Final = DeviceQuery()


def _device(row: Sequence[Any]) -> Device:
    return Device(
        id=row[0],
        code=row[1],
        type=row[2],
        model=row[3],
        firmware=row[4],
        location=Location(row[5], row[6], row[7]),
        labels=json.loads(row[8]),
        parent=row[9],
        status=DeviceStatus(row[10]),
        status_since_us=row[11],
        first_seen_us=row[12],
        last_seen_us=row[13],
        created_us=row[14],
        version=row[15],
    )


def get(connection: sqlite3.Connection, device: str) -> Device:
    """The device. Raises MohhosError device-unknown."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM devices WHERE id = ?", (device,)).fetchone()
    if row is None:
        raise MohhosError(
            "device-unknown",
            f'"{device}" is not known',
            "no device of that id is registered",
            f"See mohhos devices ls, or register it: mohhos devices add {device}",
            device=device,
        )
    return _device(row)


def insert(connection: sqlite3.Connection, device: NewDevice, now_us: int) -> int:
    """Adds a device and returns its code. Raises MohhosError device-exists."""
    where = device.location
    labels = json.dumps(dict(device.labels), sort_keys=True, ensure_ascii=False)
    values = (device.id, device.type, device.model, device.firmware, where.lat, where.lon, where.site, labels)
    try:
        added = connection.execute(
            "INSERT INTO devices (id, type, model, firmware, lat, lon, site, labels, parent, created_us) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, device.parent, now_us),
        )
    except sqlite3.IntegrityError as error:
        if connection.execute("SELECT 1 FROM devices WHERE id = ?", (device.id,)).fetchone() is None:
            raise
        raise MohhosError(
            "device-exists",
            f'"{device.id}" cannot be added',
            "a device of that id is registered",
            "Change the existing one, or choose another id",
            device=device.id,
        ) from error
    code = added.lastrowid
    assert code is not None  # an INSERT into a rowid table that did not raise has one
    _write_labels(connection, code, device.labels)
    return code


def _write_labels(connection: sqlite3.Connection, code: int, labels: Mapping[str, str]) -> None:
    rows = [(key, value, code) for key, value in labels.items()]
    connection.executemany("INSERT INTO device_labels (key, value, code) VALUES (?, ?, ?)", rows)


def write_description(connection: sqlite3.Connection, device: Device) -> None:
    """Stores what an operator may change about a device, and counts its version up."""
    where = device.location
    labels = json.dumps(dict(device.labels), sort_keys=True, ensure_ascii=False)
    connection.execute(
        "UPDATE devices SET type = ?, model = ?, firmware = ?, lat = ?, lon = ?, site = ?, labels = ?, parent = ?, "
        "version = version + 1 WHERE code = ?",
        (
            device.type,
            device.model,
            device.firmware,
            where.lat,
            where.lon,
            where.site,
            labels,
            device.parent,
            device.code,
        ),
    )
    connection.execute("DELETE FROM device_labels WHERE code = ?", (device.code,))
    _write_labels(connection, device.code, device.labels)


def delete(connection: sqlite3.Connection, device: str) -> None:
    """Removes a device; its code stays used for ever."""
    connection.execute("DELETE FROM devices WHERE id = ?", (device,))


def _conditions(query: DeviceQuery) -> tuple[list[str], list[str]]:
    clauses: list[str] = []
    values: list[str] = []
    for column in ("type", "status", "site", "parent"):
        if (value := getattr(query, column)) is not None:
            clauses.append(f"{column} = ?")
            values.append(value)
    if query.prefix:
        # A range instead of LIKE: the index on id serves it, and nothing in the text is a wildcard.
        clauses.append("id >= ? AND id < ?")
        values += [query.prefix, query.prefix + "\U0010ffff"]
    for key, value in query.labels:
        clauses.append("code IN (SELECT code FROM device_labels WHERE key = ? AND value = ?)")
        values += [key, value]
    return clauses, values


def page(connection: sqlite3.Connection, query: DeviceQuery, cursor: str | None, limit: int) -> Page[Device]:
    """One page by id. Raises MohhosError cursor-invalid."""
    clauses, values = _conditions(query)
    if cursor is not None:
        clauses.append("id > ?")
        values.append(str(cursors.decode(cursor, str)[0]))
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    limit = cursors.page_size(limit)
    sql = f"SELECT {_COLUMNS} FROM devices {where} ORDER BY id LIMIT ?"
    found = [_device(row) for row in connection.execute(sql, (*values, limit + 1))]
    items = found[:limit]
    return Page(items, cursors.encode(items[-1].id) if len(found) > limit else None)


def counts(connection: sqlite3.Connection, query: DeviceQuery, by: str) -> dict[str, int]:
    """How many devices per value of a column: "type" or "status"."""
    assert by in {"type", "status"}
    clauses, values = _conditions(query)
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    return dict(connection.execute(f"SELECT {by}, count(*) FROM devices {where} GROUP BY {by}", values).fetchall())


@dataclass(frozen=True, slots=True)
class Site:
    """The devices of one place; `lat` and `lon` are the mean of those that have a position, None if none has."""

    name: str
    total: int
    offline: int
    lat: float | None
    lon: float | None


def sites(connection: sqlite3.Connection) -> list[Site]:
    """All sites by name."""
    rows = connection.execute(
        "SELECT site, count(*), sum(status = 'offline'), avg(lat), avg(lon) FROM devices GROUP BY site ORDER BY site"
    )
    return [Site(*row) for row in rows]


def codes(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """Every device with its code."""
    return connection.execute("SELECT id, code FROM devices ORDER BY code").fetchall()


def children(connection: sqlite3.Connection, parent: str) -> list[str]:
    """The devices that a parent speaks for, by id."""
    return [child for (child,) in connection.execute("SELECT id FROM devices WHERE parent = ? ORDER BY id", (parent,))]
