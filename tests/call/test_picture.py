"""What leaves for the merchant while pictures wait, come late or may not be shown any more."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from guardian.bench.privacy.finders import UNPRINTED
from guardian.call.picture import Eyes, PictureWay
from guardian.core.config import VisionConfig, WorkConfig
from guardian.core.errors import ModelMissing
from guardian.core.frames import Mode, RawFrame, Showing, State
from guardian.core.ladder import STEPS, UNNOTICED, Ladder
from guardian.vision.chain import VideoChain
from guardian.vision.cover import curtain
from tests.fakes.vision import Scripted, canary, everywhere_person, faces, nobody, raw_blocks


@asynccontextmanager
async def way_of(mode, people=everywhere_person, gate=None, **config):
    """A running way whose finders see a person everywhere; `gate` holds its lane up."""

    class Finder(Scripted):
        def find(self, planes):
            if gate is not None:
                assert gate.wait(10)
            return super().find(planes)

    def opened(at):
        return VideoChain(
            Finder([faces()]),
            Scripted([people]),
            VisionConfig(codes_every_s=0.0, text_every_s=0.0, **config),
            at,
            clock=time.monotonic,
            prints=UNPRINTED,
        )

    way = PictureWay(Eyes(opened, curtain), replace(WorkConfig(), vision=VisionConfig(**config)), mode)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(way.run())
        try:
            yield way
        finally:
            if gate is not None:
                gate.set()
            running.cancel()
            way.close()


async def feed(way, seen, planes=None):
    """One picture in, and waits until the lane is through with it."""
    before = sum(way.account.snapshot()["states"].values())
    now = time.monotonic()
    way.put(RawFrame(planes or canary(seed=seen), now, now))
    await until(lambda: sum(way.account.snapshot()["states"].values()) > before)


async def until(true):
    deadline = time.perf_counter() + 10
    while not true():
        assert time.perf_counter() < deadline
        await asyncio.sleep(0.001)


async def armed(way):
    """Feeds until a covered picture waits to be sent."""
    for i in range(6):
        await feed(way, i)


def test_a_picture_that_waited_while_nobody_took_it_is_not_sent(monkeypatch):
    async def scenario():
        async with way_of(Mode.SELFIE) as way:
            await armed(way)
            later = time.monotonic() + 60
            monkeypatch.setattr("guardian.call.picture.time.monotonic", lambda: later)
            return await way.next_safe()

    assert asyncio.run(scenario()).showing is Showing.CURTAIN


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (
            ModelMissing("The weights of the role face are not here."),
            "The weights of the role face are not here.",
        ),
        (RuntimeError("tensor of 13800138000"), ""),
    ],
)
def test_models_that_cannot_be_loaded_leave_the_curtain_and_say_why(error, why, caplog):
    def broken(mode):
        raise error

    async def scenario():
        way = PictureWay(Eyes(broken, curtain), WorkConfig(), Mode.SELFIE)
        await way.run()
        try:
            return way.account.state, await way.next_safe()
        finally:
            way.close()

    state, safe = asyncio.run(scenario())
    assert (state, safe.showing) == (State.FAILED, Showing.CURTAIN)
    (record,) = caplog.records
    assert (record.error, record.why) == (type(error).__name__, why)
    assert "138" not in record.getMessage()


def test_a_fresh_picture_is_sent():
    async def scenario():
        async with way_of(Mode.SELFIE, late_s=5.0) as way:
            await armed(way)
            return await way.next_safe()

    assert asyncio.run(scenario()).showing is Showing.COVERED


@pytest.mark.parametrize("new", [Mode.PRIVATE, Mode.SELFIE, Mode.PRODUCT])
def test_what_waited_in_the_old_mode_is_not_sent_in_the_new_one(new):
    async def scenario():
        async with way_of(Mode.INSTALL, nobody, late_s=5.0) as way:
            await armed(way)
            way.mode = new
            return await way.next_safe()

    assert asyncio.run(scenario()).showing is Showing.CURTAIN


def test_a_picture_in_the_lane_when_the_mode_changes_is_not_sent():
    async def scenario():
        gate = threading.Event()
        gate.set()
        async with way_of(Mode.INSTALL, nobody, gate, late_s=5.0) as way:
            await armed(way)
            await way.next_safe()
            gate.clear()
            now = time.monotonic()
            planes = canary(seed=9)
            way.put(RawFrame(planes, now, now))
            await until(lambda: way.lane_age_s > 0)
            way.mode = Mode.PRIVATE
            gate.set()
            await until(lambda: way.lane_age_s == 0)
            return planes, [await way.next_safe() for _ in range(2)]

    planes, sent = asyncio.run(scenario())
    assert {safe.showing for safe in sent} == {Showing.CURTAIN}
    assert not any(raw_blocks(planes, safe.planes).any() for safe in sent if safe.planes.size == planes.size)


def test_withdrawn_consent_stops_what_waits_and_given_back_starts_anew():
    async def scenario():
        async with way_of(Mode.SELFIE, late_s=5.0, hold_s=0.0) as way:
            await armed(way)
            way.allowed = False
            during = await way.next_safe()
            way.put(RawFrame(canary(seed=7), 0.0, time.monotonic()))
            way.allowed = True
            await feed(way, 8)
            return during, await way.next_safe()

    during, after = asyncio.run(scenario())
    assert during.showing is Showing.CURTAIN
    assert after.showing is Showing.CURTAIN, "nothing is shown before it is proven again"
    assert np.ptp(after.planes.y) > 0


def test_what_takes_too_long_is_done_less():
    async def scenario():
        async with way_of(Mode.SELFIE) as way:
            way._ladder = Ladder(budget_ms=0.001, late_ms=1e6)
            deadline = time.monotonic() + 20
            while way.account.step < UNNOTICED and time.monotonic() < deadline:
                await feed(way, 0)
                await asyncio.sleep(0.02)
            return way.account.step, way._protector.ease

    assert asyncio.run(scenario()) == (UNNOTICED, STEPS[UNNOTICED])


def test_at_the_lower_steps_every_other_picture_is_let_go():
    async def scenario():
        async with way_of(Mode.SELFIE) as way:
            way._ladder.step = 3
            before = way._inbox.statistics().put
            for i in range(20):
                way.put(RawFrame(canary(seed=i), i / 30, time.monotonic()))
            return way._inbox.statistics().put - before, way.account.frames_in

    assert asyncio.run(scenario()) == (10, 20)
