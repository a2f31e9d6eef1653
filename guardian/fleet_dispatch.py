"""Finds who answers what is asked of a node about a call: itself, the one that has it, or one with room."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from nats.aio.msg import Msg

from guardian.core.call_records import CallRecord, CallState, Turn
from guardian.core.calls import CallSpec
from guardian.core.dispatch import Answered, Asked
from guardian.core.errors import CallFailed, GuardianError, HostFull, Unavailable
from guardian.fleet.broker import Broker, Changed, NobodyThere, Session, plainly
from guardian.fleet.call_book import CallBook, Kept
from guardian.fleet.placement import Placement
from guardian.fleet.registry import Registry
from guardian.fleet.tasks import until_one_ends
from guardian.fleet.wire import (
    Garbled,
    answered_from,
    answered_head,
    asked_from,
    asked_head,
    joined,
    parted,
)
from guardian.fleet_host import FleetHost
from guardian.web.admission import LegToken, Register
from guardian.web.problems import document, of_error

logger = logging.getLogger(__name__)

_WAIT_S = 5.0
"""How long a request waits for it to be known whether a node has died."""
_LOOK_S = 0.2
_FORWARD_S = 20.0
_AT_ONCE = 200
_SAFE_AGAIN = frozenset({"GET", "HEAD", "PUT", "DELETE"})
"""Methods that do the same when what was asked is asked again (RFC 9110, 9.2.2)."""
_OFFER = re.compile(r"^/v1/calls/([^/?]+)/(shopper|merchant)$")
_CALL = re.compile(r"^/v1/calls/([^/?]+)")
_CONFLICT = 409
_TAKEN = "The call was taken by another node meanwhile; offer again."
_BUSY = "Too much is asked of other nodes at once; wait a little."


class NodeSlots:
    """Slots of this node. takes: whether the node takes calls at all now."""

    def __init__(self, host: FleetHost, takes: Callable[[], bool]) -> None:
        self._host = host
        self._takes = takes
        self._held: Counter[str] = Counter()

    def room(self) -> bool:
        """Whether one more call can be taken."""
        taken, slots = self._host.capacity()
        return self._takes() and taken < slots

    def reserve(self, call_id: str) -> bool:
        """Holds a slot for a call, with others that hold it for the same; False when there is none."""
        if call_id not in self._held:
            if not self.room():
                return False
            try:
                self._host.reserve(call_id)
            except HostFull:
                return False
        self._held[call_id] += 1
        return True

    def give_back(self, call_id: str) -> None:
        """The slot is not needed by one who held it; a call that was opened keeps it."""
        self._held[call_id] -= 1
        if self._held[call_id] <= 0:
            del self._held[call_id]
            self._host.release(call_id)


class FleetDispatcher:
    """The `Dispatcher` of a node. here: what the node's own application answers. rules: of a call."""

    def __init__(
        self,
        broker: Broker,
        registry: Registry,
        book: CallBook,
        host: FleetHost,
        slots: NodeSlots,
        register: Register,
        holder: Callable[[], tuple[str, str]],
        rules: Callable[[CallSpec], str],
        here: Callable[[Asked], Awaitable[Answered]],
    ) -> None:
        self._broker = broker
        self._registry = registry
        self._book = book
        self._host = host
        self._slots = slots
        self._register = register
        self._holder = holder
        self._rules = rules
        self._here = here
        self._taking: dict[str, asyncio.Event] = {}
        self._asking = 0
        self._answering = 0
        self.placement: Placement

    # --- Dispatcher ---------------------------------------------------------------------------

    async def place(self, call_id: str, asked: Asked) -> Answered | None:
        """Has a call admitted wherever there is room."""
        return await self.placement.place(call_id, asked)

    async def route(self, call_id: str, asked: Asked) -> Answered | None:
        """Has the request answered by whoever has the call, or takes it again."""
        until = time.monotonic() + _WAIT_S
        while True:
            kept = await self._elsewhere(call_id)
            if kept is None:
                return None
            try:
                turn, answered = await self._try(kept, asked)
            except Changed:
                continue
            if turn is Turn.HERE:
                return answered
            if time.monotonic() >= until:
                raise Unavailable("The node that has this call does not answer; try again.")
            await asyncio.sleep(_LOOK_S)

    async def _elsewhere(self, call_id: str) -> Kept | None:
        """The record of a call that may not be this node's; None: this node answers without one."""
        here = await self._is_here(call_id)
        if here and self._host.leased:
            return None
        try:
            kept = await self._book.get(call_id)
        except Unavailable:
            if here:
                return None
            raise
        # What was read may be older than a call that was taken here meanwhile.
        return None if await self._is_here(call_id) and self._host.leased else kept

    async def _try(self, kept: Kept, asked: Asked) -> tuple[Turn, Answered | None]:
        """HERE with an answer, or without: this node answers; else not yet. Changed."""
        record = kept.record
        if self._to_take(record, asked):
            return Turn.HERE, await self._take(kept, asked)
        lives = self._registry.may_live(record.node, record.incarnation)
        turn = record.turn(*self._holder(), holder_lives=lives)
        if turn is Turn.HERE and record.state is CallState.OPEN:
            self._host.strand(record)
            if _offered(asked) is not None and not await self._is_here(record.spec.call_id):
                # Whoever offers when a call has just failed has it taken again, and is not sent away.
                await self._host.settle(record.spec.call_id)
                return Turn.WAIT, None
        elif turn is Turn.HERE:
            self._readmit(record)
        elif turn is Turn.THERE:
            answered = await self._forward(record, asked)
            if answered is None:
                return Turn.WAIT, None
            if answered.status == _CONFLICT and record.state is CallState.OPEN:
                await self._look_again(record, asked)
            return Turn.HERE, answered
        return turn, None

    async def _look_again(self, record: CallRecord, asked: Asked) -> None:
        """Changed when an offer was refused because the call is over, which its record did not say."""
        if _offered(asked) is None:
            return
        kept = await self._book.get(record.spec.call_id)
        if kept is not None and kept.record.state is not CallState.OPEN:
            raise Changed

    async def _is_here(self, call_id: str) -> bool:
        taking = self._taking.get(call_id)
        if taking is not None:
            try:
                async with asyncio.timeout(_FORWARD_S):
                    await taking.wait()
            except TimeoutError:
                raise Unavailable("The call is being taken again; try again.") from None
        call = self._register.any_tenant(call_id)
        return call is not None and call.ended is None

    def _readmit(self, record: CallRecord) -> None:
        """A call that is over is known here from its record, unless it is known better."""
        call = self._register.any_tenant(record.spec.call_id)
        over = call is not None and call.ended is not None
        if not over or (call is not None and (call.ended == "failed") != (record.state is CallState.FAILED)):
            self._host.readmit(record)

    # --- elsewhere ----------------------------------------------------------------------------

    async def _forward(self, record: CallRecord, asked: Asked) -> Answered | None:
        """The answer of the node that has the call; None when nobody listens there, or it has died.

        Unavailable when it may have heard what must not be asked twice.
        """
        session = self._broker.session
        if self._asking >= _AT_ONCE:
            raise HostFull(_BUSY, 1)
        message = joined(asked_head(asked), asked.body)
        found: list[bytes] = []
        failed: list[Unavailable] = []

        async def ask() -> None:
            try:
                subject = session.subject("node", record.node, record.incarnation)
                found.append(await session.request(subject, message, _FORWARD_S))
            except NobodyThere:
                return
            except Unavailable as error:
                failed.append(error)

        async def lost() -> None:
            while self._registry.may_live(record.node, record.incarnation):
                await self._registry.changed()

        self._asking += 1
        try:
            await until_one_ends(ask(), lost())
        finally:
            self._asking -= 1
        if failed and asked.method not in _SAFE_AGAIN:
            raise failed[0]
        if not found:
            return None
        try:
            return answered_from(*parted(found[0]))
        except Garbled:
            raise Unavailable("The node that has this call answers in a way unknown here.") from None

    async def serve(self, session: Session, tasks: asyncio.TaskGroup) -> None:
        """Answers what other nodes pass on, for as long as the connection lasts. Unavailable."""

        async def hear(message: Msg) -> None:
            tasks.create_task(self._answer(message), name="forwarded")

        await session.listen(session.subject("node", *self._holder()), hear)

    async def _answer(self, message: Msg) -> None:
        try:
            asked = asked_from(*parted(message.data))
        except Garbled:
            return
        if self._answering >= _AT_ONCE:
            answered = refusal(HostFull(_BUSY, 1))
        else:
            self._answering += 1
            try:
                answered = await self._surely(self._forwarded(asked))
            finally:
                self._answering -= 1
        try:
            with plainly():
                await message.respond(joined(answered_head(answered), answered.body))
        except (Unavailable, Changed):
            return

    async def _forwarded(self, asked: Asked) -> Answered:
        call = _CALL.match(asked.path)
        if call is not None and not await self._is_here(call[1]) and _offered(asked) is not None:
            # Whoever passes it on looks at the record, when the answer is that the call is over.
            await self._host.settle(call[1])
        return await self._here(asked)

    async def _surely(self, answering: Awaitable[Answered]) -> Answered:
        """An answer, whatever goes wrong: what others ask must not end this node."""
        try:
            return await answering
        except GuardianError as error:
            return refusal(error)
        except Exception as error:  # noqa: BLE001  # whatever it was, whoever asked is told
            # Its message may hold what callers sent.
            logger.error("what another node asked failed", extra={"error": type(error).__name__})
            return refusal(Unavailable("Something went wrong inside Guardian; the node goes on."))

    # --- taken again --------------------------------------------------------------------------

    def _to_take(self, record: CallRecord, asked: Asked) -> bool:
        """Whether this is the offer of somebody who may join a call that has failed. CallFailed."""
        offered = _offered(asked)
        if record.state is not CallState.FAILED or offered is None:
            return False
        token = next((value for name, value in asked.headers if name == "authorization"), "")
        scheme, _, token = token.partition(" ")
        leg = next((leg for role, leg in record.legs.items() if role == offered[2]), None)
        if leg is None or scheme.lower() != "bearer" or leg.expires <= time.time():
            return False
        if not LegToken(leg.sha256, leg.expires).fits(token.strip()):
            return False
        if record.poison:
            raise CallFailed("This call has failed each time it was opened; create a new call.")
        return True

    async def _take(self, kept: Kept, asked: Asked) -> Answered | None:
        """Opens the call here, or wherever there is room; None: it is open here. Changed: by others."""
        call_id = kept.record.spec.call_id
        if call_id in self._taking:
            raise Changed
        if not self._slots.reserve(call_id):
            return await self.placement.place(call_id, asked)
        try:
            await self._open_again(kept)
        finally:
            self._slots.give_back(call_id)
        return None

    async def _open_again(self, kept: Kept) -> None:
        call_id = kept.record.spec.call_id
        if call_id in self._taking:
            raise Changed
        done = self._taking[call_id] = asyncio.Event()
        try:
            await self._host.open_again(kept, self._rules)
        finally:
            del self._taking[call_id]
            done.set()

    async def answer_placed(self, call_id: str, asked: Asked) -> Answered:
        """What was taken from the queue, a slot being held for it."""
        return await self._surely(self._placed(call_id, asked))

    async def _placed(self, call_id: str, asked: Asked) -> Answered:
        try:
            if _offered(asked) is not None:
                kept = await self._book.get(call_id)
                if kept is not None and self._to_take(kept.record, asked):
                    await self._open_again(kept)
                elif not await self._is_here(call_id):
                    raise HostFull(_TAKEN, 1)
            return await self._here(asked)
        except Changed:
            raise HostFull(_TAKEN, 1) from None


def _offered(asked: Asked) -> re.Match[str] | None:
    """(call, leg) of an offer."""
    return _OFFER.match(asked.path.partition("?")[0]) if asked.method == "POST" else None


def refusal(error: GuardianError) -> Answered:
    """An error as an answer."""
    problem = of_error(error)
    headers = {"content-type": "application/problem+json", **problem.headers}
    return Answered(problem.status, tuple((n.lower(), v) for n, v in headers.items()), document(problem))
