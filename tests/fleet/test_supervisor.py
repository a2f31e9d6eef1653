"""The supervisor keeps count, and processes that misbehave cost their own call only."""

from __future__ import annotations

import asyncio
import json
import sys
import textwrap
from contextlib import suppress
from dataclasses import replace

import pytest

from guardian.core.calls import CallEventType, CallSpec
from guardian.core.config import CallLimits, MediaConfig, TurnServer, WorkConfig
from guardian.core.errors import CallExists, CallFailed, HostFull, NoSuchCall
from guardian.core.violations import Role
from guardian.fleet.process import Death
from guardian.fleet.supervisor import Supervisor

PUPPET = textwrap.dedent(
    """
    import json, os, signal, socket, sys, threading, time
    link = socket.socket(fileno=int(sys.argv[-1]))
    stream = link.makefile("rwb")
    def say(**message):
        stream.write(json.dumps(message).encode() + b"\\n"); stream.flush()
    print("native libraries print here")
    calls = {}
    def beat():
        while True:
            if "silent" not in calls.values():
                process = {"mb": 900.0 if "grows" in calls.values() else 10.0}
                say(note="beat", process=process, calls={
                    call: {"lanes": {"video": 99 if trick == "stuck" else 0},
                           "status": 7 if trick == "has no status" else {"media_t": 1, "hello": 1}}
                    for call, trick in list(calls.items())})
            time.sleep(0.2)
    beating = threading.Thread(target=beat, daemon=True)
    for line in stream:
        message = json.loads(line)
        action, call = message["do"], message.get("call")
        if action == "warm":
            if os.environ.get("PUPPET_SPARES") == "die":
                os._exit(4)
            beating.start()
            say(re=message["id"], ok={})
            continue
        if action == "start":
            trick = message["spec"]["purpose"]
            if trick == "dies at once":
                os._exit(3)
            if trick == "never ready":
                continue
            calls[call] = trick
            media = message["config"]["media"]
            say(re=message["id"], ok={"status": {"media_t": 0}})
            if trick == "talks nonsense":
                stream.write(b"{not json}\\n"); stream.flush(); time.sleep(60)
            if trick == "says half of it":
                say(note="event", event={"type": "call.left"}); time.sleep(60)
            if trick == "speaks for another":
                for name in ("other", call):
                    say(note="event", event={"call_id": name, "type": "call.joined", "media_t": 1.0,
                                             "at": "2026-11-21T09:14:32Z", "data": {"role": "shopper"}})
            if not beating.is_alive():
                beating.start()
            continue
        trick = calls.get(call)
        if action == "hang_up" and trick != "never ends":
            calls.pop(call, None)
            say(note="ended", call=call, reason=message["reason"], status={"media_t": 2})
            continue
        if action == "offer" and trick == "never answers" or trick == "never ends":
            continue
        if trick == "dies when asked":
            os._exit(5)
        told = json.dumps(media) if trick == "tells its settings" else str(os.getpid())
        say(re=message["id"], ok={"session_id": "s", "sdp": told})
    """
)
LIMITS = CallLimits(
    max_calls=2, start_s=3.0, answer_s=1.0, beat_lost_s=1.0, lane_stuck_s=2.0, spares=0, process_mb=500.0
)


def spec(call_id="c", trick="works"):
    return CallSpec(call_id, "t", {Role.SHOPPER: "s", Role.MERCHANT: "m"}, purpose=trick)


def supervised(scenario, media=MediaConfig(), limits=LIMITS):  # noqa: B008  # it is frozen
    """Runs a scenario(supervisor, events) against puppet processes."""

    async def run():
        events = []
        command = (sys.executable, "-c", PUPPET)
        async with Supervisor(
            WorkConfig(limits=limits, media=media), lambda s, e: events.append(e), command
        ) as supervisor:
            return await scenario(supervisor, events)

    return asyncio.run(run())


async def _until(true):
    async with asyncio.timeout(10):
        for _ in range(1000):
            if true():
                return
            await asyncio.sleep(0.02)


async def _gone(supervisor, call_id):
    await _until(lambda: supervisor.status(call_id)["state"] != "open")
    return supervisor.status(call_id)


