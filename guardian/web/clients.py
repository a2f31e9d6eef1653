"""How many calls a client may create a minute and have at once, so that none takes every slot from others."""

from __future__ import annotations

import math
import time

from starlette.requests import HTTPConnection

from guardian.core.errors import HostFull
from guardian.core.rate import Rates
from guardian.core.readiness import Status
from guardian.core.slowing import place
from guardian.web.access import Caller
from guardian.web.parts import Parts
from guardian.web.problems import Problem

_ANOTHER_S = 10
_FULL = "Guardian takes no calls now; use another instance."


def client_of(connection: HTTPConnection, caller: Caller | None) -> str:
    """Who is counted: an API key, else an address (of an IPv6 one what a subscriber has)."""
    if caller is not None and caller.key_id is not None:
        return f"key:{caller.key_id}"
    return f"peer:{place(connection.client.host if connection.client else '')}"


def room(parts: Parts) -> None:
    """HostFull when every slot is taken, or when no calls are taken for another reason."""
    now = parts.ready()
    if now.status is not Status.READY:
        raise HostFull(now.reason or _FULL, now.retry_after)


class Clients:
    """Counts what each client asks for. Used on the event loop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        per_min = parts.config.client_calls_per_min
        self._rates = Rates(per_min / 60, max(1, math.ceil(per_min)), time.monotonic)

    def knock(self, client: str) -> None:
        """A client asks for a call, whatever comes of it. Problem 429."""
        wait_s = self._rates.wait(client)
        if wait_s > 0:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            raise Problem(429, "Too many calls were asked for within a minute; wait a little.", headers)

    def one_more(self, client: str) -> None:
        """A client is about to be given a call. Problem 429 when it has too many that go on."""
        if self._parts.register.held_by(client) >= self._parts.config.client_calls:
            detail = "This client has too many calls at once; end one, or ask for more room."
            raise Problem(429, detail, {"Retry-After": str(_ANOTHER_S)})
