"""The two places of a call: who sits there, and who is connecting to take over.

A participant may offer again while the call goes on. The leg they have stays until the new one is
connected (make before break); then it takes the seat and the old one is closed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from guardian.call.legs import Leg, LegMaker, Sources
from guardian.call.picture import PictureWay
from guardian.call.sound import VoiceWay
from guardian.core.calls import CallEventType
from guardian.core.config import WorkConfig
from guardian.core.errors import CallFailed, GuardianError, NoSuchCall, SfuRefused
from guardian.core.sfu import Place
from guardian.core.violations import Role

logger = logging.getLogger(__name__)

_WAIT_S = 1.0


class Ended(Exception):
    """The call or a leg is over; the argument says why."""


@dataclass(frozen=True, slots=True)
class Ways:
    """Where media go between the legs."""

    picture: PictureWay
    voices: Mapping[Role, VoiceWay]


@dataclass(slots=True)
class _Seat:
    leg: Leg | None = None
    coming: Leg | None = None
    meeting: asyncio.Task[None] | None = None

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
        self._relay = maker.relay(self._ask_merchant)
        self.connected_since: float | None = None
        """Monotonic seconds since when anybody has been in the call."""

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Legs may come; their tasks belong to `tasks`."""
        self._tasks = tasks

    @property
    def taken(self) -> bool:
        """Whether anybody is in the call or connecting."""
        return any(seat.legs for seat in self._seats.values())

    def open(self, role: Role) -> Leg:
        """A new leg that is not connected yet. CallFailed when the call is over."""
        if self._tasks is None:
            raise CallFailed("The call is over.")
        return self._maker.open(role, self._sources())

    def _sources(self) -> Sources:
        return Sources(
            safe=self._ways.picture.next_safe,
            sent=self._ways.picture.account.sent,
            relay=self._relay,
            limit=self._limit_merchant,
            voices={who: voice.next_piece for who, voice in self._ways.voices.items()},
        )

    async def meet(self, role: Role, place: Place) -> None:
        """Meets a participant at an SFU for the rest of the call, instead of where it did before.

        SfuRefused, CallFailed.
        """
        if self._tasks is None:
            raise CallFailed("The call is over.")
        there: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        meeting = self._tasks.create_task(self._keep_meeting(role, place, there), name=f"sfu-{role}")
        before = self._seats[role].meeting
        try:
            async with asyncio.timeout(self._config.limits.answer_s * 0.9):
                await there
        except TimeoutError:
            meeting.cancel()
            raise SfuRefused("The SFU did not let Guardian in in time.") from None
        if before is not None:
            before.cancel()
        self._seats[role].meeting = meeting

    async def _keep_meeting(self, role: Role, place: Place, there: asyncio.Future[None]) -> None:
        def arrived() -> None:
            if not there.done():
                there.set_result(None)

        try:
            await self._maker.meet(role, self._sources(), place, lambda leg: self.expect(role, leg), arrived)
        except Exception as error:
            if isinstance(error, GuardianError) and not there.done():
                there.set_exception(error)
                return
            logger.exception("an SFU could not be used", extra={"role": str(role)})
            if not there.done():
                there.set_exception(SfuRefused("The SFU could not be used; see the server's log."))

    def expect(self, role: Role, leg: Leg) -> None:
        """Lets a leg take its role's seat as soon as it is connected. CallFailed when the call is over."""
        if self._tasks is None:
            raise CallFailed("The call is over.")
        seat = self._seats[role]
        if seat.coming is not None:
            seat.coming.closed.set()
        seat.coming = leg
        self._tasks.create_task(self._attend(role, leg), name=f"leg-{role}")

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

    def close(self) -> None:
        """The call is over: no leg may come any more."""
        self._tasks = None
        self._relay.close()

    def _ask_merchant(self) -> None:
        leg = self._seats[Role.MERCHANT].leg
        if leg is not None:
            leg.request_key_frame()

    def _limit_merchant(self, bits_per_s: int) -> None:
        leg = self._seats[Role.MERCHANT].leg
        if leg is not None:
            leg.limit_bitrate(bits_per_s)

    async def _attend(self, role: Role, leg: Leg) -> None:
        """Seats a leg when it is connected and drains it until it ends, then closes it."""
        reason = "the call ended"
        try:
            await self._arrive(leg)
            self._seat(role, leg)
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

    def _seat(self, role: Role, leg: Leg) -> None:
        """Gives a connected leg its role's place; whoever had it leaves."""
        seat = self._seats[role]
        before, seat.leg = seat.leg, leg
        if seat.coming is leg:
            seat.coming = None
        if before is None:
            self._tell(CallEventType.CALL_JOINED, {"role": role})
        else:
            before.closed.set()
        leg.pass_on("audio", self._ways.voices[role].put)
        if role is Role.SHOPPER:
            self._ways.picture.distrust("a new camera")
        else:
            self._relay.restart()
            leg.pass_on("video", self._relay.put)
        self.connected_since = self.connected_since or time.monotonic()

    async def _unseat(self, role: Role, leg: Leg, reason: str) -> None:
        seat = self._seats[role]
        if seat.coming is leg:
            seat.coming = None
        if seat.leg is leg:
            seat.leg = None
            self._tell(CallEventType.CALL_LEFT, {"role": role, "reason": reason})
        await leg.close()

    async def _stay(self, leg: Leg) -> None:
        """Waits for the end of a leg. Ended."""
        async with asyncio.timeout(self._config.limits.max_call_s + 60):
            await leg.closed.wait()
        raise Ended("hung up")

    async def _drain_pictures(self, leg: Leg) -> None:
        """Takes the shopper's pictures at once, so that none wait in the media library."""
        seat = self._seats[Role.SHOPPER]
        while True:
            try:
                raw = await leg.next_picture(_WAIT_S)
            except TimeoutError:
                continue
            except self._maker.ended:
                return
            if seat.leg is leg:
                self._ways.picture.put(raw)


def _reason(group: BaseExceptionGroup[Ended]) -> str:
    """What the innermost exception says."""
    first = group.exceptions[0]
    return _reason(first) if isinstance(first, BaseExceptionGroup) else str(first)
