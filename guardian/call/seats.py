"""The two places of a call: who sits there, and who is connecting to take over.

A participant may offer again while the call goes on. The leg they have stays until the new one is
connected (make before break); then it takes the seat and the old one is closed. Where the old one was met
at an SFU and the new one was not, the participant is not met there any more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from guardian.call.keeping import KeepWay
from guardian.call.legs import Leg, LegMaker, Sources
from guardian.call.picture import PictureWay
from guardian.call.sound import VoiceWay
from guardian.call.watching import WatchWay
from guardian.core.calls import Answer, CallEventType
from guardian.core.config import WorkConfig
from guardian.core.errors import CallFailed, GuardianError, NoSuchCall, OfferRefused, SfuRefused
from guardian.core.sfu import Place, overlap
from guardian.core.violations import Role

logger = logging.getLogger(__name__)

_WAIT_S = 1.0

_Meeting = asyncio.Task[None]


class Ended(Exception):
    """The call or a leg is over; the argument says why."""


@dataclass(frozen=True, slots=True)
class Ways:
    """Where media go between the legs."""

    picture: PictureWay
    voices: Mapping[Role, VoiceWay]
    watches: Mapping[Role, WatchWay] = field(default_factory=dict)
    """Whose pictures are searched for contacts."""
    keep: KeepWay | None = None


@dataclass(slots=True)
class _Seat:
    leg: Leg | None = None
    by: _Meeting | None = None
    """The meeting at an SFU that `leg` came from."""
    coming: Leg | None = None
    meeting: _Meeting | None = None
    places: dict[_Meeting, Place] = field(default_factory=dict)
    """Where meetings that are not over yet take place."""
    offers: int = 0

    @property
    def legs(self) -> tuple[Leg, ...]:
        return tuple(leg for leg in (self.leg, self.coming) if leg is not None)


class Seats:
    """Connects, seats, drains and closes legs, in the call's task group."""

    def __init__(
        self,
        config: WorkConfig,
        maker: LegMaker,
        ways: Ways,
        tell: Callable[[CallEventType, Mapping[str, Any]], None],
    ) -> None:
        self._config = config
        self._maker = maker
        self._ways = ways
        self._tell = tell
        self._tasks: asyncio.TaskGroup | None = None
        self._seats = {role: _Seat() for role in Role}
        self._relay = maker.relay(self.ask_merchant)
        watch, keep = ways.watches.get(Role.MERCHANT), ways.keep
        self._relay.also = [
            *([watch.encoded] if watch is not None else []),
            *([keep.merchants] if keep is not None else []),
        ]
        self.connected_since: float | None = None
        """Monotonic seconds since when anybody has been in the call."""

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Legs may come; their tasks belong to `tasks`."""
        self._tasks = tasks

    @property
    def taken(self) -> bool:
        """Whether anybody is in the call or connecting."""
        return any(seat.legs for seat in self._seats.values())

    async def answer(self, role: Role, sdp: str) -> Answer:
        """Answers an offer; the leg takes its role's seat as soon as it is connected.

        OfferRefused, Unavailable; CallFailed when the call is over.
        """
        if self._tasks is None:
            raise CallFailed("The call is over.")
        seat = self._seats[role]
        seat.offers += 1
        number = seat.offers
        leg = self._maker.open(role, self._sources())
        try:
            answer = await leg.answer(sdp)
            if number != seat.offers:
                raise OfferRefused("A newer offer of this participant has come meanwhile.")
            self._expect(role, leg, None)
        except BaseException:
            await leg.close()
            raise
        return Answer(leg.session_id, answer)

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task of the call. CallFailed when the call is over."""
        try:
            if self._tasks is not None:
                return self._tasks.create_task(work, name=name)
        except RuntimeError:  # The group is ending.
            logger.debug("the call is ending")
        work.close()
        raise CallFailed("The call is over.")

    def _sources(self) -> Sources:
        return Sources(
            safe=self._ways.picture.next_safe,
            sent=self._ways.picture.account.sent,
            relay=self._relay,
            limit=self._limit_merchant,
            voices={who: voice.next_piece for who, voice in self._ways.voices.items()},
            keeper=self._ways.keep,
        )

    async def meet(self, role: Role, place: Place) -> None:
        """Meets a participant at an SFU for the rest of the call, instead of where it did before.

        SfuRefused, also for the place of the other participant: whoever may enter that one would get what
        only the other may see. CallFailed.
        """
        if any(overlap(place, other) for other in self._seats[role.other].places.values()):
            raise SfuRefused("The other participant is met there; each one needs a place of their own.")
        there: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        meeting = self._begin(self._keep_meeting(role, place, there), f"sfu-{role}")
        seat = self._seats[role]
        seat.places[meeting] = place
        meeting.add_done_callback(lambda over: seat.places.pop(over, None))
        try:
            async with asyncio.timeout(self._config.limits.answer_s * 0.9):
                await there
        except TimeoutError:
            meeting.cancel()
            raise SfuRefused("The SFU did not let Guardian in in time.") from None
        except BaseException:
            meeting.cancel()
            raise
        if seat.meeting is not None:
            seat.meeting.cancel()
        seat.meeting = meeting

    async def _keep_meeting(self, role: Role, place: Place, there: asyncio.Future[None]) -> None:
        def arrived() -> None:
            if not there.done():
                there.set_result(None)

        meeting = asyncio.current_task()
        try:
            await self._maker.meet(
                role, self._sources(), place, lambda leg: self._expect(role, leg, meeting), arrived
            )
        except Exception as error:
            if isinstance(error, GuardianError) and not there.done():
                there.set_exception(error)
                return
            logger.exception("an SFU could not be used", extra={"role": str(role)})
            if not there.done():
                there.set_exception(SfuRefused("The SFU could not be used; see the server's log."))

    def _expect(self, role: Role, leg: Leg, meeting: _Meeting | None) -> None:
        """Lets a leg take its role's seat as soon as it is connected. CallFailed when the call is over.

        meeting: the one at an SFU that the leg comes from.
        """
        self._begin(self._attend(role, leg, meeting), f"leg-{role}")
        seat = self._seats[role]
        if seat.coming is not None:
            seat.coming.closed.set()
        seat.coming = leg

    def leg(self, session_id: str) -> Leg:
        """The leg of a session. NoSuchCall."""
        for seat in self._seats.values():
            for leg in seat.legs:
                if leg.session_id == session_id:
                    return leg
        raise NoSuchCall("This leg is not connected (any more).")

    def hang_up(self, session_id: str) -> None:
        """Ends a leg. Idempotent."""
        for seat in self._seats.values():
            for leg in seat.legs:
                if leg.session_id == session_id:
                    leg.closed.set()

    def status(self) -> dict[str, Any]:
        """Who is connected and what the network did to them, JSON-ready."""
        return {
            str(role): {
                "connected": seat.leg is not None,
                "session": seat.legs[0].session_id if seat.legs else None,
                "network": seat.leg.network() if seat.leg is not None else {},
            }
            for role, seat in self._seats.items()
        }

    async def close(self) -> None:
        """The call and its tasks are over: no leg may come any more."""
        self._tasks = None
        self._relay.close()
        for seat in self._seats.values():
            for leg in seat.legs:  # Their tasks were ended before they had begun.
                await _closed(leg)

    def ask_merchant(self) -> None:
        """Asks for a key frame of the merchant's video."""
        leg = self._seats[Role.MERCHANT].leg
        if leg is not None:
            leg.request_key_frame()

    def _limit_merchant(self, bits_per_s: int) -> None:
        leg = self._seats[Role.MERCHANT].leg
        if leg is not None:
            leg.limit_bitrate(bits_per_s)

    async def _attend(self, role: Role, leg: Leg, meeting: _Meeting | None) -> None:
        """Seats a leg when it is connected and drains it until it ends, then closes it."""
        reason = "the call ended"
        try:
            await self._arrive(leg)
            self._seat(role, leg, meeting)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._stay(leg))
                if leg.receives("video") and role is Role.SHOPPER:
                    tasks.create_task(self._drain_pictures(leg))
        except* Ended as group:
            reason = _reason(group)
        except* Exception:
            # A leg that cannot be read ends; the call, and what protects the other leg, goes on.
            reason = "the connection failed"
            logger.exception("a leg failed", extra={"role": str(role)})
        finally:
            await self._unseat(role, leg, reason)

    async def _arrive(self, leg: Leg) -> None:
        """Waits until a leg is connected. Ended."""
        async with asyncio.TaskGroup() as tasks:
            given_up = tasks.create_task(self._stay(leg))
            try:
                async with asyncio.timeout(self._config.media.connect_s):
                    await leg.connected.wait()
            except TimeoutError:
                raise Ended("the connection could not be made in time") from None
            given_up.cancel()

    def _seat(self, role: Role, leg: Leg, meeting: _Meeting | None) -> None:
        """Gives a connected leg its role's place; whoever had it leaves. Ended."""
        if leg.closed.is_set():
            # It ended as it was connected, and must not take the place of one that works.
            raise Ended("hung up")
        seat = self._seats[role]
        before, seat.leg = seat.leg, leg
        if seat.by is not None and seat.by is not meeting:
            seat.by.cancel()  # It would be tried again there, and take the seat back.
        seat.by = meeting
        if seat.coming is leg:
            seat.coming = None
        if before is None:
            self._tell(CallEventType.CALL_JOINED, {"role": role})
        else:
            before.closed.set()
        leg.pass_on("audio", self._ways.voices[role].put)
        if role is Role.SHOPPER:
            self._ways.picture.distrust("a new camera")
        elif role is Role.MERCHANT:
            self._relay_merchant(leg)
        self.connected_since = self.connected_since or time.monotonic()

    def _relay_merchant(self, leg: Leg) -> None:
        """The only video that goes from one leg to the other as it came."""
        self._relay.restart()
        if Role.MERCHANT in self._ways.watches:
            self._ways.watches[Role.MERCHANT].restart()
        if self._ways.keep is not None:
            self._ways.keep.another_merchant()
        leg.pass_on("video", self._relay.put)

    async def _unseat(self, role: Role, leg: Leg, reason: str) -> None:
        seat = self._seats[role]
        if seat.coming is leg:
            seat.coming = None
        if seat.leg is leg:
            seat.leg = seat.by = None
            self._tell(CallEventType.CALL_LEFT, {"role": role, "reason": reason})
        await _closed(leg)

    async def _stay(self, leg: Leg) -> None:
        """Waits for the end of a leg. Ended."""
        async with asyncio.timeout(self._config.limits.max_call_s + 60):
            await leg.closed.wait()
        raise Ended("hung up")

    async def _drain_pictures(self, leg: Leg) -> None:
        """Takes the shopper's pictures at once, so that none wait in the media library."""
        seat, watch = self._seats[Role.SHOPPER], self._ways.watches.get(Role.SHOPPER)
        while True:
            try:
                raw = await leg.next_picture(_WAIT_S)
            except TimeoutError:
                continue
            except self._maker.ended:
                return
            if seat.leg is leg:
                self._ways.picture.put(raw)
                if watch is not None:
                    watch.picture(raw)


async def _closed(leg: Leg) -> None:
    """Closes a leg; what goes wrong there does not end the call."""
    try:
        await leg.close()
    except Exception:
        logger.exception("a leg could not be closed")


def _reason(group: BaseExceptionGroup[Ended]) -> str:
    """What the innermost exception says."""
    first = group.exceptions[0]
    return _reason(first) if isinstance(first, BaseExceptionGroup) else str(first)
