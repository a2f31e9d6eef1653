"""When a call keeps evidence, and of what."""

import asyncio
import threading
import time
from dataclasses import dataclass, replace

import pytest

from guardian.call import keeping
from guardian.call.keeping import Around, Keeping, KeepWay
from guardian.core.config import EvidenceConfig
from guardian.core.evidence import SealedClip, SealedPart
from guardian.core.frames import Showing
from guardian.core.protection import CurtainReason
from guardian.core.recording import SentPicture
from guardian.core.violations import Level, Role, Status, ViolationChange
from guardian.evidence.ring import Ring, RingSize
from guardian.vision.cover import curtains

CURTAIN = curtains({})((64, 48), 0.0, 0.0, CurtainReason.WAITING)


@dataclass
class Frame:
    """An encoded frame of the merchant's video or a piece of a voice."""

    timestamp: int
    arrived: float
    key: bool = True
    after_loss: bool = False
    codec: str = "VP8"
    data: bytes = bytes(50)
    clock_rate: int = 90_000
    stream: int = 0
    seconds: float = 0.0
    lost_s: float = 0.0


class Cutter:
    """Notes what it is asked to write."""

    def __init__(self):
        self.cuts, self.error, self.hold = [], None, None
        self.asked = threading.Event()

    def cut(self, order, recording, go_on):
        self.asked.set()
        if self.hold is not None:
            assert self.hold.wait(10)
        go_on()
        if self.error is not None:
            raise self.error
        self.cuts.append((order, recording))
        part = SealedPart("media", "video/webm", 9, 9, "0" * 64, "kek", "k")
        about = {"complete": not order.cut_short, "pre_roll_ms": 0, "post_roll_ms": 0, "voices": []}
        causes = tuple(cause.id for cause in order.causes)
        return SealedClip(
            order.evidence_id, "violation", causes, recording.t_start, recording.t_end, (part,), about
        )


class Scene:
    """A call whose clock stands still until it is moved; something is sent all the time."""

    def __init__(self, **config):
        self.now, self.ready, self.asked = 0.0, [], 0
        self.cutter, self.ids = Cutter(), iter(range(100))
        self.lost = []
        told = (self._ask, lambda a, b: [], self.ready.append, lambda *span: self.lost.append(span))
        around = Around("call-1", lambda _monotonic: self.now, *told)
        evidence = EvidenceConfig(**config)
        self.ring = Ring(RingSize(seconds=evidence.ring_s))
        self.way = KeepWay(Keeping(self.ring, self.cutter, lambda: f"ev_{next(self.ids)}"), evidence, around)
        self.way.allowed = True
        self.sent = 0

    def _ask(self):
        self.asked += 1

    async def pass_s(self, seconds, step=0.5):
        """Time passes, pictures come, and the way does what it does every now and then."""
        until = self.now + seconds
        while self.now < until - 1e-9:
            self.now += step
            self.way.sent(CURTAIN, SentPicture("VP8", bytes(50), self.sent % 9 == 0, 0))
            self.sent += 1
            await self.turn()

    async def turn(self):
        await self.way.tick()
        await asyncio.sleep(0)  # What a thread has written is told on the loop.

    def spans(self):
        return [
            (sorted(cause.id for cause in order.causes), recording.t_end, order.cut_short)
            for order, recording in self.cutter.cuts
        ]


def said(t, name="vio_1", status=Status.DETECTED):
    what = (status, "r", "contact_exchange.wechat", Level.REVIEW, "p", "h", Role.MERCHANT, "en")
    return ViolationChange(name, *what, t, t + 1, t + 1, 0.9)


def played(scenario, **config):
    """Runs scenario(scene), then the end of the call; the scene afterwards."""

    async def main():
        scene = Scene(**config)
        await scenario(scene)
        await scene.way.finish()
        return scene

    return asyncio.run(main())


def test_a_violation_keeps_ten_seconds_before_and_after_it():
    async def scenario(scene):
        await scene.pass_s(30)
        scene.way.violation(said(29.0))
        await scene.pass_s(15)
        assert scene.spans() == [(["vio_1"], 40.0, "")]
        recording = scene.cutter.cuts[0][1]
        assert 14.0 <= recording.t_start <= 19.0
        assert recording.pictures[Role.SHOPPER][0].key

    scene = played(scenario)
    assert [clip.causes for clip in scene.ready] == [("vio_1",)]


