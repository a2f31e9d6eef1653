"""One call as the supervisor sees it: which process holds it, what it says, how it ended."""

from __future__ import annotations

import asyncio
from typing import Any

from guardian.core.calls import CallSpec
from guardian.fleet.messages import Action
from guardian.fleet.process import Process


class Worker:
    """One call on its process."""

    def __init__(self, spec: CallSpec, process: Process) -> None:
        self.spec = spec
        self.process = process
        self.ready = asyncio.Event()
        """It has begun."""
        self.gone = asyncio.Event()
        """It is over, and settled."""
        self.status: dict[str, Any] = {}
        self.ended_reason: str | None = None
        """Why it ended; None while it goes on, and when its process died."""
        self.disowned = False
        """Others have told of its end: nothing it says counts."""
        process.calls.add(spec.call_id)

    async def ask(self, action: Action, timeout_s: float, **fields: Any) -> dict[str, Any]:
        """The reply to a request. Raises what the process raised; CallFailed when it is gone."""
        return await self.process.ask(action, timeout_s, call=self.spec.call_id, **fields)

    def tell(self, action: Action, **fields: Any) -> None:
        """A request whose reply nobody waits for."""
        self.process.tell(action, call=self.spec.call_id, **fields)
