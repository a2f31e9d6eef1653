"""Protocols between the rings. A part implements one of them; a root puts them together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from guardian.core.calls import Answer, CallSpec, Scope
from guardian.core.delivery import Due
from guardian.core.frames import AudioChunk, Mode, Planes, RawFrame, SafeFrame
from guardian.core.geometry import Box
from guardian.core.ladder import Ease
from guardian.core.notes import Face, FrameNotes, Hand, Lapse, Print, PrintKind, Seen, Unknown
from guardian.core.protection import CurtainReason
from guardian.core.recording import Spoken
from guardian.core.sfu import Place
from guardian.core.shown import Sighting
from guardian.core.tokens import Hypothesis
from guardian.core.violations import Role, ViolationChange


class Clock(Protocol):
    """Monotonic seconds."""

    def __call__(self) -> float: ...


class FaceFinder(Protocol):
    """Finds faces in one picture.

    looks: how often it looked at the last one. everywhere: whether that was the first of a new scene of
    which all has been looked at. revisit: pictures of its size until it has looked everywhere again, at most
    `guardian.core.tracks.REVISIT_FRAMES`. whole_share: area of the copy every picture is looked at on, as a
    share of the usual one. pace: how many times sooner, counted in pictures, closer looks are due, as fewer
    pictures come in a second. beside: whether much else is done in the coming picture, so that a closer look
    in it makes no other picture late. expected: where faces of before should be in it.
    """

    name: str
    whole_share: float
    pace: int
    beside: bool
    expected: tuple[Box, ...]

    @property
    def looks(self) -> int: ...

    @property
    def everywhere(self) -> bool: ...

    @property
    def revisit(self) -> int: ...

    def restart(self) -> None:
        """What was seen so far says nothing of the next picture: it is looked at everywhere."""
        ...

    def find(self, planes: Planes) -> Seen[tuple[Face, ...]] | Unknown:
        """Faces in pixels of `planes`. Called from one thread; may raise anything."""
        ...


class PersonFinder(Protocol):
    """Finds people in one picture."""

    name: str

    def find(self, planes: Planes) -> Seen[npt.NDArray[np.float32]] | Unknown:
        """Probability (0..1) of a person, float32 (h', w') of any small size, whole picture."""
        ...


class HandFinder(Protocol):
    """Finds hands in one picture."""

    name: str

    def find(self, planes: Planes) -> Seen[tuple[Hand, ...]] | Unknown:
        """Hands in pixels of `planes`. Called from one thread; may raise anything."""
        ...


class PrintFinder(Protocol):
    """Finds what is printed or shown on things in one picture."""

    name: str

    def find(self, planes: Planes, kind: PrintKind) -> Seen[tuple[Print, ...]] | Unknown:
        """Prints of one kind, in pixels of `planes`. One call at a time, from any thread; may raise."""
        ...


class ContactFinder(Protocol):
    """Finds contacts in the pictures of one leg, one after the other."""

    name: str

    def find(self, planes: Planes, kind: PrintKind) -> Iterator[tuple[Sighting, ...] | None]:
        """The contacts of one picture, benign ones too, in steps of a few dozen milliseconds.

        None while there is more to do, then all that was found. One thread at a time; may raise.
        """
        ...


class Recogniser(Protocol):
    """Turns one speaker's sound into timed tokens. Not shared between speakers or threads."""

    name: str
    language: str

    def hear(self, chunk: AudioChunk) -> Hypothesis | None:
        """Takes 10-200 ms of sound; answers when the hypothesis changed, else None."""
        ...

    def finish(self) -> Hypothesis | None:
        """Ends the current utterance: the final hypothesis, or None if nothing was said.

        The recogniser can go on hearing afterwards; times go on too.
        """
        ...


class Protector(Protocol):
    """Hides what must be hidden in one shopper's pictures. `guardian.vision.chain.VideoChain`.

    mode, ease: what may be shown and what is done less, from the next frame on. From any thread.
    """

    mode: Mode
    ease: Ease

    def protect(self, raw: RawFrame) -> tuple[SafeFrame, FrameNotes]:
        """Never raises, never shows what the mode hides. Called from one thread."""
        ...

    def held(self, t: float, arrived: float) -> SafeFrame | None:
        """The last covered picture once more, or None when it is too old. From any thread."""
        ...

    def distrust(self, reason: str) -> None:
        """Trust has to be earned again from the next frame on. From any thread."""
        ...

    def hide(self, raw: RawFrame, kind: PrintKind, places: tuple[Print, ...]) -> None:
        """What else is not to be seen: all that was found of one kind in a frame. From any thread."""
        ...


