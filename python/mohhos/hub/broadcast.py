"""Tells live subscribers (server-sent events) what changed, without ever waiting for one of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final

from mohhos.model import Notice

__all__ = ["Broadcast", "Subscription"]

QUEUE: Final = 256


class Subscription:
    """One subscriber's bounded queue: the oldest notices are dropped first, and counted.

    A subscriber that sees `dropped` grow should read the state anew.
    """

    def __init__(self, kinds: frozenset[str], capacity: int) -> None:
        self._kinds = kinds
        self._queue: asyncio.Queue[Notice] = asyncio.Queue(capacity)
        self.dropped = 0

    def wants(self, notice: Notice) -> bool:
        """Is the notice of a kind that was subscribed?"""
        return not self._kinds or notice.kind in self._kinds

    def offer(self, notice: Notice) -> None:
        """Queues the notice, dropping the oldest if the queue is full."""
        if self._queue.full():
            self._queue.get_nowait()
            self.dropped += 1
        self._queue.put_nowait(notice)

    async def next(self) -> Notice:
        """The next notice; waits for it."""
        return await self._queue.get()

    async def __aiter__(self) -> AsyncIterator[Notice]:
        while True:
            yield await self._queue.get()


class Broadcast:
    """All subscriptions. Belongs to one event loop and is called on it."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    @contextlib.contextmanager
    def subscribe(self, kinds: Iterable[str] = (), capacity: int = QUEUE) -> Iterator[Subscription]:
        """A subscription to notices of these kinds (all, if none are named) for the length of the block."""
        subscription = Subscription(frozenset(kinds), capacity)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def publish(self, notices: Iterable[Notice]) -> None:
        """Offers the notices to everybody who wants them; never waits."""
        for notice in notices:
            for subscription in self._subscriptions:
                if subscription.wants(notice):
                    subscription.offer(notice)

    @property
    def subscribers(self) -> int:
        """How many subscriptions there are."""
        return len(self._subscriptions)
