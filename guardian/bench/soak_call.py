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
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from guardian.bench.camera import Film, SentTimes
from guardian.bench.impairment import Conditions, Direction
from guardian.bench.live_camera import LiveCamera, Seen
from guardian.bench.mouths import Mouth
from guardian.bench.pair import Pair
from guardian.bench.proxy import Proxy
from guardian.core.errors import CallError
from guardian.core.frames import Mode
from guardian.core.violations import Role
from guardian.demo.ending import run_until_told
from guardian.demo.peers import CallClient, adaptive_peer
from guardian.demo.voices import english_lines

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
    """What was seen. shown_s: until the merchant saw a picture, None where none came; damaged: pictures for
    which the merchant's decoder lacked something; searched: whether the canary is found in the picture that
    was sent."""

    call_id: str
    shown_s: float | None
    seconds: float
    pictures: int
    numbered: int
    uncovered: int
    damaged: int
    searched: bool
    lost_packets: int
    failure: str | None = None


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
        seen.damaged,
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
        saw = Saw(told.call_id, None, 0.0, 0, 0, 0, 0, False, 0, reason(group))
    sys.stdout.write(json.dumps(asdict(saw)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
