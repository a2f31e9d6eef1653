"""Where a request for a call is answered: by this server, or by another one of its fleet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Asked:
    """One HTTP request, whole, as another server can answer it.

    path: as it was sent, with its query. headers: those that say what is asked, names in lower case.
    client: the address it came from. scheme: http or https.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    scheme: str = "http"
    client: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """One HTTP answer, whole. headers: names in lower case; without those of the connection."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)


class Dispatcher(Protocol):
    """Finds who answers. Raises the errors of `guardian.core.errors` only.

    Each wait has an end: of `place` after the time to find a node and to open a call, of `route` after twice
    the time to forward what was asked.
    """

    async def place(self, call_id: str, asked: Asked) -> Answered | None:
        """Has a call admitted wherever there is room; None: here, by whoever asks. HostFull, Unavailable."""
        ...

    async def route(self, call_id: str, asked: Asked) -> Answered | None:
        """The answer of whoever has the call; None: whoever asks answers. Unavailable, HostFull."""
        ...