def test_what_comes_together_makes_one_clip_which_has_an_end_all_the_same():
    async def scenario(scene):
        await scene.pass_s(30)
        for number in range(10):
            scene.way.violation(said(scene.now, f"vio_{number}"))
            await scene.pass_s(8)
        await scene.pass_s(20)

    scene = played(scenario, longest_s=40.0)
    lengths = [recording.t_end - recording.t_start for _, recording in scene.cutter.cuts]
    assert all(length <= 40.0 + 4.6 for length in lengths)
    told = [cause.id for order, _ in scene.cutter.cuts for cause in order.causes]
    assert sorted(told) == [f"vio_{number}" for number in range(10)], "each is in one clip"
    assert len(scene.cutter.cuts) == 3


@pytest.mark.parametrize(("earlier", "spans"), [
    (27.0, [(["vio_0", "vio_1"], 17.0, 49.0)]),
    (12.0, [(["vio_1"], 2.0, 23.0), (["vio_0"], 28.0, 49.0)]),
])  # fmt: skip
def test_what_is_told_later_and_began_sooner_is_in_a_clip_with_what_was_before_it(earlier, spans):
    async def scenario(scene):
        await scene.pass_s(38)
        scene.way.violation(said(38.0, "vio_0"))
        scene.way.violation(said(earlier, "vio_1"))
        await scene.pass_s(15)

    scene = played(scenario, ring_s=40.0)
    assert [(names, end) for names, end, _ in scene.spans()] == [(names, end) for names, _, end in spans]
    for (_, recording), (_, begin, _) in zip(scene.cutter.cuts, spans, strict=True):
        assert begin - 4.6 <= recording.t_start <= begin


def test_no_clip_grows_longer_by_what_began_before_it():
    async def scenario(scene):
        await scene.pass_s(30)
        for number in range(4):
            scene.way.violation(said(scene.now, f"vio_{number}"))
            await scene.pass_s(8)
        scene.way.violation(said(21.0, "vio_9"))
        await scene.pass_s(15)

    scene = played(scenario, longest_s=44.0, ring_s=60.0)
    (names, t_end, _), = scene.spans()  # fmt: skip
    assert (names, t_end) == (["vio_0", "vio_1", "vio_2", "vio_3", "vio_9"], 64.0)
    assert scene.cutter.cuts[0][1].t_start >= 18.0


def test_a_violation_that_is_confirmed_makes_no_second_clip():
    async def scenario(scene):
        await scene.pass_s(30)
        scene.way.violation(said(29.0))
        scene.way.violation(said(29.0, status=Status.CONFIRMED))
        await scene.pass_s(13)
        scene.way.violation(said(29.0, status=Status.CONFIRMED))
        await scene.pass_s(13)

    assert played(scenario).spans() == [(["vio_1"], 40.0, "")]


def test_what_is_retracted_before_it_is_written_is_not_kept():
    async def scenario(scene):
        await scene.pass_s(30)
        scene.way.violation(said(29.0))
        await scene.pass_s(3)
        scene.way.violation(said(29.0, status=Status.RETRACTED))
        await scene.pass_s(15)

    assert played(scenario).spans() == []


def test_a_complaint_is_told_which_clip_will_be_its_own():
    async def scenario(scene):
        await scene.pass_s(5)
        assert scene.way.complaint("event-1") == "ev_0"
        await scene.pass_s(3)
        scene.way.violation(said(7.0))
        await scene.pass_s(15)

    assert played(scenario).spans() == [(["event-1", "vio_1"], 18.0, "")]


def test_a_flood_of_complaints_makes_one_clip_that_names_some_of_them():
    async def scenario(scene):
        await scene.pass_s(5)
        assert {scene.way.complaint(f"event-{number}") for number in range(1000)} == {"ev_0"}
        await scene.pass_s(15)

    (causes, _, _), = played(scenario).spans()  # fmt: skip
    assert len(causes) == 100


