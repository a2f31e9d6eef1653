"""Placement by pull: requests wait in a queue of the broker, nodes with a free slot take one at a time.

Whoever has put a request there decides who takes it: a node that has fetched one asks, is told to go on
once per request, and never after its caller was sent away. A request that was delivered twice, or late, is
therefore admitted once, or not at all.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import nats.errors
from nats.aio.msg import Msg

from guardian.core.dispatch import Answered, Asked
from guardian.core.errors import GuardianError, HostFull, Unavailable
from guardian.fleet.broker import ANSWER_S, Broker, NobodyThere, Session, plainly
from guardian.fleet.registry import Registry
from guardian.fleet.tasks import until_one_ends
from guardian.fleet.wire import Garbled, answered_from, answered_head, asked_from, asked_head, joined, parted

logger = logging.getLogger(__name__)

RETRY_S = 5
_FETCH_S = 1.0
_ROOM_S = 0.05
_NEWS_S = 0.06
"""A slot that was given back is known to all nodes by then."""
_GO, _NO = b"go", b"no"
_NOBODY = ("", "")
_NAME = re.compile(r"[!-~]{1,200}")
_FULL = "No node of the fleet has a free slot; try again later."
_NOT_READY = "No node of the fleet takes calls now; try again later."
_UNHEARD = "The node that would take the call could not ask whether it is wanted still; try again."


@dataclass(slots=True)
class _Waiting:
    """A request that was put there. taker: who was told to go on: a node and its start."""

    taker: tuple[str, str] | None = None
    claimed: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    answer: Answered | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """What takes calls here. reserve: holds a slot for a call, False when there is none. give_back: the slot
    is not needed, or is counted otherwise by now. answer: does what was asked. refuse: an error as an
    answer."""

    node: str
    room: Callable[[], bool]
    reserve: Callable[[str], bool]
    give_back: Callable[[str], None]
    answer: Callable[[str, Asked], Awaitable[Answered]]
    refuse: Callable[[GuardianError], Answered]


class Placement:
    """place_s: how long a request may wait for a node. open_s: how long the node may then take."""

    def __init__(self, broker: Broker, registry: Registry, host: Host, place_s: float, open_s: float) -> None:
        self._broker = broker
        self._registry = registry
        self._host = host
        self._place_s = place_s
        self._open_s = open_s
        self._waiting: dict[str, _Waiting] = {}
        self.outcomes = Counter({"answered": 0, "full": 0, "unavailable": 0})

    # --- asking -------------------------------------------------------------------------------

    async def place(self, call_id: str, asked: Asked) -> Answered:
        """The answer of the node that has taken it. HostFull: none has within `place_s`. Unavailable."""
        try:
            answered = await self._place(call_id, asked)
        except HostFull:
            self.outcomes["full"] += 1
            raise
        except Unavailable:
            self.outcomes["unavailable"] += 1
            raise
        self.outcomes["answered"] += 1
        return answered

    async def _place(self, call_id: str, asked: Asked) -> Answered:
        session = self._broker.session
        await self._some_room()
        ident, waiting = secrets.token_hex(12), _Waiting()
        head = {"id": ident, "call_id": call_id, "to": self._mine(session), **asked_head(asked)}
        message = joined(head, asked.body)
        self._waiting[ident] = waiting
        try:
            await self._claimed(session, message, ident, waiting)
            return await self._until_answered(waiting)
        finally:
            # Whoever asks to go on from here is told no.
            del self._waiting[ident]

    async def _claimed(self, session: Session, message: bytes, ident: str, waiting: _Waiting) -> None:
        try:
            async with asyncio.timeout(self._place_s):
                await session.enqueue(message, ident)
                await self._until_claimed(waiting)
        except (TimeoutError, HostFull, Unavailable) as error:
            # A node may have been told to go on in this very moment.
            if waiting.taker is None:
                raise self._nobody() if isinstance(error, TimeoutError) else error from None

    def _nobody(self) -> HostFull:
        """Why nobody has taken a request."""
        return HostFull(_FULL if self._registry.anybody_ready() else _NOT_READY, RETRY_S)

    async def _some_room(self) -> None:
        """HostFull when every node says that it is full, and goes on saying so for a moment."""
        try:
            async with asyncio.timeout(_NEWS_S):
                while not (self._host.room() or self._registry.anybody_free()):
                    await self._registry.changed()
        except TimeoutError:
            raise self._nobody() from None

    async def _until_claimed(self, waiting: _Waiting) -> None:
        """HostFull as soon as every node says that it is full."""
        while not waiting.claimed.is_set():
            await self._some_room()
            await until_one_ends(waiting.claimed.wait(), self._registry.changed())

    async def _until_answered(self, waiting: _Waiting) -> Answered:
        assert waiting.taker is not None
        try:
            async with asyncio.timeout(self._open_s):
                while waiting.answer is None:
                    if not self._registry.may_live(*waiting.taker):
                        break
                    await until_one_ends(waiting.answered.wait(), self._registry.changed())
        except TimeoutError:
            pass
        if waiting.answer is None:
            raise Unavailable("The node that took the call does not answer; try again with another call_id.")
        return waiting.answer

    def _mine(self, session: Session) -> str:
        return session.subject("placed", self._registry.incarnation)

    async def _hear(self, message: Msg) -> None:
        """A node asks whether to go on, or answers."""
        try:
            head, body = parted(message.data)
            waiting = self._waiting.get(str(head["id"]))
            if "status" in head:
                if waiting is not None:
                    waiting.answer = answered_from(head, body)
                    waiting.taker = waiting.taker or _NOBODY
                    waiting.claimed.set()
                    waiting.answered.set()
                return
            taker = (str(head["node"]), str(head["incarnation"]))
        except (Garbled, KeyError):
            return
        go = waiting is not None and waiting.taker is None
        if waiting is not None and go:
            waiting.taker = taker
            waiting.claimed.set()
        with plainly():
            await message.respond(_GO if go else _NO)

    # --- taking -------------------------------------------------------------------------------

    async def serve(self, session: Session, tasks: asyncio.TaskGroup) -> None:
        """Takes what waits whenever there is room, until the connection fails. Unavailable.

        tasks: what was taken is done in; it does not end with the connection.
        """
        await session.listen(self._mine(session), self._hear)
        incarnation = self._registry.incarnation
        while self._registry.incarnation == incarnation:
            if not self._host.room():
                await asyncio.sleep(_ROOM_S)
                continue
            message = await session.fetch(_FETCH_S)
            if message is not None and self._registry.incarnation != incarnation:
                # What others pass on to this start of the node is not heard yet.
                await _settle(message.nak)
            elif message is not None:
                await self._take(session, message, tasks)

    async def _take(self, session: Session, message: Msg, tasks: asyncio.TaskGroup) -> None:
        try:
            head, body = parted(message.data)
            ident, call_id, to = (_name(head[key]) for key in ("id", "call_id", "to"))
            asked = asked_from(head, body)
        except (Garbled, KeyError):
            logger.warning("what was put into the queue of the fleet is no request; it is skipped")
            await _settle(message.term)
            return
        if not self._host.reserve(call_id):
            await _settle(message.nak)
            return
        answering = False
        try:
            answering = await self._may(session, ident, to)
            if answering:
                # Before anything else is waited for: whoever asked has been told to wait for this node.
                tasks.create_task(self._answer(ident, to, call_id, asked), name=f"placing-{call_id}")
        except Unavailable:
            # If it was heard, somebody waits for this node.
            await self._tell(ident, to, self._host.refuse(HostFull(_UNHEARD, 1)))
        finally:
            # The connection may end, and this with it, wherever something is waited for.
            if not answering:
                self._host.give_back(call_id)
        await _settle(message.ack)

    async def _may(self, session: Session, ident: str, to: str) -> bool:
        """Asks whoever waits. Nobody there: nobody waits any more. Unavailable when there is no answer."""
        claim = {"id": ident, "node": self._host.node, "incarnation": self._registry.incarnation}
        try:
            return await session.request(to, joined(claim), ANSWER_S) == _GO
        except NobodyThere:
            return False

    async def _answer(self, ident: str, to: str, call_id: str, asked: Asked) -> None:
        try:
            answered = await self._host.answer(call_id, asked)
        finally:
            self._host.give_back(call_id)
        await self._tell(ident, to, answered)

    async def _tell(self, ident: str, to: str, answered: Answered) -> None:
        try:
            head = joined({"id": ident, **answered_head(answered)}, answered.body)
            await self._broker.session.send(to, head)
        except GuardianError:
            # Whoever waits finds out by itself; a call nobody joins ends.
            return


def _name(value: object) -> str:
    """What may be a part of subjects and keys. Garbled."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Garbled
    return value


async def _settle(tell: Callable[[], Awaitable[Any]]) -> None:
    """Tells the queue; without an answer it delivers again, which does no harm."""
    try:
        async with asyncio.timeout(ANSWER_S):
            await tell()
    except (nats.errors.Error, OSError, TimeoutError):
        return
