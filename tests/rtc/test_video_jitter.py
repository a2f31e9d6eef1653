"""Frames out of packets: at once, in order, and nothing that begins in the middle."""

from __future__ import annotations

import random

import pytest
from aiortc.codecs import depayload
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket

from guardian.rtc.compat.frames import begins_frame, is_key_frame
from guardian.rtc.compat.video_jitter import Piece, VideoJitter
from tests.rtc.streams import H264, VP8, film, packets, vp8_payload, vp8_stream


class Buffer:
    """A jitter buffer that is given packets with sequence numbers as they are."""

    def __init__(self, capacity=64):
        self.jitter = VideoJitter(capacity)

    def add(self, packet, codec=VP8, number=None):
        data = depayload(codec, packet.payload) if packet.payload else b""
        number = packet.sequence_number if number is None else number
        return self.jitter.add(number, Piece(packet, data, codec), 1.0)


def test_stock_holds_a_complete_frame_until_the_next_one_begins():
    """When this fails, upstream releases on the marker itself and the patch can go."""
    stock = JitterBuffer(capacity=16, is_video=True)
    one = RtpPacket(payload_type=97, sequence_number=1, timestamp=1000, marker=1)
    one._data = b"x"
    assert stock.add(one) == (False, None)


def test_a_frame_leaves_with_its_last_packet():
    buffer, (first, last) = Buffer(), vp8_stream(1, per_frame=2)
    assert buffer.add(first) == []
    (frame,) = buffer.add(last)
    assert frame.data == depayload(VP8, first.payload) + depayload(VP8, last.payload)
    assert (frame.timestamp, frame.arrived, frame.codec) == (0, 1.0, VP8)


def test_a_frame_without_marker_leaves_when_the_next_one_begins():
    buffer, (first, second) = Buffer(), vp8_stream(2)
    first.marker = 0
    assert buffer.add(first) == []
    assert [frame.timestamp for frame in buffer.add(second)] == [0, 3000]


def test_all_frames_that_become_complete_leave_at_once():
    buffer, stream = Buffer(), vp8_stream(4, per_frame=2)
    assert [buffer.add(p) for p in stream if p.sequence_number != 1] == [[]] * 7
    assert [frame.timestamp for frame in buffer.add(stream[1])] == [0, 3000, 6000, 9000]


@pytest.mark.parametrize("first", [0, 65530])
def test_packets_in_any_order_give_the_frames_in_order(first):
    rng = random.Random(4)
    stream = vp8_stream(40, per_frame=3)
    untouched = Buffer()
    whole = [frame.data for p in stream for frame in untouched.add(p)]
    numbered = list(enumerate(stream, first))
    late = numbered[1:]
    for start in range(0, len(late), 50):
        window = late[start : start + 50]
        rng.shuffle(window)
        late[start : start + 50] = window
    buffer = Buffer(128)
    found = [frame for n, p in [numbered[0], *late] for frame in buffer.add(p, number=n)]
    assert [frame.data for frame in found] == whole
    assert not any(frame.after_loss for frame in found)


def test_duplicates_change_nothing():
    buffer, stream = Buffer(), vp8_stream(6, per_frame=2)
    found = [frame for p in stream for _ in range(3) for frame in buffer.add(p)]
    assert [frame.timestamp for frame in found] == [3000 * i for i in range(6)]


def test_padding_is_neither_lost_nor_a_frame():
    """Chrome sends packets without payload to find out what the line carries."""
    buffer, stream = Buffer(), vp8_stream(3, per_frame=2)
    stream[2:2] = [RtpPacket(payload_type=97, timestamp=0) for _ in range(5)]
    found = [frame for number, p in enumerate(stream) for frame in buffer.add(p, number=number)]
    assert [frame.timestamp for frame in found] == [0, 3000, 6000]
    assert not any(frame.after_loss for frame in found)


def test_after_giving_up_complete_frames_leave_and_the_first_is_marked():
    buffer, stream = Buffer(), vp8_stream(6, per_frame=3)
    found = [frame for p in stream if p.sequence_number != 4 for frame in buffer.add(p)]
    assert [frame.timestamp for frame in found] == [0]
    found = buffer.jitter.give_up(4, 2.0)
    assert [frame.timestamp for frame in found] == [6000, 9000, 12000, 15000]
    assert [frame.after_loss for frame in found] == [True, False, False, False]
    assert buffer.add(stream[4]) == [], "it comes after all, and too late"


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_no_frame_that_lacks_a_packet_ever_leaves(lost):
    """Whichever packet of a frame is lost: the first, one in the middle, the one with the marker."""
    stream = vp8_stream(4, per_frame=3)
    gone = 3 + lost
    buffer = Buffer()
    found = [frame for p in stream if p.sequence_number != gone for frame in buffer.add(p)]
    found += buffer.jitter.give_up(gone, 2.0)
    assert [frame.timestamp for frame in found] == [0, 6000, 9000]
    assert [frame.after_loss for frame in found] == [False, True, False]


