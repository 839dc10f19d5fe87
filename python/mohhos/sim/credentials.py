"""The simulator's memory of its devices' secrets: the gateway shows each only once."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from mohhos.client.api import ApiClient

__all__ = ["enrol"]

CHUNK: Final = 1_000


def _load(path: Path) -> dict[str, str]:
    try:
        kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return kept


def _save(path: Path, secrets: dict[str, str]) -> None:
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(secrets, file)
    part.replace(path)


def enrol(client: ApiClient, path: Path, bodies: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The secret of every device; those that the gateway does not know are registered.

    `path` keeps secrets between runs, readable by this user alone. A device that is registered but whose secret is
    not there gets a new one. Raises ApiError.
    """
    kept = _load(path)
    registered = {item["id"] for item in client.items("/devices")}
    for chunk in _chunks([body for body in bodies if body["id"] not in registered]):
        answer = client.request("POST", "/devices:bulk", json={"items": chunk})
        kept.update({item["id"]: item["secret"] for item in answer["items"]})
    for body in bodies:
        if body["id"] not in kept:
            kept[body["id"]] = client.request("POST", f"/devices/{body['id']}/secret")["secret"]
    path.parent.mkdir(parents=True, exist_ok=True)
    _save(path, kept)
    return {body["id"]: kept[body["id"]] for body in bodies}


def _chunks(items: list[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    return (items[i : i + CHUNK] for i in range(0, len(items), CHUNK))
