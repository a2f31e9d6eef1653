"""A call: one task group that ends with it, two legs that come and go, and what they tell.

The call is open from `run` until it is ended by request, by its limits or by a failure.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from guardian.call.account import coverage
from guardian.call.legs import Leg, LegMaker, Piece, Sources
from guardian.call.picture import Eyes, PictureWay
from guardian.call.slots import Closed, Latest
from guardian.call.sound import Hearing, VoiceWay
from guardian.core.calls import Answer, CallEvent, CallEventType, CallSpec, Scope
from guardian.core.config import WorkConfig
from guardian.core.errors import CallFailed, NoSuchCall
from guardian.core.frames import Mode, State
from guardian.core.ports import Ears, HearingNotes
from guardian.core.violations import Role, Status, ViolationChange

logger = logging.getLogger(__name__)

_WAIT_S = 1.0
_COVERAGE_EVERY_S = 60.0
_KEPT_VIOLATIONS = 200
_CHANGE_TYPES = {
    Status.DETECTED: CallEventType.VIOLATION_DETECTED,
    Status.CONFIRMED: CallEventType.VIOLATION_UPDATED,
    Status.RETRACTED: CallEventType.VIOLATION_RETRACTED,
}


class Ended(Exception):
    """The call is over; the argument says why."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What a call is made with. The root of the call process puts it together."""

    legs: LegMaker
    eyes: Eyes
    ears: Callable[[Role], Ears]
    engines: Callable[[], Mapping[str, Any]]
    """Names of models and engines in use, for the status."""
    tell: Callable[[CallEvent], None]


@dataclass(slots=True)
class _Seat:
    """One role's place in the call."""

    leg: Leg | None = None
    task: asyncio.Task[None] | None = None
    joined: bool = False


