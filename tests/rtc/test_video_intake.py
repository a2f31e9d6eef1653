"""One incoming video, packet by packet, in virtual time, and the stock classes beside it."""

from __future__ import annotations

import math
import random

import pytest
from aiortc.codecs import depayload
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RtpPacket, unwrap_rtx, wrap_rtx
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.rtc.compat.video_intake import CAPACITY, VideoIntake
from tests.rtc.streams import H264, SSRC, VP8, film, packets, vp8_payload, vp8_stream


class Line:
    """Gives packets to an intake at their times, and does what is due between them."""

    def __init__(self, codec=VP8):
        self.intake = VideoIntake()
        self.codec = codec
        self.now = 10.0
        self.frames, self.nacks, self.plis = [], [], []

    def wait(self, seconds):
        """Time goes by without a packet."""
        end = self.now + seconds
        while (due := self.intake.due()) <= end:
            self.now = max(self.now, due)
            self.react()
        self.now = end

    def react(self):
        reaction = self.intake.react(self.now)
        self._take(reaction.frames)
        if reaction.nack:
            self.nacks.append((self.now, reaction.nack))
        if reaction.key_frame:
            self.plis.append(self.now)

    def give(self, packet, resent=False):
        if resent:
            self._take(self.intake.add_resent(packet, self.codec, self.now))
        elif self.intake.admits(packet.ssrc, self.now):
            self._take(self.intake.add(packet, self.codec, self.now))
        if self.intake.due() <= self.now:
            self.react()

    def _take(self, frames):
        self.frames += [(self.now, frame.timestamp, frame.after_loss) for frame in frames]

    @property
    def timestamps(self):
        return [timestamp for _, timestamp, _ in self.frames]


def still(line, lost=(), frames=60, fps=30, keys=(0,), first=0):
    """A still scene: one packet a frame."""
    for i, packet in enumerate(vp8_stream(frames, keys=keys, first=first)):
        if i not in lost:
            line.give(packet)
        line.wait(1 / fps)


def test_stock_stands_still_until_hundreds_of_packets_have_come():
    """When this fails, upstream has a deadline of its own for lost packets."""
    stock, nacks = JitterBuffer(capacity=512, is_video=True), NackGenerator()
    asked = requested = left = 0
    for i, packet in enumerate(vp8_stream(700)):
        if i == 10:
            continue
        packet._data = depayload(VP8, packet.payload)
        asked += nacks.add(packet)
        pli, frame = stock.add(packet)
        if pli and not requested:
            requested = i
        if i > 11 and not left and frame is not None:
            left = i
    assert asked == 1, "a packet is asked for once"
    assert requested == left >= 500, "17 s at 30 fps with one packet a frame"


def test_one_unrecovered_packet_of_a_still_scene():
    line = Line()
    still(line, lost={10})
    lost_at = 10.0 + 10 / 30
    assert line.plis[0] - lost_at <= 0.15
    assert len([n for _, n in line.nacks]) >= 2
    assert {10} == {number for _, numbers in line.nacks for number in numbers}
    assert line.timestamps == [3000 * i for i in range(60) if i != 10]
    (marked,) = [(when, timestamp) for when, timestamp, after_loss in line.frames if after_loss]
    assert marked[1] == 33000
    assert marked[0] - lost_at <= 0.15, "what came later leaves at once"
    assert line.intake.counts.given_up == 1


def test_a_key_frame_is_asked_for_until_it_comes():
    line = Line()
    still(line, lost={10}, keys={0, 40})
    assert len(line.plis) >= 3
    assert all(0.2 <= b - a <= 0.5 for a, b in zip(line.plis, line.plis[1:], strict=False))
    assert line.plis[-1] < 10.0 + 40 / 30
    assert line.intake.counts.key_frames == 2
    assert line.intake.due() == math.inf


@pytest.mark.parametrize("backwards", [False, True])
def test_a_whole_key_frame_waits_for_nothing(backwards):
    line = Line()
    stream = vp8_stream(4, per_frame=3, keys={0, 2})
    for packet in stream[:4]:
        line.give(packet)
    behind = stream[6:9]
    for packet in reversed(behind) if backwards else behind:
        line.give(packet)
    assert line.timestamps == [0, 6000]
    line.wait(1.0)
    assert line.plis == []
    assert line.intake.counts.given_up == 2
    line.give(stream[9])
    assert line.nacks[-1][0] == 10.0, "what came before is not asked for any more"


