"""What is kept of a call in memory, and when some of it becomes a clip.

Nothing is kept without the shopper's consent to it (`keep`), and what is kept is gone the moment that
consent is withdrawn. A violation or a complaint makes a clip of what was just before and comes just after;
several that come together make one. Writing it is done in a thread that stands back, with a deadline.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from guardian.call.lane import Lane
from guardian.call.legs import Encoded
from guardian.core.config import EvidenceConfig
from guardian.core.evidence import SealedClip
from guardian.core.evidence_ports import ClipCutter, EvidenceRing
from guardian.core.frames import SafeFrame, Showing
from guardian.core.recording import Cause, ClipOrder, KeptPiece, Recording, SentPicture, Spoken
from guardian.core.violations import Role, Status, ViolationChange

logger = logging.getLogger(__name__)

_NICENESS = 10
"""Nothing of a call waits for a clip."""
_TICK_S = 0.25
_LATE_S = 1.0
"""How long the last words of a clip may take to be recognised."""
KEY_EVERY_S = 4.5
"""Longest time between key frames of the protected picture while it is kept."""
_ASK_AFTER_S = 4.0
_ASK_EVERY_S = 1.0
_SHORTEST_S = 0.1
_WRITE_S = 30.0
_AT_END_S = 6.0
"""A call process that was told to end is killed after 8 s."""
_REMEMBERED = 200
_MOST_CAUSES = 100
"""What else causes the same clip is shown by it, and not named."""
_FULL = "more came than may be kept"
_LONGEST = "it is as long as a clip may be"
_ENDED = "the call ended"


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a call keeps evidence with. The root of the call process puts it together."""

    ring: EvidenceRing
    cutter: ClipCutter
    new_id: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Around:
    """What is asked of the call, and told to it. All on the event loop but `media_t`."""

    call_id: str
    media_t: Callable[[float], float]
    """Media seconds of the call at a monotonic second."""
    ask: Callable[[], None]
    """Asks for a key frame of the merchant's video."""
    lapses: Callable[[float, float], Sequence[Mapping[str, Any]]]
    """What was not seen or not heard within a span."""
    ready: Callable[[SealedClip], None]
    """A clip is whole and on the disk."""
    lost: Callable[[float, float, str], None]
    """There is no clip of a span, though there should be, and why."""


@dataclass(slots=True)
class _Open:
    """A clip that is waited for."""

    evidence_id: str
    t_start: float
    t_end: float
    causes: dict[str, Cause] = field(default_factory=dict)
    cut_short: str = ""


class _Stopped(Exception):
    """The consent was withdrawn while a clip was being written."""


