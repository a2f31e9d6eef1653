"""Holds calls in processes of their own, talks to them, watches them, and cleans up after them.

Slots are counted, never sampled. A process that dies, stops beating, is stuck in a frame or takes too much
memory takes its calls with it: they end as failed, their peers lose the connection, the server lives.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any, Self

from guardian.core.calls import Answer, CallEvent, CallSpec, Scope
from guardian.core.capacity import Budget, Slots, size_in
from guardian.core.config import WorkConfig
from guardian.core.errors import CallExists, CallFailed, HostFull, NoSuchCall
from guardian.core.frames import Mode
from guardian.core.sfu import Place
from guardian.core.turn import with_credentials
from guardian.core.violations import Role
from guardian.fleet.crew import Crew, call_process_command
from guardian.fleet.finished import Finished, failed
from guardian.fleet.messages import Action, Note, event_from_json, spec_to_json, status_in
from guardian.fleet.process import Death, Process
from guardian.fleet.worker import Worker

logger = logging.getLogger(__name__)

_END_S = 8.0
Desk = Callable[[CallSpec, CallEvent], None]


class Supervisor:
    """The `CallHost` of one machine. Use as an async context manager; leaving it ends every call."""

    def __init__(
        self,
        work: WorkConfig,
        desk: Desk,
        command: Sequence[str] | None = None,
        slots: Slots | None = None,
    ) -> None:
        """slots: None: `limits.max_calls`, whatever calls cost."""
        self._work = work
        self._desk = desk
        self._slots = slots or Slots(Budget.fixed(work.limits.max_calls), time.monotonic)
        self._crew = Crew(work, command or call_process_command(), self._hear, self._gone)
        self._workers: dict[str, Worker] = {}
        self._finished = Finished()
        self._tasks = asyncio.TaskGroup()
        self._accepting = False

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._crew.begin(self._tasks)
        self._accepting = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.drain("the server stops")
        await self._tasks.__aexit__(kind, error, trace)

    async def drain(self, reason: str) -> None:
        """Accepts no more calls and ends those there are, by force after a deadline."""
        self._accepting = False
        self._crew.close()
        workers = list(self._workers.values())
        for worker in workers:
            if worker.ready.is_set():
                self._tell_to_end(worker, reason)
            else:
                # Nobody has joined it yet.
                self._abandon(worker)
        try:
            async with asyncio.timeout(_END_S):
                for worker in workers:
                    await worker.gone.wait()
        except TimeoutError:
            for worker in workers:
                if not worker.gone.is_set():
                    worker.process.kill(Death.UNWILLING)

    # --- CallHost -----------------------------------------------------------------------------

    def reserve(self, call_id: str) -> None:
        """Takes a slot for a call that is to be opened, at once. HostFull."""
        self._slots.reserve(call_id)

    def release(self, call_id: str) -> None:
        """Gives back the slot of a call that was not opened; one with a process has it until that is gone."""
        if call_id not in self._workers:
            self._slots.release(call_id)

    async def open(self, spec: CallSpec, rules: str = "", lease_until: float | None = None) -> None:
        """Admits a call and has a process hold it. HostFull, CallExists, CallFailed.

        lease_until: `lease_clock` seconds until which its process may send; None: as long as it lives.
        """
        if spec.call_id in self._workers or spec.call_id in self._finished:
            raise CallExists("A call with this call_id exists already; choose another.")
        if not self._accepting:
            raise HostFull("Guardian is shutting down; use another instance.", 30)
        self._slots.reserve(spec.call_id)
        try:
            worker = Worker(spec, self._crew.place())
        except BaseException:
            self._slots.release(spec.call_id)
            raise
        self._workers[spec.call_id] = worker
        try:
            reply = await worker.ask(
                Action.START,
                self._work.limits.start_s,
                spec=spec_to_json(spec),
                config=asdict(self._config_of_a_call()),
                rules=rules,
                lease_until=lease_until,
            )
            worker.status = status_in(reply)
        except (CallFailed, ValueError) as error:
            self._not_begun(worker)
            raise CallFailed(
                "The call process could not be started; see the server's log, or run guardian doctor."
            ) from error
        except BaseException:
            self._abandon(worker)
            raise
        worker.ready.set()
        self._crew.worked(worker.process)

    def extend(self, until: float) -> None:
        """Processes that hold calls may send until then. until: `lease_clock` seconds."""
        for process in self._crew:
            if process.calls:
                process.tell(Action.LEASE, until=until)

    def _not_begun(self, worker: Worker) -> None:
        """A call whose process died, or did not take it in time."""
        process = worker.process
        if not process.unwanted and len(process.calls) <= 1:
            begun = process.begun
            process.kill(Death.START)
            if not begun:
                self._crew.failed()
        self._abandon(worker)

    def _abandon(self, worker: Worker) -> None:
        """Gives up a call that has not begun; its process has nothing else to do, or goes on with others."""
        if len(worker.process.calls) <= 1:
            worker.process.leaving = True
            worker.process.kill()
        elif not worker.gone.is_set():
            worker.tell(Action.HANG_UP, session_id=None, reason="given up")
            self._settle(worker)

    async def offer(self, call_id: str, role: Role, sdp: str) -> Answer:
        """Connects a leg. NoSuchCall, OfferRefused, CallFailed."""
        reply = await self._ask(call_id, Action.OFFER, role=role, sdp=sdp)
        return Answer(str(reply["session_id"]), str(reply["sdp"]))

    async def connect(self, call_id: str, role: Role, place: Place) -> None:
        """Meets a participant at an SFU. NoSuchCall, SfuRefused, CallFailed."""
        await self._ask(call_id, Action.CONNECT, role=role, place=asdict(place))

    async def trickle(self, call_id: str, session_id: str, fragment: str) -> None:
        """Adds remote candidates. NoSuchCall, OfferRefused, CallFailed."""
        await self._ask(call_id, Action.TRICKLE, session_id=session_id, fragment=fragment)

    async def hang_up(self, call_id: str, session_id: str | None, reason: str) -> None:
        """Ends a leg, or the call when None. Idempotent."""
        worker = self._workers.get(call_id)
        if worker is None or worker.gone.is_set():
            return
        if session_id is None:
            await self._end(worker, reason)
            return
        with suppress(CallFailed, NoSuchCall):
            await self._ask(call_id, Action.HANG_UP, session_id=session_id, reason=reason)

    async def _end(self, worker: Worker, reason: str) -> None:
        """Ends a call, by force when it has not begun or does not listen: who asked relies on it."""
        if not worker.ready.is_set():
            self._abandon(worker)
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(_END_S):
                    self._tell_to_end(worker, reason)
                    await worker.gone.wait()
        if not worker.gone.is_set():
            if worker.ready.is_set():
                worker.process.kill(Death.UNWILLING)
            with suppress(TimeoutError):
                async with asyncio.timeout(2 * _END_S):
                    await worker.gone.wait()

    def _tell_to_end(self, worker: Worker, reason: str) -> None:
        if len(worker.process.calls) == 1:
            # It stands back while it ends, and so may not be given another call.
            worker.process.leaving = True
        worker.tell(Action.HANG_UP, session_id=None, reason=reason)

    async def set_mode(self, call_id: str, mode: Mode) -> None:
        """Changes the mode. NoSuchCall, CallFailed."""
        await self._ask(call_id, Action.SET_MODE, mode=mode)

    async def set_scopes(self, call_id: str, scopes: Sequence[Scope]) -> None:
        """Changes the consent. NoSuchCall, CallFailed."""
        await self._ask(call_id, Action.SET_SCOPES, scopes=sorted(scopes))

    async def keep(self, call_id: str, event_id: str) -> str | None:
        """Makes a clip for a complaint; its id, or None. NoSuchCall, CallFailed."""
        evidence_id = (await self._ask(call_id, Action.KEEP, event_id=event_id)).get("evidence_id")
        return str(evidence_id) if evidence_id else None

    async def use_rules(self, call_id: str, rules: str) -> None:
        """Changes what voices are judged by. NoSuchCall, CallFailed."""
        await self._ask(call_id, Action.USE_RULES, rules=rules)

    def status(self, call_id: str) -> Mapping[str, Any]:
        """The last status of a running call, or the final one of an ended call. NoSuchCall."""
        worker = self._workers.get(call_id)
        if worker is not None:
            status = {**worker.status, "process": worker.process.figures}
            return {"call_id": call_id, "state": "open", "ended_reason": None, **status}
        finished = self._finished.get(call_id)
        if finished is not None:
            return finished
        raise NoSuchCall("There is no call with this call_id.")

    def capacity(self) -> tuple[int, int]:
        """(slots taken, slots in all)."""
        return self._slots.counts()

    def calls(self) -> tuple[str, ...]:
        """Identifiers of the running calls."""
        return tuple(self._workers)

    async def _ask(self, call_id: str, action: Action, **fields: Any) -> dict[str, Any]:
        worker = self._workers.get(call_id)
        if worker is None:
            if call_id in self._finished:
                raise NoSuchCall("The call is over.")
            raise NoSuchCall("There is no call with this call_id.")
        return await worker.ask(action, self._work.limits.answer_s, **fields)

    def forget(self, call_id: str) -> None:
        """What is known of a call that has ended goes: it can be opened again."""
        self._finished.forget(call_id)

    async def abandon(self) -> None:
        """Ends every call at once and tells nobody: others have told that they failed."""
        workers = list(self._workers.values())
        for worker in workers:
            worker.disowned = True
            worker.process.kill()
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                for worker in workers:
                    await worker.gone.wait()

    # --- processes ----------------------------------------------------------------------------

    def expect(self, rules: str) -> None:
        """What spares read ahead from now on."""
        self._crew.rules = rules

    @property
    def spares(self) -> int:
        """Processes that have loaded everything and wait."""
        return self._crew.spares

    @property
    def deaths(self) -> Counter[Death]:
        """Processes that died before their time, counted by why."""
        return self._crew.deaths

    def trouble(self) -> str | None:
        """Why calls cannot be opened, in a sentence; None when they can."""
        return self._crew.trouble

    def processes(self) -> Iterator[Mapping[str, Any]]:
        """What each process last said of itself: `calls`, `mb`, `threads`, `descriptors`, `loop_lag_ms`."""
        for process in self._crew:
            yield {**process.figures, "calls": len(process.calls)}

    def _config_of_a_call(self) -> WorkConfig:
        """Credentials of its own for each call; the secret they are made with stays here."""
        work = self._work
        return replace(
            work, media=with_credentials(work.media, work.limits, time.time(), secrets.token_hex(8))
        )

    def _gone(self, process: Process) -> None:
        for call_id in list(process.calls):
            self._settle(self._workers[call_id])

    def _hear(self, process: Process, message: Mapping[str, Any]) -> None:
        """What a process says; it speaks for its own calls only."""
        match message.get("note"):
            case Note.BEAT:
                for call_id, one in message["calls"].items():
                    if call_id in process.calls:
                        status = self._workers[call_id].status = status_in(one)
                        self._slots.learn(call_id, size_in(status))
            case Note.EVENT:
                event = event_from_json(message["event"])
                if event.call_id in process.calls:
                    self._publish(self._workers[event.call_id], event)
            case Note.ENDED if message["call"] in process.calls:
                worker = self._workers[message["call"]]
                worker.status, worker.ended_reason = status_in(message), str(message["reason"])
                self._settle(worker)
                if not process.calls:
                    process.leave()

    def _settle(self, worker: Worker) -> None:
        """A call is over: it is told, remembered, and its slot is free."""
        call_id = worker.spec.call_id
        if worker.ready.is_set() and not worker.disowned:
            if worker.ended_reason is None:
                self._publish(worker, failed(worker))
            self._finished.add(worker)
        worker.process.calls.discard(call_id)
        del self._workers[call_id]
        if worker.ready.is_set():
            self._slots.ended(call_id)
        self._slots.release(call_id)
        worker.gone.set()

    def _publish(self, worker: Worker, event: CallEvent) -> None:
        if worker.disowned:
            return
        try:
            self._desk(worker.spec, event)
        except Exception:
            # The call must go on; the desk alarms about its own store.
            logger.exception("an event could not be kept")
