"""`guardian serve` as a node of a fleet whose calls have no media: `python -m tests.chaos.fleet_node CONFIG`.

A call fails when it is told to show products.
"""

import sys
from contextlib import asynccontextmanager
from pathlib import Path

from guardian import server
from guardian.core.calls import CallEvent, CallEventType
from guardian.core.frames import Mode
from guardian.settings import load
from guardian.web.admission import now
from tests.fakes.host import FakeHost


class FragileHost(FakeHost):
    def __init__(self, slots, publish):
        super().__init__(slots)
        self._publish = publish

    async def set_mode(self, call_id, mode):
        await super().set_mode(call_id, mode)
        if mode is Mode.PRODUCT:
            self.leave(self.calls[call_id], "failed")

    async def hang_up(self, call_id, session_id, reason):
        if session_id is None and call_id in self.calls:
            self.leave(self.calls[call_id], reason)
        await super().hang_up(call_id, session_id, reason)

    def leave(self, spec, reason):
        del self.calls[spec.call_id]
        data = {"role": None, "reason": reason}
        self._publish(spec, CallEvent(spec.call_id, CallEventType.CALL_LEFT, now(), 0.0, data))


def ready(url):
    sys.stdout.write(f"guardian is listening on {url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    settings = load(Path(sys.argv[1]))

    @asynccontextmanager
    async def host(_, publish):
        yield FragileHost(settings.limits.max_calls, publish)

    server.run(settings, ready, host)