def test_without_consent_nothing_is_kept():
    async def scenario(scene):
        scene.way.allowed = False
        await scene.pass_s(30)
        scene.way.voice(Role.SHOPPER, Frame(0, 0.0), 1.0)
        scene.way.merchants(Frame(0, 0.0))
        assert scene.ring.bytes == 0
        scene.way.violation(said(29.0))
        assert scene.way.complaint("event-1") is None
        assert scene.way.key_every_s == 0
        await scene.pass_s(15)

    assert played(scenario).spans() == []


def test_withdrawing_the_consent_empties_the_ring_and_ends_clips_that_are_waited_for():
    async def scenario(scene):
        await scene.pass_s(30)
        scene.way.violation(said(29.0))
        scene.way.allowed = False
        assert scene.ring.bytes == 0
        await scene.pass_s(15)
        scene.way.allowed = True
        await scene.pass_s(15)

    assert played(scenario).spans() == []


def test_withdrawing_the_consent_ends_a_clip_that_is_being_written():
    async def scenario(scene):
        await scene.pass_s(30)
        scene.way.violation(said(29.0))
        await scene.pass_s(10)
        scene.cutter.hold = threading.Event()
        scene.now += 5
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(scene.turn())
            await asyncio.to_thread(scene.cutter.asked.wait, 10)
            scene.way.allowed = False
            scene.cutter.hold.set()
            await writing

    scene = played(scenario)
    assert scene.spans() == scene.ready == []
    assert scene.way.status()["lost"] == 0


def test_a_call_that_ends_keeps_what_there_is():
    async def scenario(scene):
        await scene.pass_s(30)
        scene.way.violation(said(29.0))
        await scene.pass_s(2)

    scene = played(scenario)
    assert scene.spans() == [(["vio_1"], 32.0, "the call ended")]
    assert len(scene.ready) == 1
    assert scene.ring.bytes == 0


def test_a_complaint_at_the_very_end_has_the_clip_it_was_promised():
    async def scenario(scene):
        await scene.pass_s(60)
        scene.way.violation(said(40.0))
        scene.cutter.hold = threading.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(scene.way.finish())
            await asyncio.to_thread(scene.cutter.asked.wait, 10)
            assert scene.way.complaint("event-1") == "ev_1"
            scene.cutter.hold.set()

    assert played(scenario).spans() == [(["vio_1"], 51.0, ""), (["event-1"], 60.0, "the call ended")]


def test_a_clip_that_cannot_be_written_is_counted_and_the_next_one_is_written():
    async def scenario(scene):
        await scene.pass_s(30)
        scene.cutter.error = OSError("full")
        scene.way.violation(said(29.0))
        await scene.pass_s(15)
        scene.cutter.error = None
        scene.way.violation(said(45.0, "vio_2"))
        await scene.pass_s(15)

    scene = played(scenario)
    assert [causes for causes, _, _ in scene.spans()] == [["vio_2"]]
    assert (scene.way.status()["written"], scene.way.status()["lost"]) == (1, 1)
    assert scene.lost == [(19.0, 40.0, "it could not be written")]


def test_who_floods_the_ring_loses_some_of_that_and_shortens_nothing_else():
    async def scenario(scene):
        await scene.pass_s(30)
        scene.way.violation(said(29.0))
        for number in range(400):
            scene.way.merchants(Frame(225 * number, 0.0, number % 10 == 0, data=bytes(100_000)))
        await scene.pass_s(15)

    scene = played(scenario)
    assert scene.spans() == [(["vio_1"], 40.0, "more came than may be kept")]
    assert scene.cutter.cuts[0][1].pictures[Role.SHOPPER][-1].came == 40.0


def test_what_goes_wrong_with_evidence_does_not_end_the_call():
    async def scenario(scene):
        scene.ring.forget = scene.ring.cut = None
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(scene.way.run())
            await asyncio.sleep(0.6)
            assert not running.done()
            running.cancel()
        scene.way.violation(said(29.0))

    played(scenario)


def test_a_disk_that_hangs_ends_nothing_but_its_clip(monkeypatch):
    monkeypatch.setattr(keeping, "_AT_END_S", 0.3)

    async def scenario(scene):
        await scene.pass_s(30)
        scene.way.violation(said(29.0))
        scene.cutter.hold = threading.Event()

    scene = played(scenario)
    scene.cutter.hold.set()
    assert scene.way.status()["lost"] == len(scene.lost) == 1


