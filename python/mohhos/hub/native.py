"""Calls into the native gateway from the event loop: in a thread, with errors of the table."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from mohhos.errors import from_native

if TYPE_CHECKING:
    from mohhos._native import Gateway

__all__ = ["NativeClock", "call"]

P = ParamSpec("P")
R = TypeVar("R")


async def call(method: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Runs a native method in a thread. Raises MohhosError for what the native core raises."""
    try:
        return await asyncio.to_thread(method, *args, **kwargs)
    except Exception as error:
        # NativeError by name: importing it would load the native module where only its type is needed.
        if any(base.__name__ == "NativeError" for base in type(error).__mro__):
            raise from_native(error) from error
        raise


class NativeClock:
    """The clock of the native gateway, so that records and the registry have one time.

    A machine without a battery-backed clock boots in the past: the native clock goes on from the log's last record.
    """

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway

    def now_us(self) -> int:
        """Wall time, UTC."""
        return self._gateway.now_us()

    def monotonic_us(self) -> int:
        """Time since an arbitrary zero."""
        return time.monotonic_ns() // 1000