def test_a_packet_that_is_sent_again_in_time_costs_nothing_but_the_wait():
    line = Line()
    stream = vp8_stream(30)
    for i, packet in enumerate(stream):
        if i != 10:
            line.give(packet)
        if i == 11:
            line.wait(0.05)
            rtx = wrap_rtx(stream[10], payload_type=98, sequence_number=7, ssrc=99)
            line.give(unwrap_rtx(rtx, payload_type=97, ssrc=SSRC), resent=True)
        line.wait(1 / 30)
    assert line.timestamps == [3000 * i for i in range(30)]
    assert not any(after_loss for _, _, after_loss in line.frames)
    assert line.plis == []
    assert line.intake.counts.recovered == 1
    assert line.intake.rtt == pytest.approx(0.05)


def test_a_packet_that_is_sent_again_too_late_changes_nothing():
    line = Line()
    still(line, lost={10}, frames=30)
    before = list(line.frames)
    late = vp8_stream(11)[10]
    line.give(late, resent=True)
    line.give(late)
    assert line.frames == before
    assert line.intake.rtt is not None


@pytest.mark.parametrize("lost", [3, 4, 5])
def test_the_last_packets_of_frames_are_missed_too(lost):
    line = Line()
    for i, packet in enumerate(vp8_stream(20, per_frame=3)):
        if i != lost:
            line.give(packet)
        if i % 3 == 2:
            line.wait(1 / 10)
    assert line.nacks[0][1] == [lost]
    assert line.timestamps == [3000 * i for i in range(20) if i != 1]
    assert line.plis[0] - 10.1 <= 0.17


def test_a_frame_whose_last_packet_does_not_come_is_asked_for_though_nothing_else_comes():
    line = Line()
    stream = vp8_stream(2, per_frame=3)
    for packet in stream[:5]:
        line.give(packet)
    line.wait(3.0)
    assert [number for _, numbers in line.nacks for number in numbers] == [5] * 4
    assert line.plis == [], "perhaps the camera sends no more"
    line.give(stream[5])
    assert line.timestamps == [0, 3000]


def test_nothing_is_asked_for_while_a_camera_is_off():
    line = Line()
    still(line, frames=10)
    line.wait(600.0)
    still(line, frames=10, first=10, keys=())
    assert line.nacks == []
    assert line.plis == []
    assert len(line.frames) == 20


def test_a_stream_whose_first_packets_are_lost_asks_for_a_key_frame_at_once():
    line = Line()
    for packet in vp8_stream(3, per_frame=3)[1:]:
        line.give(packet)
    assert line.plis == [10.0]
    assert line.timestamps == [3000, 6000]


def test_a_key_frame_wished_for_before_the_first_packet_is_not_forgotten():
    line = Line()
    line.intake.wish.want(line.now)
    line.wait(5.0)
    assert line.plis == []
    for packet in vp8_stream(2, keys=()):
        line.give(packet)
    assert line.plis == [15.0]


def test_a_wish_is_granted_by_the_key_frame_a_stream_begins_with():
    line = Line()
    line.intake.wish.want(line.now)
    for packet in vp8_stream(1, per_frame=4):
        line.give(packet)
        line.wait(0.005)
    line.wait(1.0)
    assert line.plis == []


@pytest.mark.parametrize("first", [0, 65_500])
def test_reordering_by_a_hundred_packets_loses_nothing_if_it_is_quick(first):
    rng = random.Random(8)
    stream = vp8_stream(200, per_frame=4, first=first)
    moved = sorted(range(len(stream)), key=lambda i: i + rng.random() * (100 if i > 4 else 0))
    line = Line()
    for index in moved:
        line.give(stream[index])
        line.wait(0.0002)
    assert line.timestamps == [3000 * i for i in range(200)]
    assert line.plis == []


def test_duplicates_change_nothing():
    line = Line()
    for packet in vp8_stream(50, per_frame=2, first=65_480):
        for _ in range(3):
            line.give(packet)
        line.wait(0.01)
    assert line.timestamps == [3000 * i for i in range(50)]
    assert (line.nacks, line.plis) == ([], [])


def test_a_new_ssrc_after_silence_is_a_new_stream():
    line = Line()
    still(line, frames=10)
    line.wait(0.5)
    for packet in vp8_stream(5, keys=(), ssrc=77, first=9000, timestamp=5):
        line.give(packet)
        line.wait(1 / 30)
    assert line.intake.ssrc == 77
    assert line.intake.counts.restarts == 1
    assert [after_loss for _, _, after_loss in line.frames[10:]] == [True, False, False, False, False]
    assert len(line.plis) == 1


