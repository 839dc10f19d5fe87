"""What a device's description must satisfy before it is stored."""

import re
from collections.abc import Mapping
from typing import Final

from mohhos.errors import MohhosError
from mohhos.hub.topics import RESERVED_NAMES
from mohhos.model import Location, NewDevice

__all__ = ["check_id", "check_labels", "check_location", "check_new", "check_text"]

MAX_ID: Final = 128
MAX_TEXT: Final = 256
MAX_LABELS: Final = 64

# Usable as one level of a topic (no /, +, #), as MQTT user name, in an address and as a file name on every system;
# a leading $ or . would have a meaning of its own.
_ID = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.:@-]*[A-Za-z0-9_-])?")
_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,62}")


def check_id(device: str) -> str:
    """The device id, if it is one. Raises MohhosError device-id-invalid."""
    if len(device) > MAX_ID:
        raise _bad_id(device[:32] + "…", f"it has {len(device)} characters, and {MAX_ID} is the most")
    if _ID.fullmatch(device) is None:
        raise _bad_id(device, "it is a level of topics and a user name: ASCII letters, digits and _ - . : @ alone")
    if device in RESERVED_NAMES:
        raise _bad_id(device, "the gateway itself has that name")
    return device


def _bad_id(device: str, why: str) -> MohhosError:
    return MohhosError(
        "device-id-invalid", f'"{device}" cannot be a device id', why, "Choose an id such as pump-17", device=device
    )


def check_text(field: str, value: object) -> str:
    """A short text of a device. Raises MohhosError device-invalid."""
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        raise invalid(field, f"it must be a text of at most {MAX_TEXT} printable characters")
    return value


def check_labels(labels: object) -> dict[str, str]:
    """The labels as a dictionary of texts. Raises MohhosError device-invalid."""
    if not isinstance(labels, Mapping) or len(labels) > MAX_LABELS:
        raise invalid("labels", f"it must be an object of at most {MAX_LABELS} texts")
    for name, value in labels.items():
        if not isinstance(name, str) or _LABEL.fullmatch(name) is None:
            raise invalid(f"labels.{name}", "a label's name has 1 to 63 letters, digits and _ - . /")
        check_text(f"labels.{name}", value)
    return dict(labels)


def check_location(location: Location) -> Location:
    """The location, if it is on this planet. Raises MohhosError device-invalid."""
    lat, lon = location.lat, location.lon
    if (lat is None) != (lon is None):
        raise invalid("location", "lat and lon come together")
    if lat is not None and lon is not None and not (-90 <= lat <= 90 and -180 <= lon <= 180):
        raise invalid("location", f"lat {lat} and lon {lon} are not within 90 and 180 degrees")
    check_text("location.site", location.site)
    return location


def check_new(device: NewDevice) -> NewDevice:
    """A device to register, without looking at others. Raises MohhosError device-id-invalid, device-invalid."""
    check_id(device.id)
    for field in ("type", "model", "firmware"):
        check_text(field, getattr(device, field))
    check_labels(device.labels)
    check_location(device.location)
    if device.parent == device.id:
        raise invalid("parent", "a device is not its own parent")
    if device.secret is not None and len(device.secret) < 16:
        raise invalid("secret", "a secret of your own has at least 16 characters; leave it out and one is generated")
    return device


def invalid(field: str, why: str) -> MohhosError:
    """The error for one field of a device."""
    return MohhosError(
        "device-invalid", f"{field} is not usable", why, "Correct the field and send it again", field=field
    )
