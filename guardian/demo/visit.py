"""The sample call through a server, or a fleet, that is running already.

Whoever operates it sees what participants would: when the picture comes, when it is gone because a call
process or a node died, and when it is back after both sides have offered again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import cycle
from urllib.parse import urlsplit

import av
import httpx
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from guardian.core.errors import CallFailed
from guardian.core.violations import Role
from guardian.demo.peers import CallClient, CameraTrack, LegTicket, MouthTrack, incoming, new_peer
from guardian.demo.sources import PictureSource
from guardian.demo.witness import is_curtain
from guardian.rtc.convert import planes_of

_CONSENT = {"token": "sample-consent", "notice_version": "sample-1"}
_GONE_S = 2.0
"""A picture that has not come for so long is gone."""
_FIRST_S = 20.0
"""How long a leg may take to show anything at all."""
_AGAIN_S = 0.5
_RETURN_S = 60.0
_STOP_S = 25.0
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Visit:
    """urls: of the nodes, or of the load balancer before them. seconds: how long the call lasts."""

    urls: tuple[str, ...]
    api_key: str | None
    seconds: float


async def run(visit: Visit, source: PictureSource, tell: Tell) -> None:
    """Calls, and offers again wherever that is answered when the picture is gone.

    CallFailed when nobody admits the call, or the picture does not come, or not come back.
    """
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(CallClient(url, visit.api_key)) for url in visit.urls]
        call_id, legs = await _created(clients)
        call = _Call(clients, call_id, legs, source, tell)
        try:
            await call.go_on(time.monotonic() + visit.seconds)
        finally:
            await call.end()


async def _created(clients: Sequence[CallClient]) -> tuple[str, dict[Role, LegTicket]]:
    failed: Exception | None = None
    for client in clients:
        try:
            return await client.create(mode="selfie", purpose="demo", consent=_CONSENT)
        except httpx.HTTPError as error:
            failed = error
    raise CallFailed("None of these addresses answers; is the server running?") from failed


class _Call:
    def __init__(
        self,
        clients: Sequence[CallClient],
        call_id: str,
        legs: dict[Role, LegTicket],
        source: PictureSource,
        tell: Tell,
    ) -> None:
        self._clients = clients
        self._call_id = call_id
        # Any node answers for any call: the path is what matters.
        self._legs = {role: LegTicket(urlsplit(leg.url).path, leg.token) for role, leg in legs.items()}
        self._source = source
        self._tell = tell
        tell(f"call {call_id} is admitted")

    async def go_on(self, ends_at: float) -> None:
        """Shows pictures until then. CallFailed."""
        gone_at: float | None = None
        while time.monotonic() < ends_at or gone_at is not None:
            async with self._joined() as (client, track):
                if not await _picture_before(track, time.monotonic() + _FIRST_S):
                    raise CallFailed("The merchant's side was answered and saw no picture.")
                back = (
                    ""
                    if gone_at is None
                    else f" again, {time.monotonic() - gone_at:.1f} s after the last one"
                )
                self._tell(f"the merchant sees a picture{back}{await self._where(client)}")
                gone_at = None
                last = await _pictures_until(track, ends_at)
            if last is not None:
                gone_at = last
                self._tell("the picture is gone; both sides offer again")

    @asynccontextmanager
    async def _joined(self) -> AsyncIterator[tuple[CallClient, MediaStreamTrack]]:
        """Both sides, connected wherever they are answered."""
        deadline = time.monotonic() + _RETURN_S
        for client in cycle(self._clients):
            merchant, shopper = new_peer(), new_peer()
            try:
                merchant.addTrack(MouthTrack(Role.MERCHANT, ()))
                merchant.addTransceiver("video", direction="recvonly")
                shopper.addTrack(MouthTrack(Role.SHOPPER, ()))
                shopper.addTrack(CameraTrack(self._source.pictures(), self._source.fps))
                try:
                    await client.join(self._legs[Role.MERCHANT], merchant)
                    await client.join(self._legs[Role.SHOPPER], shopper)
                except (CallFailed, httpx.HTTPError) as error:
                    if time.monotonic() > deadline:
                        raise CallFailed(f"Nobody takes the call again. {_sentence(error)}") from error
                    await asyncio.sleep(_AGAIN_S)
                    continue
                track = incoming(merchant, "video")
                if track is None:
                    raise CallFailed("The server's answer has no video for the merchant.")
                yield client, track
                return
            finally:
                async with asyncio.timeout(_STOP_S):
                    await merchant.close()
                    await shopper.close()

    async def _where(self, client: CallClient) -> str:
        with suppress(CallFailed, httpx.HTTPError):
            node = (await client.status(self._call_id)).get("node")
            return f", from node {node}" if node else ""
        return ""

    async def end(self) -> None:
        """Hangs up at whichever node answers."""
        for client in self._clients:
            with suppress(httpx.HTTPError):
                await client.hang_up(self._call_id)
                return


async def _picture_before(track: MediaStreamTrack, deadline: float) -> bool:
    """Whether anything but the curtain came."""
    while (left := deadline - time.monotonic()) > 0:
        try:
            async with asyncio.timeout(left):
                frame = await track.recv()
        except (TimeoutError, MediaStreamError):
            return False
        if isinstance(frame, av.VideoFrame) and not await asyncio.to_thread(is_curtain, planes_of(frame)):
            return True
    return False


async def _pictures_until(track: MediaStreamTrack, ends_at: float) -> float | None:
    """None when pictures came until then; else when the last one came."""
    last = time.monotonic()
    while (now := time.monotonic()) < ends_at:
        try:
            async with asyncio.timeout(min(_GONE_S, ends_at - now)):
                await track.recv()
        except TimeoutError:
            if time.monotonic() - last >= _GONE_S:
                return last
        except MediaStreamError:
            return last
        else:
            last = time.monotonic()
    return None


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, CallFailed) else "No address answers."
