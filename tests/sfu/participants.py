"""A shopper and a merchant who meet in Janus rooms, as an app's own pages would."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import httpx
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription

from guardian.core.sfu import JanusRoom
from guardian.demo.peers import new_peer
from guardian.rtc.sfu import janus

WAIT_S = 20.0


class Guest:
    """One participant in one room: publishes tracks, and sees what Guardian publishes there."""

    def __init__(self, session: janus.Session, place: JanusRoom, name: str) -> None:
        self._session = session
        self._place = place
        self._name = name
        self._handle: janus.Handle | None = None
        self.sending: RTCPeerConnection | None = None
        self.receiving = new_peer()
        self._feeds: dict[str, object] = {}

    def _ask(self, request: str, **fields) -> dict:
        return {"request": request, "room": self._place.room, "pin": self._place.pin, **fields}

    async def enter(self) -> None:
        """Joins the room."""
        self._handle = await self._session.attach()
        joined = await self._handle.ask(self._ask("join", ptype="publisher", display=self._name))
        self._note(joined["plugindata"]["data"])

    def _note(self, data: dict) -> None:
        for publisher in data.get("publishers", ()):
            self._feeds[publisher.get("display", "")] = publisher["id"]

    async def publish(self, *tracks: MediaStreamTrack) -> None:
        """Sends tracks to the room."""
        assert self._handle is not None
        self.sending = new_peer()
        for track in tracks:
            self.sending.addTrack(track)
        await self.sending.setLocalDescription(await self.sending.createOffer())
        offer = {"type": "offer", "sdp": self.sending.localDescription.sdp}
        event = await self._handle.ask({"request": "configure", "audio": True, "video": True}, offer)
        await self.sending.setRemoteDescription(RTCSessionDescription(event["jsep"]["sdp"], "answer"))

    async def unpublish(self) -> None:
        """Stops sending, and stays in the room."""
        assert self._handle is not None
        assert self.sending is not None
        await self._handle.ask({"request": "unpublish"})
        await self.sending.close()

    async def watch_guardian(self) -> None:
        """Subscribes to what Guardian publishes in the room, as soon as it does."""
        assert self._handle is not None
        async with asyncio.timeout(WAIT_S):
            while "guardian" not in self._feeds:
                message = await self._handle.events.get()
                self._note(message.get("plugindata", {}).get("data", {}))
        handle = await self._session.attach()
        streams = [{"feed": self._feeds["guardian"]}]
        offered = await handle.ask(self._ask("join", ptype="subscriber", streams=streams))
        await self.receiving.setRemoteDescription(RTCSessionDescription(offered["jsep"]["sdp"], "offer"))
        await self.receiving.setLocalDescription(await self.receiving.createAnswer())
        answer = {"type": "answer", "sdp": self.receiving.localDescription.sdp}
        await handle.ask({"request": "start"}, answer)

    async def close(self) -> None:
        for pc in (self.sending, self.receiving):
            if pc is not None:
                await pc.close()


@asynccontextmanager
async def guest(place: JanusRoom, name: str):
    """A participant in the room; leaves at the end."""
    async with httpx.AsyncClient(trust_env=False) as http, janus.session(http, place) as session:
        one = Guest(session, place, name)
        await one.enter()
        try:
            yield one
        finally:
            await one.close()
