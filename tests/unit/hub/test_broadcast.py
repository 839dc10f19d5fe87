import asyncio

import pytest

from mohhos.hub.broadcast import Broadcast
from mohhos.model import Notice

pytestmark = pytest.mark.anyio


async def test_a_subscriber_hears_what_it_asked_for_in_order() -> None:
    broadcast = Broadcast()
    with broadcast.subscribe(["alert"]) as some, broadcast.subscribe() as everything:
        broadcast.publish([Notice("alert", 1), Notice("device", 2), Notice("alert", 3)])
        assert [(await some.next()).data for _ in range(2)] == [1, 3]
        assert [(await everything.next()).data for _ in range(3)] == [1, 2, 3]
    assert broadcast.subscribers == 0


async def test_a_slow_subscriber_loses_the_oldest_and_knows_how_many_and_harms_nobody() -> None:
    broadcast = Broadcast()
    with broadcast.subscribe(capacity=2) as slow, broadcast.subscribe(capacity=10) as quick:
        broadcast.publish(Notice("alert", i) for i in range(5))
        assert slow.dropped == 3
        assert [(await slow.next()).data for _ in range(2)] == [3, 4]
        assert quick.dropped == 0
        assert (await quick.next()).data == 0


async def test_a_waiting_subscriber_is_woken_and_an_ended_one_is_forgotten() -> None:
    broadcast = Broadcast()
    with broadcast.subscribe() as subscription:
        waiting = asyncio.ensure_future(anext(aiter(subscription)))
        await asyncio.sleep(0)
        broadcast.publish([Notice("alert", "x")])
        assert (await waiting).data == "x"
    broadcast.publish([Notice("alert", "y")])
