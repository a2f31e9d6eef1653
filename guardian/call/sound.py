"""The way of a voice: passed on at once, and heard beside that. Hearing can never delay a voice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from guardian.call.account import VoiceAccount
from guardian.call.lane import Lane
from guardian.call.legs import Opaque, Piece
from guardian.call.slots import Bounded, Closed, Latest
from guardian.core.config import WorkConfig
from guardian.core.notes import Lapse
from guardian.core.ports import Ears, HearingNotes
from guardian.core.violations import Role, ViolationChange

_PASS_SIZE = 10
"""Pieces of 20 ms that may wait to be passed on; more would be lasting delay."""
_PIECES_PER_S = 50
_PAUSE_S = 1.0
_LOAD_S = 60.0
_HEAR_S = 10.0


@dataclass(frozen=True, slots=True)
class Hearing:
    """How to get ears (slow, in the lane's thread), and where what they hear goes."""

    open: Callable[[Role], Ears]
    heard: Callable[[Role, HearingNotes], None]
    lapsed: Callable[[Role, float, float, str], None]
    """(role, t_start, t_end, reason) in media seconds of the call."""
    now: Callable[[], float]
    """Media seconds of the call."""


class VoiceWay:
    """One role's voice."""

    def __init__(self, role: Role, hearing: Hearing, config: WorkConfig) -> None:
        self.role = role
        self.account = VoiceAccount(role)
        self._hearing = hearing
        self._lane = Lane(f"hear-{role}")
        self._pass: Latest[Opaque] = Latest(_PASS_SIZE)
        self._queue: Bounded[Piece] = Bounded(int(config.speech.queue_s * _PIECES_PER_S))
        self._open = False
        self.allowed = True
        """Whether this voice may be listened to."""
        self.muted = False
        """Whether this voice is kept from the other leg."""

    @property
    def lane_age_s(self) -> float:
        """How long the ears have been at their present piece."""
        return self._lane.age_s

    def pass_on(self, frame: Opaque) -> None:
        """A piece of encoded sound has come in, for the other leg."""
        if not self.muted:
            self._pass.put(frame)

    def put(self, piece: Piece) -> None:
        """A piece of sound has come in, to be heard."""
        if not self.allowed:
            return
        self.account.sound_s += piece.seconds
        if not self._queue.offer(piece):
            now = self._hearing.now()
            self._hearing.lapsed(self.role, now - piece.seconds, now, "hearing is behind")

    async def next_piece(self, timeout_s: float) -> Opaque:
        """The next piece for the other leg. TimeoutError."""
        try:
            return await self._pass.get(timeout_s)
        except Closed:
            raise TimeoutError from None

    async def run(self) -> None:
        """The hearing lane: listens until cancelled. If it dies the voice passes all the same."""
        try:
            ears = await self._lane.run(lambda: self._hearing.open(self.role), _LOAD_S)
        except Exception:  # noqa: BLE001 - whatever a model loader raises: the voice passes, loudly unheard
            await self._deaf("the recogniser could not be loaded")
            return
        while True:
            try:
                piece = await self._queue.get(_PAUSE_S)
            except TimeoutError:
                # The sender sends nothing while it is quiet, so a pause settles what is open.
                if self._open and self.allowed and not await self._judge(ears.finish):
                    return
                self._open = False
                continue
            except Closed:
                return
            if not self.allowed:
                continue  # It was said before the consent was withdrawn, and waited.
            self._open = True
            if not await self._judge(partial(_hear, ears, piece)):
                return

    async def _judge(self, listen: Callable[[], HearingNotes]) -> bool:
        """Listens in the lane's thread; False when it will never answer again."""
        began = self._hearing.now()
        try:
            notes = await self._lane.run(listen, _HEAR_S)
        except Exception:  # noqa: BLE001 - ears promise not to raise; a stuck or broken one is a lapse
            self._hearing.lapsed(self.role, began, self._hearing.now(), "hearing failed")
            if self._lane.age_s:
                await self._deaf("the recogniser does not answer")
                return False
            return True
        if not self.allowed:
            return True  # The consent was withdrawn meanwhile.
        self.account.heard_s += notes.heard_s
        if notes.changes or notes.lapses:
            self._hearing.heard(self.role, notes)
        return True

    async def _deaf(self, reason: str) -> None:
        """Counts everything that comes as a lapse until the call ends."""
        while True:
            began = self._hearing.now()
            try:
                await self._queue.get(1.0)
            except TimeoutError:
                continue
            except Closed:
                return
            self._hearing.lapsed(self.role, began, self._hearing.now(), reason)

    def close(self) -> None:
        """No more sound."""
        self._pass.close()
        self._queue.close()
        self._lane.close()


def _hear(ears: Ears, piece: Piece) -> HearingNotes:
    """All chunks of one piece; in the lane's thread."""
    changes: list[ViolationChange] = []
    lapses: list[Lapse] = []
    heard_s = 0.0
    for chunk in piece.tap.chunks(piece.frame, piece.t):
        notes = ears.hear(chunk)
        changes.extend(notes.changes)
        lapses.extend(notes.lapses)
        heard_s += notes.heard_s
    return HearingNotes(tuple(changes), tuple(lapses), heard_s)
