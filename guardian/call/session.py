"""A call: one task group that ends with it, two legs that come and go, and what they tell.

The call is open from `run` until it is ended by request, by its limits or by a failure.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from guardian.call.account import coverage
from guardian.call.keeping import Around, Keeping, KeepWay
from guardian.call.legs import LegMaker
from guardian.call.picture import Eyes, PictureWay
from guardian.call.seats import Ended, Seats, Ways
from guardian.call.sound import LOST, Hearing, VoiceWay
from guardian.call.tally import Tally, lapses_by_part
from guardian.call.violations import ViolationBook
from guardian.call.watching import Watching, WatchWay
from guardian.core.calls import Answer, CallEvent, CallEventType, CallSpec, Scope
from guardian.core.config import WorkConfig
from guardian.core.evidence import SealedClip
from guardian.core.frames import Mode, State
from guardian.core.lapses import LapseBook
from guardian.core.notes import Lapse, Part
from guardian.core.ports import ContactFinder, Ears, HearingNotes
from guardian.core.sfu import Place
from guardian.core.violations import Role, ViolationChange

_COVERAGE_EVERY_S = 60.0
_TICK_S = 0.25


@dataclass(frozen=True, slots=True)
class Workshop:
    """What a call is made with. The root of the call process puts it together."""

    legs: LegMaker
    eyes: Eyes
    ears: Callable[[Role], Ears]
    engines: Callable[[], Mapping[str, Any]]
    """Names of models and engines in use, for the status."""
    tell: Callable[[CallEvent], None]
    rules: Callable[[], Mapping[str, Any]] = dict
    """Which rules are in force and how often those in shadow matched, for the status and for coverage."""
    contacts: Callable[[Role], ContactFinder] | None = None
    """Finds contacts that a role shows; None: nobody looks."""
    keeping: Keeping | None = None
    """Keeps evidence; None: there is none."""


class CallSession:
    """One call in this process."""

    def __init__(self, spec: CallSpec, config: WorkConfig, workshop: Workshop) -> None:
        self.spec = spec
        self._config = config
        self._workshop = workshop
        self._began = time.monotonic()
        self._began_at = datetime.now(UTC)
        self._empty_since = self._began
        self._end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._told_state = State.WARMING
        self._tally = Tally()
        self.picture = PictureWay(workshop.eyes, config, spec.mode)
        self.violations = ViolationBook(self._tell, self.picture.account.budget)
        self.keep = self._keep_way(workshop.keeping)
        self.unkept = LapseBook(Part.EVIDENCE, Role.SHOPPER)
        """Spans of which there should be a clip, and is none."""
        hearing = Hearing(
            open=workshop.ears,
            heard=self._heard,
            lapsed=self._lapsed,
            missed=self._missed,
            now=self.media_t,
            tap=workshop.legs.tap,
            keep=self.keep.voice if self.keep is not None else None,
        )
        self.voices = {role: VoiceWay(role, hearing, config) for role in Role}
        self.watches = self._watches(workshop.contacts)
        ways = Ways(self.picture, self.voices, self.watches, self.keep)
        self.seats = Seats(config, workshop.legs, ways, self._tell)
        self._apply_scopes(spec.scopes)

    def _keep_way(self, keeping: Keeping | None) -> KeepWay | None:
        """Evidence, where it can be kept."""
        if keeping is None:
            return None
        around = Around(
            call_id=self.spec.call_id,
            media_t=lambda monotonic: monotonic - self._began,
            ask=lambda: self.seats.ask_merchant(),
            lapses=self._lapses_within,
            ready=self._clip_ready,
            lost=self._clip_lost,
        )
        return KeepWay(keeping, self._config.evidence, around)

    def _watches(self, finder: Callable[[Role], ContactFinder] | None) -> dict[Role, WatchWay]:
        """The search for contacts in the pictures of those it is configured for."""
        if finder is None:
            return {}
        watching = Watching(
            open=finder,
            seen=self._seen,
            lapsed=self._unseen,
            hide=self.picture.hide,
            ask=lambda: self.seats.ask_merchant(),
            media_t=lambda monotonic: monotonic - self._began,
            tap=self._workshop.legs.picture_tap,
            times=lambda: self.picture.ease.print_times,
        )
        contacts = self._config.contacts
        return {role: WatchWay(role, watching, contacts) for role in map(Role, contacts.watch)}

    def media_t(self) -> float:
        """Seconds since the call began."""
        return time.monotonic() - self._began

    # --- what the server asks for -------------------------------------------------------------

    async def offer(self, role: Role, sdp: str) -> Answer:
        """Connects a leg. An earlier one of the same role stays until this one is connected.

        OfferRefused, CallFailed.
        """
        return await self.seats.answer(role, sdp)

    async def connect(self, role: Role, place: Place) -> None:
        """Meets a participant at an SFU from now on. SfuRefused, CallFailed."""
        await self.seats.meet(role, place)

    async def trickle(self, session_id: str, fragment: str) -> None:
        """Adds remote candidates. NoSuchCall, OfferRefused."""
        await self.seats.leg(session_id).add_candidates(fragment)

    def hang_up(self, session_id: str | None, reason: str) -> None:
        """Ends one leg, or the call when None. Idempotent."""
        if session_id is None:
            self.end(reason)
        else:
            self.seats.hang_up(session_id)

    def set_mode(self, mode: Mode) -> None:
        """Changes what may be shown from the next frame on."""
        self.picture.mode = mode
        self._apply_scopes(self._scopes)

    def set_scopes(self, scopes: Sequence[Scope]) -> None:
        """Changes the consent from now on."""
        self._apply_scopes(frozenset(scopes))

    def complaint(self, event_id: str) -> str | None:
        """Keeps evidence for a complaint: the id of the clip to come, None where none is kept."""
        return self.keep.complaint(event_id) if self.keep is not None else None

    def end(self, reason: str) -> None:
        """Ends the call."""
        if not self._end.done():
            self._end.set_result(reason)

    def _apply_scopes(self, scopes: frozenset[Scope]) -> None:
        self._scopes = scopes
        self.picture.allowed = Scope.PROTECT in scopes
        if self.keep is not None:
            self.keep.allowed = Scope.KEEP in scopes
        for voice in self.voices.values():
            voice.allowed = Scope.HEAR in scopes
        # Where nothing of the shopper's picture shows, nobody looks at it.
        shows = self.picture.allowed and self.picture.mode is not Mode.PRIVATE
        for role, watch in self.watches.items():
            watch.allowed = Scope.HEAR in scopes and (role is Role.MERCHANT or shows)

    # --- the call -----------------------------------------------------------------------------

    async def run(self) -> str:
        """Lives until the call ends; returns why. Everything of the call is gone afterwards."""
        reason = "failed"
        try:
            async with asyncio.TaskGroup() as tasks:
                self.seats.begin(tasks)
                tasks.create_task(self.picture.run(), name="video-lane")
                for voice in self.voices.values():
                    tasks.create_task(voice.run(), name=f"hear-{voice.role}")
                for watch in self.watches.values():
                    tasks.create_task(watch.run(), name=f"watch-{watch.role}")
                if self.keep is not None:
                    tasks.create_task(self.keep.run(), name="evidence")
                tasks.create_task(self._watch(), name="watch")
                tasks.create_task(self._until_end(), name="end")
        except* Ended as group:
            reason = str(group.exceptions[0])
        finally:
            await self._close()
            self._tell_coverage()
            self._tell(CallEventType.CALL_LEFT, {"role": None, "reason": reason})
        return reason

    async def _close(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.seats.close())
            if self.keep is not None:
                tasks.create_task(self.keep.finish())
        self.picture.close()
        for voice in self.voices.values():
            voice.close()
        for watch in self.watches.values():
            watch.close()

    async def _until_end(self) -> None:
        async with asyncio.timeout(self._config.limits.max_call_s + 60):
            raise Ended(await self._end)

    async def _watch(self) -> None:
        """Limits, the state of protection and the regular coverage event."""
        limits = self._config.limits
        covered_at = self._began
        while True:
            await asyncio.sleep(_TICK_S)
            now = time.monotonic()
            self._tally.tick(self.picture.account.state, _TICK_S)
            self._note_state()
            if self.seats.taken:
                self._empty_since = now
            if now - self._began > limits.max_call_s:
                self.end("the longest time a call may take is over")
            elif now - self._empty_since > limits.idle_s:
                self.end("nobody was connected")
            if now - covered_at > _COVERAGE_EVERY_S:
                covered_at = now
                self._tell_coverage()

    def _note_state(self) -> None:
        account = self.picture.account
        t = self.media_t()
        doubtful = account.state in (State.DEGRADED, State.FAILED)
        if doubtful:
            account.lapses.add(t - _TICK_S, t, account.reason)
        if account.state is not self._told_state:
            self._told_state = account.state
            if doubtful:
                data = {"state": account.state, "reason": account.reason, "showing": account.showing}
                self._tell(CallEventType.PRIVACY_DEGRADED, {k: str(v) for k, v in data.items()})

    # --- what the call tells ------------------------------------------------------------------

    def _tell(self, kind: CallEventType, data: Mapping[str, Any], media_t: float | None = None) -> None:
        t = self.media_t() if media_t is None else media_t
        at = (self._began_at + timedelta(seconds=t)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._workshop.tell(CallEvent(self.spec.call_id, kind, at, round(t, 3), data))

    def _heard(self, role: Role, notes: HearingNotes) -> None:
        for lapse in notes.lapses:
            self._lapsed(role, lapse.t_start, lapse.t_end, lapse.reason)
        if self.keep is not None:
            self.keep.said(notes.said)
        for change in notes.changes:
            model = self._workshop.engines().get(f"speech-{change.language}", change.language)
            words = [asdict(word) for word in change.words]
            lag = {"speech_end_to_detect_ms": self._lag_ms(change)}
            self._tell_change(change, {"words": words, "latency": lag, "asr_model": model})

    def _lag_ms(self, change: ViolationChange) -> int:
        return round(max(0.0, self.media_t() - change.t_end) * 1000)

    def _tell_change(self, change: ViolationChange, more: Mapping[str, Any]) -> None:
        self.violations.change(change, more)
        if self.keep is not None:
            self.keep.violation(change)

    def _clip_ready(self, clip: SealedClip) -> None:
        self._tell(CallEventType.EVIDENCE_READY, {"clip": asdict(clip)}, clip.t_start)
        self.violations.kept(clip)

    def _clip_lost(self, t_start: float, t_end: float, reason: str) -> None:
        self.unkept.add(t_start, t_end, reason)
        # Each by itself: somebody waits for each of them.
        self._tell_lapse(Lapse(Part.EVIDENCE, Role.SHOPPER, t_start, t_end, reason))

    def _lapses_within(self, t_start: float, t_end: float) -> list[dict[str, Any]]:
        """What was not seen or heard within a span; a clip that was lost takes nothing from another."""
        lapses: list[dict[str, Any]] = self._coverage()["lapses"]
        return [
            one
            for one in lapses
            if one["t_end"] >= t_start and one["t_start"] <= t_end and one["part"] != Part.EVIDENCE
        ]

    def _seen(self, changes: tuple[ViolationChange, ...]) -> None:
        for change in changes:
            lag = {"shown_to_detect_ms": self._lag_ms(change)}
            self._tell_change(change, {"latency": lag, "shown": {"kind": change.phrase, "box": change.box}})

    def _unseen(self, role: Role, t_start: float, t_end: float, reason: str) -> None:
        """What a role may have shown was not looked at: told, and the call goes on."""
        if self.watches[role].lapses.add(t_start, t_end, reason):
            self._tell_lapse(Lapse(Part.WATCHING, role, t_start, t_end, reason))

    def _missed(self, role: Role, t_start: float, t_end: float) -> None:
        """Sound that never came: the other side has not heard it either, so there is nothing to mute."""
        if self.voices[role].account.losses.add(t_start, t_end, LOST):
            self._tell_lapse(Lapse(Part.HEARING, role, t_start, t_end, LOST))

    def _tell_lapse(self, lapse: Lapse) -> None:
        # Nobody is muted for what was not seen.
        on_deaf = self._config.speech.on_deaf if lapse.part is Part.HEARING else "notify"
        if on_deaf == "pass":
            return
        data = {
            "role": lapse.leg,
            "part": str(lapse.part),
            "t_start": round(lapse.t_start, 2),
            "t_end": round(lapse.t_end, 2),
            "reason": lapse.reason,
            "on_deaf": on_deaf,
        }
        self._tell(CallEventType.HEARING_LAPSED, data)

    def _lapsed(self, role: Role, t_start: float, t_end: float, reason: str) -> None:
        on_deaf = self._config.speech.on_deaf
        if self.voices[role].account.lapses.add(t_start, t_end, reason):
            self._tell_lapse(Lapse(Part.HEARING, role, t_start, t_end, reason))
        if t_start == t_end:
            return  # An engine is lost or left out, and nothing went unheard.
        if on_deaf == "mute":
            self.voices[role].muted = True
        elif on_deaf == "end":
            self.end("a voice could not be heard")

    def _tell_coverage(self) -> None:
        self._tell(CallEventType.CALL_COVERAGE, {**self._coverage(), "rules": dict(self._workshop.rules())})

    def _coverage(self) -> dict[str, Any]:
        since = self.seats.connected_since
        seconds = 0.0 if since is None else time.monotonic() - since
        accounts = {role: voice.account for role, voice in self.voices.items()}
        watches = [watch.lapses for watch in self.watches.values()]
        return {
            **coverage(seconds, self.picture.account, accounts, [*watches, self.unkept]),
            "video": self.picture.account.budget(),
        }

    def lane_ages(self) -> dict[str, float]:
        """Seconds that each lane has been at what it does; 0 while it waits."""
        hearing = {f"hear-{role}": voice.lane_age_s for role, voice in self.voices.items()}
        return {"video": self.picture.lane_age_s, **hearing}

    def status(self) -> dict[str, Any]:
        """Everything `GET /v1/calls/{id}` shows, and `histograms` and `counts` for metrics, JSON-ready.

        No spoken text.
        """
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
                "step": account.step,
                "steps_taken": account.steps_taken,
            },
            "legs": self.seats.status(),
            "media_t": round(now - self._began, 2),
            "coverage": self._coverage(),
            "frames": {**snapshot["frames"], "replaced": self.picture.replaced, "size": self.picture.size},
            "latency": snapshot["latency"],
            "histograms": snapshot["histograms"],
            "counts": self._counts(),
            "violations": self.violations.rows(),
            "evidence": self.keep.status() if self.keep is not None else None,
            "watching": {str(role): dict(watch.looks) for role, watch in self.watches.items()},
            "engines": dict(self._workshop.engines()),
            "rules": dict(self._workshop.rules()),
        }

    def _counts(self) -> dict[str, Any]:
        """What only metrics want: time in states, lapses in all, what queues dropped, the lag of the loop."""
        voices = self.voices.values()
        books = [self.picture.account.lapses, self.unkept, *(watch.lapses for watch in self.watches.values())]
        books += [book for voice in voices for book in (voice.account.lapses, voice.account.losses)]
        return {
            **self._tally.snapshot(),
            "lapses": lapses_by_part(books),
            "drops": {
                "picture": self.picture.replaced,
                "cover": self.picture.unsent,
                "voice": sum(voice.skipped for voice in voices),
                "hearing": sum(voice.refused for voice in voices),
            },
        }
