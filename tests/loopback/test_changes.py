"""What changes in mid-call shows nothing it should not: mode, consent, size, camera.

In *install*, with nobody in the picture, the canary may be seen; so what stops it is the change.
"""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from guardian.core.canary import BLOCK
from guardian.core.frames import Planes
from guardian.core.violations import Role
from guardian.demo.peers import CallClient, CameraTrack, new_peer
from guardian.demo.scene import ScenePicture
from tests.loopback.harness import View, calling, canary_pictures, serving, watch

pytestmark = pytest.mark.live
IN_FLIGHT_S = 0.3
"""Pictures that were sent before a change are received, decoded and looked at within this."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("changes"), broken=True) as server:
        yield server


async def until_seen(call):
    """Waits until the merchant has seen the canary, which the mode allows."""
    before = call.view.canary_blocks
    await call.until(lambda s: call.view.canary_blocks > before, 20, "the scene")


async def change(call, what, **body):
    """Changes the call, and returns when nothing from before is under way any more."""
    http = call.client._http
    answer = await http.post(f"/v1/calls/{call.call_id}/{what}", json=body)
    assert answer.status_code < 300, answer.text
    await asyncio.sleep(IN_FLIGHT_S)


async def seen_next(call, frames=8):
    """Canary blocks in the next pictures the merchant gets."""
    view = call.view
    first, before = view.frames, view.canary_blocks
    await call.until(lambda s: view.frames >= first + frames, 20, "more pictures")
    return view.canary_blocks - before


def test_a_change_of_mode_counts_at_once_and_every_time(server):
    async def scenario():
        async with calling(server, mode="install", purpose="fault:none:0") as call:
            hidden = []
            for mode in ("private", "selfie", "private"):
                await until_seen(call)
                await change(call, "mode", mode=mode)
                hidden.append(await seen_next(call))
                await change(call, "mode", mode="install")
            await until_seen(call)
            return hidden

    assert asyncio.run(scenario()) == [0, 0, 0]


def test_withdrawn_consent_hides_the_picture_until_it_is_given_back(server):
    async def scenario():
        async with calling(server, mode="install", purpose="fault:none:0") as call:
            await until_seen(call)
            await change(call, "consent", scopes=["hear"])
            hidden = await seen_next(call)
            await change(call, "consent", scopes=["protect", "hear"])
            await until_seen(call)
            return hidden

    assert asyncio.run(scenario()) == 0


def test_pictures_of_changing_size_stay_protected_and_arrive(server):
    sizes = [(320, 240), (1280, 720), (480, 640), (176, 144), (642, 478)]

    async def scenario():
        async with calling(server, purpose="fault:none:0") as call:
            for size in sizes:
                call.camera._pictures = canary_pictures(size)
                covered = (await call.status())["frames"]["covered"]
                await call.until(
                    lambda s, before=covered, size=size: (
                        size in call.view.sizes and s["frames"]["covered"] > before + 10
                    ),
                    20,
                    f"a protected picture of {size}",
                )
            return call.view

    assert asyncio.run(scenario()).canary_blocks == 0


def test_another_camera_of_the_shopper_takes_the_place_of_the_first(server):
    async def scenario():
        async with calling(server, purpose="fault:none:0") as call:
            await call.until(lambda s: s["frames"]["covered"] > 10, 20, "a protected picture")
            second = new_peer()
            second.addTrack(CameraTrack(canary_pictures((480, 640)), 30))
            try:
                await call.client.join(call.legs[Role.SHOPPER], second)
                await call.until(lambda s: (480, 640) in call.view.sizes, 20, "the second camera")
                status = await call.until(
                    lambda s: s["protection"]["state"] == "armed" and s["frames"]["covered"] > 30,
                    20,
                    "its protection",
                )
                return call.view, status
            finally:
                await second.close()

    view, status = asyncio.run(scenario())
    assert view.canary_blocks == 0
    assert status["legs"]["merchant"]["connected"]


def grey_pictures():
    """The merchant's camera: nothing of the canary in it."""
    width, height = 320, 240
    half = np.full((height // 2, width // 2), 100, np.uint8)
    luma = np.full((height, width), 180, np.uint8)
    nowhere = np.zeros((height // BLOCK, width // BLOCK), np.bool_)
    while True:
        yield ScenePicture(Planes(luma, half, half), nowhere)


def test_the_shoppers_picture_comes_back_to_nobody(server):
    """A merchant who sends video too is sent protected pictures; the shopper is sent the merchant's."""
    to_merchant, to_shopper = View(), View()

    async def scenario():
        async with CallClient(server.url) as client:
            call_id, legs = await client.create(mode="selfie", purpose="fault:none:0")
            peers = {role: new_peer() for role in Role}
            try:
                for role, pictures in ((Role.MERCHANT, grey_pictures()), (Role.SHOPPER, canary_pictures())):
                    peers[role].addTrack(CameraTrack(pictures, 30))
                    await client.join(legs[role], peers[role])
                async with asyncio.TaskGroup() as tasks:
                    watching = [
                        tasks.create_task(watch(peers[Role.MERCHANT], "video", to_merchant.look)),
                        tasks.create_task(watch(peers[Role.SHOPPER], "video", to_shopper.look)),
                    ]
                    deadline = time.monotonic() + 30
                    while to_shopper.frames < 60 or (await client.status(call_id))["frames"]["covered"] < 60:
                        assert time.monotonic() < deadline
                        await asyncio.sleep(0.2)
                    for task in watching:
                        task.cancel()
                await client.hang_up(call_id)
            finally:
                for peer in peers.values():
                    await peer.close()

    asyncio.run(scenario())
    assert to_merchant.canary_blocks == to_shopper.canary_blocks == 0
    assert to_merchant.frames > 30
    assert to_shopper.sizes == {(320, 240)}, "the merchant's pictures and no others"