def test_behind_a_disk_that_hangs_no_clips_pile_up(monkeypatch):
    for name in ("_WRITE_S", "_LATE_S", "_AT_END_S"):
        monkeypatch.setattr(keeping, name, 0.0)

    async def scenario(scene):
        await scene.pass_s(30)
        scene.cutter.hold = threading.Event()
        for number in range(3):
            scene.way.violation(said(scene.now, f"vio_{number}"))
            await scene.pass_s(40)
        cut, scene.ring.cut = scene.ring.cut, None
        scene.way.violation(said(scene.now, "vio_3"))
        await scene.pass_s(40)
        assert scene.way.status()["waiting"] == 0
        assert scene.way.status()["lost"] == 3
        scene.ring.cut = cut
        scene.cutter.hold.set()

    played(scenario)


def test_the_merchant_is_asked_for_key_frames_while_video_comes_and_is_kept():
    async def scenario(scene):
        for number in range(40):
            scene.now += 0.5
            scene.way.merchants(Frame(45_000 * number, 0.0, key=number == 0))
            scene.way._asked = float("-inf")  # A second of real time would have to pass.
            await scene.turn()
        assert 20 <= scene.asked <= 40
        scene.way.allowed = False
        before = scene.asked
        scene.way.merchants(Frame(0, 0.0))
        await scene.turn()
        assert scene.asked == before

    played(scenario)


def test_while_a_disk_takes_its_time_key_frames_are_asked_for_and_what_is_old_is_forgotten(monkeypatch):
    monkeypatch.setattr(keeping, "_TICK_S", 0.01)

    async def scenario(scene):
        await scene.pass_s(30)
        scene.way.violation(said(29.0))
        scene.cutter.hold = threading.Event()
        scene.now += 15
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(scene.way.run())
            await asyncio.to_thread(scene.cutter.asked.wait, 10)
            scene.now += 60
            while not scene.asked or scene.ring.bytes:
                scene.way.merchants(Frame(0, 0.0, key=False))
                await asyncio.sleep(0.01)
            scene.cutter.hold.set()
            running.cancel()

    assert played(scenario).spans() == [(["vio_1"], 40.0, "")]


def test_frames_after_a_loss_are_kept_from_the_next_key_frame_on():
    async def scenario(scene):
        for number, (key, after_loss) in enumerate(
            [(True, False), (False, True), (False, False), (True, False)]
        ):
            scene.now = number + 1.0
            scene.way.merchants(Frame(90_000 * number, 0.0, key, after_loss))
        cut = scene.ring.cut(0.0, 10.0)
        assert [piece.came for piece in cut.pictures[Role.MERCHANT]] == [1.0, 4.0]

    played(scenario)


def test_a_curtain_that_waited_for_the_merchant_is_kept_when_it_is_shown():
    ring = Ring()
    told = (lambda: None, lambda a, b: [], lambda clip: None, lambda *span: None)
    around = Around("call-1", lambda monotonic: monotonic, *told)

    async def scenario():
        way = KeepWay(Keeping(ring, Cutter(), str), EvidenceConfig(), around)
        way.allowed = True
        now = time.monotonic()
        long_ago = replace(CURTAIN, arrived=now - 60)
        way.sent(long_ago, SentPicture("VP8", b"curtain", True, 0))
        way.sent(
            replace(CURTAIN, arrived=now, showing=Showing.COVERED), SentPicture("VP8", b"picture", False, 0)
        )
        assert [piece.data for piece in ring.cut(now - 90, now + 90).pictures[Role.SHOPPER]] == [
            b"curtain",
            b"picture",
        ]
        await way.finish()

    asyncio.run(scenario())


@pytest.mark.parametrize("showing", list(Showing))
def test_protected_pictures_are_kept_with_what_they_show(showing):
    async def scenario(scene):
        scene.now = 1.0
        scene.way.sent(replace(CURTAIN, showing=showing), SentPicture("VP8", b"data", True, 0))
        (piece,) = scene.ring.cut(0.0, 10.0).pictures[Role.SHOPPER]
        assert (piece.showing, piece.data) == (showing, b"data")

    played(scenario)
