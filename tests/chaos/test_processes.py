"""Call processes that are killed, stopped, wedged, grown or left alone cost their own calls only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import psutil
import pytest

from tests.loopback.harness import calling, serving, until

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

FINE = "fault:none:0"
TOLD_S = 3.0
"""Within which a call's end is told after its process was killed."""
GONE_S = 15.0
STOPPED_S = 5.0
"""Longer than a process may be silent."""
SHARED = "spares = 0\ncalls_per_process = 2\n"
WATCHED = "spares = 1\nprocess_mb = 700\nbeat_lost_s = 3.0\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One call in each process, and a spare."""
    with serving(tmp_path_factory.mktemp("apart"), broken=True, limits=WATCHED) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Two calls in each process."""
    with serving(tmp_path_factory.mktemp("shared"), broken=True, limits=SHARED) as running:
        yield running


def processes(server):
    return {process.pid: process for process in psutil.Process(server.process.pid).children()}


@asynccontextmanager
async def covered_calls(server, *purposes):
    """[(call, its process)], each with a protected picture."""
    async with AsyncExitStack() as stack:
        found = []
        for purpose in purposes:
            call = await stack.enter_async_context(calling(server, purpose=purpose))
            status = await call.until(lambda s: s["frames"]["in"] > 0, 30, "a picture of the shopper")
            found.append((call, psutil.Process(status["process"]["pid"])))
        yield found


async def goes_on(call):
    """More pictures reach a merchant."""
    before = call.view.frames
    await until(lambda: call.view.frames > before + 5, 20, "pictures of the other call")


def ends(server, call):
    """Events that tell the end of a call."""
    told = [event for event in server.events() if call.call_id in event["source"]]
    return [e["data"] for e in told if ".call.left." in e["type"] and e["data"].get("role") is None]


async def failed(server, call, limit_s):
    """Waits until a call has failed and its end is told, once."""
    await call.until(lambda s: s["state"] == "failed", limit_s, "the end of the call")
    await until(lambda: ends(server, call), 10, "the event")
    assert [data["reason"] for data in ends(server, call)] == ["failed"]
    assert call.view.canary_blocks == 0


def test_a_killed_process_costs_its_own_call_and_is_told_soon(server):
    async def scenario():
        async with covered_calls(server, FINE, FINE) as ((killed, process), (other, _)):
            began = time.monotonic()
            process.kill()
            await failed(server, killed, 10)
            seconds = time.monotonic() - began
            await goes_on(other)
            assert (await other.status())["state"] != "failed"
            return seconds, other.view

    seconds, view = asyncio.run(scenario())
    assert seconds < TOLD_S
    assert view.canary_blocks == 0


def test_a_call_takes_a_spare_that_stands_back_no_more(server):
    async def scenario():
        before = set(processes(server))
        async with covered_calls(server, FINE) as ((_, process),):
            threads = [int(name) for name in os.listdir(f"/proc/{process.pid}/task")]
            # Hearing stands back by itself; what loaded the models is gone.
            return before, process.pid, {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads}

    asyncio.run(until(lambda: ready(server), 60, "a spare"))
    before, pid, niceness = asyncio.run(scenario())
    assert pid in before
    assert max(niceness) < 19


def ready(server):
    """Whether a spare waits: it is there, and has nothing more to do."""
    found = processes(server).values()
    return bool(found) and all(process.cpu_percent(0.5) < 5 for process in found)


def test_a_stopped_process_is_killed(server):
    async def scenario():
        async with covered_calls(server, FINE) as ((call, process),):
            process.send_signal(signal.SIGSTOP)
            await failed(server, call, 20)
            await until(lambda: not process.is_running(), GONE_S, "the end of the process")

    asyncio.run(scenario())
    assert "a call process has stopped beating; it is killed" in server.log()


def test_a_wedged_model_is_told_with_its_stack_and_killed(server):
    async def scenario():
        async with covered_calls(server, FINE, "fault:hang:20") as ((other, _), (wedged, _)):
            await failed(server, wedged, 30)
            await goes_on(other)

    asyncio.run(scenario())
    log = server.log()
    told = log.index("a video lane is stuck; the call process is killed")
    assert "in hang" in log[told:], "where it is stuck stands in the log"


def test_a_process_that_grows_is_killed(server):
    async def scenario():
        async with covered_calls(server, "fault:grow:10") as ((grown, _),):
            await failed(server, grown, 60)

    asyncio.run(scenario())
    assert "a call process takes too much memory; it is killed" in server.log()


def test_calls_share_a_process_and_end_apart(shared):
    async def scenario():
        async with covered_calls(shared, FINE, FINE, FINE) as ((one, its), (two, same), (_, third)):
            assert its.pid == same.pid != third.pid
            await one.client.hang_up(one.call_id)
            await goes_on(two)
            assert its.is_running()
            async with covered_calls(shared, "fault:chain-throw:60") as ((broken, again),):
                assert again.pid == its.pid
                await failed(shared, broken, 20)
            await goes_on(two)
            await two.client.hang_up(two.call_id)
            await until(lambda: not its.is_running(), GONE_S, "the end of the process")
            return two.view

    assert asyncio.run(scenario()).canary_blocks == 0


def test_a_killed_process_ends_all_its_calls(shared):
    async def scenario():
        async with covered_calls(shared, FINE, FINE) as ((one, process), (two, same)):
            assert process.pid == same.pid
            process.kill()
            for call in (one, two):
                await failed(shared, call, 10)

    asyncio.run(scenario())
    assert httpx.get(f"{shared.url}/livez", trust_env=False).status_code == 200


def test_a_server_that_was_stopped_for_long_ends_no_call(server):
    async def scenario():
        async with covered_calls(server, FINE) as ((call, process),):
            server.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(STOPPED_S)
            server.process.send_signal(signal.SIGCONT)
            before = (await call.status())["media_t"]
            await call.until(lambda s: s["media_t"] > before, 10, "news of the call")
            await goes_on(call)
            assert process.is_running()

    asyncio.run(scenario())


def test_processes_and_spares_of_a_killed_server_end_and_send_nothing(tmp_path):
    async def scenario(running):
        # The client's good-bye finds no server any more.
        with contextlib.suppress(httpx.HTTPError, ExceptionGroup):
            async with covered_calls(running, FINE) as ((call, _),):
                await until(lambda: len(processes(running)) == 2, 30, "another spare")
                children.extend(processes(running).values())
                running.process.kill()
                running.process.wait()
                await asyncio.to_thread(psutil.wait_procs, children, GONE_S)
                frames = call.view.frames
                await asyncio.sleep(0.5)
                assert call.view.frames == frames

    children: list[psutil.Process] = []
    with serving(tmp_path, broken=True, limits="spares = 1\n") as running:
        asyncio.run(scenario(running))
    assert len(children) == 2
    assert not [child for child in children if child.is_running()]
