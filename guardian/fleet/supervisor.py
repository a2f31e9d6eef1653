"""Runs one process per call, talks to it, watches it, and cleans up after it.

Slots are counted, never sampled. A process that dies, stops beating or is stuck in a frame takes
its call with it: the call ends as failed, its peers lose the connection, the server lives.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from guardian.core.calls import Answer, CallEvent, CallEventType, CallSpec, Scope
from guardian.core.capacity import Budget, Slots, size_in
from guardian.core.config import WorkConfig
from guardian.core.errors import CallExists, CallFailed, HostFull, NoSuchCall
from guardian.core.frames import Mode
from guardian.core.sfu import Place
from guardian.core.turn import with_credentials
from guardian.core.violations import Role
from guardian.fleet.messages import (
    MAX_LINE,
    Action,
    Link,
    Note,
    event_from_json,
    spec_to_json,
)
from guardian.fleet.signals import Handle
from guardian.fleet.worker import Worker

logger = logging.getLogger(__name__)

_ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}
"""A dozen threads would each keep a memory arena of their own."""
_REMEMBERED = 1000
_END_S = 8.0
Desk = Callable[[CallSpec, CallEvent], None]


def call_process_command() -> tuple[str, ...]:
    """The command that starts a call process; ` --link FD` is added."""
    return (sys.executable, "-m", "guardian.callproc")


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
        self._command = tuple(command) if command is not None else call_process_command()
        self._slots = slots or Slots(Budget.fixed(work.limits.max_calls), time.monotonic)
        self._workers: dict[str, Worker] = {}
        self._finished: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._tasks = asyncio.TaskGroup()
        self._accepting = False

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
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
        workers = list(self._workers.values())
        for worker in workers:
            if worker.link is not None and worker.ready.is_set():
                worker.link.write({"id": 0, "do": Action.HANG_UP, "session_id": None, "reason": reason})
            else:
                # Nobody has joined it yet.
                worker.kill()
        try:
            async with asyncio.timeout(_END_S):
                for worker in workers:
                    await worker.gone.wait()
        except TimeoutError:
            for worker in workers:
                worker.kill()

    # --- CallHost -----------------------------------------------------------------------------

    def reserve(self, call_id: str) -> None:
        """Takes a slot for a call that is to be opened, at once. HostFull."""
        self._slots.reserve(call_id)

    def release(self, call_id: str) -> None:
        """Gives back the slot of a call that was not opened; one with a process has it until that is gone."""
        if call_id not in self._workers:
            self._slots.release(call_id)

    async def open(self, spec: CallSpec, rules: str = "") -> None:
        """Admits a call and starts its process. HostFull, CallExists, CallFailed."""
        if spec.call_id in self._workers or spec.call_id in self._finished:
            raise CallExists("A call with this call_id exists already; choose another.")
        if not self._accepting:
            raise HostFull("Guardian is shutting down; use another instance.", 30)
        self._slots.reserve(spec.call_id)
        worker = Worker(spec, rules)
        self._workers[spec.call_id] = worker
        worker.task = self._tasks.create_task(self._attend(worker), name=f"call-{spec.call_id}")
        try:
            async with asyncio.timeout(self._work.limits.start_s):
                await _first_of(worker.ready, worker.gone)
        except TimeoutError:
            worker.kill()
        except BaseException:
            worker.kill()
            raise
        if not worker.ready.is_set() or worker.gone.is_set():
            raise CallFailed(
                "The call process could not be started; see the server's log, or run guardian doctor."
            )

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
        with suppress(CallFailed, TimeoutError):
            async with asyncio.timeout(_END_S):
                if worker.ready.is_set():
                    await worker.ask(
                        Action.HANG_UP, self._work.limits.answer_s, session_id=None, reason=reason
                    )
                    await worker.gone.wait()
        if not worker.gone.is_set():
            worker.kill()
            with suppress(TimeoutError):
                async with asyncio.timeout(2 * _END_S):
                    await worker.gone.wait()

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
            return {"call_id": call_id, "state": "open", "ended_reason": None, **worker.status}
        if call_id in self._finished:
            return self._finished[call_id]
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

    # --- one process --------------------------------------------------------------------------

    async def _attend(self, worker: Worker) -> None:
        """Starts the process and lives until it is gone; never raises."""
        try:
            await self._spawn(worker)
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(self._watch(worker))
                await self._listen(worker)
                watch.cancel()
        except Exception:
            # Whatever a process says or does costs its own call and no other.
            logger.exception("a call process could not be run")
        finally:
            await self._bury(worker)

    async def _spawn(self, worker: Worker) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            worker.process = await asyncio.create_subprocess_exec(
                *self._command,
                "--link",
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                # Native libraries print to stdout; the server's own stays readable for machines.
                stdout=sys.stderr,
                start_new_session=True,
                env={**os.environ, **_ENVIRONMENT},
            )
            worker.handle = Handle(worker.process.pid)
            if worker.unwanted:
                worker.kill()
        worker.beat_at = time.monotonic()
        worker.link = Link(*await asyncio.open_connection(sock=ours, limit=MAX_LINE))
        worker.link.write(
            {
                "id": 0,
                "do": Action.START,
                "spec": spec_to_json(worker.spec),
                "config": asdict(self._config_of_a_call()),
                "rules": worker.rules,
            }
        )

    def _config_of_a_call(self) -> WorkConfig:
        """Credentials of its own for each call; the secret they are made with stays here."""
        work = self._work
        return replace(
            work, media=with_credentials(work.media, work.limits, time.time(), secrets.token_hex(8))
        )

    async def _listen(self, worker: Worker) -> None:
        assert worker.link is not None
        while (message := await worker.link.receive()) is not None:
            worker.beat_at = time.monotonic()
            if "re" in message:
                worker.replied(message)
                continue
            match message.get("note"):
                case Note.READY:
                    worker.status = _status(message)
                    worker.ready.set()
                case Note.BEAT:
                    self._beat(worker, message)
                case Note.EVENT:
                    event = event_from_json(message["event"])
                    # A process speaks for its own call only.
                    self._publish(worker.spec, replace(event, call_id=worker.spec.call_id))
                case Note.ENDED:
                    worker.status = _status(message)
                    worker.ended_reason = str(message["reason"])

    def _beat(self, worker: Worker, message: Mapping[str, Any]) -> None:
        worker.status = _status(message)
        self._slots.learn(worker.spec.call_id, size_in(worker.status))
        stuck_s = float(message.get("lane_age_s", 0.0))
        if stuck_s > self._work.limits.lane_stuck_s:
            logger.error("a video lane is stuck; the call process is killed")
            worker.kill()

    async def _watch(self, worker: Worker) -> None:
        """Kills a process that has stopped beating."""
        limits = self._work.limits
        allowed_s = limits.start_s
        while True:
            await asyncio.sleep(0.5)
            if worker.ready.is_set():
                allowed_s = limits.beat_lost_s
            if time.monotonic() - worker.beat_at > allowed_s:
                logger.error("a call process has stopped beating; it is killed")
                await worker.dump_and_kill()
                return

    async def _bury(self, worker: Worker) -> None:
        """Settles everything after a process is gone."""
        worker.kill()
        await self._wait(worker)
        if worker.link is not None:
            worker.link.close()
        failed = worker.ended_reason is None
        reason = worker.ended_reason or "the call process died"
        if failed and worker.ready.is_set():
            at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            media_t = _number(worker.status.get("media_t"))
            self._publish(
                worker.spec,
                CallEvent(
                    worker.spec.call_id,
                    CallEventType.CALL_LEFT,
                    at,
                    media_t,
                    {"role": None, "reason": "failed"},
                ),
            )
        call_id = worker.spec.call_id
        if worker.ready.is_set():
            self._finished[call_id] = {
                "call_id": call_id,
                "state": "failed" if failed else "ended",
                "ended_reason": reason,
                **{key: value for key, value in worker.status.items() if key != "histograms"},
            }
            while len(self._finished) > _REMEMBERED:
                self._finished.popitem(last=False)
        del self._workers[call_id]
        if worker.ready.is_set():
            self._slots.ended(call_id)
        self._slots.release(call_id)
        worker.lost()

    async def _wait(self, worker: Worker) -> None:
        """Until the killed process is gone, or will not go (one that waits for a dead disk)."""
        try:
            if worker.process is not None:
                async with asyncio.timeout(_END_S):
                    await worker.process.wait()
        except TimeoutError:
            logger.error("a killed call process does not go away")
        finally:
            if worker.handle is not None:
                worker.handle.close()

    def _publish(self, spec: CallSpec, event: CallEvent) -> None:
        try:
            self._desk(spec, event)
        except Exception:
            # The call must go on; the desk alarms about its own store.
            logger.exception("an event could not be kept")


async def _first_of(*events: asyncio.Event) -> None:
    """Returns when one of the events is set. Cancelling it leaves no task behind."""

    class Done(Exception):
        pass

    async def wait(event: asyncio.Event) -> None:
        await event.wait()
        raise Done

    with suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as tasks:
            for event in events:
                tasks.create_task(wait(event))


def _status(message: Mapping[str, Any]) -> dict[str, Any]:
    status = message["status"]
    if not isinstance(status, dict):
        raise ValueError("a status is an object")
    return status


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
