"""Legs come, are taken over and go; the call tells it in order."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from guardian.call.legs import LegMaker
from guardian.call.picture import Eyes
from guardian.call.session import CallSession, Workshop
from guardian.core.calls import CallEventType, CallSpec
from guardian.core.config import CallLimits, SpeechConfig, WorkConfig
from guardian.core.errors import NoSuchCall
from guardian.core.frames import AudioChunk
from guardian.core.notes import Lapse, Part
from guardian.core.ports import HearingNotes
from guardian.core.violations import Role


class Nothing(Exception):
    pass


class FakeLeg:
    """Connected when the scenario says so; sends nothing."""

    def __init__(self, number):
        self.session_id = f"s{number}"
        self.connected, self.closed = asyncio.Event(), asyncio.Event()

    def receives(self, kind):
        return False

    async def answer(self, sdp):
        return "v=0"

    async def add_candidates(self, fragment):
        pass

    def pass_on(self, kind, sink):
        pass

    def network(self):
        return {}

    async def close(self):
        self.closed.set()


class FakeRelay:
    """Takes nothing."""

    def __init__(self, ask):
        self.restarts = 0

    def put(self, frame):
        raise AssertionError("nobody sends")

    def restart(self):
        self.restarts += 1

    def close(self):
        pass


def no_models(*_):
    raise OSError


def session(open_leg, tell, limits=None):
    shop = Workshop(
        LegMaker(open_leg, no_models, no_models, FakeRelay, Nothing, no_models),
        Eyes(no_models, no_models),
        no_models,
        dict,
        tell,
    )
    return CallSession(CallSpec("c", "t", {}), WorkConfig(limits=limits or CallLimits()), shop)


def told(scenario):
    """What a call tells while `scenario(call, legs, until)` goes on: (event, role, reason)."""

    async def main():
        rows, legs, news = [], [], asyncio.Event()

        def tell(event):
            rows.append((event.type.value, event.data.get("role"), event.data.get("reason")))
            news.set()

        async def until(count):
            async with asyncio.timeout(10):
                while len(rows) < count:
                    news.clear()
                    await news.wait()

        def open_leg(role, sources):
            legs.append(FakeLeg(len(legs)))
            return legs[-1]

        call = session(open_leg, tell)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(call.run())
            await asyncio.sleep(0)
            await scenario(call, legs, until)
            call.end("done")
            assert await running == "done"
        return [row for row in rows if row[0] in ("call.joined", "call.left")]

    return asyncio.run(main())


def test_a_leg_that_is_still_there_leaves_because_the_call_ends():
    async def scenario(call, legs, until):
        await call.offer(Role.SHOPPER, "v=0")
        legs[0].connected.set()
        await until(1)

    assert told(scenario) == [
        ("call.joined", "shopper", None),
        ("call.left", "shopper", "the call ended"),
        ("call.left", None, "done"),
    ]


def test_a_new_session_of_a_role_takes_over_when_it_is_connected_and_the_role_has_not_left():
    async def scenario(call, legs, until):
        await call.offer(Role.MERCHANT, "v=0")
        legs[0].connected.set()
        await until(1)
        await call.offer(Role.MERCHANT, "v=0")
        await call.trickle("s0", "a=end-of-candidates")
        await call.trickle("s1", "a=end-of-candidates")
        assert not legs[0].closed.is_set(), "make before break"
        assert call.status()["legs"]["merchant"]["session"] == "s0"
        legs[1].connected.set()
        async with asyncio.timeout(10):
            await legs[0].closed.wait()
        assert not legs[1].closed.is_set()
        with pytest.raises(NoSuchCall):
            await call.trickle("s0", "a=end-of-candidates")
        call.hang_up("s0", "late")
        assert call.status()["legs"]["merchant"] == {"connected": True, "session": "s1", "network": {}}
        call.hang_up("s1", "hung up")
        await until(2)
        assert call.status()["legs"]["merchant"] == {"connected": False, "session": None, "network": {}}
        await call.offer(Role.MERCHANT, "v=0")
        legs[2].connected.set()
        await until(3)

    assert told(scenario) == [
        ("call.joined", "merchant", None),
        ("call.left", "merchant", "hung up"),
        ("call.joined", "merchant", None),
        ("call.left", "merchant", "the call ended"),
        ("call.left", None, "done"),
    ]


def test_a_session_that_never_connects_changes_nothing_and_a_newer_one_takes_its_turn():
    async def scenario(call, legs, until):
        await call.offer(Role.SHOPPER, "v=0")
        legs[0].connected.set()
        await until(1)
        await call.offer(Role.SHOPPER, "v=0")
        await call.offer(Role.SHOPPER, "v=0")
        async with asyncio.timeout(10):
            await legs[1].closed.wait()
        call.hang_up("s2", "gave up")
        await asyncio.sleep(0.05)
        assert legs[2].closed.is_set()
        assert not legs[0].closed.is_set()
        assert call.status()["legs"]["shopper"]["session"] == "s0"

    assert told(scenario) == [
        ("call.joined", "shopper", None),
        ("call.left", "shopper", "the call ended"),
        ("call.left", None, "done"),
    ]


class OneSound:
    """A piece of sound, and the tap that makes a chunk of it."""

    seconds, lost_s = 0.02, 0.0

    def chunks(self, sound, t):
        yield AudioChunk(np.zeros(320, np.int16), t)


class Loses:
    """Ears that tell one lapse after the other."""

    def __init__(self, *spans):
        self._spans = list(spans)

    def hear(self, chunk):
        span = self._spans.pop(0)
        return HearingNotes(lapses=(Lapse(Part.HEARING, "merchant", *span, "a reason"),))


@pytest.mark.parametrize(("spans", "muted"), [([(1.0, 1.0)], False), ([(1.0, 1.0), (3.0, 4.0)], True)])
def test_a_voice_is_muted_for_what_went_unheard_and_not_for_an_engine_that_is_left_out(spans, muted):
    async def main():
        told = asyncio.Queue()
        shop = Workshop(
            LegMaker(no_models, OneSound, no_models, FakeRelay, Nothing, no_models),
            Eyes(no_models, no_models),
            lambda role: Loses(*spans),
            dict,
            told.put_nowait,
        )
        config = replace(WorkConfig(), speech=SpeechConfig(on_deaf="mute"))
        call = CallSession(CallSpec("c", "t", {}), config, shop)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(call.run())
            await asyncio.sleep(0)
            voice = call.voices[Role.MERCHANT]
            async with asyncio.timeout(10):
                for _ in spans:
                    voice.put(OneSound())
                    while (await told.get()).type is not CallEventType.HEARING_LAPSED:
                        pass
            call.end("done")
            await running
        return voice.muted

    assert asyncio.run(main()) is muted


@pytest.mark.parametrize(
    ("limits", "connected", "reason"),
    [
        (CallLimits(max_call_s=0.1), True, "the longest time a call may take is over"),
        (CallLimits(idle_s=0.1), False, "nobody was connected"),
    ],
)
def test_a_call_ends_after_its_longest_time_or_when_nobody_is_there(limits, connected, reason):
    async def main():
        leg, rows = FakeLeg(0), []
        call = session(lambda role, sources: leg, rows.append, limits)
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(call.run())
            await asyncio.sleep(0)
            if connected:
                leg.connected.set()
                await call.offer(Role.SHOPPER, "v=0")
            assert await running == reason
        return [event.data["reason"] for event in rows if event.data.get("role", "none") is None]

    assert asyncio.run(main()) == [reason]
