"""Who may take a seat, and what becomes of their video, in whatever order legs come, connect and go."""

import asyncio
import random

import pytest

from guardian.call.legs import LegMaker
from guardian.call.seats import Ended, Seats, Ways
from guardian.core.config import CallLimits, WorkConfig
from guardian.core.errors import CallFailed, OfferRefused, SfuRefused
from guardian.core.sfu import Endpoint, Endpoints, JanusRoom
from guardian.core.violations import Role

SHOPPER, MERCHANT = Role.SHOPPER, Role.MERCHANT
ROOM = JanusRoom("http://sfu:8088/janus", 1)


class Nothing(Exception):
    pass


class FakeLeg:
    """Connected when the scenario says so. Notes what it was asked to pass on."""

    def __init__(self, role, number):
        self.role, self.session_id = role, f"s{number}"
        self.connected, self.closed = asyncio.Event(), asyncio.Event()
        self.answered = asyncio.Event()
        self.answered.set()
        self.sinks = {}
        self.closings = 0
        self.fails = False

    def receives(self, kind):
        return True

    async def answer(self, sdp):
        await self.answered.wait()
        return "v=0"

    def pass_on(self, kind, sink):
        self.sinks[kind] = sink

    async def next_picture(self, timeout_s):
        await asyncio.sleep(timeout_s)
        raise TimeoutError

    def request_key_frame(self):
        pass

    def network(self):
        return {}

    async def close(self):
        self.closed.set()
        self.closings += 1
        if self.fails:
            raise ConnectionError("the socket is gone")


class FakeRelay:
    def __init__(self, ask):
        self.frames = []

    def put(self, frame):
        self.frames.append(frame)

    def restart(self):
        pass

    def close(self):
        pass


class FakePicture:
    def __init__(self):
        self.distrusted = 0
        self.account = self
        self.sent = self.next_safe = None

    def distrust(self, reason):
        self.distrusted += 1


class FakeVoice:
    next_piece = None

    def put(self, sound):
        pass


class Desk:
    """Seats with fake legs, in a task group that is the call."""

    def __init__(self):
        self.legs, self.told, self.relays = [], [], []
        self.picture = FakePicture()
        self.voices = {role: FakeVoice() for role in Role}
        self.meetings = []
        maker = LegMaker(self.open, None, self.meet, self.relay, Nothing, None)
        config = WorkConfig(limits=CallLimits(answer_s=0.5))
        self.seats = Seats(config, maker, Ways(self.picture, self.voices), self.tell)

    def relay(self, ask):
        self.relays.append(FakeRelay(ask))
        return self.relays[-1]

    def open(self, role, sources):
        self.legs.append(FakeLeg(role, len(self.legs)))
        return self.legs[-1]

    def tell(self, kind, data):
        self.told.append((kind.value, data["role"], data.get("reason")))

    async def meet(self, role, sources, place, expect, ready):
        meeting = {"role": role, "place": place, "over": False}
        self.meetings.append(meeting)

        def bring():
            leg = self.open(role, sources)
            expect(leg)
            return leg

        meeting["bring"] = bring
        if place != "slow":
            ready()
        try:
            await asyncio.Event().wait()
        finally:
            meeting["over"] = True

    async def offer(self, role):
        before = len(self.legs)
        await self.seats.answer(role, "v=0")
        return self.legs[before]

    async def seated(self, role):
        leg = await self.offer(role)
        leg.connected.set()
        await settle()
        assert self.seats.status()[str(role)]["session"] == leg.session_id
        return leg


async def settle():
    for _ in range(12):
        await asyncio.sleep(0)


def run(scenario):
    """The scenario in a call; the desk afterwards."""

    async def main():
        desk = Desk()
        try:
            async with asyncio.TaskGroup() as tasks:
                desk.seats.begin(tasks)
                await scenario(desk)
                raise Ended("done")
        except* Ended:
            pass
        finally:
            await desk.seats.close()
        return desk

    return asyncio.run(main())


async def something(desk, chance):
    """One thing that may happen to a call."""
    legs = desk.legs[-4:]
    match chance.choice(["offer", "bring", "connect", "connect", "hang up", "close", "wait"]), legs:
        case "offer", _:
            await desk.offer(chance.choice(list(Role)))
        case "bring", _:
            for meeting in desk.meetings:
                if not meeting["over"]:
                    meeting["bring"]()
        case "connect", [*_, _]:
            chance.choice(legs).connected.set()
        case "hang up", [*_, _]:
            desk.seats.hang_up(chance.choice(legs).session_id)
        case "close", [*_, _]:
            chance.choice(legs).closed.set()
        case _:
            await settle()


@pytest.mark.parametrize("seed", range(20))
def test_only_a_merchants_video_is_ever_passed_on(seed):
    chance = random.Random(seed)

    async def scenario(desk):
        for role in Role:
            place = JanusRoom("http://sfu/janus", str(role))
            await desk.seated(role)
            await desk.seats.meet(role, place)
        for _ in range(60):
            await something(desk, chance)
        await settle()

    desk = run(scenario)
    [relay] = desk.relays
    seated = [leg for leg in desk.legs if leg.sinks]
    assert {leg.role for leg in seated} == set(Role)
    assert all(("video" in leg.sinks) == (leg.role is MERCHANT) for leg in seated)
    assert {leg.role for leg in seated if relay.put in leg.sinks.values()} == {MERCHANT}
    assert all(leg.closed.is_set() for leg in desk.legs)
    shoppers = [leg for leg in desk.legs if leg.role is SHOPPER and leg.sinks]
    assert desk.picture.distrusted == len(shoppers), "each camera begins without trust"