def test_a_call_lives_and_ends():
    async def scenario(supervisor, events):
        await supervisor.open(spec())
        answer = await supervisor.offer("c", Role.SHOPPER, "v=0")
        assert answer.session_id == "s"
        await supervisor.hang_up("c", None, "done")
        await supervisor.hang_up("c", None, "again")
        status = supervisor.status("c")
        assert (status["state"], status["ended_reason"], status["media_t"]) == ("ended", "done", 2)
        with pytest.raises(NoSuchCall):
            await supervisor.offer("c", Role.SHOPPER, "v=0")
        assert events == []

    supervised(scenario)


def test_every_call_process_gets_turn_credentials_of_its_own_and_no_secret():
    async def scenario(supervisor, events):
        told = []
        for call_id in ("one", "two"):
            await supervisor.open(spec(call_id, "tells its settings"))
            told.append(json.loads((await supervisor.offer(call_id, Role.SHOPPER, "v=0")).sdp))
        return told

    one, two = supervised(scenario, MediaConfig(turn=(TurnServer(("turn:t.example",), "north"),)))
    assert one["turn"] == two["turn"] == []
    assert "north" not in repr(one)
    (mine,), (other,) = one["ice_servers"], two["ice_servers"]
    assert mine["urls"] == ["turn:t.example"]
    assert mine["credential"]
    assert mine["username"] != other["username"]


def test_slots_are_counted_and_names_are_taken():
    async def scenario(supervisor, events):
        async with asyncio.TaskGroup() as tasks:
            results = [tasks.create_task(_try(supervisor.open(spec(f"c{i}")))) for i in range(5)]
        refusals = [task.result() for task in results if task.result() is not None]
        assert len(refusals) == 3
        assert all(refusal.retry_after > 0 for refusal in refusals)
        assert supervisor.capacity() == (2, 2)
        with pytest.raises(CallExists):
            await supervisor.open(spec("c0"))
        await supervisor.hang_up("c0", None, "done")
        assert supervisor.capacity() == (1, 2)
        await supervisor.open(spec("c9"))
        with pytest.raises(CallExists):
            await supervisor.open(spec("c0"))

    supervised(scenario)


async def _try(work):
    try:
        await work
    except HostFull as error:
        return error
    return None


@pytest.mark.parametrize("trick", ["dies at once", "never ready"])
def test_a_process_that_does_not_start_is_a_failed_call_and_frees_its_slot(trick):
    async def scenario(supervisor, events):
        with pytest.raises(CallFailed):
            await supervisor.open(spec("c", trick))
        await _until(lambda: supervisor.capacity()[0] == 0)
        await supervisor.open(spec("c", "works"))
        assert events == []

    supervised(scenario)


@pytest.mark.parametrize(
    ("trick", "why"),
    [
        ("silent", Death.SILENT),
        ("stuck", Death.STUCK),
        ("grows", Death.MEMORY),
        ("talks nonsense", Death.UNRULY),
        ("says half of it", Death.UNRULY),
        ("has no status", Death.UNRULY),
    ],
)
def test_a_process_that_misbehaves_is_killed_and_its_call_failed(trick, why):
    async def scenario(supervisor, events):
        await supervisor.open(spec("c", trick))
        await supervisor.open(spec("other"))
        status = await _gone(supervisor, "c")
        assert status["state"] == "failed"
        assert [(e.type, e.data["reason"]) for e in events] == [(CallEventType.CALL_LEFT, "failed")]
        assert supervisor.status("other")["state"] == "open"
        assert +supervisor.deaths == {why: 1}

    supervised(scenario)


def test_a_process_speaks_for_its_own_call_only():
    async def scenario(supervisor, events):
        await supervisor.open(spec("c", "speaks for another"))
        await _until(lambda: events)
        assert [event.call_id for event in events] == ["c"]

    supervised(scenario)


def test_a_call_that_does_not_end_when_asked_is_ended_by_force():
    async def scenario(supervisor, events):
        await supervisor.open(spec("c", "never ends"))
        await supervisor.hang_up("c", None, "done")
        assert supervisor.capacity()[0] == 0
        assert supervisor.status("c")["state"] == "failed"

    supervised(scenario)


def test_a_call_that_is_ended_before_it_has_begun_does_not_begin():
    async def scenario(supervisor, events):
        async with asyncio.TaskGroup() as tasks:
            opening = tasks.create_task(_failing(supervisor.open(spec("c", "never ready"))))
            await _until(lambda: supervisor.capacity()[0] == 1)
            await supervisor.hang_up("c", None, "done")
        assert opening.result()
        assert supervisor.capacity()[0] == 0

    supervised(scenario)


async def _failing(work):
    with pytest.raises(CallFailed):
        await work
    return True


