"""A node among the others: its own entry, which it renews while it lives, and what it sees of theirs.

A renewal compares revisions, so it fails when somebody has fenced the node; one that succeeds makes the
node's lease hold until `lease_s` after the moment before it was sent. Others fence a node whose entry they
have not seen change for longer than that, by the same comparison: if it fails, the node lives.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from guardian.core.errors import Unavailable
from guardian.core.lease import lease_clock
from guardian.core.nodes import LeaseBook, Node, NodeState, Sightings
from guardian.fleet.broker import Broker, Changed, Entry, Session, Terms
from guardian.fleet.wire import lost, node_from, node_to_bytes

_LOOK_S = 0.25
_STORE_S = 1.0
"""How much longer than a renewal the store may take to answer."""
_LEAVE_TRIES = 3
_SLOW = "The store of the fleet does not answer in time."


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the rest of the node has to do with it.

    about: what the node says of itself now. hold: the lease holds until these seconds of `lease_clock`.
    begin_anew: the node was fenced, and has no calls any more. buried: this start of a node is over for good,
    because its entry was fenced here or elsewhere. complete: all entries there are have been seen.
    """

    about: Callable[[], Node]
    hold: Callable[[float], None]
    begin_anew: Callable[[], Awaitable[None]]
    buried: Callable[[Node], None]
    complete: Callable[[], None]