def test_a_second_stream_beside_the_first_is_ignored():
    line = Line()
    ours, theirs = vp8_stream(30), vp8_stream(30, ssrc=77, first=333, timestamp=1)
    for one, other in zip(ours, theirs, strict=True):
        line.give(one)
        line.give(other)
        line.wait(1 / 30)
    assert line.timestamps == [3000 * i for i in range(30)]
    assert (line.nacks, line.plis) == ([], [])


def test_a_stream_that_said_goodbye_may_be_followed_at_once():
    line = Line()
    still(line, frames=3)
    line.intake.ended(SSRC)
    line.give(vp8_stream(1, ssrc=77)[0])
    assert line.intake.ssrc == 77


def test_a_jump_of_the_sequence_is_a_new_beginning():
    line = Line()
    still(line, frames=10, first=30_000)
    still(line, frames=10, first=200, keys={3})
    assert line.intake.counts.restarts == 1
    assert len(line.plis) == 1
    assert [after_loss for _, _, after_loss in line.frames[10:]].count(True) == 1


def test_one_packet_from_nowhere_changes_nothing():
    line = Line()
    still(line, frames=10, first=1000)
    line.give(RtpPacket(97, 1, 40_000, 5, SSRC, vp8_payload()))
    still(line, frames=10, first=1010, keys=())
    assert len(line.frames) == 20
    assert line.plis == []


def test_an_old_packet_that_is_sent_again_is_no_new_beginning():
    """Stock takes any packet more than a hundred behind for one."""
    line = Line()
    still(line, frames=300)
    for packet in vp8_stream(40, first=20):
        line.give(packet, resent=True)
    still(line, frames=5, first=300, keys=())
    assert line.intake.counts.restarts == 0
    assert len(line.frames) == 305


def test_a_gap_wider_than_senders_keep_packets_is_not_waited_for():
    line = Line()
    still(line, frames=10)
    still(line, frames=10, first=400, keys={5})
    assert line.nacks == []
    assert len(line.plis) == 1
    assert line.frames[10][2]
    assert line.frames[10][0] == pytest.approx(10.0 + 10 / 30)
    assert line.intake.counts.given_up == 390


def test_what_cannot_be_read_is_counted_and_heals():
    line = Line()
    stream = vp8_stream(30, keys={0, 20})
    stream[5].payload = b"\x90"
    for packet in stream:
        line.give(packet)
        line.wait(1 / 30)
    assert line.intake.counts.malformed == 1
    assert line.timestamps == [3000 * i for i in range(30) if i != 5]
    assert line.nacks == []
    assert line.plis[0] == pytest.approx(10.0 + 5 / 30)


def test_without_rtx_packets_sent_again_come_as_they_were():
    line = Line()
    line.intake.resends_apart = False
    stream = vp8_stream(12)
    for packet in stream[:5] + stream[6:8]:
        line.give(packet)
    line.wait(0.06)
    line.give(stream[5])
    assert line.intake.counts.recovered == 1
    assert line.intake.rtt == pytest.approx(0.06)
    assert line.timestamps == [3000 * i for i in range(8)]


@pytest.mark.parametrize("codec", [VP8, H264])
@pytest.mark.parametrize("seed", range(3))
def test_real_streams_over_a_bad_line_give_only_whole_frames_in_order(codec, seed):
    shots = film(codec, 40, keys=set(range(0, 40, 10)))
    whole = {3000 * i: b"".join(depayload(codec, p) for p in shot) for i, shot in enumerate(shots)}
    rng, line = random.Random(seed), Line(codec)
    taken = []
    line._take = taken.extend
    stream = packets(shots, codec=codec, first=65_520)
    for i, packet in enumerate(stream):
        if rng.random() > 0.1:
            line.give(packet)
        elif rng.random() < 0.7 and i + 3 < len(stream):
            stream.insert(i + 3, packet)
        line.wait(0.008)
    assert [frame.timestamp for frame in taken] == sorted(frame.timestamp for frame in taken)
    assert all(frame.data == whole[frame.timestamp] for frame in taken)
    assert len(taken) > 10


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 65535),
            st.integers(0, 3),
            st.booleans(),
            st.binary(max_size=30),
            st.sampled_from([SSRC, 7]),
            st.sampled_from([0.0, 0.001, 0.03, 0.5]),
            st.booleans(),
        ),
        max_size=120,
    )
)
def test_whatever_comes_nothing_grows_and_nothing_is_raised(sent):
    line = Line()
    for sequence, timestamp, marker, payload, ssrc, pause, resent in sent:
        line.give(RtpPacket(97, int(marker), sequence, timestamp * 3000, ssrc, payload), resent=resent)
        line.wait(pause)
        assert len(line.intake._jitter._held) <= CAPACITY
        assert len(line.intake._watch) <= 1 + CAPACITY
