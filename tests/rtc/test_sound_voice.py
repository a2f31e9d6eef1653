"""A voice on its way out keeps its time, its order and its gaps, and gathers no delay."""

from __future__ import annotations

import asyncio
import random
import time
from itertools import pairwise

import pytest

from guardian.rtc.compat import EncodedFrame
from guardian.rtc.opus import SILENCE
from guardian.rtc.voice import QUIET_S, VoiceClock, VoiceTrack
from tests.patience import least

TICKS = 960
PIECE_S = 0.02


def piece(index, stream=1, ticks=TICKS, data=b"\xf8voice"):
    return EncodedFrame("opus", data, round(index * ticks), 48000, True, False, 0.0, stream, ticks)


def test_a_source_that_runs_off_the_wall_clock_for_an_hour_keeps_its_own_time():
    """100 ppm, with pauses in which silence is sent and pieces that come late by up to 60 ms."""
    for drift in (1e-4, -1e-4):
        draw, clock = random.Random(1), VoiceClock(0.0)
        offsets, last, silences, quiet, arrived = set(), -1, 0, 0, 0.0
        for index in range(3600 * 50):
            now = index * PIECE_S * (1 + drift)
            paused = index % 3000 >= 2000 and index % 3000 not in (2020, 2040)  # 20 s of pause every minute
            quiet = quiet + 1 if paused else 0
            if paused and quiet % 25 == 0:
                at = clock.silence(now)
                silences += 1
                assert last < at < min(offsets) + index * TICKS
                last = at
            elif not paused:
                arrived = max(arrived, now + draw.random() * 0.06)
                at = clock.stamp(piece(index), arrived)
                assert at is not None
                assert at > last
                last = at
                offsets.add(at - index * TICKS)
        assert len(offsets) == 1, "the source's clock is never changed"
        assert silences > 2000
        assert clock.skipped == 0


def test_pieces_of_any_length_follow_one_another():
    for ticks in (120, 480, 960, 1920, 2880):
        clock = VoiceClock(0.0)
        stamps = [clock.stamp(piece(i, ticks=ticks), i * ticks / 48000) for i in range(100)]
        assert stamps == [stamps[0] + i * ticks for i in range(100)]


def test_a_gap_stays_a_gap():
    clock = VoiceClock(0.0)
    first = clock.stamp(piece(0), 0.0)
    assert clock.stamp(piece(20), 0.4) == first + 20 * TICKS


@pytest.mark.parametrize("stall_s", [0.6, 1.0, 3.0, 20.0])
def test_after_a_stall_the_backlog_is_skipped_and_no_delay_stays(stall_s):
    clock, sent, now, next_silence = VoiceClock(0.0), [], 0.0, 0.0
    stalled = range(100, 100 + int(stall_s / PIECE_S))
    for index in range(100 + len(stalled) + 100):
        if index in stalled:
            now = index * PIECE_S
            if now >= next_silence and index > stalled[0] + 25:
                sent.append((now, clock.silence(now), None))
                next_silence = now + QUIET_S
            continue
        burst = [*stalled, index] if index == stalled[-1] + 1 else [index]
        for one in burst:
            now = index * PIECE_S + (one - burst[0]) * 1e-4
            at = clock.stamp(piece(one), now)
            if at is not None:
                sent.append((now, at, one))
    stamps = [at for _, at, _ in sent]
    assert stamps == sorted(set(stamps))
    base = sent[0][1]
    late = [now - (at - base) / 48000 for now, at, one in sent if one is not None]
    assert max(late) < 0.35, "nothing older than that is sent"
    assert abs(late[-1]) < 0.02
    assert [one for _, _, one in sent][-100:] == list(range(stalled[-1] + 1, stalled[-1] + 101))


def test_a_way_that_becomes_longer_costs_a_moment_and_no_more():
    clock = VoiceClock(0.0)
    for index in range(100):
        clock.stamp(piece(index), index * PIECE_S)
    sent = [clock.stamp(piece(index), index * PIECE_S + 0.5) is not None for index in range(100, 200)]
    assert sent.count(False) <= 9
    assert all(sent[9:])


def test_a_new_session_of_the_speaker_joins_at_once_and_without_delay():
    clock, last = VoiceClock(0.0), -1
    for index in range(100):
        last = clock.stamp(piece(index), index * PIECE_S)
    now = 2.1
    stamps = [clock.stamp(piece(index, stream=2), now + index * PIECE_S) for index in range(100)]
    assert None not in stamps
    assert stamps[0] - last <= 0.2 * 48000
    assert stamps[-1] == stamps[0] + 99 * TICKS
    assert abs(stamps[-1] / 48000 - (now + 99 * PIECE_S)) < 0.1


def test_a_voice_that_was_muted_for_minutes_comes_back_at_its_own_time():
    clock, last = VoiceClock(0.0), -1
    for index in range(100):
        last = clock.stamp(piece(index), index * PIECE_S)
    for moment in range(4, 1200):
        at = clock.silence(moment * 0.5)
        assert at > last
        last = at
    back = clock.stamp(piece(30000), 600.0)
    assert back is not None
    assert 0 < back - last <= 0.7 * 48000
    assert back == 30000 * TICKS


class Script:
    """A source that gives what it is told, or nothing."""

    def __init__(self):
        self.queue = asyncio.Queue()

    async def __call__(self, timeout_s):
        async with asyncio.timeout(timeout_s):
            return await self.queue.get()


def test_a_voice_leaves_untouched_and_silence_only_where_there_is_none():
    async def main():
        source = Script()
        track = VoiceTrack(source)
        began = time.monotonic()
        quiet = await track.recv()
        assert bytes(quiet) == SILENCE
        assert time.monotonic() - began >= QUIET_S * 0.9
        for index in range(30):
            source.queue.put_nowait(piece(index, data=b"\xf8" + bytes([index])))
        got = [await track.recv() for _ in range(30)]
        assert [bytes(packet)[1] for packet in got] == list(range(30))
        assert got[0].pts > quiet.pts
        assert {b.pts - a.pts for a, b in pairwise(got)} == {TICKS}
        assert got[0].time_base == quiet.time_base

    asyncio.run(main())


def test_what_gathered_while_the_loop_was_blocked_is_skipped():
    async def main():
        source = Script()
        track = VoiceTrack(source)
        sent = []

        async def take(count):
            for _ in range(count):
                packet = await track.recv()
                sent.append((time.monotonic(), packet.pts, bytes(packet)[1]))

        began = time.monotonic()
        for index in range(5):
            source.queue.put_nowait(piece(index, data=bytes([0xF8, index])))
            await take(1)
            await asyncio.sleep(began + (index + 1) * PIECE_S - time.monotonic())
        time.sleep(0.8)  # noqa: ASYNC251  (the loop is blocked on purpose)
        behind = int((time.monotonic() - began) / PIECE_S)
        for index in range(5, behind + 1):
            source.queue.put_nowait(piece(index, data=bytes([0xF8, index])))
        await take(10)
        assert sent[-1][1] - sent[0][1] == (sent[-1][2] - sent[0][2]) * TICKS, "gaps stay gaps"
        skipped = sent[5][2] - sent[4][2] - 1
        assert skipped == track.clock.skipped > 15
        return [at - began - number * PIECE_S for at, _, number in sent[5:]]

    assert least(lambda: max(asyncio.run(main())), 0.45) < 0.45
