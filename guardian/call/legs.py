"""What a call needs of a leg. `guardian.rtc.peer.Peer` is one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from guardian.core.evidence_ports import PictureKeeper
from guardian.core.frames import AudioChunk, RawFrame, SafeFrame
from guardian.core.sfu import Place
from guardian.core.violations import Role

Opaque = Any
"""Media of the library, encoded or decoded: passed on, never looked into."""


class Leg(Protocol):
    """One participant's connection."""

    session_id: str
    connected: asyncio.Event
    closed: asyncio.Event

    def receives(self, kind: str) -> bool: ...

    async def answer(self, sdp: str) -> str: ...

    async def add_candidates(self, fragment: str) -> None: ...

    def pass_on(self, kind: str, sink: Callable[[Opaque], None]) -> None:
        """Gives encoded media to `sink`. ValueError where these may not leave the leg encoded."""
        ...

    def request_key_frame(self) -> None: ...

    def limit_bitrate(self, bits_per_s: int) -> None: ...

    async def next_picture(self, timeout_s: float) -> RawFrame: ...

    def network(self) -> dict[str, int]: ...

    async def close(self) -> None: ...


class Sound(Protocol):
    """A piece of encoded sound, as it came in."""

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        ...

    @property
    def lost_s(self) -> float:
        """Seconds of sound just before it that never came."""
        ...


class Encoded(Sound, Protocol):
    """An encoded picture or piece of sound, as it came in: as far as it is kept as evidence."""

    @property
    def codec(self) -> str:
        """`VP8`, `H264` or `opus`."""
        ...

    @property
    def data(self) -> bytes: ...

    @property
    def timestamp(self) -> int:
        """Ticks of `clock_rate`."""
        ...

    @property
    def clock_rate(self) -> int: ...

    @property
    def key(self) -> bool:
        """Whether it needs no other."""
        ...

    @property
    def after_loss(self) -> bool:
        """Whether something before it was given up."""
        ...

    @property
    def arrived(self) -> float:
        """Monotonic seconds."""
        ...

    @property
    def stream(self) -> int:
        """Differs where timestamps have nothing to do with those before."""
        ...


class SpeechTap(Protocol):
    """Turns a voice into chunks to be heard. t: media seconds at which the piece had come in."""

    def chunks(self, sound: Opaque, t: float) -> Iterator[AudioChunk]: ...


class PictureTap(Protocol):
    """Turns encoded video into pictures, beside its way. One thread at a time."""

    def decode(self, frames: Sequence[Opaque]) -> RawFrame | None:
        """Takes the next frames, in order; the last picture among them that is whole, if any."""
        ...

    @property
    def needs_key(self) -> bool:
        """Whether nothing can be decoded before a key frame has come."""
        ...


class Relay(Protocol):
    """Encoded video of one leg on its way to the other."""

    also: Sequence[Callable[[Opaque], None]]
    """Are given every frame that comes."""

    def put(self, frame: Opaque) -> None: ...

    def restart(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Where outgoing media come from, and who is told what the receiver asks for."""

    safe: Callable[[], Awaitable[SafeFrame]]
    """The shopper's picture for the merchant; always has something safe to show."""
    sent: Callable[[SafeFrame, float, float], None]
    relay: Relay
    """The merchant's video for the shopper."""
    limit: Callable[[int], None]
    """Told how many bits per second of the merchant's video the shopper can take."""
    voices: dict[Role, Callable[[float], Awaitable[Opaque]]]
    """The voice of a role, for the other one."""
    keeper: PictureKeeper | None = None
    """Who keeps the shopper's pictures as the merchant gets them."""


@dataclass(frozen=True, slots=True)
class LegMaker:
    """The media library, as the call sees it."""

    open: Callable[[Role, Sources], Leg]
    tap: Callable[[], SpeechTap]
    meet: Callable[[Role, Sources, Place, Callable[[Leg], None], Callable[[], None]], Awaitable[None]]
    """Meets a participant at an SFU until cancelled: (role, sources, place, expect a leg, first time there).
    SfuRefused when it cannot get there the first time."""
    relay: Callable[[Callable[[], None]], Relay]
    """Makes a relay; the argument is called when it needs a key frame."""
    ended: type[Exception]
    """What `next_picture` raises when nothing more will come."""
    picture_tap: Callable[[], PictureTap]
