"""One call's process as the supervisor sees it: what it was asked, what it said, whether it lives."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

from guardian.core.calls import CallSpec
from guardian.core.errors import CallFailed
from guardian.fleet.messages import Action, Link, raise_from
from guardian.fleet.signals import Handle

_DUMP_S = 0.3


class Worker:
    """One call and its process."""

    def __init__(self, spec: CallSpec, rules: str) -> None:
        self.spec = spec
        self.rules = rules
        """What it is told to begin with."""
        self.process: asyncio.subprocess.Process | None = None
        self.handle: Handle | None = None
        self.link: Link | None = None
        self.ready = asyncio.Event()
        self.gone = asyncio.Event()
        self.status: dict[str, Any] = {}
        self.ended_reason: str | None = None
        self.beat_at = time.monotonic()
        self.task: asyncio.Task[None] | None = None
        self.unwanted = False
        self._next_id = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def ask(self, action: Action, timeout_s: float, **fields: Any) -> dict[str, Any]:
        """The reply to a request. Raises what the process raised; CallFailed when it is gone."""
        if self.link is None or self.gone.is_set():
            raise CallFailed("The call is over.")
        self._next_id += 1
        number = self._next_id
        reply = asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        try:
            self.link.write({"id": number, "do": action, **fields})
            async with asyncio.timeout(timeout_s):
                message = await reply
        except TimeoutError:
            raise CallFailed("The call process did not answer in time; create a new call.") from None
        finally:
            del self._waiting[number]
        raise_from(message)
        ok: dict[str, Any] = message.get("ok", {})
        return ok

    def replied(self, message: dict[str, Any]) -> None:
        """A reply has come."""
        waiting = self._waiting.get(message.get("re", -1))
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    def lost(self) -> None:
        """The process is gone: nobody waits for it any longer."""
        self.gone.set()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(CallFailed("The call process died; create a new call."))

    def kill(self) -> None:
        """Ends the process at once, if it is still there; one being started ends as it starts."""
        self.unwanted = True
        if self.handle is not None:
            self.handle.send(signal.SIGKILL)

    async def dump_and_kill(self) -> None:
        """Lets the process write its stacks to the log, then kills it."""
        if self.handle is not None:
            self.handle.send(signal.SIGUSR1)
            await asyncio.sleep(_DUMP_S)
        self.kill()