def test_a_process_that_does_not_answer_is_a_sentence_not_a_wait():
    async def scenario(supervisor, events):
        await supervisor.open(spec("c", "never answers"))
        with pytest.raises(CallFailed, match="in time"):
            await supervisor.offer("c", Role.SHOPPER, "v=0")
        assert supervisor.status("c")["state"] == "open"

    supervised(scenario)


def test_leaving_the_supervisor_ends_every_call():
    async def scenario(supervisor, events):
        await supervisor.open(spec("a"))
        await supervisor.open(spec("b", "silent"))

    supervised(scenario)


SHARED = replace(LIMITS, max_calls=3, calls_per_process=2)
SPARE = replace(LIMITS, spares=1)


async def _pid(supervisor, call_id):
    return int((await supervisor.offer(call_id, Role.SHOPPER, "v=0")).sdp)


def test_calls_share_a_process_as_far_as_they_may_and_end_apart():
    async def scenario(supervisor, events):
        for call_id in ("a", "b", "c"):
            await supervisor.open(spec(call_id))
        pids = [await _pid(supervisor, call_id) for call_id in ("a", "b", "c")]
        assert pids[0] == pids[1] != pids[2]
        await supervisor.hang_up("a", None, "done")
        assert await _pid(supervisor, "b") == pids[0]
        await supervisor.open(spec("d"))
        assert await _pid(supervisor, "d") == pids[0]
        await supervisor.hang_up("c", None, "done")
        await _until(lambda: len(list(supervisor.processes())) == 1)
        assert events == []
        assert not +supervisor.deaths

    supervised(scenario, limits=SHARED)


def test_a_process_that_dies_takes_all_its_calls_and_no_other():
    async def scenario(supervisor, events):
        await supervisor.open(spec("a", "dies when asked"))
        await supervisor.open(spec("b"))
        await supervisor.open(spec("other"))
        with pytest.raises(CallFailed):
            await supervisor.offer("a", Role.SHOPPER, "v=0")
        for call_id in ("a", "b"):
            assert (await _gone(supervisor, call_id))["state"] == "failed"
        assert {(e.call_id, e.data["reason"]) for e in events} == {("a", "failed"), ("b", "failed")}
        assert supervisor.status("other")["state"] == "open"
        assert +supervisor.deaths == {Death.CRASH: 1}

    supervised(scenario, limits=SHARED)


def test_a_call_that_is_given_up_leaves_the_others_of_its_process():
    async def scenario(supervisor, events):
        await supervisor.open(spec("a"))
        with pytest.raises(CallFailed):
            await supervisor.open(spec("b", "never ready"))
        assert supervisor.capacity()[0] == 1
        assert await _pid(supervisor, "a")

    supervised(scenario, limits=replace(SHARED, start_s=2.0))


def test_a_call_takes_the_spare_and_another_one_is_made():
    async def scenario(supervisor, events):
        await _until(lambda: supervisor.spares == 1)
        (waiting,) = supervisor.processes()
        await supervisor.open(spec("c"))
        assert supervisor.spares == 0
        assert await _pid(supervisor, "c")
        assert waiting["calls"] == 0
        await _until(lambda: supervisor.spares == 1)
        assert len(list(supervisor.processes())) == 2

    supervised(scenario, limits=SPARE)


def test_spares_that_die_are_made_less_and_less_often_and_calls_are_told_when(monkeypatch):
    monkeypatch.setenv("PUPPET_SPARES", "die")

    async def scenario(supervisor, events):
        await _until(lambda: supervisor.trouble())
        died = sum(supervisor.deaths.values())
        with pytest.raises(HostFull, match="die as they start") as refused:
            await supervisor.open(spec("c", "dies at once"))
        assert refused.value.retry_after >= 1
        await asyncio.sleep(0.5)
        assert sum(supervisor.deaths.values()) - died <= 1
        await _until(lambda: sum(supervisor.deaths.values()) > died)

    supervised(scenario, limits=SPARE)


def test_a_call_that_begins_ends_a_loop_of_starts_that_fail():
    async def scenario(supervisor, events):
        for number in range(5):
            with pytest.raises(CallFailed):
                await supervisor.open(spec(f"c{number}", "dies at once"))
        assert supervisor.trouble()
        async with asyncio.timeout(10):
            while supervisor.trouble():
                with suppress(HostFull):
                    await supervisor.open(spec("works"))
                await asyncio.sleep(0.1)
        assert supervisor.status("works")["state"] == "open"

    supervised(scenario)
