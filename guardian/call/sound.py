"""The way of a voice: passed on at once, and heard beside that. Hearing can never delay a voice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from guardian.call.account import VoiceAccount
from guardian.call.lane import Lane, log_not_loaded
from guardian.call.legs import Encoded, Sound, SpeechTap
from guardian.call.slots import Bounded, Closed, Latest
from guardian.core.config import WorkConfig
from guardian.core.notes import Lapse, Part
from guardian.core.ports import Ears, HearingNotes
from guardian.core.recording import Spoken
from guardian.core.violations import Role, ViolationChange

LOST = "packets were lost"
"""Why a span was not heard that never came in."""

_PASS_S = 0.2
"""How long a piece may wait to be passed on; more would be lasting delay."""
_PASS_PIECES = 100
_PIECES_PER_S = 400
"""The shortest pieces of Opus last 2.5 ms."""
_LAPSE_S = 0.1
"""Losses in a row that are long enough to hide a syllable."""
_AT_ONCE_S = 0.06
"""Sound that is worth a thread's while."""
_AT_ONCE_PIECES = 24
"""Ten seconds are enough to hear these in, also where they are long ones and hearing is behind."""
_PAUSE_S = 1.0
_LOAD_S = 60.0
_HEARING_NICENESS = 5
"""Pictures are in a hurry; a word may be recognised a moment later."""
_NOT_LOADED = "the recogniser could not be loaded"
_HEAR_S = 10.0


@dataclass(frozen=True, slots=True)
class Hearing:
    """How to get ears (slow, in the lane's thread), and where what they hear goes."""

    open: Callable[[Role], Ears]
    heard: Callable[[Role, HearingNotes], None]
    lapsed: Callable[[Role, float, float, str], None]
    """(role, t_start, t_end, reason) in media seconds of the call: passed on, and not heard."""
    missed: Callable[[Role, float, float], None]
    """(role, t_start, t_end): it never came."""
    now: Callable[[], float]
    """Media seconds of the call."""
    tap: Callable[[], SpeechTap]
    keep: Callable[[Role, Encoded, float], None] | None = None
    """Is given every piece with the media seconds at which it came in."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of sound and the media seconds at which it came in."""

    sound: Sound
    t: float


class VoiceWay:
    """One role's voice."""

    def __init__(self, role: Role, hearing: Hearing, config: WorkConfig) -> None:
        self.role = role
        self.account = VoiceAccount(role)
        self._hearing = hearing
        self._lane = Lane(f"hear-{role}", _HEARING_NICENESS)
        self._pass: Latest[_Piece] = Latest(_PASS_PIECES)
        self._queue_s = config.speech.queue_s
        self._queue: Bounded[_Piece] = Bounded(int(self._queue_s * _PIECES_PER_S))
        self._waiting_s = 0.0
        self._open = False
        self._why_behind = "the recogniser is starting"
        self.allowed = True
        """Whether this voice may be listened to."""
        self.muted = False
        """Whether this voice is kept from the other leg."""
        self.refused = 0
        """Pieces that were passed on and not heard: hearing was behind."""
        self.skipped = 0
        """Pieces that had become too old to be passed on; a leg that joins finds some."""

    @property
    def lane_age_s(self) -> float:
        """How long the ears have been at their present piece."""
        return self._lane.age_s

    def put(self, sound: Encoded) -> None:
        """A piece of encoded sound has come in, for the other leg and to be heard."""
        piece = _Piece(sound, self._hearing.now())
        if not self.muted:
            self._pass.put(piece)
        if self._hearing.keep is not None:
            self._hearing.keep(self.role, sound, piece.t)
        if not self.allowed:
            return
        self.account.sound_s += sound.seconds + sound.lost_s
        began = piece.t - sound.seconds
        if sound.lost_s:
            self.account.lost_s += sound.lost_s
            if sound.lost_s >= _LAPSE_S:
                self._hearing.missed(self.role, began - sound.lost_s, began)
        if self._waiting_s > self._queue_s or not self._queue.offer(piece):
            self.refused += 1
            self._hearing.lapsed(self.role, began, piece.t, self._why_behind)
        else:
            self._waiting_s += sound.seconds

    async def next_piece(self, timeout_s: float) -> Sound:
        """The next piece for the other leg. TimeoutError."""
        try:
            while True:
                piece = await self._pass.get(timeout_s)
                if self._hearing.now() - piece.t <= _PASS_S:
                    return piece.sound
                self.skipped += 1
        except Closed:
            await asyncio.sleep(timeout_s)  # Whoever asks again must not do so without end.
            raise TimeoutError from None

    async def run(self) -> None:
        """The hearing lane: listens until cancelled. If it dies the voice passes all the same."""
        try:
            ears = await self._lane.run(lambda: self._hearing.open(self.role), _LOAD_S)
            tap = self._hearing.tap()
        except Exception as error:  # noqa: BLE001 - whatever a loader raises: the voice passes, loudly unheard
            log_not_loaded(_NOT_LOADED, error)
            await self._deaf(_NOT_LOADED)
            return
        self._why_behind = "hearing is behind"
        while True:
            try:
                pieces = await self._next_pieces()
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
            if not await self._judge(partial(self._hear, ears, tap, pieces)):
                return

    async def _next_pieces(self) -> list[_Piece]:
        """What has come in, enough of it to be worth a thread's while. TimeoutError, Closed."""
        pieces = [await self._take(_PAUSE_S)]
        if self._waiting_s < _AT_ONCE_S:
            await asyncio.sleep(_AT_ONCE_S)
        while self._queue.statistics().waiting and len(pieces) < _AT_ONCE_PIECES:
            pieces.append(await self._take(_PAUSE_S))
        return pieces

    async def _take(self, timeout_s: float) -> _Piece:
        piece = await self._queue.get(timeout_s)
        self._waiting_s -= piece.sound.seconds
        return piece

    def _hear(self, ears: Ears, tap: SpeechTap, pieces: Sequence[_Piece]) -> HearingNotes:
        """All chunks of some pieces; in the lane's thread."""
        changes: list[ViolationChange] = []
        lapses: list[Lapse] = []
        said: list[Spoken] = []
        heard_s = 0.0
        for piece in pieces:
            if not self.allowed:
                break
            listened_s = 0.0
            try:
                for chunk in tap.chunks(piece.sound, piece.t):
                    notes = ears.hear(chunk)
                    changes.extend(notes.changes)
                    lapses.extend(notes.lapses)
                    said.extend(notes.said)
                    listened_s += notes.heard_s
            except Exception:  # noqa: BLE001 - what cannot be decoded, or ears that break their promise
                began = piece.t - piece.sound.seconds
                lapses.append(Lapse(Part.HEARING, self.role, began, piece.t, "hearing failed"))
            # Silence that stands for what was never sent is no sound that was heard.
            heard_s += min(listened_s, piece.sound.seconds)
        return HearingNotes(tuple(changes), tuple(lapses), heard_s, tuple(said))

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
        if notes.changes or notes.lapses or notes.said:
            self._hearing.heard(self.role, notes)
        return True

    async def _deaf(self, reason: str) -> None:
        """Counts everything that comes as a lapse until the call ends."""
        while True:
            began = self._hearing.now()
            try:
                await self._take(1.0)
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
