"""Calls into the native gateway from the event loop: in a thread, with errors of the table."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from mohhos.errors import from_native

__all__ = ["call"]

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
