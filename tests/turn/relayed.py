"""Calls whose participants reach Guardian over a TURN server alone."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy, RTCPeerConnection

from guardian.core.violations import Role
from guardian.demo.peers import CallClient, CameraTrack, new_peer
from guardian.rtc import compat
from tests.loopback.harness import Call, ToneTrack, View, canary_pictures, watch

LINK = re.compile(
    r'<(?P<urls>[^>]+)>; rel="ice-server"; username="(?P<username>[^"]+)"; credential="(?P<credential>[^"]+)"'
)


def relay_only(server: RTCIceServer) -> RTCPeerConnection:
    """A peer that sends and takes media over a TURN server and no other way."""
    compat.apply()
    return RTCPeerConnection(
        RTCConfiguration(iceServers=[server], iceTransportPolicy=RTCIceTransportPolicy.RELAY)
    )


def kinds_of_candidates(sdp: str) -> set[str]:
    """host, srflx, relay: what the description offers to be reached by."""
    return set(re.findall(r"a=candidate:.* typ (\w+)", sdp))


async def given_servers(ticket) -> list[RTCIceServer]:
    """The ICE servers a leg is told of, as its first answer links them."""
    scout = new_peer()
    try:
        scout.addTransceiver("video", direction="recvonly")
        await scout.setLocalDescription(await scout.createOffer())
        headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {ticket.token}"}
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(ticket.url, content=scout.localDescription.sdp, headers=headers)
            assert answer.status_code == 201, answer.text
            links = answer.headers.get_list("link")
            await http.delete(httpx.URL(ticket.url).join(answer.headers["Location"]), headers=headers)
    finally:
        await scout.close()
    return [RTCIceServer(**LINK.match(link).groupdict()) for link in links]


@asynccontextmanager
async def calling(server, make_peer):
    """A call between two peers, each made by `await make_peer(ticket)`."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(CallClient(server.url))
        call_id, legs = await client.create(mode="selfie", purpose="fault:none:0")
        stack.push_async_callback(client.hang_up, call_id)
        peers = {}
        for role in (Role.MERCHANT, Role.SHOPPER):
            peers[role] = await make_peer(legs[role])
            stack.push_async_callback(peers[role].close)
            peers[role].addTrack(ToneTrack())
        merchant, shopper = peers[Role.MERCHANT], peers[Role.SHOPPER]
        merchant.addTransceiver("video", direction="recvonly")
        camera = CameraTrack(canary_pictures(), 15)
        shopper.addTrack(camera)
        for role in peers:
            await client.join(legs[role], peers[role])
        view = View()
        async with asyncio.TaskGroup() as tasks:
            watching = [
                tasks.create_task(watch(merchant, "video", view.look)),
                tasks.create_task(watch(merchant, "audio", lambda f: view.listen(Role.MERCHANT, f))),
                tasks.create_task(watch(shopper, "audio", lambda f: view.listen(Role.SHOPPER, f))),
            ]
            try:
                yield Call(client, call_id, view, legs, camera), peers
            finally:
                for task in watching:
                    task.cancel()


async def picture_and_sound(call):
    """Waits until the merchant is shown protected pictures and each hears the other."""
    view = call.view
    await call.until(lambda s: s["frames"]["covered"] > 20 and view.frames > 20, 40, "protected pictures")
    await call.until(lambda s: all(view.loud[role] > 25 for role in Role), 30, "both voices")
    assert view.canary_blocks == 0
