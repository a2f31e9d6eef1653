"""Participants who meet Guardian in Janus rooms, as an app's own pages would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import httpx
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription

from guardian.core.sfu import JanusRoom
from guardian.core.violations import Role
from guardian.demo.peers import new_peer
from guardian.rtc.sfu import janus
from tests.loopback.harness import Server
from tests.sfu.janus_server import PUBLIC_PIN, PUBLIC_ROOM, RAW_PIN, RAW_ROOM, Janus

WAIT_S = 20.0
GUARDIAN = "guardian"


def rooms(server: Janus) -> dict[Role, JanusRoom]:
    """Where each of them is met."""
    return {
        Role.SHOPPER: JanusRoom(server.url, RAW_ROOM, RAW_PIN),
        Role.MERCHANT: JanusRoom(server.url, PUBLIC_ROOM, PUBLIC_PIN),
    }


async def connect(server: Server, call_id: str, role: Role, place: JanusRoom) -> httpx.Response:
    """Asks Guardian to meet a participant in a room."""
    named = {name: value for name, value in asdict(place).items() if value is not None}
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as http:
        return await http.post(f"/v1/calls/{call_id}/connect", json={"role": role, "janus": named})


class Attendee:
    """One participant as a room knows them, whoever makes their offers and answers."""

    def __init__(self, session: janus.Session, handle: janus.Handle, place: JanusRoom) -> None:
        self._session = session
        self._handle = handle
        self._watching: janus.Handle | None = None
        self._place = place
        self._feeds: dict[str, object] = {}

    def _request(self, request: str, **fields: Any) -> dict[str, Any]:
        return {"request": request, "room": self._place.room, "pin": self._place.pin, **fields}

    async def enter(self, name: str) -> None:
        """Joins the room."""
        joined = await self._handle.ask(self._request("join", ptype="publisher", display=name))
        self._note(joined)

    def _note(self, message: janus.Message) -> None:
        for publisher in janus.inside(message, "plugindata", "data").get("publishers", ()):
            self._feeds[publisher.get("display", "")] = publisher["id"]

    async def publish(self, offer: str) -> str:
        """The room's answer to an offer to send."""
        body = {"request": "configure", "audio": True, "video": True}
        event = await self._handle.ask(body, {"type": "offer", "sdp": offer})
        return event["jsep"]["sdp"]

    async def unpublish(self) -> None:
        """Stops sending, and stays in the room."""
        await self._handle.ask({"request": "unpublish"})

    async def guardians_offer(self) -> str:
        """The room's offer of what Guardian publishes there, as soon as it does."""
        async with asyncio.timeout(WAIT_S):
            while GUARDIAN not in self._feeds:
                self._note(await self._handle.events.get())
        self._watching = await self._session.attach()
        streams = [{"feed": self._feeds[GUARDIAN]}]
        offered = await self._watching.ask(self._request("join", ptype="subscriber", streams=streams))
        return offered["jsep"]["sdp"]

    async def watch(self, answer: str) -> None:
        """Answers that offer."""
        assert self._watching is not None
        await self._watching.ask({"request": "start"}, {"type": "answer", "sdp": answer})

    async def says(self, **request: Any) -> janus.Message:
        """What the plugin answers to any request, refusals too."""
        event = await self._session.ask({"janus": "message", "body": request}, self._handle.number)
        return janus.inside(event, "plugindata", "data")


@asynccontextmanager
async def attending(place: JanusRoom) -> AsyncIterator[Attendee]:
    """Somebody with the server's address and what a place's words are; not in the room yet."""
    async with httpx.AsyncClient(trust_env=False) as http, janus.session(http, place) as session:
        yield Attendee(session, await session.attach(), place)


class Guest:
    """An attendee whose media are aiortc's."""

    def __init__(self, attendee: Attendee) -> None:
        self._attendee = attendee
        self.sending: RTCPeerConnection | None = None
        self.receiving = new_peer()

    async def publish(self, *tracks: MediaStreamTrack) -> None:
        """Sends tracks to the room."""
        self.sending = new_peer()
        for track in tracks:
            self.sending.addTrack(track)
        await self.sending.setLocalDescription(await self.sending.createOffer())
        answer = await self._attendee.publish(self.sending.localDescription.sdp)
        await self.sending.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def unpublish(self) -> None:
        """Stops sending, and stays in the room."""
        assert self.sending is not None
        await self._attendee.unpublish()
        await self.sending.close()

    async def watch_guardian(self) -> None:
        """Subscribes to what Guardian publishes in the room, as soon as it does."""
        offer = await self._attendee.guardians_offer()
        await self.receiving.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.receiving.setLocalDescription(await self.receiving.createAnswer())
        await self._attendee.watch(self.receiving.localDescription.sdp)

    async def close(self) -> None:
        for pc in (self.sending, self.receiving):
            if pc is not None:
                await pc.close()


@asynccontextmanager
async def guest(place: JanusRoom, name: str) -> AsyncIterator[Guest]:
    """A participant in the room; leaves at the end."""
    async with attending(place) as attendee:
        await attendee.enter(name)
        one = Guest(attendee)
        try:
            yield one
        finally:
            await one.close()
