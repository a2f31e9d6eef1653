"""What waits for a disk that hangs: bounded, told, and tidied up."""

import asyncio
import threading

import pytest

from guardian.core.errors import Unavailable
from guardian.web import disk
from guardian.web.disk import DiskThreads


def test_what_hangs_is_told_and_what_comes_late_is_closed(monkeypatch):
    monkeypatch.setattr(disk, "_WAIT_S", 0.05)
    gate, closed = threading.Event(), threading.Event()

    def opening():
        assert gate.wait(10)
        return "a file"

    async def scenario():
        with pytest.raises(Unavailable, match="too long"):
            await DiskThreads("evidence", 1, 2).run(opening, lambda _: closed.set())

    asyncio.run(scenario())
    assert not closed.is_set()
    gate.set()
    assert closed.wait(10)


def test_more_than_there_is_room_for_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(disk, "_WAIT_S", 0.5)
    gate = threading.Event()
    threads = DiskThreads("evidence", 1, 2)

    async def hang():
        with pytest.raises(Unavailable, match="too long"):
            await threads.run(lambda: gate.wait(10))

    async def scenario():
        async with asyncio.TaskGroup() as tasks:
            for _ in range(2):
                tasks.create_task(hang())
            await asyncio.sleep(0)
            with pytest.raises(Unavailable, match="busy"):
                await threads.run(lambda: 1)
        gate.set()
        monkeypatch.setattr(disk, "_WAIT_S", 10.0)
        assert await threads.run(lambda: 1) == 1

    asyncio.run(scenario())