class CurtainMaker(Protocol):
    """Makes whole-frame covers that hold nothing of any picture. From any thread."""

    def __call__(
        self, size: tuple[int, int], t: float, arrived: float, reason: CurtainReason
    ) -> SafeFrame: ...


@dataclass(frozen=True, slots=True)
class HearingNotes:
    """What came of one chunk of sound."""

    changes: tuple[ViolationChange, ...] = ()
    lapses: tuple[Lapse, ...] = ()
    heard_s: float = 0.0
    """Seconds of sound that were judged (silence counts: it was listened to)."""
    said: tuple[Spoken, ...] = ()
    """What engines hold to have been said, each time that changes."""


class Ears(Protocol):
    """Listens to one speaker. `guardian.speech.chain.HearingChain`."""

    def hear(self, chunk: AudioChunk) -> HearingNotes:
        """Never raises. Called from one thread, chunks in order of time."""
        ...

    def finish(self) -> HearingNotes:
        """The sound has ended: settles what is open."""
        ...


class Sink(Protocol):
    """Takes finished events away. `deliver` returns when the other side has them, else raises."""

    name: str
    timeout_s: float

    async def deliver(self, event: Due) -> None: ...

    async def close(self) -> None:
        """Ends connections."""
        ...


class CallHost(Protocol):
    """Runs calls. Raises the errors of `guardian.core.errors` only."""

    def reserve(self, call_id: str) -> None:
        """Takes a slot for a call that is to be opened, at once. HostFull."""
        ...

    def release(self, call_id: str) -> None:
        """Gives back the slot of a call that was not opened; idempotent."""
        ...

    async def open(self, spec: CallSpec, rules: str = "", lease_until: float | None = None) -> None:
        """Admits a call. rules: a packed `RuleBook`; empty: the call process reads those configured.

        lease_until: seconds of `guardian.core.lease.lease_clock` until which it may send anything; None:
        always. HostFull, CallExists, CallFailed.
        """
        ...

    async def offer(self, call_id: str, role: Role, sdp: str) -> Answer:
        """Connects a leg. NoSuchCall, OfferRefused, CallFailed."""
        ...

    async def connect(self, call_id: str, role: Role, place: Place) -> None:
        """Meets a participant at an SFU. NoSuchCall, SfuRefused, CallFailed."""
        ...

    async def trickle(self, call_id: str, session_id: str, fragment: str) -> None:
        """Adds remote ICE candidates (trickle-ice-sdpfrag). NoSuchCall, OfferRefused."""
        ...

    async def hang_up(self, call_id: str, session_id: str | None, reason: str) -> None:
        """Ends one leg session, or the whole call when None. Idempotent."""
        ...

    async def set_mode(self, call_id: str, mode: Mode) -> None:
        """Changes the mode from the next frame on. NoSuchCall."""
        ...

    async def set_scopes(self, call_id: str, scopes: Sequence[Scope]) -> None:
        """Changes the consent from now on. NoSuchCall."""
        ...

    async def keep(self, call_id: str, event_id: str) -> str | None:
        """Makes a clip for a complaint; its id, None where no evidence is kept. NoSuchCall, CallFailed."""
        ...

    async def use_rules(self, call_id: str, rules: str) -> None:
        """Changes what voices are judged by, to a packed `RuleBook`. NoSuchCall, CallFailed."""
        ...

    def status(self, call_id: str) -> Mapping[str, Any]:
        """State, coverage, lapses, latency. NoSuchCall."""
        ...

    def capacity(self) -> tuple[int, int]:
        """(slots taken, slots in all)."""
        ...

    def extend(self, until: float) -> None:
        """Calls may send until then. until: seconds of `guardian.core.lease.lease_clock`."""
        ...

    def forget(self, call_id: str) -> None:
        """What is known of a call that has ended goes: it can be opened again."""
        ...

    async def abandon(self) -> None:
        """Ends every call at once and tells nobody: others have told that they failed."""
        ...

    def expect(self, rules: str) -> None:
        """What the next calls will probably be judged by, a packed `RuleBook`: it may be read ahead."""
        ...

    def trouble(self) -> str | None:
        """Why no call can be opened though there are slots, in a sentence; None when calls can be."""
        ...
