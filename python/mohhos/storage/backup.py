"""Backup of a running gateway into one file, and its restore into an empty data directory.

The archive (tar, version 1): `backup.json` {"version", "program", "at_us"}, `registry.db`, the files named by the
composition root (the gateway's key), and `native/` as the native gateway writes it (log, manifest, history, snapshots).

The native part is as of one committed offset, the registry as of a little later; the positions of its projections are
set back to what was committed before the native part began. So a restored gateway applies the end of the log again,
which does nothing a second time.
"""

import asyncio
import contextlib
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mohhos.clock import Clock
from mohhos.errors import MohhosError
from mohhos.hub import native
from mohhos.storage.database import Database

if TYPE_CHECKING:
    from mohhos._native import Gateway

__all__ = ["REGISTRY", "Backup", "restore"]

VERSION: Final = 1
REGISTRY: Final = "registry.db"
_ABOUT: Final = "backup.json"
_NATIVE: Final = "native"


class Backup:
    """Writes backups of the running gateway. `files` are small files of the data directory that belong to them."""

    def __init__(
        self, database: Database, gateway: "Gateway", clock: Clock, *, files: Sequence[Path], program: str
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._clock = clock
        self._files = files
        self._program = program
        self._one_at_a_time = asyncio.Lock()

    async def write(self, archive: Path) -> None:
        """Writes a backup to a new file, which appears when it is whole and on disk. Its reader is its owner alone.

        Raises MohhosError: backup-failed, and native codes.
        """
        async with self._one_at_a_time:
            try:
                # Beside the archive: the same file system, so that the last step is a rename.
                directory = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=".backup-", dir=archive.parent))
                try:
                    await self._gather(directory)
                    await asyncio.to_thread(_pack, directory, archive)
                finally:
                    await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
            except OSError as error:
                raise MohhosError(
                    "backup-failed",
                    f"{archive} was not written",
                    str(error),
                    "Choose a directory with enough space in which this user may write",
                ) from error

    async def _gather(self, directory: Path) -> None:
        committed = await native.call(self._gateway.committed)
        (directory / _NATIVE).mkdir()
        await native.call(self._gateway.backup, str(directory / _NATIVE))
        await self._database.backup(directory / REGISTRY)
        await asyncio.to_thread(set_back, directory / REGISTRY, committed)
        for file in self._files:
            shutil.copy2(file, directory / file.name)
        about = {"version": VERSION, "program": self._program, "at_us": self._clock.now_us()}
        (directory / _ABOUT).write_text(json.dumps(about), encoding="utf-8")


def set_back(registry: Path, committed: int) -> None:
    """Sets projections in a copied registry back to an offset that the copied log surely has."""
    with contextlib.closing(sqlite3.connect(registry)) as connection, connection:
        connection.execute("UPDATE projections SET log_offset = min(log_offset, ?)", (committed,))


def _pack(directory: Path, archive: Path) -> None:
    whole = directory.with_suffix(".tar")
    try:
        descriptor = os.open(whole, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w") as tar:
                for each in sorted(directory.iterdir()):
                    tar.add(each, arcname=each.name)
            file.flush()
            os.fsync(file.fileno())
        whole.replace(archive)
    finally:
        whole.unlink(missing_ok=True)


def restore(archive: Path, data_dir: Path) -> None:
    """Fills an empty or missing data directory from a backup; nothing is left behind if it fails.

    Raises MohhosError: backup-unusable, data-dir-unusable.
    """
    if data_dir.exists() and any(data_dir.iterdir()):
        raise MohhosError(
            "data-dir-unusable",
            f"Nothing was restored into {data_dir}",
            "it is not empty, and a restore overwrites nothing",
            "Name an empty directory, or move the old one away",
        )
    beside = data_dir.absolute().with_name(data_dir.name + ".restoring")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        _unpack(archive, beside)
        if data_dir.exists():
            data_dir.rmdir()
        beside.rename(data_dir)
    except OSError as error:
        raise MohhosError(
            "data-dir-unusable",
            f"Nothing was restored into {data_dir}",
            str(error),
            "Choose a directory with enough space in which this user may write",
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _unpack(archive: Path, target: Path) -> None:
    target.mkdir(mode=0o700, parents=True)
    try:
        with tarfile.open(archive) as tar:
            # The filter refuses absolute paths, links out of the directory and devices (PEP 706).
            tar.extractall(target, filter="data")
        about = json.loads((target / _ABOUT).read_text(encoding="utf-8"))
        version = about["version"]
    except (tarfile.TarError, ValueError, KeyError, TypeError, FileNotFoundError) as error:
        raise _unusable(archive, f"it is no backup, or only part of one ({error})", "Take another file") from error
    if version != VERSION:
        raise _unusable(
            archive, f"it has version {version}, and this program knows {VERSION}", f"Use {about.get('program')}"
        )
    for each in (target / _NATIVE).iterdir():
        each.rename(target / each.name)
    (target / _NATIVE).rmdir()
    (target / _ABOUT).unlink()
    for each in target.iterdir():
        if each.is_file():
            each.chmod(0o600)


def _unusable(archive: Path, why: str, next_step: str) -> MohhosError:
    return MohhosError("backup-unusable", f"{archive} cannot be restored", why, next_step)
