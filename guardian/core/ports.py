"""Protocols between the rings. A part implements one of them; a root puts them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from guardian.core.calls import Answer, CallEvent, CallSpec, Scope
from guardian.core.frames import AudioChunk, Mode, Planes
from guardian.core.notes import Face, Seen, Unknown
from guardian.core.tokens import Hypothesis
from guardian.core.violations import Role


class Clock(Protocol):
    """Monotonic seconds."""

    def __call__(self) -> float: ...


class FaceFinder(Protocol):
    """Finds faces in one picture."""

    name: str

    def find(self, planes: Planes) -> Seen[tuple[Face, ...]] | Unknown:
        """Faces in pixels of `planes`. Called from one thread; may raise anything."""
        ...


class PersonFinder(Protocol):
    """Finds people in one picture."""

    name: str

    def find(self, planes: Planes) -> Seen[npt.NDArray[np.float32]] | Unknown:
        """Probability (0..1) of a person, float32 (h', w') of any small size, whole picture."""
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


class Sink(Protocol):
    """Takes finished events away. `deliver` returns when the other side has them, else raises."""

    name: str
    timeout_s: float

    async def deliver(self, event_id: str, body: bytes) -> None: ...


class EventDesk(Protocol):
    """Where events of calls go: enveloped, stored and queued for every sink in one step."""

    def publish(self, spec: CallSpec, event: CallEvent) -> None:
        """Accepts the event for good. Short and synchronous; raises when it cannot be kept."""
        ...


class CallHost(Protocol):
    """Runs calls. Raises the errors of `guardian.core.errors` only."""

    async def open(self, spec: CallSpec) -> None:
        """Admits a call. HostFull, CallExists, CallFailed."""
        ...

    async def offer(self, call_id: str, role: Role, sdp: str) -> Answer:
        """Connects a leg. NoSuchCall, OfferRefused, CallFailed."""
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

    def status(self, call_id: str) -> Mapping[str, Any]:
        """State, coverage, lapses, latency. NoSuchCall."""
        ...

    def capacity(self) -> tuple[int, int]:
        """(slots taken, slots in all)."""
        ...
