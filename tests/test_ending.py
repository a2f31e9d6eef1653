"""Asynchronous commands end in good order."""

import asyncio
import signal

import pytest

from guardian.demo.ending import run_until_told


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_lets_the_work_put_its_things_away(number, code):
    ended = []

    async def work():
        try:
            signal.raise_signal(number)
            async with asyncio.timeout(10):
                await asyncio.Event().wait()
        finally:
            async with asyncio.timeout(10):
                await asyncio.to_thread(ended.append, "server stopped")

    # Whoever runs the tests may have it ignored (nohup), and then it stays ignored.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit) as end:
            run_until_told(work())
    finally:
        signal.signal(number, before)
    assert end.value.code == code
    assert ended == ["server stopped"]


def test_what_the_work_returns_comes_back():
    async def work():
        return 7

    assert run_until_told(work()) == 7