class Registry:
    """Runs beside everything else. stand_in: what leases are renewed by while the broker is away."""

    def __init__(self, broker: Broker, terms: Terms, hooks: Hooks, stand_in: LeaseBook) -> None:
        self._broker = broker
        self._terms = terms
        self._hooks = hooks
        self._stand_in = stand_in
        self._revision = 0
        self._news = asyncio.Event()
        self._poke = asyncio.Event()
        self._until = float("-inf")
        self._left = False
        self._of: Session | None = None
        self._renewing, self._fencing = (Beside(terms.renew_s + _STORE_S) for _ in range(2))
        self.incarnation = new_incarnation()
        self.sightings = Sightings(terms.lease_s)
        self.fenced = 0
        self.joined = False
        self.complete = False
        """Whether all entries there are have been seen since the connection was made."""
        self._complete_since = float("inf")

    def poke(self) -> None:
        """What the node says of itself has changed: others want to know at once."""
        self._poke.set()

    async def changed(self) -> None:
        """Returns when an entry has changed."""
        await self._news.wait()

    def anybody_free(self) -> bool:
        """Whether some node would take a call, as far as is known here."""
        return not self.complete or self.sightings.anybody_free(time.monotonic())

    def anybody_ready(self) -> bool:
        """Whether some node takes calls, though it may be full."""
        return any(node.state is NodeState.READY for node in self.sightings.nodes())

    def may_live(self, name: str, incarnation: str) -> bool:
        """Whether this start of a node may have its calls still: only a fenced one surely has not."""
        return not self.complete or self.sightings.alive(name, incarnation)

    async def over(self, name: str, incarnation: str) -> bool:
        """Whether this start of a node surely has no calls any more, asked of the broker. Unavailable."""
        entry = await self._broker.session.nodes.get(name)
        if entry is None or entry.value is None:
            return await self._fence_unknown(Node(name, incarnation, NodeState.UNREADY))
        return not node_from(name, entry.value).holds(incarnation)

    # --- the others ---------------------------------------------------------------------------

    async def watch(self, session: Session) -> None:
        """Sees the entries of all nodes until the connection fails. Unavailable."""
        self.complete = False
        # Nobody could be seen renewing while there was no connection, and revisions may begin anew.
        self.sightings.clear()
        try:
            silence_s = max(4.0, 4 * self._terms.renew_s)
            async with aclosing(session.nodes.watch(silence_s)) as entries:
                async for entry in entries:
                    self._see(entry)
        finally:
            self.complete = False

    def _see(self, entry: Entry | None) -> None:
        if entry is None:
            self.complete, self._complete_since = True, time.monotonic()
            self._hooks.complete()
        elif entry.value is None:
            self.sightings.forget(entry.key)
        else:
            node = node_from(entry.key, entry.value)
            if self.sightings.see(node, entry.revision, time.monotonic()) and not node.lives:
                self._hooks.buried(node)
        self._news.set()
        self._news = asyncio.Event()

    async def look(self) -> None:
        """Fences whoever has not been seen renewing for too long, until cancelled."""
        while True:
            self.sightings.look(time.monotonic())
            if self.complete:
                for one in self.sightings.stale(time.monotonic()):
                    if one.node.name != self._hooks.about().name:
                        await self._fence(one.node, one.revision)
            await asyncio.sleep(_LOOK_S)

    async def _fence(self, node: Node, revision: int) -> None:
        """The entry says that the node was lost, unless it lives or that cannot be known."""
        try:
            session = self._broker.session
            kept = await session.nodes.get(node.name)
            if kept is None or kept.revision != revision or kept.value is None:
                if kept is not None and kept.value is not None:
                    self._see(kept)
                return
            if not await self._fence_elsewhere(node):
                return
            fenced = await session.nodes.update(node.name, node_to_bytes(lost(node)), revision)
        except (Unavailable, Changed):
            return
        self._was_fenced(node, fenced)

    async def _fence_unknown(self, node: Node) -> bool:
        """Whether a start of a node that has no entry is fenced now.

        A broker that has lost all it knew may hear of calls before it hears again of the node that has
        them: one that lives has made its entry anew when its lease would be over. Unavailable.
        """
        if not self.complete or time.monotonic() - self._complete_since < self.sightings.patience_s:
            return False
        if not await self._fence_elsewhere(node):
            return False
        try:
            fenced = await self._broker.session.nodes.create(node.name, node_to_bytes(lost(node)))
        except Changed:
            return False
        self._was_fenced(node, fenced)
        return True

    async def _fence_elsewhere(self, node: Node) -> bool:
        """False: it renews its lease where the broker is not needed. Unavailable."""
        if await self._fencing(self._stand_in.fence, node, self._terms.lease_s):
            return True
        self.sightings.renew_one(node.name, time.monotonic())
        return False

    def _was_fenced(self, node: Node, revision: int) -> None:
        self.fenced += 1
        self._see(Entry(node.name, node_to_bytes(lost(node)), revision))

    # --- this node ----------------------------------------------------------------------------

    async def keep(self) -> None:
        """Joins, and renews this node's entry until cancelled, or until the node has left."""
        while not self._left:
            self._poke.clear()
            sent = lease_clock()
            try:
                if await self._renew():
                    self._hold(sent + self._terms.lease_s)
            except Unavailable:
                await self._renew_elsewhere(sent)
            try:
                async with asyncio.timeout(self._terms.renew_s):
                    await self._poke.wait()
                    # Not for each of many calls that come at once.
                    await asyncio.sleep(0.02)
            except TimeoutError:
                continue

    def _hold(self, until: float) -> None:
        self._until = until
        self._hooks.hold(until)

    async def _renew(self) -> bool:
        session = self._broker.session
        if not self.joined or self._of is not session:
            return await self._join(session)
        try:
            value = node_to_bytes(self._hooks.about())
            self._revision = await session.nodes.update(self._hooks.about().name, value, self._revision)
        except Changed:
            # By others, or by a renewal of our own whose answer was lost.
            self._of = None
            return await self._join(session)
        return True

    async def _join(self, session: Session) -> bool:
        """Makes the node's entry its own, or its own again. False: somebody else has it still."""
        me = self._hooks.about()
        entry = await session.nodes.get(me.name)
        there = node_from(me.name, entry.value) if entry is not None and entry.value is not None else None
        mine = entry is not None and self._is_mine(entry)
        # A broker that has lost everything it knew has fenced nobody whose lease holds.
        unknown = entry is None and lease_clock() < self._until
        if self.joined and not unknown and not (mine and there is not None and there.lives):
            await self._anew()
            me = self._hooks.about()
        elif there is not None and not mine and there.lives:
            return await self._succeed(there)
        try:
            if entry is None:
                self._revision = await session.nodes.create(me.name, node_to_bytes(me))
            else:
                self._revision = await session.nodes.update(me.name, node_to_bytes(me), entry.revision)
        except Changed:
            return False
        self._of, self.joined = session, True
        return True

    def _is_mine(self, entry: Entry) -> bool:
        return node_from(entry.key, entry.value or b"").incarnation == self.incarnation

    async def _succeed(self, there: Node) -> bool:
        """An earlier start of this node, or another one of its name, may live: until its lease is over."""
        seen = self.sightings.get(there.name)
        now = time.monotonic()
        stale = self.complete and seen is not None and seen in self.sightings.stale(now)
        if stale and seen is not None:
            await self._fence(seen.node, seen.revision)
        return False

    async def _anew(self) -> None:
        self.joined = False
        self.incarnation = new_incarnation()
        await self._hooks.begin_anew()

    async def _renew_elsewhere(self, sent: float) -> None:
        self._of = None
        if not self.joined:
            return
        try:
            held = await self._renewing(self._stand_in.renew, self._hooks.about(), self._terms.lease_s)
        except Unavailable:
            return
        if held:
            self._hold(sent + self._terms.lease_s)
        else:
            await self._anew()

    async def leave(self) -> None:
        """The node ends as it should; nobody has to wait for its lease. Unavailable."""
        self._left = True
        if not self.joined:
            return
        for _ in range(_LEAVE_TRIES):
            entry = await self._broker.session.nodes.get(self._hooks.about().name)
            if entry is None or not self._is_mine(entry):
                return
            me = replace(self._hooks.about(), state=NodeState.LEFT, taken=0)
            try:
                await self._broker.session.nodes.update(me.name, node_to_bytes(me), entry.revision)
                return
            except Changed:
                # By a renewal that was under way.
                continue


class Beside:
    """Has a thread ask the store, one question at a time, and waits no longer than `wait_s` for an answer."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._asked: asyncio.Future[bool] | None = None

    async def __call__(self, ask: Callable[[str, str, float], bool], of: Node, lease_s: float) -> bool:
        """The answer. Unavailable when there is none in time, or the last question has none yet."""
        if self._asked is not None and not self._asked.done():
            raise Unavailable(_SLOW)
        loop = asyncio.get_running_loop()
        asked = self._asked = loop.run_in_executor(None, ask, of.name, of.incarnation, lease_s)
        # What comes later nobody relies on, nor does it go unread.
        asked.add_done_callback(lambda late: late.cancelled() or late.exception())
        done, _ = await asyncio.wait([asked], timeout=self._wait_s)
        if not done:
            raise Unavailable(_SLOW)
        return asked.result()


def new_incarnation() -> str:
    """What no other start of a node is called."""
    return secrets.token_hex(8)
