"""A Janus server's HTTP interface, as far as the VideoRoom plugin needs it.

Requests are answered or acknowledged at once; what a plugin has to say later, and what happens unasked,
comes by long poll. (Janus documentation: "RESTful interface", "VideoRoom".)
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx

from guardian.core.errors import CallError, SfuRefused
from guardian.core.sfu import JanusRoom

POLL_S = 40.0
"""Janus holds a long poll for 30 s."""
_REPLY_S = 10.0
_LEAVE_S = 2.0
_KEEP_ALIVE_S = 10.0
_WAITING = 200

Message = dict[str, Any]


class Handle:
    """Guardian in the VideoRoom plugin, once. Events nobody waits for lie in `events`."""

    def __init__(self, session: Session, number: int) -> None:
        self._session = session
        self.number = number
        self.events: asyncio.Queue[Message] = asyncio.Queue(_WAITING)

    async def ask(self, body: Mapping[str, Any], jsep: Mapping[str, Any] | None = None) -> Message:
        """The event that answers a request. SfuRefused when Janus or the room says no."""
        request = {"janus": "message", "body": dict(body)}
        if jsep is not None:
            request["jsep"] = dict(jsep)
        event = await self._session.ask(request, self.number)
        data = event.get("plugindata", {}).get("data", {})
        if "error" in data:
            raise SfuRefused(f"Janus refused to {body.get('request')}: {_short(data['error'])}")
        return event

    async def leave(self) -> None:
        """Gives the handle back; a server that is gone is no matter."""
        with suppress(SfuRefused, TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await self._session.post({"janus": "detach"}, self.number)


class Session:
    """A session at a Janus server; it lives as long as it is polled."""

    def __init__(self, http: httpx.AsyncClient, place: JanusRoom) -> None:
        self._http = http
        self._place = place
        self._url = place.url.rstrip("/")
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._handles: dict[int, Handle] = {}

    async def open(self) -> None:
        """Makes the session. SfuRefused."""
        created = await self.post({"janus": "create"})
        self._url = f"{self._url}/{created['data']['id']}"

    async def attach(self) -> Handle:
        """A new handle of the VideoRoom plugin. SfuRefused."""
        made = await self.post({"janus": "attach", "plugin": "janus.plugin.videoroom"})
        handle = Handle(self, made["data"]["id"])
        self._handles[handle.number] = handle
        return handle

    async def post(self, request: Mapping[str, Any], handle: int | None = None) -> Message:
        """The immediate reply to a request. SfuRefused."""
        body = {"transaction": secrets.token_urlsafe(9), **request, **self._credentials()}
        url = self._url if handle is None else f"{self._url}/{handle}"
        try:
            return _said((await self._http.post(url, json=body, timeout=_REPLY_S)).json())
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise SfuRefused("The Janus server cannot be reached or does not answer as one.") from error

    async def ask(self, request: Mapping[str, Any], handle: int) -> Message:
        """The event a plugin answers a request with. SfuRefused."""
        transaction = secrets.token_urlsafe(9)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = future
        try:
            reply = await self.post({**request, "transaction": transaction}, handle)
            if reply.get("janus") == "success":
                return reply
            async with asyncio.timeout(_REPLY_S):
                return await future
        except TimeoutError as error:
            raise SfuRefused("The Janus server did not answer in time.") from error
        finally:
            self._waiting.pop(transaction, None)

    async def listen(self) -> None:
        """Takes what Janus says until the session is over. SfuRefused."""
        while True:
            query = {"maxev": "10", **self._credentials()}
            try:
                answer = (await self._http.get(self._url, params=query, timeout=POLL_S)).json()
            except (httpx.HTTPError, ValueError) as error:
                raise SfuRefused("The Janus server is gone.") from error
            for message in answer if isinstance(answer, list) else [answer]:
                self._take(_said(message))

    async def stay(self) -> None:
        """Keeps the session from timing out where Janus allows less silence than a poll takes. SfuRefused."""
        while True:
            await asyncio.sleep(_KEEP_ALIVE_S)
            await self.post({"janus": "keepalive"})

    def _take(self, message: Message) -> None:
        if message.get("janus") == "timeout":
            raise SfuRefused("The Janus session has timed out.")
        future = self._waiting.get(str(message.get("transaction")))
        if future is not None and message.get("janus") == "event":
            if not future.done():
                future.set_result(message)
            return
        handle = self._handles.get(message.get("sender", 0))
        if handle is None or message.get("janus") not in ("event", "hangup", "detached"):
            return
        if handle.events.full():
            raise SfuRefused("The Janus server says more than can be taken.")
        handle.events.put_nowait(message)

    def _credentials(self) -> dict[str, str]:
        named = {"token": self._place.token, "apisecret": self._place.api_secret}
        return {name: value for name, value in named.items() if value is not None}

    async def close(self) -> None:
        """Ends the session and all its handles."""
        with suppress(SfuRefused, TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await self.post({"janus": "destroy"})


@asynccontextmanager
async def session(http: httpx.AsyncClient, place: JanusRoom) -> AsyncIterator[Session]:
    """An open, polled session. When polling fails, what is inside ends with SfuRefused."""
    opened = Session(http, place)
    await opened.open()
    try:
        async with asyncio.TaskGroup() as tasks:
            polling = tasks.create_task(opened.listen())
            beating = tasks.create_task(opened.stay())
            yield opened
            polling.cancel()
            beating.cancel()
    except* CallError as group:
        raise SfuRefused(str(_first(group))) from group
    finally:
        await opened.close()


def _first(group: BaseExceptionGroup[CallError]) -> CallError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _said(message: Any) -> Message:
    """A message that is not an error. SfuRefused."""
    if not isinstance(message, dict):
        raise ValueError("not an object")
    if message.get("janus") == "error":
        raise SfuRefused(f"Janus refused: {_short(message.get('error', {}).get('reason'))}")
    return message


def _short(reason: Any) -> str:
    """A server's own words, kept short and on one line."""
    text = " ".join(str(reason).split())[:120]
    return text if text.endswith(".") else f"{text}."
