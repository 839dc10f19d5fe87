"""What the queries need of the native gateway."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mohhos.errors import MohhosError, from_native

__all__ = ["Cut", "NativeHistory", "taken"]


class NativeHistory(Protocol):
    """The part of `mohhos._native.Gateway` that the history's queries use; see there."""

    def history_cut(self, devices: list[str], metrics: list[str], from_us: int, to_us: int) -> str:
        """One consistent cut of files and tail, as JSON."""

    def history_release(self, lease: int) -> None:
        """Ends the lease of a cut."""

    def codes(self) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        """Names and codes of devices, and of metrics and tables."""


@dataclass(frozen=True)
class Cut:
    """Files that together hold every reading asked for, at one moment. A reading may be in several of them."""

    files: tuple[str, ...]
    lease: int


@contextlib.asynccontextmanager
async def taken(
    native: NativeHistory, devices: Sequence[str], metrics: Sequence[str], from_us: int, to_us: int
) -> AsyncIterator[Cut]:
    """A cut for the length of the block; its files are not deleted meanwhile.

    Whatever ends the block, cancellation included, the lease is released. Raises MohhosError if the native gateway
    cannot write the tail.
    """
    asked = (list(devices), list(metrics), from_us, to_us)
    taking = asyncio.ensure_future(asyncio.to_thread(native.history_cut, *asked))
    try:
        text = await asyncio.shield(taking)
    except asyncio.CancelledError:
        # The thread goes on and returns a lease that nobody waits for.
        taking.add_done_callback(lambda done: _release_late(native, done))
        raise
    except Exception as error:
        raise from_native(error, "Free space in the data directory, then ask again") from error
    cut = _parsed(text)
    try:
        yield cut
    finally:
        await asyncio.shield(asyncio.to_thread(native.history_release, cut.lease))


def _parsed(text: str) -> Cut:
    fields = json.loads(text)
    tail = [fields["tail"]] if fields["tail"] else []
    return Cut(tuple(fields["files"] + tail), fields["lease"])


def _release_late(native: NativeHistory, done: "asyncio.Future[str]") -> None:
    if not done.cancelled() and done.exception() is None:
        native.history_release(_parsed(done.result()).lease)


def unavailable(why: str) -> MohhosError:
    """The query process cannot answer."""
    return MohhosError(
        "query-unavailable",
        "The history gave no answer",
        why,
        "Ask again; if it stays so, look into the gateway's log and raise history.query_memory",
    )
