"""One call of a long run, both its people: `python -m guardian.bench.soak_call`, told by a line of JSON.

The shopper's picture carries a canary that must not arrive. Both people speak the sample lines over and over,
and everything they send and receive passes a network that loses packets. At the end a line of JSON says what
was seen.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import av
import httpx
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from guardian.bench.camera import Film, SentTimes
from guardian.bench.impairment import Conditions, Direction
from guardian.bench.live_camera import LiveCamera, Seen
from guardian.bench.pair import Pair
from guardian.bench.proxy import Proxy
from guardian.core.errors import CallError
from guardian.core.frames import I16, Mode
from guardian.core.violations import Role
from guardian.demo.ending import run_until_told
from guardian.demo.peers import CallClient, adaptive_peer
from guardian.demo.voices import RATE, Line, english_lines

_PIECE = RATE // 50
_FIRST_S = 60.0
_LEAVE_S = 2.0


@dataclass(frozen=True, slots=True)
class Told:
    """What to do. seconds: from the first picture on; loss: share of packets lost on each of the four ways;
    leaves: whether the people leave before the call is ended, or are there when it is."""

    url: str
    call_id: str
    seconds: float
    size: tuple[int, int]
    fps: int
    loss: float
    seed: int
    leaves: bool


@dataclass(frozen=True, slots=True)
class Saw:
    """What was seen. shown_s: until the merchant saw a picture, None where none came; searched: whether the
    canary is found in the picture that was sent."""

    call_id: str
    shown_s: float | None
    seconds: float
    pictures: int
    numbered: int
    uncovered: int
    searched: bool
    lost_packets: int
    failure: str | None = None


class Mouth(MediaStreamTrack):
    """Says the lines of one role again and again, by the wall clock."""

    kind = "audio"

    def __init__(self, role: Role, lines: Sequence[Line]) -> None:
        super().__init__()
        length = max(line.t_end for line in lines) + 1.0
        self._sound: I16 = np.random.default_rng(1).normal(0, 8, int(length * 50) * _PIECE).astype(np.int16)
        for line in lines:
            if line.role is role:
                at = int(line.t_start * RATE)
                self._sound[at : at + len(line.samples)] += line.samples
        self._start: float | None = None
        self._at = 0

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        self._start = self._start or now
        await asyncio.sleep(max(0.0, self._start + self._at / RATE - now))
        within = self._at % len(self._sound)
        piece = self._sound[within : within + _PIECE]
        frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._at, Fraction(1, RATE)
        self._at += _PIECE
        return frame


async def hold(told: Told) -> Saw:
    """The call from its admission to its end. CallError, TimeoutError and httpx.HTTPError, in groups too."""
    film, sent = Film(told.size, told.fps), SentTimes.none()
    lines = english_lines()
    camera, back = LiveCamera(film, sent), LiveCamera(film, SentTimes.none())
    seen, sample = Seen(film, sent), Seen(film, sent)
    sample.take(await LiveCamera(film, SentTimes.none()).recv(), time.monotonic())
    began = time.monotonic()
    proxies = {
        role: Proxy(*(Direction(Conditions(loss=told.loss), told.seed * 4 + 2 * at + way) for way in (0, 1)))
        for at, role in enumerate(Role)
    }
    async with CallClient(told.url) as client:
        _, legs = await client.create(call_id=told.call_id, mode=Mode.SELFIE)

        async def answer(role: Role, offer: str) -> str:
            return (await client.offer(legs[role], offer)).sdp

        try:
            with ExitStack() as stack:
                through = {role: stack.enter_context(proxy) for role, proxy in proxies.items()}
                async with asyncio.TaskGroup() as tasks:
                    pair = Pair(
                        {
                            Role.SHOPPER: [Mouth(Role.SHOPPER, lines), camera],
                            Role.MERCHANT: [Mouth(Role.MERCHANT, lines), back],
                        },
                        adaptive_peer,
                    )
                    try:
                        await pair.connect(answer, through)
                        watching = pair.watch(tasks, {(Role.MERCHANT, "video"): seen.take})
                        async with asyncio.timeout(_FIRST_S):
                            await seen.first.wait()
                        shown = time.monotonic()
                        await asyncio.sleep(told.seconds)
                        if not told.leaves:
                            await client.hang_up(told.call_id)
                        for task in watching:
                            task.cancel()
                    finally:
                        await pair.close()
                await asyncio.sleep(_LEAVE_S)
        finally:
            await client.hang_up(told.call_id)
    lost = sum(way.counts.lost for proxy in proxies.values() for way in (proxy.up, proxy.down))
    return Saw(
        told.call_id,
        round(shown - began, 2),
        round(time.monotonic() - shown, 1),
        seen.pictures,
        len(seen.new_at),
        seen.uncovered,
        sample.uncovered > 0,
        lost,
    )


def reason(error: BaseException) -> str:
    """The first error of a group of groups: its sentence, or its name when it has none."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


def main() -> None:
    """One call."""
    value: dict[str, Any] = json.loads(sys.stdin.readline())
    told = Told(**{**value, "size": tuple(value["size"])})
    try:
        saw = run_until_told(hold(told))
    except* (CallError, TimeoutError, httpx.HTTPError, OSError) as group:
        saw = Saw(told.call_id, None, 0.0, 0, 0, 0, False, 0, reason(group))
    sys.stdout.write(json.dumps(asdict(saw)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
