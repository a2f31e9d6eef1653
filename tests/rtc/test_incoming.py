"""Tracks, timestamps and statistics of what comes in, with the stock behaviour beside them."""

from __future__ import annotations

import asyncio

import pytest
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpreceiver import RemoteStreamTrack, StreamStatistics, TimestampMapper
from aiortc.rtp import RtcpReceiverInfo, RtpPacket

from guardian.rtc.compat.incoming import FreshTrack, SenderStatistics, SignedTimestampMapper


def test_stock_keeps_every_frame_until_it_is_read():
    track = RemoteStreamTrack("video")
    for i in range(1000):
        track._queue.put_nowait(i)
    assert track._queue.qsize() == 1000


@pytest.mark.parametrize(("kind", "most"), [("video", 3), ("audio", 50)])
def test_a_track_that_nobody_reads_keeps_what_is_new_and_counts_the_rest(kind, most):
    track = FreshTrack(kind)
    for i in range(1000):
        track._queue.put_nowait(i)
    assert track.unread == 1000 - most
    assert asyncio.run(read(track, most)) == list(range(1000 - most, 1000))


async def read(track, count):
    return [await track.recv() for _ in range(count)]


def test_whoever_waits_for_a_track_is_told_of_its_end():
    asyncio.run(waiting_for_the_end(FreshTrack("video")))


async def waiting_for_the_end(track):
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(ended(track))
        await asyncio.sleep(0)
        track.end()
        track.end()
    assert waiting.result()


async def ended(track):
    try:
        await track.recv()
    except MediaStreamError:
        return track.readyState == "ended"


def test_stock_takes_a_step_back_for_a_wrap():
    """When this fails, upstream has signed differences (aiortc #1041)."""
    mapper = TimestampMapper()
    assert [mapper.map(t) for t in (9000, 6000)] == [0, (1 << 32) - 3000]


def test_timestamps_step_back_and_wrap():
    mapper = SignedTimestampMapper()
    near = (1 << 32) - 3000
    assert [mapper.map(t) for t in (near, 0, 6000, 3000, 9000)] == [0, 3000, 9000, 6000, 12000]
    mapper = SignedTimestampMapper()
    wrapped = [mapper.map((t * (1 << 30)) % (1 << 32)) for t in range(50)]
    assert wrapped == [t * (1 << 30) for t in range(50)]


def test_timestamps_of_another_stream_go_on():
    mapper = SignedTimestampMapper()
    mapper.map(5)
    mapper.map(3005)
    mapper.restart(90_000)
    assert [mapper.map(t) for t in (4_000_000_000, 4_000_003_000)] == [93_000, 96_000]


def odd_packets():
    return [RtpPacket(97, 0, i, (i % 2) * 0xFFFFFFF0 + i, 1, b"x") for i in range(2000)]


def report(statistics):
    return bytes(
        RtcpReceiverInfo(
            1,
            statistics.fraction_lost,
            statistics.packets_lost,
            statistics.max_seq,
            statistics.jitter,
            0,
            0,
        )
    )


def test_statistics_of_odd_timestamps_can_be_reported():
    """Stock's cannot, which ends the task that writes reports; its stop() then waits for ever."""
    stock, ours = StreamStatistics(90000), SenderStatistics(90000)
    for packet in odd_packets():
        stock.add(packet)
        ours.add(packet)
    assert len(report(ours)) == 24
    assert ours.packets_received == stock.packets_received == 2000


def test_statistics_are_otherwise_stocks(monkeypatch):
    clock = iter(range(10**9))
    monkeypatch.setattr("time.time", lambda: next(clock) // 2 * 0.01)
    stock, ours = StreamStatistics(90000), SenderStatistics(90000)
    for i in range(500):
        if i % 7 != 3:
            packet = RtpPacket(97, 0, (65_400 + i) % 65536, 950 * i, 1, b"x")
            stock.add(packet)
            ours.add(packet)
    assert (ours.jitter, ours.packets_lost) == (stock.jitter, stock.packets_lost)
