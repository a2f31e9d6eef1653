"""One participant's VideoRoom: Guardian publishes what they get and subscribes to what they send."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from guardian.core.errors import SfuRefused
from guardian.core.sfu import JanusRoom
from guardian.rtc.peer import Peer
from guardian.rtc.sfu import janus
from guardian.rtc.sfu.meeting import Meeting, again_and_again, browser, connected

DISPLAY = "guardian"


async def meet(place: JanusRoom, meeting: Meeting, ready: Callable[[], None]) -> None:
    """Stays in the room until cancelled, and enters it again when it was thrown out.

    ready: called when Guardian is in the room and its own media stand.
    SfuRefused when the first attempt fails.
    """
    entered = asyncio.Event()

    def inside() -> None:
        entered.set()
        ready()

    async with browser(meeting.origins) as http:

        async def visit() -> None:
            async with janus.session(http, place) as session:
                await _Visit(place, meeting, session).run(inside)

        try:
            await visit()
        except Exception:
            if not entered.is_set():
                raise
        await again_and_again(visit, "janus")


class _Visit:
    """One stay in a room."""

    def __init__(self, place: JanusRoom, meeting: Meeting, session: janus.Session) -> None:
        self._place = place
        self._meeting = meeting
        self._session = session
        self._private_id: Any = None
        self._feed: int | str | None = None
        self._taking: asyncio.Task[None] | None = None

    def _request(self, name: str, **fields: Any) -> dict[str, Any]:
        pin = {} if self._place.pin is None else {"pin": self._place.pin}
        return {"request": name, "room": self._place.room, **pin, **fields}

    async def run(self, inside: Callable[[], None]) -> None:
        """Enters, publishes, and takes the participant's feed whenever it is there."""
        handle = await self._session.attach()
        event = await handle.ask(self._request("join", ptype="publisher", display=DISPLAY))
        joined = janus.inside(event, "plugindata", "data")
        self._private_id = joined.get("private_id")
        sending = self._meeting.sending()
        try:
            await self._publish(handle, sending)
            inside()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_until_closed(sending))
                self._see(tasks, joined.get("publishers"))
                while True:
                    self._hear(tasks, await handle.events.get())
        finally:
            await sending.close()

    async def _publish(self, handle: janus.Handle, sending: Peer) -> None:
        offer = await sending.offer({"audio": "sendonly", "video": "sendonly"})
        body = {"request": "configure", "audio": True, "video": True}
        event = await handle.ask(body, {"type": "offer", "sdp": offer})
        await sending.accept(_sdp(event))
        await connected(sending, self._meeting.connect_s)

    def _hear(self, tasks: asyncio.TaskGroup, message: janus.Message) -> None:
        _go_on(message)
        data = janus.inside(message, "plugindata", "data")
        if self._feed is not None and self._feed in (data.get("unpublished"), data.get("leaving")):
            self._feed = None
            if self._taking is not None:
                self._taking.cancel()
        self._see(tasks, data.get("publishers"))

    def _see(self, tasks: asyncio.TaskGroup, publishers: Any) -> None:
        """Takes the participant's feed if it is among the publishers, for as long as it is there."""
        for publisher in publishers if isinstance(publishers, list) else ():
            number, display = (janus.inside(publisher).get(name) for name in ("id", "display"))
            wanted = self._place.feed in (None, number, display)
            if self._feed is None and wanted and display != DISPLAY and isinstance(number, int | str):
                self._feed = number
                take = again_and_again(partial(self._take, number), "janus feed")
                self._taking = tasks.create_task(take)

    async def _take(self, feed: int | str) -> None:
        """Subscribes to a feed until the connection ends. SfuRefused and others."""
        handle = await self._session.attach()
        receiving = self._meeting.receiving()
        try:
            streams = [{"feed": feed}]
            body = self._request("join", ptype="subscriber", private_id=self._private_id, streams=streams)
            offered = await handle.ask(body)
            answer = await receiving.answer(_sdp(offered))
            await handle.ask({"request": "start"}, {"type": "answer", "sdp": answer})
            self._meeting.expect(receiving)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_until_closed(receiving))
                while True:
                    _go_on(await handle.events.get())
        finally:
            await receiving.close()
            await handle.leave()


def _go_on(message: janus.Message) -> None:
    """SfuRefused when a message is the end of a handle."""
    if message.get("janus") in ("hangup", "detached"):
        raise SfuRefused("Janus has hung up.")


async def _until_closed(peer: Peer) -> None:
    await peer.closed.wait()
    raise SfuRefused("The media connection to the SFU has ended.")


def _sdp(event: janus.Message) -> str:
    sdp = janus.inside(event, "jsep").get("sdp")
    if not isinstance(sdp, str):
        raise SfuRefused("Janus did not answer with a session description.")
    return sdp
