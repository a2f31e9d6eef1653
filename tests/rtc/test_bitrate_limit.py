"""What a sender is told it may send: stock's estimate, at a third of the work, under a ceiling."""

from __future__ import annotations

import pytest
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtp import RtpPacket, unpack_remb_fci

from guardian.rtc.compat.bitrate_limit import LEAST, BitrateLimit


def stream(seconds, per_frame=4, fps=30, queue_ms=0.0):
    """(packet, arrival in ms) of a line that falls behind by `queue_ms` every second."""
    for i in range(seconds * fps):
        for j in range(per_frame):
            packet = RtpPacket(97, int(j == per_frame - 1), i * per_frame + j, i * 3000, 1, bytes(1000))
            sent = i / fps + j * 0.0005
            packet.extensions.abs_send_time = int(sent * (1 << 18)) & 0xFFFFFF
            yield packet, int(5000 + sent * 1000 + queue_ms * sent)


@pytest.mark.parametrize("queue_ms", [0.0, 60.0, 200.0])
def test_the_estimate_is_stocks(queue_ms):
    stock, ours = RemoteBitrateEstimator(), BitrateLimit()
    told = []
    for packet, arrival in stream(20, queue_ms=queue_ms):
        found = stock.add(arrival, packet.extensions.abs_send_time, len(packet.payload), packet.ssrc)
        ours.saw(packet, arrival)
        told += [found[0]] if found else []
    rate, ssrcs = unpack_remb_fci(ours.report(9, [1], 1.0).fci)
    assert rate == pytest.approx(told[-1], rel=0.15)
    assert ssrcs == [1]


def test_a_busy_process_is_not_taken_for_a_line_of_nothing():
    limit, told = BitrateLimit(), []
    for i, (packet, arrival) in enumerate(stream(60, per_frame=1, fps=5)):
        # Read late, later and later within each second, as by a process that gets no CPU.
        limit.saw(packet, arrival + 150 * (i % 5))
        if limit.is_due(float(i)):
            told.append(unpack_remb_fci(limit.report(9, [1], float(i)).fci)[0])
    assert min(told) == pytest.approx(LEAST, rel=0.01)
    limit.ceiling = 60_000
    assert unpack_remb_fci(limit.report(9, [1], 1000.0).fci)[0] == pytest.approx(60_000, rel=0.01)


def test_nothing_is_told_of_nothing():
    limit = BitrateLimit()
    assert not limit.is_due(100.0)
    assert limit.report(9, [1], 1.0) is None


def test_a_lower_ceiling_is_due_at_once_a_higher_one_in_time():
    limit = BitrateLimit()
    limit.ceiling = 500_000
    assert limit.is_due(10.0)
    limit.report(9, [1], 10.0)
    limit.ceiling = 700_000
    assert not limit.is_due(10.1)
    assert limit.is_due(10.6)
    limit.report(9, [1], 10.6)
    limit.ceiling = 400_000
    assert limit.is_due(10.6)


def test_another_stream_keeps_the_estimate_but_not_the_ssrc():
    limit = BitrateLimit()
    for packet, arrival in stream(5):
        limit.saw(packet, arrival)
    limit.restart()
    assert not limit._estimator.ssrcs
    assert limit.report(9, [2], 1.0) is not None
