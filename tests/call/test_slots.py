"""Slots never grow, and they count what they lose."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.call.slots import Bounded, Closed, Latest


def test_the_newest_picture_wins():
    async def scenario():
        slot = Latest()
        for number in range(5):
            slot.put(number)
        return await slot.get(1), slot.statistics()

    item, statistics = asyncio.run(scenario())
    assert item == 4
    assert (statistics.put, statistics.taken, statistics.lost, statistics.waiting) == (5, 1, 4, 0)


def test_a_full_queue_refuses_and_says_so():
    async def scenario():
        slot = Bounded(2)
        return (
            [slot.offer(i) for i in range(3)],
            [await slot.get(1), await slot.get(1)],
            slot.statistics().lost,
        )

    assert asyncio.run(scenario()) == ([True, True, False], [0, 1], 1)


def test_whoever_waits_goes_on_waiting_when_what_came_is_thrown_away_at_once():
    async def scenario():
        slot = Latest()
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(slot.get(10))
            await asyncio.sleep(0)
            slot.put("old")
            slot.clear()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not waiting.done()
            slot.put("new")
        return waiting.result()

    assert asyncio.run(scenario()) == "new"


def test_waiting_ends():
    async def scenario():
        with pytest.raises(TimeoutError):
            await Latest().get(0.01)
        slot = Bounded(3)
        slot.offer("last")
        slot.close()
        assert not slot.offer("too late")
        assert await slot.get(1) == "last"
        with pytest.raises(Closed):
            await slot.get(1)

    asyncio.run(scenario())


@given(st.integers(1, 6), st.lists(st.booleans(), max_size=60))
def test_nothing_is_lost_uncounted_in_any_order_of_puts_and_gets(size, steps):
    async def scenario(slot, put):
        taken = 0
        for is_put in steps:
            if is_put:
                put(object())
            elif slot.statistics().waiting:
                await slot.get(1)
                taken += 1
            assert slot.statistics().waiting <= size
        return slot.statistics(), taken

    for kind in (Latest, Bounded):

        async def run(kind=kind):
            slot = kind(size)
            return await scenario(slot, slot.put if kind is Latest else slot.offer)

        statistics, taken = asyncio.run(run())
        refused = statistics.lost if kind is Bounded else 0
        assert statistics.taken == taken
        assert statistics.put + refused == sum(steps)
        assert statistics.put - statistics.taken - statistics.waiting == (
            0 if kind is Bounded else statistics.lost
        )