class KeepWay:
    """Evidence of one call. All on the event loop but `sent`, which comes from encoder threads."""

    def __init__(self, keeping: Keeping, config: EvidenceConfig, around: Around) -> None:
        self._keeping = keeping
        self._ring = keeping.ring
        self._config = config
        self._around = around
        self._lane = Lane("evidence", _NICENESS)
        self._allowed = False
        self._withdrawals = 0
        self._open: list[_Open] = []
        self._clip_of: OrderedDict[str, str] = OrderedDict()
        self._sources = {role: (-1, 0) for role in Role}
        self._merchant = 0
        self._merchant_came = float("-inf")
        self._asked = float("-inf")
        self._idle = asyncio.Event()
        self._idle.set()
        self._at_work: tuple[_Open, ...] = ()
        """The clip that is being written."""
        self._written = self._lost = 0

    @property
    def allowed(self) -> bool:
        """Whether the shopper agrees to evidence being kept."""
        return self._allowed

    @allowed.setter
    def allowed(self, allowed: bool) -> None:
        if allowed == self._allowed:
            return
        self._allowed = allowed
        if allowed:
            self._ring.begin()
        else:
            self._withdrawals += 1
            self._open.clear()
            self._ring.end()

    # --- what comes ---------------------------------------------------------------------------

    @property
    def key_every_s(self) -> float:
        """Longest time between key frames of the protected picture; 0: none is wished for."""
        return KEY_EVERY_S if self._allowed else 0.0

    def sent(self, safe: SafeFrame, picture: SentPicture) -> None:
        """A protected picture was encoded for the merchant (from its encoder's thread)."""
        if self._allowed:
            # What stands for no picture of its own may have waited for somebody to come.
            shown = safe.arrived if safe.showing is Showing.COVERED else time.monotonic()
            t = self._around.media_t(shown)
            piece = KeptPiece(
                picture.codec, picture.data, t, t, picture.source, picture.key, showing=safe.showing
            )
            self._ring.picture(Role.SHOPPER, piece)

    def merchants(self, frame: Encoded) -> None:
        """A frame of the merchant's video has come in."""
        if not self._allowed:
            return
        self._merchant_came = time.monotonic()
        if frame.after_loss and not frame.key:
            self._ring.gap(Role.MERCHANT)
        came, clock = self._around.media_t(frame.arrived), frame.timestamp / frame.clock_rate
        self._ring.picture(
            Role.MERCHANT, KeptPiece(frame.codec, frame.data, came, clock, self._merchant, frame.key)
        )

    def another_merchant(self) -> None:
        """The merchant's video that comes from now on is of another connection."""
        self._merchant += 1
        self._ring.gap(Role.MERCHANT)

    def voice(self, role: Role, sound: Encoded, t: float) -> None:
        """A piece of a voice has come in, at media second `t`."""
        if not self._allowed:
            return
        stream, source = self._sources[role]
        if sound.stream != stream:
            source += 1
            self._sources[role] = (sound.stream, source)
        clock = sound.timestamp / sound.clock_rate + sound.seconds
        self._ring.sound(role, KeptPiece(sound.codec, sound.data, t, clock, source, seconds=sound.seconds))

    def said(self, spoken: Sequence[Spoken]) -> None:
        """Words were recognised."""
        if self._allowed:
            for one in spoken:
                self._ring.said(one)

    # --- what makes clips ---------------------------------------------------------------------

    def violation(self, change: ViolationChange) -> None:
        """A violation was told. One that is retracted before its clip is written has none."""
        if change.status is not Status.RETRACTED:
            self._want(Cause("violation", change.id, change.t_start, change.t_end))
            return
        for clip in self._open:
            clip.causes.pop(change.id, None)
        self._open = [clip for clip in self._open if clip.causes]
        self._hold()

    def complaint(self, event_id: str) -> str | None:
        """Somebody complains; the id of the clip to come, None where nothing is kept."""
        now = self._now()
        return self._want(Cause("complaint", event_id, now, now))

    def _want(self, cause: Cause) -> str | None:
        if not self._allowed:
            return None
        known = self._clip_of.get(cause.id)
        if known is not None and all(clip.evidence_id != known for clip in self._open):
            return known  # It is on the disk, or on its way there.
        config = self._config
        clip = self._fitting(cause)
        if clip is None:
            clip = _Open(self._keeping.new_id(), self._begins(cause), cause.t_end)
            self._open.append(clip)
        clip.t_start = self._begins_with(cause, clip)
        if cause.id in clip.causes or len(clip.causes) < _MOST_CAUSES:
            clip.causes[cause.id] = cause
        wanted, most = cause.t_end + config.after_s, clip.t_start + config.longest_s
        clip.t_end = max(clip.t_end, min(wanted, most))
        if wanted > most:
            clip.cut_short = _LONGEST
        self._remember(cause.id, clip.evidence_id)
        self._hold()
        return clip.evidence_id

    def _fitting(self, cause: Cause) -> _Open | None:
        """The clip that is waited for and that this belongs to."""
        for clip in self._open:
            if cause.id in clip.causes:
                return clip
        for clip in reversed(self._open):
            near = self._begins(cause) <= clip.t_end and cause.t_end + self._config.after_s >= clip.t_start
            begins = self._begins_with(cause, clip)
            if near and begins <= cause.t_start and cause.t_end <= begins + self._config.longest_s:
                return clip
        return None

    def _begins(self, cause: Cause) -> float:
        """Where a clip of it alone begins."""
        return max(0.0, cause.t_start - self._config.before_s)

    def _begins_with(self, cause: Cause, clip: _Open) -> float:
        """Where a clip begins if it is of this, too: what is told later may have begun sooner."""
        return max(min(clip.t_start, self._begins(cause)), clip.t_end - self._config.longest_s)

    def _remember(self, cause_id: str, evidence_id: str) -> None:
        self._clip_of[cause_id] = evidence_id
        while len(self._clip_of) > _REMEMBERED:
            self._clip_of.popitem(last=False)

    def _hold(self) -> None:
        self._ring.hold(min((clip.t_start for clip in self._open), default=None))

    # --- writing ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Forgets what is old and, beside that, writes what is due, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_often(self._refresh), name="evidence-ring")
            tasks.create_task(_often(self._write_due), name="evidence-clips")

    async def tick(self) -> None:
        """What is to be done now."""
        await self._refresh()
        await self._write_due()

    async def _refresh(self) -> None:
        now = self._now()
        self._ring.forget(now)
        self._ask(now)

    async def _write_due(self) -> None:
        for clip in self._due(self._now()):
            await self._write(clip, time.monotonic() + _WRITE_S)

    async def finish(self) -> None:
        """The call is over: what is waited for is written as far as it goes."""
        deadline = time.monotonic() + _AT_END_S
        try:
            async with asyncio.timeout(_AT_END_S):
                await self._idle.wait()
                while self._open:  # Somebody may complain while another one is written.
                    clip, now = self._open[0], self._now()
                    if clip.t_end > now:
                        clip.t_end, clip.cut_short = now, clip.cut_short or _ENDED
                    await self._write(clip, deadline)
        except TimeoutError:
            late, self._at_work = (*self._at_work, *self._open), ()
            for clip in late:
                self._lose(clip, "the call ended before it was written")
        except Exception:
            logger.exception("evidence could not be looked after")
        finally:
            self.allowed = False
            self._lane.close()

    def _ask(self, now: float) -> None:
        """Asks for a key frame of the merchant's video when its last is old."""
        moment = time.monotonic()
        comes = self._allowed and moment - self._merchant_came < _ASK_EVERY_S
        rested = moment - self._asked >= _ASK_EVERY_S
        if comes and rested and self._ring.needs_key(Role.MERCHANT, now - _ASK_AFTER_S):
            self._asked = moment
            self._around.ask()

    def _due(self, now: float) -> list[_Open]:
        return [clip for clip in self._open if now >= clip.t_end + _LATE_S]

    async def _write(self, clip: _Open, deadline: float) -> None:
        """Has a clip written; what comes of it is told even if nobody waits for it any longer."""
        if clip not in self._open:
            return  # Withdrawn or retracted while another one was written.
        if not self._idle.is_set():
            # The disk still has another one: what is cut now would wait in memory for who knows how long.
            self._open.remove(clip)
            self._hold()
            self._lose(clip, "the disk did not take the one before")
            return
        recording = self._ring.cut(clip.t_start, clip.t_end)
        if self._ring.full:
            clip.cut_short = clip.cut_short or _FULL
        self._open.remove(clip)
        self._hold()
        if recording.t_end - recording.t_start < _SHORTEST_S:
            return  # Nothing has come that could be kept.
        lapses = tuple(self._around.lapses(recording.t_start, recording.t_end))
        causes = tuple(clip.causes.values())
        order = ClipOrder(clip.evidence_id, self._around.call_id, causes, clip.cut_short, lapses)
        job = self._job(order, recording, deadline)
        self._idle.clear()
        self._at_work = (clip,)
        try:
            await self._lane.run(job, max(0.1, deadline - time.monotonic()) + _LATE_S)
        except TimeoutError:
            logger.error("the disk does not take a clip; evidence waits for it")

    def _job(self, order: ClipOrder, recording: Recording, deadline: float) -> Callable[[], None]:
        withdrawals = self._withdrawals
        loop = asyncio.get_running_loop()

        def go_on() -> None:
            if self._withdrawals != withdrawals:
                raise _Stopped
            if time.monotonic() > deadline:
                raise TimeoutError

        def job() -> None:
            clip: SealedClip | None = None
            failure: Exception | None = None
            try:
                clip = self._keeping.cutter.cut(order, recording, go_on)
            except Exception as error:  # noqa: BLE001 - a full disk, or what libraries raise: told, and no clip
                failure = error
            try:
                loop.call_soon_threadsafe(self._done, clip, failure)
            except RuntimeError:
                logger.debug("a clip outlived its call")

        return job

    def _done(self, clip: SealedClip | None, failure: Exception | None) -> None:
        self._idle.set()
        at_work, self._at_work = self._at_work, ()
        if clip is not None:
            self._written += 1
            self._around.ready(clip)
        elif not isinstance(failure, _Stopped):
            logger.error("a clip could not be written", extra={"error": type(failure).__name__})
            for lost in at_work:
                self._lose(lost, "it could not be written")

    def _lose(self, clip: _Open, why: str) -> None:
        self._lost += 1
        logger.error("a clip was lost", extra={"why": why})
        self._around.lost(clip.t_start, clip.t_end, why)

    def _now(self) -> float:
        return self._around.media_t(time.monotonic())

    def status(self) -> dict[str, int]:
        """Bytes kept, clips waited for, written and lost, and pieces there was no room for."""
        return {
            "bytes": self._ring.bytes,
            "waiting": len(self._open),
            "written": self._written,
            "lost": self._lost,
            "refused": self._ring.refused,
        }


async def _often(do: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(_TICK_S)
        try:
            await do()
        except Exception:
            # Whatever goes wrong with evidence, the call and its protection go on.
            logger.exception("evidence could not be looked after")