def test_a_leg_that_ends_as_it_connects_leaves_the_working_one_alone():
    async def scenario(desk):
        working = await desk.seated(MERCHANT)
        late = await desk.offer(MERCHANT)
        await settle()
        late.connected.set()
        late.closed.set()
        await settle()
        assert not working.closed.is_set()
        assert late.closings
        assert desk.seats.status()["merchant"]["session"] == working.session_id

    assert [row[0] for row in run(scenario).told] == ["call.joined", "call.left"]


def test_of_two_offers_the_newer_one_counts_also_when_it_is_answered_first():
    async def scenario(desk):
        slow = asyncio.Event()
        open_leg = desk.open

        def open_slow(role, sources):
            leg = open_leg(role, sources)
            if len(desk.legs) == 1:
                leg.answered = slow
            return leg

        desk.seats._maker = LegMaker(open_slow, None, desk.meet, desk.relay, Nothing, None)
        async with asyncio.TaskGroup() as tasks:
            older = tasks.create_task(refused(desk.seats.answer(SHOPPER, "v=0"), OfferRefused, "newer offer"))
            await settle()
            newer = await desk.offer(SHOPPER)
            slow.set()
            await older
        assert desk.legs[0].closings == 1
        newer.connected.set()
        await settle()
        assert desk.seats.status()["shopper"]["session"] == newer.session_id

    run(scenario)


async def refused(work, kind, words):
    with pytest.raises(kind, match=words):
        await work


def test_a_leg_that_cannot_be_closed_does_not_end_the_call():
    async def scenario(desk):
        broken = await desk.seated(SHOPPER)
        broken.fails = True
        desk.seats.hang_up(broken.session_id)
        await settle()
        assert not desk.seats.taken
        await desk.seated(SHOPPER)

    assert run(scenario).told[1] == ("call.left", SHOPPER, "hung up")


def test_a_leg_that_comes_as_the_call_ends_is_refused_and_closed():
    async def main():
        desk = Desk()
        slow = asyncio.Event()
        with pytest.raises(CallFailed, match="over"):
            await desk.seats.answer(SHOPPER, "v=0")
        assert desk.legs == []

        async def offer_late():
            with pytest.raises(CallFailed, match="over"):
                await desk.seats.answer(SHOPPER, "v=0")

        async def lingers():
            try:
                await asyncio.Event().wait()
            finally:
                slow.set()
                await asyncio.sleep(0.05)

        async with asyncio.TaskGroup() as outside:
            try:
                async with asyncio.TaskGroup() as tasks:
                    desk.seats.begin(tasks)
                    tasks.create_task(lingers())
                    await asyncio.sleep(0)
                    await desk.offer(MERCHANT)  # Its task has not begun when the call ends.

                    async def late():
                        await slow.wait()
                        await offer_late()

                    outside.create_task(late())
                    await asyncio.sleep(0)
                    raise Ended("done")
            except* Ended:
                pass
        await desk.seats.close()
        assert [leg.closings for leg in desk.legs] == [1, 1]

    asyncio.run(main())


def test_both_roles_cannot_be_met_in_one_place():
    async def scenario(desk):
        await desk.seats.meet(SHOPPER, ROOM)
        same = JanusRoom("HTTP://sfu:8088/janus/", "1", pin="another")
        with pytest.raises(SfuRefused, match="place of their own"):
            await desk.seats.meet(MERCHANT, same)
        await desk.seats.meet(MERCHANT, JanusRoom(ROOM.url, 2))
        raw = Endpoint("https://sfu/whep/raw", "t")
        await desk.seats.meet(SHOPPER, Endpoints(whep=raw))
        await settle()
        with pytest.raises(SfuRefused, match="place of their own"):
            await desk.seats.meet(MERCHANT, Endpoints(whep=Endpoint("https://sfu:443/whep/r%61w")))
        await desk.seats.meet(MERCHANT, ROOM)  # The shopper is not there any more.

    run(scenario)


def test_of_meetings_of_one_role_only_the_last_one_goes_on():
    async def scenario(desk):
        async with asyncio.TaskGroup() as tasks:
            for room in range(3):
                tasks.create_task(desk.seats.meet(SHOPPER, JanusRoom(ROOM.url, room)))
        await settle()
        assert sorted(meeting["over"] for meeting in desk.meetings) == [False, True, True]
        with pytest.raises(SfuRefused, match="in time"):
            await desk.seats.meet(SHOPPER, "slow")
        asking = asyncio.timeout(0.05)
        with pytest.raises(TimeoutError):
            async with asking:
                await desk.seats.meet(SHOPPER, "slow")
        await settle()
        assert sorted(meeting["over"] for meeting in desk.meetings) == [False, True, True, True, True]

    run(scenario)


def test_who_offers_to_guardian_is_not_met_at_the_sfu_any_more():
    async def scenario(desk):
        await desk.seats.meet(SHOPPER, ROOM)
        met = desk.meetings[0]["bring"]()
        met.connected.set()
        await settle()
        again = desk.meetings[0]["bring"]()
        again.connected.set()
        await settle()
        assert met.closed.is_set()
        assert not desk.meetings[0]["over"], "the same meeting brought another leg"
        plain = await desk.seated(SHOPPER)
        assert desk.meetings[0]["over"]
        assert again.closed.is_set()
        assert not plain.closed.is_set()

    told = run(scenario).told
    assert [row[0] for row in told] == ["call.joined", "call.left"]
