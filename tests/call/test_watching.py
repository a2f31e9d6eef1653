"""Pictures are searched beside their way, only where that is agreed to, and what was not seen is told."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest

from guardian.call.watching import Watching, WatchWay
from guardian.core.config import ContactConfig
from guardian.core.contacts import judged_code, judged_text
from guardian.core.errors import ModelMissing
from guardian.core.frames import Planes, RawFrame
from guardian.core.notes import Print, PrintKind
from guardian.core.shown import Sighting
from guardian.core.violations import Role, Status

PLACE = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0))
CODE = Sighting(judged_code("https://example.com"), Print(PrintKind.CODE, PLACE))
PHONE = Sighting(judged_text("13800138000")[0], Print(PrintKind.TEXT, PLACE), 0.95)
SOON = ContactConfig(codes_every_s=0.02, text_every_s=0.05)


def raw(level=100):
    plane = np.full((4, 4), level, np.uint8)
    half = np.full((2, 2), 128, np.uint8)
    return RawFrame(Planes(plane, half, half), 0.0, time.monotonic())


class Finds:
    """Finds a code and a number in every picture; text takes some steps."""

    name = "finds"

    def __init__(self, steps=3):
        self.steps = steps
        self.looked = {kind: [] for kind in PrintKind}
        self.threads = set()
        self.order = []

    def find(self, planes, kind):
        self.threads.add(threading.current_thread().name)
        self.looked[kind].append(planes)
        self.order.append(kind)
        if kind is PrintKind.CODE:
            yield (CODE,)
            return
        for _ in range(self.steps):
            time.sleep(0.02)
            yield None
        yield (PHONE,)


class Throws(Finds):
    def find(self, planes, kind):
        self.looked[kind].append(planes)
        raise RuntimeError("planted")
        yield


class Tap:
    """Gives the newest frame as a picture."""

    needs_key = False

    def decode(self, frames):
        return frames[-1]


class Desk:
    """A way that watches, and what it told."""

    def __init__(self, finder, role=Role.SHOPPER, config=SOON):
        self.told, self.lapses, self.hidden, self.asked = [], [], [], 0
        self.finder = finder

        def opened(_role):
            if isinstance(finder, Exception):
                raise finder
            return finder

        watching = Watching(
            open=opened,
            seen=self.told.extend,
            lapsed=lambda *lapse: self.lapses.append(lapse),
            hide=lambda *found: self.hidden.append(found),
            ask=self.ask,
            media_t=lambda monotonic: monotonic,
            tap=Tap,
            times=lambda: 1,
        )
        self.way = WatchWay(role, watching, config)

    def ask(self):
        self.asked += 1

    def run(self, scenario):
        async def main():
            async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
                running = tasks.create_task(self.way.run())
                await scenario(self)
                running.cancel()
            self.way.close()

        asyncio.run(main())

    async def until(self, true, limit_s=10.0):
        deadline = time.monotonic() + limit_s
        while not true():
            assert time.monotonic() < deadline, "it did not come"
            await asyncio.sleep(0.01)


def test_what_is_shown_is_told_and_hidden():
    desk = Desk(Finds())

    async def scenario(desk):
        for n in range(100):
            desk.way.picture(raw(n))
            await asyncio.sleep(0.01)
        await desk.until(lambda: len(desk.told) >= 4)

    desk.run(scenario)
    assert {change.rule for change in desk.told} == {"shown.qr", "shown.phone"}
    assert [change.status for change in desk.told if change.rule == "shown.qr"] == [
        Status.DETECTED,
        Status.CONFIRMED,
    ]
    assert {kind for _, kind, _ in desk.hidden} == set(PrintKind)
    assert all(thread.startswith("watch-") for thread in desk.finder.threads)
    assert desk.lapses == []


def test_codes_are_looked_for_between_the_steps_for_text():
    desk = Desk(Finds(steps=30))

    async def scenario(desk):
        while desk.finder.order.count(PrintKind.TEXT) < 1 or desk.finder.order[-1] is PrintKind.TEXT:
            desk.way.picture(raw())
            await asyncio.sleep(0.01)
        first = desk.finder.order.index(PrintKind.TEXT)
        await desk.until(lambda: desk.way.picture(raw()) or len(desk.finder.order) > first + 5)

    desk.run(scenario)
    first = desk.finder.order.index(PrintKind.TEXT)
    assert desk.finder.order[first + 1 : first + 5] == [PrintKind.CODE] * 4


def test_the_same_picture_is_looked_at_once():
    desk = Desk(Finds())

    async def scenario(desk):
        desk.way.picture(raw())
        await asyncio.sleep(0.5)

    desk.run(scenario)
    assert {kind: len(looked) for kind, looked in desk.finder.looked.items()} == dict.fromkeys(PrintKind, 1)


def test_the_newest_picture_is_taken():
    desk = Desk(Finds())

    async def scenario(desk):
        for n in range(50):
            desk.way.picture(raw(n))
        await desk.until(lambda: desk.finder.looked[PrintKind.CODE])

    desk.run(scenario)
    assert desk.finder.looked[PrintKind.CODE][0].y[0, 0] == 49


@pytest.mark.parametrize("config", [ContactConfig(kinds=("code",), codes_every_s=0.02), SOON])
def test_only_what_is_configured_is_looked_for(config):
    desk = Desk(Finds(), config=config)

    async def scenario(desk):
        for _ in range(50):
            desk.way.picture(raw())
            await asyncio.sleep(0.01)

    desk.run(scenario)
    assert bool(desk.finder.looked[PrintKind.TEXT]) == ("text" in config.kinds)


def test_without_consent_nothing_is_looked_at_and_withdrawn_it_ends():
    desk = Desk(Finds())

    async def scenario(desk):
        desk.way.allowed = False
        for _ in range(30):
            desk.way.picture(raw())
            await asyncio.sleep(0.01)
        assert desk.finder.order == []
        desk.way.allowed = True
        await desk.until(lambda: desk.way.picture(raw()) or desk.finder.order)
        desk.way.allowed = False
        await asyncio.sleep(0.2)
        told, order = len(desk.told), len(desk.finder.order)
        for _ in range(30):
            desk.way.picture(raw())
            await asyncio.sleep(0.01)
        assert len(desk.told) == told
        assert len(desk.finder.order) == order

    desk.run(scenario)


def test_a_damaged_picture_is_not_looked_at():
    desk = Desk(Finds())

    async def scenario(desk):
        one = raw()
        desk.way.picture(RawFrame(one.planes, one.t, one.arrived, whole=False))
        await asyncio.sleep(0.2)

    desk.run(scenario)
    assert desk.finder.order == []


def test_a_finder_that_breaks_is_a_lapse_and_is_asked_again():
    desk = Desk(Throws())

    async def scenario(desk):
        await desk.until(lambda: desk.way.picture(raw()) or len(desk.finder.looked[PrintKind.CODE]) > 3)

    desk.run(scenario)
    assert len(desk.lapses) > 2
    assert {(role, reason) for role, _, _, reason in desk.lapses} == {
        (Role.SHOPPER, "looking for contacts failed")
    }


def test_a_finder_that_does_not_load_is_a_lapse_while_pictures_come():
    desk = Desk(ModelMissing("nothing here"))

    async def scenario(desk):
        await asyncio.sleep(0.7)
        assert desk.lapses == []
        await desk.until(lambda: desk.way.picture(raw()) or len(desk.lapses) >= 2)

    desk.run(scenario)
    assert all(end > start for _, start, end, _ in desk.lapses)


class Frame:
    """An encoded frame that the tap takes for a picture."""

    def __init__(self, key):
        self.key = key
        self.planes = raw().planes
        self.arrived = time.monotonic()


def test_the_merchants_video_is_decoded_and_nothing_of_it_hidden():
    desk = Desk(Finds(), Role.MERCHANT)

    async def scenario(desk):
        await desk.until(lambda: desk.way.encoded(Frame(key=True)) or len(desk.told) >= 4)

    desk.run(scenario)
    assert {change.speaker for change in desk.told} == {Role.MERCHANT}
    assert desk.hidden == []


def test_video_before_a_key_frame_is_not_kept_and_one_is_asked_for():
    desk = Desk(Finds(), Role.MERCHANT)

    async def scenario(desk):
        desk.way.encoded(Frame(key=True))
        await desk.until(lambda: desk.way._open)
        assert not desk.way._frames, "what came while the finder was loaded"
        for _ in range(1000):
            desk.way.encoded(Frame(key=False))
        assert not desk.way._frames
        assert desk.asked
        await desk.until(lambda: desk.way.encoded(Frame(key=True)) or desk.told)

    desk.run(scenario)


def test_video_that_is_not_looked_at_does_not_grow_and_goes_on_with_a_key_frame():
    desk = Desk(Finds(), Role.MERCHANT)
    desk.way._open = True
    desk.way.encoded(Frame(key=True))
    for _ in range(10_000):
        desk.way.encoded(Frame(key=False))
    assert len(desk.way._frames) <= 90
    assert desk.asked
    desk.way.encoded(Frame(key=True))
    assert desk.way._frames[-1].key


def test_video_that_cannot_be_decoded_is_asked_for_and_then_a_lapse(monkeypatch):
    monkeypatch.setattr("guardian.call.watching._BLIND_S", 0.2)
    desk = Desk(Finds(), Role.MERCHANT)

    class Blind:
        needs_key = True

        def decode(self, frames):
            return None

    object.__setattr__(desk.way._watching, "tap", Blind)

    async def scenario(desk):
        await desk.until(lambda: desk.way.encoded(Frame(key=True)) or desk.lapses)

    desk.run(scenario)
    assert desk.asked > 1
    assert desk.lapses[0][3] == "the picture could not be decoded"
    assert desk.finder.order == []
