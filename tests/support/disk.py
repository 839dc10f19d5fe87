"""A disk that is small enough to fill it: a file system in memory, mounted for a test."""

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(path: Path, mebibytes: int) -> Iterator["Disk"]:
    """Mounts an empty disk at `path`. Where that is not permitted the test is skipped, except in CI."""
    path.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=700", "tmpfs", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"a full disk cannot be tested without the right to mount one (root): {done.stderr.strip()}"
        assert os.environ.get("CI") != "true", message
        pytest.skip(message)
    try:
        yield Disk(path)
    finally:
        # A process that was killed may not be quite gone: the disk goes with its last file.
        subprocess.run(["umount", "--lazy", str(path)], check=True)


class Disk:
    """A mounted disk."""

    def __init__(self, path: Path) -> None:
        self._filler = path / "filler"

    def fill(self) -> None:
        """Takes all the space there is."""
        with self._filler.open("ab", buffering=0) as filler:
            for size in (1 << 16, 1 << 12):
                try:
                    while True:
                        filler.write(b"\0" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC, error

    def free(self) -> None:
        """Gives it back."""
        self._filler.unlink()
