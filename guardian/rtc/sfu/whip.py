"""WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) as a client: one POST, one answer, one DELETE."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import urljoin

import httpx

from guardian.core.errors import SfuRefused
from guardian.core.sfu import Endpoint, Endpoints
from guardian.rtc.peer import Peer
from guardian.rtc.sfu.meeting import Meeting, again_and_again, browser, connected

_SDP = "application/sdp"
_LEAVE_S = 2.0
_REDIRECTS = 3
_MAX_ANSWER = 256 * 1024


async def meet(ends: Endpoints, meeting: Meeting, ready: Callable[[], None]) -> None:
    """Gives and takes at the endpoints until cancelled; each is tried again when it ends.

    ready: called when the first connection stands. SfuRefused when the first attempt fails.
    """
    async with browser(meeting.origins) as http:
        works: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        if ends.whip is not None:
            giving = _Giving(http, ends.whip, meeting)
            await giving.begin()
            works.append(("whip", giving.go_on))
        if ends.whep is not None:
            taking = _Taking(http, ends.whep, meeting)
            if ends.whip is None:
                await taking.begin()
            works.append(("whep", taking.go_on))
        ready()
        async with asyncio.TaskGroup() as tasks:
            for what, work in works:
                tasks.create_task(again_and_again(work, what), name=what)


class Resource:
    """A WHIP or WHEP session at the server."""

    def __init__(self, http: httpx.AsyncClient, url: str, headers: dict[str, str]) -> None:
        self._http = http
        self._url = url
        self._headers = headers

    async def delete(self) -> None:
        """Ends the session; a server that is gone is no matter."""
        if self._url:
            with suppress(httpx.HTTPError, SfuRefused):
                await self._http.delete(self._url, headers=self._headers, timeout=_LEAVE_S)


async def post(http: httpx.AsyncClient, end: Endpoint, offer: str) -> tuple[str, Resource]:
    """Posts an offer: the answer and the session. SfuRefused. Redirects 307 and 308 are followed."""
    headers = {"Authorization": f"Bearer {end.token}"} if end.token else {}
    url = end.url
    for _ in range(_REDIRECTS + 1):
        try:
            answer = await http.post(url, content=offer, headers={**headers, "Content-Type": _SDP})
        except httpx.HTTPError as error:
            raise SfuRefused("The SFU cannot be reached.") from error
        if answer.status_code not in (307, 308) or "Location" not in answer.headers:
            break
        url = urljoin(url, answer.headers["Location"])
    if answer.status_code != httpx.codes.CREATED:
        raise SfuRefused(f"The SFU answered {answer.status_code} instead of 201.")
    location = answer.headers.get("Location")
    resource = Resource(http, urljoin(url, location) if location else "", headers)
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != _SDP or len(answer.content) > _MAX_ANSWER:
        await resource.delete()
        raise SfuRefused("The SFU's answer is not a session description.")
    return answer.text, resource


class _Session:
    """One endpoint, one peer at a time."""

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
        peer, resource = self._open
        try:
            await peer.closed.wait()
        finally:
            self._open = None
            await self._end_of(peer, resource)

    async def _end_of(self, peer: Peer, resource: Resource | None) -> None:
        await peer.close()
        if resource is not None:
            await resource.delete()


class _Giving(_Session):
    """What the participant gets, pushed by WHIP."""

    def _peer(self) -> Peer:
        return self._meeting.sending()

    def _directions(self) -> dict[str, str]:
        return {"audio": "sendonly", "video": "sendonly"}


class _Taking(_Session):
    """What the participant sends, pulled by WHEP."""

    def _peer(self) -> Peer:
        return self._meeting.receiving()

    def _directions(self) -> dict[str, str]:
        return {"audio": "recvonly", "video": "recvonly"}

    async def _settle(self, peer: Peer) -> None:
        self._meeting.expect(peer)
        await super()._settle(peer)
