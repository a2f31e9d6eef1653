"""One participant's VideoRoom: Guardian publishes what they get and subscribes to what they send."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
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
        except SfuRefused:
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
        self._feed: Any = None
        self._receiving: Peer | None = None

    def _request(self, name: str, **fields: Any) -> dict[str, Any]:
        pin = {} if self._place.pin is None else {"pin": self._place.pin}
        return {"request": name, "room": self._place.room, **pin, **fields}

    async def run(self, inside: Callable[[], None]) -> None:
        """Enters, publishes, and takes the participant's feed whenever it is there."""
        handle = await self._session.attach()
        joined = _data(await handle.ask(self._request("join", ptype="publisher", display=DISPLAY)))
        self._private_id = joined.get("private_id")
        sending = self._meeting.sending()
        try:
            await self._publish(handle, sending)
            inside()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_until_closed(sending))
                self._see(tasks, joined.get("publishers", ()))
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

    def _hear(self, tasks: asyncio.TaskGroup, message: Mapping[str, Any]) -> None:
        if message.get("janus") in ("hangup", "detached"):
            raise SfuRefused("Janus has hung up.")
        data = message.get("plugindata", {}).get("data", {})
        self._see(tasks, data.get("publishers", ()))
        if self._feed is not None and self._feed in (data.get("unpublished"), data.get("leaving")):
            self._feed = None
            if self._receiving is not None:
                self._receiving.closed.set()

    def _see(self, tasks: asyncio.TaskGroup, publishers: Sequence[Mapping[str, Any]]) -> None:
        """Takes the participant's feed if it is among the publishers."""
        for publisher in publishers:
            wanted = self._place.feed in (None, publisher.get("id"), publisher.get("display"))
            if self._feed is None and wanted and publisher.get("display") != DISPLAY:
                self._feed = publisher.get("id")
                tasks.create_task(self._take(self._feed))

    async def _take(self, feed: Any) -> None:
        """Subscribes to a feed until it ends."""
        handle = await self._session.attach()
        receiving = self._receiving = self._meeting.receiving()
        try:
            streams = [{"feed": feed}]
            body = self._request("join", ptype="subscriber", private_id=self._private_id, streams=streams)
            offered = await handle.ask(body)
            answer = await receiving.answer(_sdp(offered))
            await handle.ask({"request": "start"}, {"type": "answer", "sdp": answer})
            self._meeting.expect(receiving)
            await receiving.closed.wait()
        finally:
            if self._feed == feed:
                self._feed = None
            await receiving.close()
            await handle.leave()


async def _until_closed(peer: Peer) -> None:
    await peer.closed.wait()
    raise SfuRefused("The media connection to the SFU has ended.")


def _data(event: Mapping[str, Any]) -> Mapping[str, Any]:
    data: Mapping[str, Any] = event.get("plugindata", {}).get("data", {})
    return data


def _sdp(event: Mapping[str, Any]) -> str:
    jsep = event.get("jsep")
    if not isinstance(jsep, dict) or not isinstance(jsep.get("sdp"), str):
        raise SfuRefused("Janus did not answer with a session description.")
    return str(jsep["sdp"])
