"""A Janus server's HTTP interface, as far as the VideoRoom plugin needs it.

Requests are answered or acknowledged at once; what a plugin has to say later, and what happens unasked,
comes by long poll. (Janus documentation: "RESTful interface", "VideoRoom".)
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx

from guardian.core.errors import CallError, SfuRefused
from guardian.core.sfu import JanusRoom
from guardian.rtc.sfu.meeting import HTTP_S, LEAVE_S, Reply, fetch

POLL_S = 40.0
"""Janus holds a long poll for 30 s."""
_KEEP_ALIVE_S = 10.0
_WAITING = 200
_PAUSE_S = 0.02
"""Between polls, should they be answered at once and for ever."""

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
        data = inside(event, "plugindata", "data")
        if "error" in data:
            raise SfuRefused(f"Janus refused to {body.get('request')}: {_short(data['error'])}")
        return event

    async def leave(self) -> None:
        """Gives the handle back; a server that is gone is no matter."""
        await self._session.leave(self)


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
        self._url = f"{self._url}/{_number(created)}"

    async def attach(self) -> Handle:
        """A new handle of the VideoRoom plugin. SfuRefused."""
        made = await self.post({"janus": "attach", "plugin": "janus.plugin.videoroom"})
        handle = Handle(self, _number(made))
        self._handles[handle.number] = handle
        return handle

    async def leave(self, handle: Handle) -> None:
        """Gives a handle back."""
        self._handles.pop(handle.number, None)
        with suppress(SfuRefused):
            await self._exchange({"janus": "detach"}, handle.number, LEAVE_S)

    async def post(self, request: Mapping[str, Any], handle: int | None = None) -> Message:
        """The immediate reply to a request. SfuRefused."""
        return await self._exchange(request, handle, HTTP_S)

    async def _exchange(self, request: Mapping[str, Any], handle: int | None, timeout_s: float) -> Message:
        body = {"transaction": secrets.token_urlsafe(9), **request, **self._credentials()}
        url = self._url if handle is None else f"{self._url}/{handle}"
        return _said(_read(await fetch(self._http, timeout_s, "POST", url, json=body)))

    async def ask(self, request: Mapping[str, Any], handle: int) -> Message:
        """The event a plugin answers a request with. SfuRefused."""
        transaction = secrets.token_urlsafe(9)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = future
        try:
            reply = await self.post({**request, "transaction": transaction}, handle)
            if reply.get("janus") == "success":
                return reply
            async with asyncio.timeout(HTTP_S):
                return await future
        except TimeoutError as error:
            raise SfuRefused("The Janus server did not answer in time.") from error
        finally:
            self._waiting.pop(transaction, None)

    async def listen(self) -> None:
        """Takes what Janus says until the session is over. SfuRefused."""
        while True:
            query = {"maxev": "10", **self._credentials()}
            answer = _read(await fetch(self._http, POLL_S, "GET", self._url, params=query))
            for message in answer if isinstance(answer, list) else [answer]:
                self._take(_said(message))
            await asyncio.sleep(_PAUSE_S)

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
        sender = message.get("sender")
        handle = self._handles.get(sender) if isinstance(sender, int) else None
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
        with suppress(SfuRefused):
            await self._exchange({"janus": "destroy"}, None, LEAVE_S)


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


def inside(message: Any, *names: str) -> Message:
    """The object some levels inside a message; an empty one where there is none."""
    for name in names:
        message = message.get(name) if isinstance(message, dict) else None
    return message if isinstance(message, dict) else {}


def _read(reply: Reply) -> Any:
    """The JSON of a reply. SfuRefused."""
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError):
        raise SfuRefused("The Janus server does not answer as one.") from None


def _number(message: Message) -> int:
    """What Janus calls a new session or handle. SfuRefused."""
    number = inside(message, "data").get("id")
    if not isinstance(number, int):
        raise SfuRefused("The Janus server does not answer as one.")
    return number


def _said(message: Any) -> Message:
    """A message that is not an error. SfuRefused."""
    if not isinstance(message, dict):
        raise SfuRefused("The Janus server does not answer as one.")
    if message.get("janus") == "error":
        raise SfuRefused(f"Janus refused: {_short(inside(message, 'error').get('reason'))}")
    return message


def _short(reason: Any) -> str:
    """A server's own words, kept short and on one line."""
    text = " ".join(str(reason).split())[:120]
    return text if text.endswith(".") else f"{text}."
