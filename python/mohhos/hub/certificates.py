"""Certificates, keys and revocation lists of the listeners, read again when their files change."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mohhos.clock import Clock
from mohhos.errors import MohhosError
from mohhos.hub import native

if TYPE_CHECKING:
    from mohhos._native import Event, Gateway

__all__ = ["CertificateWatch"]

CHECK_S: Final = 10.0
FAILED: Final = "tls-reload-failed"

_log = logging.getLogger(__name__)


class CertificateWatch:
    """Looks at the files every ten seconds, and at once when asked (SIGHUP).

    Files that cannot be used change nothing: the listeners go on with those before, operators are alarmed, and the
    files are tried again, for a certificate and its key are seldom replaced at the same moment.
    """

    def __init__(
        self,
        gateway: "Gateway",
        files: Sequence[Path],
        tell: Callable[[Sequence["Event"]], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._gateway = gateway
        self._files = files
        self._tell = tell
        self._clock = clock
        self._wanted = asyncio.Event()
        self._read = self._look()
        self._failed = False

    def wake(self) -> None:
        """Has the files read at once, changed or not."""
        self._wanted.set()

    async def run(self) -> None:
        """Looks until cancelled."""
        while self._files:
            try:
                async with asyncio.timeout(CHECK_S):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            forced = self._wanted.is_set()
            self._wanted.clear()
            await self.check(forced)

    async def check(self, forced: bool = False) -> None:
        """Has the native gateway read the files if they changed, or if the last attempt failed."""
        seen = self._look()
        if seen == self._read and not forced and not self._failed:
            return
        try:
            changed = await native.call(self._gateway.reload_tls)
        except MohhosError as error:
            if not self._failed or forced:
                await self._alarm(str(error), raised=True)
            self._failed = True
            return
        self._read = seen
        if changed:
            _log.info("new certificates or revocation lists at: %s", ", ".join(changed))
        if self._failed:
            await self._alarm("the files are in use", raised=False)
        self._failed = False

    async def _alarm(self, message: str, *, raised: bool) -> None:
        at_us = self._clock.now_us()
        await self._tell([{"kind": "alarm", "code": FAILED, "message": message, "at_us": at_us, "raised": raised}])

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in self._files]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
