"""What every way of meeting a participant at an SFU has in common: peers, patience, refusals."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from guardian.core.errors import CallError, SfuRefused
from guardian.core.sfu import origin_of
from guardian.rtc.peer import Peer

logger = logging.getLogger(__name__)

HTTP_S = 10.0
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 15.0
_STEADY_S = 30.0


@dataclass(frozen=True, slots=True)
class Meeting:
    """One participant's media at an SFU.

    sending, receiving: make a peer for what the participant gets, and for what comes from them.
    expect: gives the call a receiving peer that is about to connect.
    origins: the only servers to be contacted.
    """

    sending: Callable[[], Peer]
    receiving: Callable[[], Peer]
    expect: Callable[[Peer], None]
    origins: tuple[str, ...]
    connect_s: float


@asynccontextmanager
async def browser(origins: tuple[str, ...]) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client that contacts the configured servers only, redirected or not."""
    allowed = {origin_of(origin) for origin in origins}

    async def check(request: httpx.Request) -> None:
        if origin_of(str(request.url)) not in allowed:
            raise SfuRefused("The SFU sent Guardian to a server that media.sfu_origins does not name.")

    async with httpx.AsyncClient(timeout=HTTP_S, trust_env=False, event_hooks={"request": [check]}) as client:
        yield client


async def connected(peer: Peer, timeout_s: float) -> None:
    """Waits until a peer is connected. SfuRefused when it is not in time."""

    class Closed(Exception):
        pass

    async def fail() -> None:
        await peer.closed.wait()
        raise Closed

    try:
        async with asyncio.timeout(timeout_s), asyncio.TaskGroup() as tasks:
            failing = tasks.create_task(fail())
            await peer.connected.wait()
            failing.cancel()
    except (TimeoutError, BaseExceptionGroup) as error:
        raise SfuRefused("The media connection to the SFU could not be made.") from error


async def again_and_again(work: Callable[[], Awaitable[None]], what: str) -> None:
    """Does `work` for ever: once more whenever it ends, waiting longer each time it fails at once."""
    loop = asyncio.get_running_loop()
    wait_s = _FIRST_WAIT_S
    while True:
        began = loop.time()
        try:
            await work()
        except (CallError, httpx.HTTPError, TimeoutError, ValueError) as error:
            logger.info("the SFU is tried again", extra={"what": what, "error": type(error).__name__})
        if loop.time() - began > _STEADY_S:
            wait_s = _FIRST_WAIT_S
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
