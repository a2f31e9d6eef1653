"""What every way of meeting a participant at an SFU has in common: peers, requests, patience, refusals.

What a server answers is not trusted: it is bounded in time and size, and nothing that it says ends the call.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from guardian.core.errors import SfuRefused
from guardian.core.sfu import origin_of
from guardian.rtc.peer import Peer

logger = logging.getLogger(__name__)

HTTP_S = 10.0
LEAVE_S = 1.0
"""For the last words to a server; several may follow each other when a call ends."""
_MAX_ANSWER = 256 * 1024
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

    async with httpx.AsyncClient(
        timeout=HTTP_S,
        trust_env=False,
        headers={"Accept-Encoding": "identity"},
        event_hooks={"request": [check]},
    ) as client:
        yield client


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered; the body is not decoded."""

    status: int
    headers: httpx.Headers
    body: bytes


async def fetch(http: httpx.AsyncClient, timeout_s: float, method: str, url: str, **what: Any) -> Reply:
    """The answer to a request, all of it within `timeout_s`. SfuRefused, also when it is too large.

    what: as `httpx.AsyncClient.build_request` takes it.
    """
    try:
        async with asyncio.timeout(timeout_s):
            request = http.build_request(method, url, timeout=timeout_s, **what)
            answer = await http.send(request, stream=True)
            try:
                return Reply(answer.status_code, answer.headers, await _body(answer))
            finally:
                http.cookies.clear()
                await answer.aclose()
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
        logger.debug("a server of an SFU failed", extra={"error": type(error).__name__})
        # The cause may quote the address or a header, and with it a secret.
        raise SfuRefused("The SFU cannot be reached.") from None


async def _body(answer: httpx.Response) -> bytes:
    """As it came over the wire, so that nothing small unpacks into something large."""
    body = bytearray()
    async for part in answer.aiter_raw():
        body += part
        if len(body) > _MAX_ANSWER:
            raise SfuRefused("The SFU answers more than can be taken.")
    return bytes(body)


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
    """Does `work` for ever: once more whenever it ends or fails, waiting longer each time it does so soon."""
    loop = asyncio.get_running_loop()
    wait_s = _FIRST_WAIT_S
    while True:
        began = loop.time()
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - whatever somebody else's server brings about
            logger.info("the SFU is tried again", extra={"what": what, "error": type(error).__name__})
        if loop.time() - began > _STEADY_S:
            wait_s = _FIRST_WAIT_S
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
