"""Media that can go over a TURN server only, by a real coturn."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiortc import RTCIceServer

from guardian.core.turn import credentials
from guardian.core.violations import Role
from guardian.demo.peers import CallClient, new_peer
from tests.browser import captures
from tests.browser.people import Capture, talking, until, visiting
from tests.turn.relayed import calling, given_servers, kinds_of_candidates, picture_and_sound, relay_only

pytestmark = pytest.mark.live
REFUSED_S = 3.0


def test_participants_behind_a_relay_see_and_hear_each_other(server, coturn):
    """Each uses the credentials that Guardian's answer gives its leg."""
    used = set()

    async def peer(ticket):
        (given,) = await given_servers(ticket)
        used.add(given.username)
        return relay_only(given)

    async def scenario():
        async with calling(server, peer) as (call, peers):
            await picture_and_sound(call)
            for pc in peers.values():
                assert kinds_of_candidates(pc.localDescription.sdp) == {"relay"}

    asyncio.run(scenario())
    assert len(used) == 2, "each leg has credentials of its own"
    assert coturn.secret not in server.log()


def test_guardian_itself_can_be_reached_by_relay_alone(serve):
    async def peer(ticket):
        return new_peer()

    async def scenario(server):
        async with calling(server, peer) as (call, peers):
            await picture_and_sound(call)
            for pc in peers.values():
                assert kinds_of_candidates(pc.remoteDescription.sdp) == {"relay"}

    with serve("relay") as server:
        asyncio.run(scenario(server))


@pytest.mark.parametrize("wrong", ["expired", "forged"])
def test_credentials_that_are_not_good_open_nothing(server, coturn, wrong):
    expires = int(time.time()) + (-60 if wrong == "expired" else 600)
    username, password = credentials(coturn.secret if wrong == "expired" else "guessed", expires, "mallory")

    async def scenario():
        async with CallClient(server.url) as client:
            call_id, legs = await client.create(mode="selfie", purpose="fault:none:0")
            pc = relay_only(RTCIceServer(urls=coturn.url, username=username, credential=password))
            try:
                pc.addTransceiver("video", direction="recvonly")
                await client.join(legs[Role.MERCHANT], pc)
                await asyncio.sleep(REFUSED_S)
                return kinds_of_candidates(pc.localDescription.sdp), await client.status(call_id)
            finally:
                await pc.close()
                await client.hang_up(call_id)

    candidates, status = asyncio.run(scenario())
    assert candidates == set()
    assert not status["legs"]["merchant"]["connected"]


def test_a_browser_learns_of_the_relay_from_the_answer_and_uses_nothing_else(
    runner, stage, server, open_browser, films
):
    """As RFC 9725 has it: the offer without candidates, the servers of `Link`, the candidates by PATCH."""
    room = captures.canary_room(films / "room.y4m", (320, 240), captures.CAMERA_FPS)
    studio = open_browser(Capture(room, captures.write_tone(films / "tone.wav", captures.SHOPPER_HZ)))

    async def scenario():
        async with (
            visiting(studio, room, stage) as shopper,
            visiting(studio, room, stage) as merchant,
            talking(server, shopper, merchant, purpose="fault:none:0") as talk,
        ):
            for role in (Role.MERCHANT, Role.SHOPPER):
                joined = await talk.join(role, trickle=True, ice={"iceTransportPolicy": "relay"})
                assert joined["patched"] == 204
                assert kinds_of_candidates(joined["offer"]) == set()
            await talk.size(room.size, 10)
            for who in (shopper, merchant):

                async def heard(who=who):
                    found, level = await who.do("person.pitch()")
                    return abs(found - captures.SHOPPER_HZ) < 30 and level > -50

                await until(heard, "the other one's tone")
                assert (await who.stats())["local"] == "relay"
            talk.nothing_raw()

    runner.run(scenario())