class CallSession:
    """One call in this process."""

    def __init__(self, spec: CallSpec, config: WorkConfig, workshop: Workshop) -> None:
        self.spec = spec
        self._config = config
        self._workshop = workshop
        self._began = time.monotonic()
        self._began_at = datetime.now(UTC)
        self._connected_since: float | None = None
        self._empty_since = self._began
        self._seats = {role: _Seat() for role in Role}
        self._end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._tasks: asyncio.TaskGroup | None = None
        self._violations: dict[str, ViolationChange] = {}
        self._told_state = State.WARMING
        self.picture = PictureWay(workshop.eyes, config, spec.mode)
        hearing = Hearing(
            open=workshop.ears,
            heard=self._heard,
            lapsed=self._lapsed,
            now=self.media_t,
        )
        self.voices = {role: VoiceWay(role, hearing, config) for role in Role}
        self._relay: Latest[Any] = Latest()
        self._apply_scopes(spec.scopes)

    def media_t(self) -> float:
        """Seconds since the call began."""
        return time.monotonic() - self._began

    # --- what the server asks for -------------------------------------------------------------

    async def offer(self, role: Role, sdp: str) -> Answer:
        """Connects a leg; an earlier one of the same role is closed. OfferRefused, CallFailed."""
        if self._tasks is None or self._end.done():
            raise CallFailed("The call is over.")
        leg = self._workshop.legs.open(role, self._sources())
        try:
            answer = await leg.answer(sdp)
        except BaseException:
            await leg.close()
            raise
        seat = self._seats[role]
        before = seat.task
        seat.leg = leg
        if role is Role.SHOPPER:
            self.picture.distrust("a new camera")
        seat.task = self._tasks.create_task(self._attend(role, leg), name=f"leg-{role}")
        if before is not None:
            before.cancel()
        return Answer(leg.session_id, answer)

    async def trickle(self, session_id: str, fragment: str) -> None:
        """Adds remote candidates. NoSuchCall, OfferRefused."""
        await self._leg(session_id).add_candidates(fragment)

    def hang_up(self, session_id: str | None, reason: str) -> None:
        """Ends one leg, or the call when None. Idempotent."""
        if session_id is None:
            self.end(reason)
            return
        for seat in self._seats.values():
            if seat.leg is not None and seat.leg.session_id == session_id:
                seat.leg.closed.set()

    def set_mode(self, mode: Mode) -> None:
        """Changes what may be shown from the next frame on."""
        self.picture.mode = mode

    def set_scopes(self, scopes: Sequence[Scope]) -> None:
        """Changes the consent from now on."""
        self._apply_scopes(frozenset(scopes))

    def end(self, reason: str) -> None:
        """Ends the call."""
        if not self._end.done():
            self._end.set_result(reason)

    def _apply_scopes(self, scopes: frozenset[Scope]) -> None:
        self.picture.allowed = Scope.PROTECT in scopes
        for voice in self.voices.values():
            voice.allowed = Scope.HEAR in scopes
            voice.account.consented = voice.allowed

    def _leg(self, session_id: str) -> Leg:
        for seat in self._seats.values():
            if seat.leg is not None and seat.leg.session_id == session_id:
                return seat.leg
        raise NoSuchCall("This leg is not connected (any more).")

    def _sources(self) -> Sources:
        return Sources(
            safe=self.picture.next_safe,
            sent=self.picture.account.sent,
            relayed=self._next_relayed,
            voices={role: voice.next_piece for role, voice in self.voices.items()},
        )

    async def _next_relayed(self, timeout_s: float) -> Any:
        try:
            return await self._relay.get(timeout_s)
        except Closed:
            raise TimeoutError from None

    # --- the call -----------------------------------------------------------------------------

    async def run(self) -> str:
        """Lives until the call ends; returns why. Everything of the call is gone afterwards."""
        reason = "failed"
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self.picture.run(), name="video-lane")
                for voice in self.voices.values():
                    tasks.create_task(voice.run(), name=f"hear-{voice.role}")
                tasks.create_task(self._watch(), name="watch")
                tasks.create_task(self._until_end(), name="end")
        except* Ended as group:
            reason = str(group.exceptions[0])
        finally:
            self._tasks = None
            self._close()
            self._tell(CallEventType.CALL_COVERAGE, self._coverage())
            self._tell(CallEventType.CALL_LEFT, {"role": None, "reason": reason})
        return reason

    def _close(self) -> None:
        self._relay.close()
        self.picture.close()
        for voice in self.voices.values():
            voice.close()

    async def _until_end(self) -> None:
        async with asyncio.timeout(self._config.limits.max_call_s + 60):
            raise Ended(await self._end)

    async def _watch(self) -> None:
        """Limits, the state of protection and the regular coverage event."""
        limits = self._config.limits
        covered_at = self._began
        while True:
            await asyncio.sleep(0.25)
            now = time.monotonic()
            self._note_state()
            if any(seat.leg is not None for seat in self._seats.values()):
                self._empty_since = now
            if now - self._began > limits.max_call_s:
                self.end("the longest time a call may take is over")
            elif now - self._empty_since > limits.idle_s:
                self.end("nobody was connected")
            if now - covered_at > _COVERAGE_EVERY_S:
                covered_at = now
                self._tell(CallEventType.CALL_COVERAGE, self._coverage())

    def _note_state(self) -> None:
        account = self.picture.account
        t = self.media_t()
        doubtful = account.state in (State.DEGRADED, State.FAILED)
        if doubtful:
            account.lapses.add(t - 0.25, t, account.reason)
        if account.state is not self._told_state:
            self._told_state = account.state
            if doubtful:
                data = {"state": account.state, "reason": account.reason, "showing": account.showing}
                self._tell(CallEventType.PRIVACY_DEGRADED, {k: str(v) for k, v in data.items()})

    # --- legs ---------------------------------------------------------------------------------

    async def _attend(self, role: Role, leg: Leg) -> None:
        """Drains one leg until it ends, then closes it."""
        reason = "the call ended"
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._stay(role, leg))
                if leg.receives("audio"):
                    tasks.create_task(self._drain_sound(role, leg))
                if leg.receives("video"):
                    tasks.create_task(self._drain_video(role, leg))
        except* Ended as group:
            reason = str(group.exceptions[0])
        except* Exception:
            # A leg that cannot be read ends; the call, and what protects the other leg, goes on.
            reason = "the connection failed"
            logger.exception("a leg failed", extra={"role": str(role)})
        finally:
            await self._unseat(role, leg, reason)

    async def _unseat(self, role: Role, leg: Leg, reason: str) -> None:
        seat = self._seats[role]
        if seat.leg is leg:
            seat.leg, seat.task = None, None
            if seat.joined:
                seat.joined = False
                self._tell(CallEventType.CALL_LEFT, {"role": role, "reason": reason})
        await leg.close()

    async def _stay(self, role: Role, leg: Leg) -> None:
        """Waits for the connection, then for its end."""
        try:
            async with asyncio.timeout(self._config.media.connect_s):
                await leg.connected.wait()
        except TimeoutError:
            raise Ended("the connection could not be made in time") from None
        seat = self._seats[role]
        if seat.leg is leg and not seat.joined:
            seat.joined = True
            self._connected_since = self._connected_since or time.monotonic()
            self._tell(CallEventType.CALL_JOINED, {"role": role})
        async with asyncio.timeout(self._config.limits.max_call_s + 60):
            await leg.closed.wait()
        raise Ended("hung up")

    async def _drain_video(self, role: Role, leg: Leg) -> None:
        """Takes pictures at once, so that none wait in the media library."""
        while True:
            try:
                if role is Role.SHOPPER:
                    self.picture.put(await leg.next_picture(_WAIT_S))
                else:
                    self._relay.put(await leg.next_relayed(_WAIT_S))
            except TimeoutError:
                continue
            except self._workshop.legs.ended:
                return

    async def _drain_sound(self, role: Role, leg: Leg) -> None:
        voice = self.voices[role]
        tap = None
        while True:
            try:
                frame = await leg.next_sound(_WAIT_S)
            except TimeoutError:
                continue
            except self._workshop.legs.ended:
                return
            seconds = frame.samples / frame.sample_rate
            tap = tap or self._workshop.legs.tap(self.media_t() - seconds)
            voice.put(Piece(tap, frame, frame.time or 0.0, seconds))

    # --- what the call tells ------------------------------------------------------------------

    def _tell(self, kind: CallEventType, data: Mapping[str, Any], media_t: float | None = None) -> None:
        t = self.media_t() if media_t is None else media_t
        at = (self._began_at + timedelta(seconds=t)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._workshop.tell(CallEvent(self.spec.call_id, kind, at, round(t, 3), data))

    def _heard(self, role: Role, notes: HearingNotes) -> None:
        for lapse in notes.lapses:
            self._lapsed(role, lapse.t_start, lapse.t_end, lapse.reason)
        for change in notes.changes:
            kind = _CHANGE_TYPES[change.status]
            if change.id not in self._violations and change.status is Status.CONFIRMED:
                kind = CallEventType.VIOLATION_DETECTED
            self._violations[change.id] = change
            while len(self._violations) > _KEPT_VIOLATIONS:
                del self._violations[next(iter(self._violations))]
            lag_ms = max(0.0, self.media_t() - change.t_end) * 1000
            self._tell(
                kind,
                {
                    "violation": change.as_dict(),
                    "words": [asdict(word) for word in change.words],
                    "video": self.picture.account.budget(),
                    "latency": {"speech_end_to_detect_ms": round(lag_ms)},
                    "asr_model": self._workshop.engines().get(f"speech-{change.language}", change.language),
                },
                change.t_start,
            )

    def _lapsed(self, role: Role, t_start: float, t_end: float, reason: str) -> None:
        on_deaf = self._config.speech.on_deaf
        if not self.voices[role].account.lapses.add(t_start, t_end, reason) or on_deaf == "pass":
            return
        data = {"role": role, "t_start": round(t_start, 2), "t_end": round(t_end, 2)}
        self._tell(CallEventType.HEARING_LAPSED, {**data, "reason": reason, "on_deaf": on_deaf})
        if on_deaf == "mute":
            self.voices[role].muted = True
        elif on_deaf == "end":
            self.end("a voice could not be heard")

    def _coverage(self) -> dict[str, Any]:
        seconds = 0.0 if self._connected_since is None else time.monotonic() - self._connected_since
        accounts = {role: voice.account for role, voice in self.voices.items()}
        return {
            **coverage(seconds, self.picture.account, accounts),
            "video": self.picture.account.budget(),
        }

    def status(self) -> dict[str, Any]:
        """Everything `GET /v1/calls/{id}` shows, and `histograms` for metrics, JSON-ready. No spoken text."""
        account = self.picture.account
        snapshot = account.snapshot()
        now = time.monotonic()
        return {
            "mode": str(self.picture.mode),
            "protection": {
                "state": str(account.state),
                "showing": str(account.showing),
                "reason": account.reason,
                "states": snapshot["states"],
            },
            "legs": {
                str(role): {
                    "connected": seat.joined,
                    "session": seat.leg.session_id if seat.leg is not None else None,
                }
                for role, seat in self._seats.items()
            },
            "media_t": round(now - self._began, 2),
            "coverage": self._coverage(),
            "frames": {**snapshot["frames"], "replaced": self.picture.replaced},
            "latency": snapshot["latency"],
            "histograms": snapshot["histograms"],
            "violations": [
                {
                    "id": change.id,
                    "status": str(change.status),
                    "rule": change.rule,
                    "category": change.category,
                    "level": str(change.level),
                    "speaker": str(change.speaker),
                    "t_start": change.t_start,
                    "t_end": change.t_end,
                }
                for change in self._violations.values()
            ],
            "engines": dict(self._workshop.engines()),
        }