def test_a_frame_without_its_beginning_is_thrown_away_with_all_that_follows_it():
    """Its first packets were lost with the whole frame before it: nothing else says that it began earlier."""
    stream = vp8_stream(4, per_frame=4)
    buffer = Buffer()
    found = [frame for p in stream if p.sequence_number not in range(4, 9) for frame in buffer.add(p)]
    found += buffer.jitter.give_up(8, 2.0)
    assert [frame.timestamp for frame in found] == [0, 9000]


def test_a_stream_that_is_joined_in_the_middle_begins_with_a_whole_frame():
    buffer = Buffer()
    found = [frame for p in vp8_stream(3, per_frame=3)[1:] for frame in buffer.add(p)]
    assert [frame.timestamp for frame in found] == [3000, 6000]


def test_several_gaps_given_up_together_let_out_what_is_complete_between_them():
    stream = vp8_stream(8, per_frame=2)
    buffer = Buffer()
    found = [frame for p in stream if p.sequence_number not in (3, 9) for frame in buffer.add(p)]
    found += buffer.jitter.give_up(9, 2.0)
    assert [frame.timestamp for frame in found] == [0, 6000, 9000, 15000, 18000, 21000]
    assert [frame.after_loss for frame in found] == [False, True, False, True, False, False]


def test_what_cannot_be_read_is_a_loss_of_its_frame_alone():
    stream = vp8_stream(3, per_frame=2)
    jitter = VideoJitter(64)
    found = []
    for number, p in enumerate(stream):
        data = None if number == 2 else depayload(VP8, p.payload)
        found += jitter.add(number, Piece(p, data, VP8), 1.0)
    assert [(frame.timestamp, frame.after_loss) for frame in found] == [(0, False), (6000, True)]


def test_a_frame_that_never_ends_does_not_grow():
    buffer = Buffer(capacity=16)
    for number in range(1000):
        endless = RtpPacket(97, 0, number, 0, 1, vp8_payload(first=number == 0))
        assert buffer.add(endless, number=number) == []
        assert len(buffer.jitter._parts) + len(buffer.jitter._held) <= 16
    (frame,) = buffer.add(RtpPacket(97, 1, 1000, 3000, 1, vp8_payload(key=True)), number=1000)
    assert frame.after_loss


def test_what_waits_behind_a_gap_does_not_grow():
    buffer, stream = Buffer(capacity=16), vp8_stream(200)
    found = []
    for p in stream:
        if p.sequence_number != 1:
            found += buffer.add(p)
            assert len(buffer.jitter._held) <= 16
    assert found[1].after_loss


def test_a_new_stream_is_marked():
    buffer = Buffer()
    for p in vp8_stream(2):
        buffer.add(p)
    buffer.jitter.restart()
    found = [frame for p in vp8_stream(2, first=40_000) for frame in buffer.add(p)]
    assert [frame.after_loss for frame in found] == [True, False]


def test_no_frame_is_empty():
    """A decoder takes no data for the end of the stream."""
    buffer = Buffer()
    assert buffer.add(RtpPacket(97, 1, 0, 0, 1, b"\x10")) == []


@pytest.mark.parametrize("codec", [VP8, H264])
def test_real_encoders_say_where_their_key_frames_begin(codec):
    shots = film(codec, 6, keys={0, 3})
    for i, payloads in enumerate(shots):
        data = b"".join(depayload(codec, p) for p in payloads)
        assert is_key_frame(codec.name, data) == (i in {0, 3})
        assert begins_frame(codec.name, payloads[0]) or (codec is H264 and i not in {0, 3})
        assert not any(begins_frame(codec.name, p) for p in payloads[1:])


@pytest.mark.parametrize("codec", [VP8, H264])
def test_after_a_loss_real_key_frames_leave_whole(codec):
    stream = packets(film(codec, 8, keys={0, 5}), codec=codec)
    lost = next(p.sequence_number for p in stream if p.timestamp == 6000)
    buffer = Buffer()
    found = [frame for p in stream if p.sequence_number != lost for frame in buffer.add(p, codec)]
    found += buffer.jitter.give_up(lost, 2.0)
    keys = [frame.timestamp for frame in found if is_key_frame(codec.name, frame.data)]
    assert keys == [0, 15000]
    assert [frame.after_loss for frame in found].count(True) == 1
