"""Roles as people write them: checked, and made into records. docs/policy.md is the reference of the language."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final

from mohhos.errors import MohhosError
from mohhos.model import Access, Role, RoleLimits

__all__ = ["VARIABLES", "check_name", "check_pattern", "role_of"]

MAX_PATTERNS: Final = 64
MAX_DESCRIPTION: Final = 512
VARIABLES: Final = frozenset({"${device}", "${principal}", "${child}", "${parent}", "${group}", "${client}"})
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_MEMBERS: Final = frozenset({"publish", "subscribe", "receive", "limits", "description"})
_WHOLE: Final = {"payload_bytes": 0, "inflight": 1, "connections": 1}
_MOST: Final = {"payload_bytes": 1 << 28, "inflight": 65_535, "connections": 10_000_000}
_RATES: Final = ("messages_per_s", "bytes_per_s")


def invalid(what: str, why: str, next_step: str = "Correct the role; docs/policy.md has examples") -> MohhosError:
    """A role that cannot be used."""
    return MohhosError("role-invalid", what, why, next_step)


def check_name(name: str) -> str:
    """The name of a role that people make. Raises MohhosError role-invalid."""
    if _NAME.fullmatch(name) is None:
        raise invalid(
            f'"{name}" cannot be a role', "its name has 1 to 63 lower-case letters, digits, - and _", "Rename it"
        )
    return name


def check_pattern(text: object) -> str:
    """A topic filter by MQTT 5, section 4.7, in which variables may stand for levels.

    Raises MohhosError role-invalid.
    """
    if not isinstance(text, str):
        raise invalid(f"{text!r} is no pattern of topics", "it is no text")
    levels = text.split("/")
    why = ""
    if not text or len(text.encode()) > 1024 or "\0" in text:
        why = "a pattern has 1 to 1024 bytes and no NUL"
    elif any("#" in level for level in levels[:-1]) or (levels[-1] != "#" and "#" in levels[-1]):
        why = "# stands alone, as the last level"
    elif any("+" in level and level != "+" for level in levels):
        why = "+ stands alone in its level"
    elif any("$" in level and level not in VARIABLES for level in levels):
        why = f"$ begins a variable alone, which fills its level: {', '.join(sorted(VARIABLES))}"
    if why:
        raise invalid(f'"{text}" is no pattern of topics', why, "Correct the pattern")
    return text


def role_of(name: str, document: Mapping[str, Any], *, built_in: bool = False) -> Role:
    """The role in a document (JSON or TOML, parsed). Raises MohhosError role-invalid."""
    if unknown := sorted(set(document) - _MEMBERS):
        raise invalid(f'The role "{name}" has "{unknown[0]}"', f"it knows {', '.join(sorted(_MEMBERS))} alone")
    description = document.get("description", "")
    if not isinstance(description, str) or len(description) > MAX_DESCRIPTION or not description.isprintable():
        raise invalid(
            f'The role "{name}" has no usable description', f"{MAX_DESCRIPTION} printable characters are the most"
        )
    receive = document.get("receive")
    return Role(
        check_name(name),
        _access(name, "publish", document.get("publish", [])),
        _access(name, "subscribe", document.get("subscribe", [])),
        None if receive is None else _access(name, "receive", receive),
        _limits(name, document.get("limits", {})),
        description,
        built_in,
    )


def _access(role: str, action: str, given: object) -> Access:
    everything = None if action == "receive" else ()
    if isinstance(given, Mapping):
        if unknown := sorted(set(given) - {"allow", "deny"}):
            raise invalid(f'{action} of the role "{role}" has "{unknown[0]}"', "it knows allow and deny alone")
        allow = given.get("allow")
        allowed = everything if allow is None else _patterns(role, f"{action}.allow", allow)
        return Access(allowed, _patterns(role, f"{action}.deny", given.get("deny", [])))
    return Access(_patterns(role, action, given))


def _patterns(role: str, where: str, given: object) -> tuple[str, ...]:
    if not isinstance(given, list | tuple):
        raise invalid(f'{where} of the role "{role}" is not usable', "it must be a list of patterns")
    if len(given) > MAX_PATTERNS:
        raise invalid(f'"{role}" was not stored', f"{where} has more than {MAX_PATTERNS} patterns", "Use wildcards")
    return tuple(map(check_pattern, given))


def _limits(role: str, given: object) -> RoleLimits:
    names = [field.name for field in dataclasses.fields(RoleLimits)]
    if not isinstance(given, Mapping):
        raise invalid(f'limits of the role "{role}" are not usable', f"they are an object of {', '.join(names)}")
    limits: dict[str, Any] = {}
    for name, value in given.items():
        if name not in names:
            raise invalid(f'The role "{role}" has the limit "{name}"', f"limits are {', '.join(names)}")
        if value is None:
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in _RATES:
            if not is_number or not 0.001 <= value <= 1e9:
                raise invalid(f'{name} of the role "{role}" is {value!r}', "it is a rate per second from 0.001 to 1e9")
            limits[name] = float(value)
        elif not is_number or value != int(value) or not _WHOLE[name] <= value <= _MOST[name]:
            raise invalid(
                f'{name} of the role "{role}" is {value!r}',
                f"it is a whole number from {_WHOLE[name]} to {_MOST[name]}",
            )
        else:
            limits[name] = int(value)
    return RoleLimits(**limits)
