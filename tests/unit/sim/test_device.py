"""A simulated device ends when it is told to."""

import asyncio

from mohhos.sim.device import end_if_cancelled


def test_a_cancellation_that_comes_together_with_an_acknowledgement_ends_the_loop() -> None:
    rounds = 0

    async def publishes(acknowledged: asyncio.Future[None]) -> None:
        nonlocal rounds
        while rounds < 3:
            await asyncio.wait_for(asyncio.shield(acknowledged), 10)
            rounds += 1
            end_if_cancelled()

    async def both_at_once() -> bool:
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(publishes(acknowledged))
        await asyncio.sleep(0)
        acknowledged.set_result(None)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(both_at_once())
    assert rounds <= 1


def test_a_task_that_nobody_cancelled_goes_on() -> None:
    async def goes_on() -> bool:
        end_if_cancelled()
        return True

    assert asyncio.run(goes_on())
