"""The two people of a call whose cost is measured, who take as little of the machine as they can.

What they send was encoded before; of what they receive nothing is decoded but the picture that is looked at.
As a program, `python -m guardian.bench.light`, they are those of one more call, of which nothing is looked
at: told by a line of JSON, they say its id once the merchant gets pictures, and hang up as their input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable

from guardian.bench.camera import Film, NumberedCamera, SentTimes, encoded_loop
from guardian.bench.mouths import PackedMouth
from guardian.bench.pair import Delays, Pair
from guardian.core.frames import Mode
from guardian.core.violations import Role
from guardian.demo.ending import run_until_told
from guardian.demo.peers import CallClient
from guardian.rtc.compat.frames import EncodedFrame

_FIRST_S = 60.0


def light_pair(film: Film) -> tuple[Pair, Delays]:
    """Both speak and send numbered pictures; with the delays of what the merchant receives."""
    seen = Delays(film.size[0])
    cameras = {
        Role.SHOPPER: NumberedCamera(film, seen.sent),
        Role.MERCHANT: NumberedCamera(film, SentTimes.none()),
    }
    return Pair({role: [PackedMouth(role), cameras[role]] for role in Role}), seen


def shown(seen: asyncio.Event) -> Callable[[EncodedFrame], None]:
    """A sink that tells of the first frame."""

    def take(_: EncodedFrame) -> None:
        seen.set()

    return take


async def _call(url: str, film: Film) -> None:
    encoded_loop(film)
    async with CallClient(url) as client:
        call_id, legs = await client.create(mode=Mode.SELFIE)

        async def answer(role: Role, offer: str) -> str:
            return (await client.offer(legs[role], offer)).sdp

        pair, _ = light_pair(film)
        first = asyncio.Event()
        try:
            await pair.connect(answer)
            pair.decode_only(())
            pair.pass_on(Role.MERCHANT, "video", shown(first))
            async with asyncio.timeout(_FIRST_S):
                await first.wait()
            sys.stdout.write(f"{call_id}\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.buffer.read)
        finally:
            await pair.close()
            await client.hang_up(call_id)


def main() -> None:
    """One more call."""
    told = json.loads(sys.stdin.readline())
    run_until_told(_call(told["url"], Film(tuple(told["size"]), told["fps"])))


if __name__ == "__main__":
    main()
