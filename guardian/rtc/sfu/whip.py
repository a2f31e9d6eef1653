"""WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) as a client: one POST, one answer, one DELETE."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urljoin

import httpx

from guardian.core.errors import SfuRefused
from guardian.core.sfu import Endpoint, Endpoints, origin_of
from guardian.rtc.peer import Peer
from guardian.rtc.sfu.meeting import (
    HTTP_S,
    LEAVE_S,
    Meeting,
    Reply,
    again_and_again,
    browser,
    connected,
    fetch,
)

_SDP = "application/sdp"
_REDIRECTS = 3


async def meet(ends: Endpoints, meeting: Meeting, ready: Callable[[], None]) -> None:
    """Gives and takes at the endpoints until cancelled; each is tried again when it ends.

    ready: called when the first connection stands. SfuRefused when the first attempt fails.
    """
    async with browser(meeting.origins) as http:
        sessions: list[_Session] = []
        if ends.whip is not None:
            sessions.append(_Giving(http, ends.whip, meeting))
        if ends.whep is not None:
            sessions.append(_Taking(http, ends.whep, meeting))
        try:
            await sessions[0].begin()
            ready()
            async with asyncio.TaskGroup() as tasks:
                for session in sessions:
                    tasks.create_task(again_and_again(session.go_on, session.what))
        finally:
            for session in sessions:
                await session.end()


class Resource:
    """A WHIP or WHEP session at the server."""

    def __init__(self, http: httpx.AsyncClient, url: str, headers: dict[str, str]) -> None:
        self._http = http
        self._url = url
        self._headers = headers

    async def delete(self) -> None:
        """Ends the session; a server that is gone is no matter."""
        if self._url:
            with suppress(SfuRefused):
                await fetch(self._http, LEAVE_S, "DELETE", self._url, headers=self._headers)


async def post(http: httpx.AsyncClient, end: Endpoint, offer: str) -> tuple[str, Resource]:
    """Posts an offer: the answer and the session. SfuRefused. Redirects 307 and 308 are followed."""
    url = end.url
    for _ in range(_REDIRECTS + 1):
        headers = {**_credentials(end, url), "Content-Type": _SDP}
        reply = await fetch(http, HTTP_S, "POST", url, content=offer, headers=headers)
        moved = _location(reply, url) if reply.status in (307, 308) else ""
        if not moved:
            break
        url = moved
    if reply.status != httpx.codes.CREATED:
        raise SfuRefused(f"The SFU answered {reply.status} instead of 201.")
    session = _location(reply, url)
    resource = Resource(http, session, _credentials(end, session))
    kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != _SDP:
        await resource.delete()
        raise SfuRefused("The SFU's answer is not a session description.")
    return reply.body.decode("utf-8", "replace"), resource


def _location(reply: Reply, url: str) -> str:
    """Where a reply to `url` points; "" when it does not say. SfuRefused when it cannot be read."""
    named = reply.headers.get("Location", "")
    try:
        return urljoin(url, named) if named else ""
    except ValueError:
        raise SfuRefused("The SFU named an address that cannot be read.") from None


def _credentials(end: Endpoint, url: str) -> dict[str, str]:
    """The token, for the server it was given for and for no other."""
    if not end.token or origin_of(url) != origin_of(end.url):
        return {}
    return {"Authorization": f"Bearer {end.token}"}


class _Session:
    """One endpoint, one peer at a time."""

    what: str

    def __init__(self, http: httpx.AsyncClient, end: Endpoint, meeting: Meeting) -> None:
        self._http = http
        self._end = end
        self._meeting = meeting
        self._open: tuple[Peer, Resource] | None = None

    def _peer(self) -> Peer:
        raise NotImplementedError

    def _directions(self) -> dict[str, str]:
        raise NotImplementedError

    async def begin(self) -> None:
        """Connects. SfuRefused."""
        peer = self._peer()
        resource: Resource | None = None
        try:
            answer, resource = await post(self._http, self._end, await peer.offer(self._directions()))
            await peer.accept(answer)
            await self._settle(peer)
        except BaseException:
            await self._end_of(peer, resource)
            raise
        self._open = peer, resource

    async def _settle(self, peer: Peer) -> None:
        await connected(peer, self._meeting.connect_s)

    async def go_on(self) -> None:
        """Until the session ends; connects first when there is none."""
        if self._open is None:
            await self.begin()
        assert self._open is not None
        peer, _ = self._open
        try:
            await peer.closed.wait()
        finally:
            await self.end()

    async def end(self) -> None:
        """Closes what is open. Idempotent."""
        if self._open is not None:
            opened, self._open = self._open, None
            await self._end_of(*opened)

    async def _end_of(self, peer: Peer, resource: Resource | None) -> None:
        await peer.close()
        if resource is not None:
            await resource.delete()


class _Giving(_Session):
    """What the participant gets, pushed by WHIP."""

    what = "whip"

    def _peer(self) -> Peer:
        return self._meeting.sending()

    def _directions(self) -> dict[str, str]:
        return {"audio": "sendonly", "video": "sendonly"}


class _Taking(_Session):
    """What the participant sends, pulled by WHEP."""

    what = "whep"

    def _peer(self) -> Peer:
        return self._meeting.receiving()

    def _directions(self) -> dict[str, str]:
        return {"audio": "recvonly", "video": "recvonly"}

    async def _settle(self, peer: Peer) -> None:
        self._meeting.expect(peer)
        await super()._settle(peer)
