"""Names and codes of devices and metrics, as the native gateway has them."""

import asyncio
from collections.abc import Sequence
from typing import Final

from mohhos.storage.history.native import NativeHistory

__all__ = ["AllNames", "Names"]

AllNames = tuple[Sequence[tuple[int, str]], Sequence[tuple[int, str]]]
"""(code, name) of all devices, and of all metrics and tables."""

_NONE: Final[AllNames] = ((), ())


class Names:
    """Codes are never reused, so what was read once stays right; what is unknown is asked for again."""

    def __init__(self, native: NativeHistory) -> None:
        self._native = native
        self._all = _NONE
        self._devices: dict[str, int] = {}
        self._metrics: dict[str, int] = {}
        self._metric_names: dict[int, str] = {}

    async def all(self) -> AllNames:
        """All names of now: the same object as long as there are no others."""
        devices, metrics = await asyncio.to_thread(self._native.codes)
        fresh = (
            [(code, name) for name, code in devices],
            [(code, name) for name, code in metrics],
        )
        if fresh != self._all:
            self._all = fresh
            self._devices = dict(devices)
            self._metrics = dict(metrics)
            self._metric_names = dict(fresh[1])
        return self._all

    async def device_code(self, name: str) -> int | None:
        """The code of a device; None if it has none yet."""
        if name not in self._devices:
            await self.all()
        return self._devices.get(name)

    async def metric_code(self, name: str) -> int | None:
        """The code of a metric; None if nobody has ever sent it."""
        if name not in self._metrics:
            await self.all()
        return self._metrics.get(name)

    async def metric(self, code: int) -> str:
        """The name of a metric or table; its code in words if it has no name."""
        if code not in self._metric_names:
            await self.all()
        return self._metric_names.get(code, f"#{code}")
