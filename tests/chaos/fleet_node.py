"""`guardian serve` as a node of a fleet whose calls have no media: `python -m tests.chaos.fleet_node CONFIG`.

A call fails when it is told to show products, or is made a deadly offer, and cannot be opened when its mode
is private. Beside the configuration a file `clock` may say by how many seconds this node's wall clock is
wrong.
"""

import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

from guardian import server
from guardian.core.calls import CallEvent, CallEventType
from guardian.core.errors import CallFailed
from guardian.core.frames import Mode
from guardian.settings import load
from guardian.web.admission import now
from tests.fakes.host import FakeHost

DEADLY = "s=deadly"


class WrongClock:
    """`time.time` of a machine whose clock is wrong, or jumps."""

    def __init__(self, file):
        self._file = file
        self._right = time.time

    def __call__(self):
        return self._right() + (float(self._file.read_text() or 0) if self._file.is_file() else 0.0)


class FragileHost(FakeHost):
    def __init__(self, slots, publish):
        super().__init__(slots)
        self._publish = publish

    async def open(self, spec, *args, **kwargs):
        if spec.mode is Mode.PRIVATE:
            raise CallFailed("planted")
        await super().open(spec, *args, **kwargs)

    async def set_mode(self, call_id, mode):
        await super().set_mode(call_id, mode)
        if mode is Mode.PRODUCT:
            self.leave(self.calls[call_id], "failed")

    async def offer(self, call_id, role, sdp):
        if DEADLY in sdp:
            self.leave(self.calls[call_id], "failed")
            raise CallFailed("planted")
        return await super().offer(call_id, role, sdp)

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
    time.time = WrongClock(Path(sys.argv[1]).with_name("clock"))

    @asynccontextmanager
    async def host(_, publish):
        yield FragileHost(settings.limits.max_calls, publish)

    server.run(settings, ready, host)
