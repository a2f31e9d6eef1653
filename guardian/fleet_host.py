"""A node's calls as its fleet keeps them: what happens to them here is written into their records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from guardian.core.call_records import CallRecord, CallState, LegHash
from guardian.core.calls import Answer, CallSpec, Scope
from guardian.core.errors import CallExists, Unavailable
from guardian.core.frames import Mode
from guardian.core.lease import lease_clock
from guardian.core.ports import CallHost
from guardian.core.sfu import Place
from guardian.core.violations import Role
from guardian.fleet.broker import Changed
from guardian.fleet.call_book import CallBook, Kept, Unreadable
from guardian.telemetry.call_lines import told_as_taken
from guardian.web.admission import Admitted, LegToken, Register

_LOST = "This node has lost touch with its fleet and takes no calls; try again."
_AGAIN_S = 0.5
_LATER_S = 600.0
"""How often records of calls that go on are written anew: they are forgotten some time after that."""
_MOVED = "The call was taken by another node meanwhile; try again."
_SETTLE_S = 3.0
_SLOW = "The end of this call is not written yet; try again."


class FleetHost:
    """The `CallHost` of a node. holder: this node and its start; until: how long its lease holds."""

    def __init__(
        self,
        host: CallHost,
        book: CallBook,
        register: Register,
        holder: Callable[[], tuple[str, str]],
        token_s: float,
        tell_failed: Callable[[CallRecord], None],
    ) -> None:
        """tell_failed: tells of a call that has failed, unless it was told; waits for the store."""
        self._host = host
        self._book = book
        self._register = register
        self._holder = holder
        self._token_s = token_s
        self._tell_failed = tell_failed
        self._dirty: set[str] = set()
        self._telling: dict[str, asyncio.Event] = {}
        """Calls that have failed, which is not on the disk yet: nobody is to take them before."""
        self._opening: set[str] = set()
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self.until = float("-inf")
        self.taken_again = 0

    # --- CallHost -----------------------------------------------------------------------------

    def reserve(self, call_id: str) -> None:
        """Takes a slot of this node."""
        self._host.reserve(call_id)

    def release(self, call_id: str) -> None:
        """Gives back the slot of a call that was not opened."""
        self._host.release(call_id)

    def expect(self, rules: str) -> None:
        """What the next calls will probably be judged by."""
        self._host.expect(rules)

    def trouble(self) -> str | None:
        """Why no call can be opened here, in a sentence."""
        return self._host.trouble()

    async def open(self, spec: CallSpec, rules: str = "", lease_until: float | None = None) -> None:
        """Keeps a record of the call, which nobody else can then open, and opens it."""
        call = self._register.any_tenant(spec.call_id)
        self._leased()
        if call is None:
            raise Unavailable(_LOST)
        self._opening.add(spec.call_id)
        try:
            kept = await self._book.create(self._record(call))
        except Changed:
            raise CallExists("This call_id is taken; use another one, or none to be given one.") from None
        finally:
            self._opening.discard(spec.call_id)
        try:
            await self._open(kept.record, rules)
        except BaseException:
            with suppress(Unavailable, Changed):
                await asyncio.shield(self._book.forget(kept))
            raise

    async def open_again(self, kept: Kept, rules: Callable[[CallSpec], str]) -> None:
        """Takes a call that has failed. Changed when somebody else has; HostFull, CallFailed, Unavailable."""
        # Before anything is told of it as it goes on, whoever died meanwhile.
        await asyncio.to_thread(self._tell_failed, kept.record)
        self._leased()
        node, incarnation = self._holder()
        taken = await self._book.replace(kept, kept.record.taken(node, incarnation, time.time()))
        spec = taken.record.spec
        self.readmit(taken.record)
        try:
            self._host.forget(spec.call_id)
            await self._open(taken.record, await asyncio.to_thread(rules, spec))
        except BaseException:
            self._register.end(spec.call_id, "failed", {})
            self.mark(spec.call_id)
            raise
        self.taken_again += 1
        told_as_taken(spec, taken.record.epoch)

    async def _open(self, record: CallRecord, rules: str) -> None:
        until = self._leased()
        if not record.held_by(*self._holder()):
            # It was fenced since, and has begun anew: others may have the call.
            raise Unavailable(_LOST)
        await self._host.open(record.spec, rules, until)
        # It may have been renewed while the process started.
        self._host.extend(self.until)

    @property
    def leased(self) -> bool:
        """Whether the calls of this node are surely its own."""
        return lease_clock() < self.until

    def _leased(self) -> float:
        if not self.leased:
            raise Unavailable(_LOST)
        return self.until

    def readmit(self, record: CallRecord) -> None:
        """The register knows the call from its record."""
        legs = {role: LegToken(leg.sha256, leg.expires) for role, leg in record.legs.items()}
        call = Admitted(record.spec, dict(record.metadata), legs)
        self._register.readmit(call)
        if record.state is not CallState.OPEN:
            reason = "failed" if record.state is CallState.FAILED else record.reason
            self._register.end(record.spec.call_id, reason, {})

    def strand(self, record: CallRecord) -> None:
        """A call is this node's and open by its record, and not here: an answer was lost when it was taken,
        or what became of it is not written yet."""
        call = self._register.any_tenant(record.spec.call_id)
        if call is None:
            self.readmit(record)
            self._register.end(record.spec.call_id, "failed", {})
        elif call.ended is None:
            return
        self.mark(record.spec.call_id)

    async def settle(self, call_id: str) -> None:
        """When a call of this node is over: waits until its record says so. Unavailable."""
        call = self._register.any_tenant(call_id)
        if call is None or call.ended is None:
            return
        try:
            async with asyncio.timeout(_SETTLE_S):
                if (telling := self._telling.get(call_id)) is not None:
                    await telling.wait()
                async with self._writing:
                    await self._write(call_id)
        except TimeoutError:
            raise Unavailable(_SLOW) from None

    async def offer(self, call_id: str, role: Role, sdp: str) -> Answer:
        """Connects a leg; the record says that it was."""
        answer = await self._host.offer(call_id, role, sdp)
        self.mark(call_id)
        return answer

    async def connect(self, call_id: str, role: Role, place: Place) -> None:
        """Meets a participant at an SFU."""
        await self._host.connect(call_id, role, place)

    async def trickle(self, call_id: str, session_id: str, fragment: str) -> None:
        """Adds remote candidates."""
        await self._host.trickle(call_id, session_id, fragment)

    async def hang_up(self, call_id: str, session_id: str | None, reason: str) -> None:
        """Ends a leg, or the call for good. Unavailable when a call that is not here cannot be ended."""
        await self._host.hang_up(call_id, session_id, reason)
        if session_id is not None:
            return
        try:
            kept = await self._book.get(call_id)
            if kept is not None and kept.record.state is CallState.FAILED:
                # Nobody looks after what has ended.
                await asyncio.to_thread(self._tell_failed, kept.record)
            await self._book.change(call_id, lambda record: self._over(record, reason))
        except Unavailable:
            call = self._register.any_tenant(call_id)
            if call is None or call.ended is not None:
                raise
            self.mark(call_id)

    async def set_mode(self, call_id: str, mode: Mode) -> None:
        """Changes the mode, for whoever takes the call later too."""
        await self._host.set_mode(call_id, mode)
        self.mark(call_id)

    async def set_scopes(self, call_id: str, scopes: Sequence[Scope]) -> None:
        """Changes the consent; what is withdrawn holds for whoever takes the call later, first of all."""
        less = frozenset(scopes)
        with suppress(Unavailable):
            await self._book.change(
                call_id, lambda r: replace(r, spec=replace(r.spec, scopes=r.spec.scopes & less))
            )
        await self._host.set_scopes(call_id, scopes)
        self.mark(call_id)

    async def keep(self, call_id: str, event_id: str) -> str | None:
        """Makes a clip for a complaint."""
        return await self._host.keep(call_id, event_id)

    async def use_rules(self, call_id: str, rules: str) -> None:
        """Changes what voices are judged by."""
        await self._host.use_rules(call_id, rules)

    def status(self, call_id: str) -> Mapping[str, Any]:
        """The last status of a call of this node, and which node that is."""
        return {**self._host.status(call_id), "node": self._holder()[0]}

    def capacity(self) -> tuple[int, int]:
        """(slots taken, slots in all) of this node."""
        return self._host.capacity()

    def extend(self, until: float) -> None:
        """The node's lease, and that of its calls, holds until these seconds of `lease_clock`."""
        self.until = max(self.until, until)
        self._host.extend(until)

    def forget(self, call_id: str) -> None:
        """What is known of a call that has ended goes."""
        self._host.forget(call_id)

    async def abandon(self) -> None:
        """Ends everything at once, telling nobody: others have this node's calls now."""
        self.until = float("-inf")
        self._dirty.clear()
        for call_id in self._register.live():
            self._register.withdraw(call_id)
        await self._host.abandon()

    # --- records ------------------------------------------------------------------------------

    def mark(self, call_id: str) -> None:
        """The record of the call has to say something else than it does."""
        self._dirty.add(call_id)
        self._wake.set()

    def telling(self, call_id: str) -> None:
        """The call has failed, which is being told: its record says so when it is `told`."""
        self._telling.setdefault(call_id, asyncio.Event())

    def told(self, call_id: str) -> None:
        """What is to be told of a call's failure will not be lost, or never be told."""
        telling = self._telling.pop(call_id, None)
        if telling is not None:
            telling.set()
        self.mark(call_id)

    async def write(self) -> None:
        """Keeps the records right until cancelled."""
        looked = time.monotonic()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_S):
                    await self._wake.wait()
            self._wake.clear()
            if time.monotonic() - looked > _LATER_S:
                looked = time.monotonic()
                self.mark_all()
            await self.flush()

    async def flush(self) -> None:
        """Writes what has to be written; what cannot be stays for later."""
        async with self._writing:
            for call_id in list(self._dirty):
                self._dirty.discard(call_id)
                try:
                    await self._write(call_id)
                except Unreadable:
                    # A node of another version has taken it since: it is theirs to write.
                    continue
                except Unavailable:
                    self._dirty.add(call_id)
                    return

    async def _write(self, call_id: str) -> None:
        if await self._book.change(call_id, self._truth) is not None or not self.leased:
            return
        call = self._register.any_tenant(call_id)
        if call is None or call.ended is not None or call_id in self._opening:
            return
        if await self._book.get(call_id) is not None:
            return
        # A broker that has lost all it knew.
        with suppress(Changed):
            await self._book.create(self._record(call))

    def _record(self, call: Admitted) -> CallRecord:
        node, incarnation = self._holder()
        legs = {role: LegHash(leg.sha256, leg.expires) for role, leg in call.legs.items()}
        joined = frozenset(session.role for session in call.sessions.values())
        return CallRecord(call.spec, call.metadata, legs, node, incarnation, time.time(), joined=joined)

    def mark_all(self) -> None:
        """The records of all calls are looked at."""
        self._dirty.update(self._register.live())
        self._wake.set()

    def _truth(self, record: CallRecord) -> CallRecord | None:
        """A record of a call of this node, as the register has it."""
        call = self._register.any_tenant(record.spec.call_id)
        if call is None or record.state is not CallState.OPEN or not record.held_by(*self._holder()):
            return None
        now = time.time()
        joined = record.joined | {session.role for session in call.sessions.values()}
        record = replace(record, spec=call.spec, joined=joined)
        if call.ended is None:
            fresh = now - record.at > _LATER_S / 2
            return replace(record, at=now) if fresh else record
        if call.ended == "failed":
            # Whoever takes it tells what follows.
            return None if record.spec.call_id in self._telling else record.failed(now, self._token_s)
        return record.ended(now, call.ended)

    def _over(self, record: CallRecord, reason: str) -> CallRecord | None:
        if record.state is CallState.OPEN and not record.held_by(*self._holder()):
            raise Unavailable(_MOVED)
        return record.ended(time.time(), reason) if record.state is not CallState.ENDED else None
