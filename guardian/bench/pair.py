"""The two peers of a measured call, who both live in the process that measures.

They are the same whatever stands between them. Each picture carries its number; its delay is the time
from when the sending track hands over its packet until it is decoded at the other side.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from guardian.bench import timecode
from guardian.bench.camera import LOOP, Film, NumberedCamera, SentTimes
from guardian.bench.proxy import Proxy
from guardian.core.violations import Role
from guardian.demo.peers import MouthTrack, Peer, incoming, new_peer
from guardian.demo.voices import Line
from guardian.rtc.compat.frames import EncodedFrame
from guardian.rtc.compat.receiving import Receiver
from guardian.rtc.convert import planes_of

_BELIEVED_S = 10.0
"""A picture that seems to have been longer on its way is one of the loop before."""
_CLOSE_S = 15.0

Answer = Callable[[Role, str], Awaitable[str]]
"""Has the box in the middle answer a leg's offer."""
Take = Callable[[Any, float], None]
"""Gets a decoded picture or piece of sound and the monotonic second it came."""
QUANTILES = ("p50", "p95", "p99")


def percentiles(values: Sequence[float], less: float = 0.0) -> dict[str, float | None]:
    """p50, p95, p99 with `less` taken off; None where there is nothing."""
    if not values:
        return dict.fromkeys(QUANTILES)
    found = np.percentile(values, [50, 95, 99]) - less
    return {name: round(float(value), 2) for name, value in zip(QUANTILES, found, strict=True)}


@dataclass(slots=True)
class Delays:
    """Milliseconds from sent to seen, of the pictures seen while measuring."""

    width: int
    """Of the pictures when they were sent, pixels."""
    sent: SentTimes = field(default_factory=SentTimes.none)
    seen_ms: list[float] = field(default_factory=list)
    seen_at: list[float] = field(default_factory=list)
    first: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the first picture with a number was seen, measuring or not."""
    measuring: bool = False

    def take(self, frame: Any, now: float) -> None:
        """Reads a picture's number."""
        if not self.measuring and self.first.is_set():
            return
        number = number_of(frame, self.width)
        if number is None:
            return
        self.first.set()
        if self.measuring and 0 < now - self.sent.at[number] < _BELIEVED_S:
            self.seen_ms.append((now - self.sent.at[number]) * 1000)
            self.seen_at.append(now)


def number_of(frame: Any, width: int) -> int | None:
    """The number painted into a picture of this width before it was sent; None for the curtain."""
    if not isinstance(frame, av.VideoFrame):
        return None
    number = timecode.read(planes_of(frame).y, width)
    return number if number is not None and number < LOOP else None


async def drain(track: MediaStreamTrack | None, take: Take | None = None) -> None:
    """Takes everything that arrives, until the track ends."""
    while track is not None:
        try:
            async with asyncio.timeout(1.0):
                frame = await track.recv()
        except TimeoutError:
            continue
        except MediaStreamError:
            return
        if take is not None:
            take(frame, time.monotonic())


class Pair:
    """One call's two peers. `tracks` are what each sends; both receive what the other sends."""

    def __init__(
        self, tracks: Mapping[Role, Sequence[MediaStreamTrack]], peer: Callable[[], Peer] = new_peer
    ) -> None:
        self._peers = {role: peer() for role in Role}
        kinds = sorted({track.kind for sent in tracks.values() for track in sent})
        for role, pc in self._peers.items():
            sent = {track.kind: track for track in tracks[role]}
            for kind in kinds:
                if kind in sent:
                    pc.addTrack(sent[kind])
                else:
                    pc.addTransceiver(kind, direction="recvonly")

    async def connect(self, answer: Answer, through: Mapping[Role, Proxy] | None = None) -> None:
        """Both peers join through the box in the middle, each through its network if it has one."""
        for role in (Role.MERCHANT, Role.SHOPPER):
            pc, proxy = self._peers[role], (through or {}).get(role)
            await pc.setLocalDescription(await pc.createOffer())
            offer = pc.localDescription.sdp
            answered = await answer(role, proxy.between(offer) if proxy else offer)
            await _accept(pc, proxy.answer(answered) if proxy else answered)

    async def connect_directly(self) -> None:
        """Both peers join each other."""
        shopper, merchant = self._peers[Role.SHOPPER], self._peers[Role.MERCHANT]
        await shopper.setLocalDescription(await shopper.createOffer())
        await merchant.setRemoteDescription(shopper.localDescription)
        answer = await merchant.createAnswer()
        assert answer is not None
        await merchant.setLocalDescription(answer)
        await _accept(shopper, merchant.localDescription.sdp)

    def watch(
        self, tasks: asyncio.TaskGroup, takes: Mapping[tuple[Role, str], Take]
    ) -> list[asyncio.Task[None]]:
        """Takes everything that arrives; `takes` by who receives and the kind."""
        return [
            tasks.create_task(drain(incoming(pc, kind), takes.get((role, kind))))
            for role, pc in self._peers.items()
            for kind in ("audio", "video")
        ]

    def decode_only(self, wanted: Collection[tuple[Role, str]]) -> None:
        """Of what is received only this is decoded, by who receives and the kind; the rest is counted."""
        for role, pc in self._peers.items():
            for transceiver in pc.getTransceivers():
                assert isinstance(transceiver.receiver, Receiver)
                transceiver.receiver.decodes = (role, transceiver.kind) in wanted

    def pass_on(self, role: Role, kind: str, sink: Callable[[EncodedFrame], None]) -> None:
        """Has each frame of a kind that a role receives given to `sink`, still encoded."""
        for transceiver in self._peers[role].getTransceivers():
            if transceiver.kind == kind:
                assert isinstance(transceiver.receiver, Receiver)
                transceiver.receiver.pass_on(sink)

    async def close(self) -> None:
        """Hangs up."""
        async with asyncio.timeout(_CLOSE_S):
            for pc in self._peers.values():
                await pc.close()


async def _accept(pc: RTCPeerConnection, answer: str) -> None:
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))


def numbered_pair(
    film: Film, lines: tuple[Line, ...], cameras: Sequence[Role] = tuple(Role)
) -> tuple[Pair, dict[Role, Delays]]:
    """Both speak; those of `cameras` send numbered pictures. With the delays of what each receives."""
    tracks: dict[Role, list[MediaStreamTrack]] = {role: [MouthTrack(role, lines)] for role in Role}
    delays = {role: Delays(film.size[0]) for role in Role}
    for role in cameras:
        tracks[role].append(NumberedCamera(film, delays[other(role)].sent))
    return Pair(tracks), delays


def other(role: Role) -> Role:
    """Who receives what `role` sends."""
    return Role.MERCHANT if role is Role.SHOPPER else Role.SHOPPER
