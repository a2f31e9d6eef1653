"""On a real call nothing raw arrives, whatever breaks."""

from __future__ import annotations

import asyncio

import pytest

from guardian.core.violations import Role
from guardian.demo.peers import CameraTrack, new_peer
from tests.loopback.harness import BLOCKS, View, calling, canary_pictures, serving, watch

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def broken_server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("broken"), broken=True) as server:
        yield server


async def on_goes_the_picture(call):
    """Waits until the merchant has received fifteen more pictures."""
    before = call.view.frames
    await call.until(lambda s: call.view.frames - before >= 15, 30, "fifteen more pictures")


async def the_voices_pass(call):
    """Waits until each has been sent half a second more of the other's voice."""
    before = dict(call.view.loud)
    await call.until(
        lambda s: all(call.view.loud[role] - before[role] > 25 for role in Role), 30, "both voices"
    )


def test_the_canary_is_seen_where_nothing_protects():
    """The search finds what it looks for: a direct connection shows the canary everywhere."""

    async def direct():
        view, sender, receiver = View(), new_peer(), new_peer()
        sender.addTrack(CameraTrack(canary_pictures(), 30))
        await sender.setLocalDescription(await sender.createOffer())
        await receiver.setRemoteDescription(sender.localDescription)
        await receiver.setLocalDescription(await receiver.createAnswer())
        await sender.setRemoteDescription(receiver.localDescription)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch(receiver, "video", view.look))
            await asyncio.sleep(3)
            watching.cancel()
        await sender.close()
        await receiver.close()
        return view

    view = asyncio.run(direct())
    assert view.canary_blocks > 0.9 * BLOCKS * view.frames


def test_the_canary_never_arrives(broken_server):
    async def call():
        async with calling(broken_server, purpose="fault:none:0") as call:
            status = await call.until(lambda s: s["frames"]["covered"] > 60, 30, "protected pictures")
            await the_voices_pass(call)
            return call.view, status

    view, status = asyncio.run(call())
    assert view.frames > 30
    assert view.canary_blocks == 0
    assert status["protection"]["state"] == "armed"


@pytest.mark.parametrize("at", [0, 40])
@pytest.mark.parametrize("what", ["throw", "nonsense", "unknown", "people-throw"])
def test_a_detector_that_breaks_shows_nothing(broken_server, what, at):
    async def call():
        async with calling(broken_server, purpose=f"fault:{what}:{at}") as call:
            if at:
                await call.until(lambda s: s["frames"]["covered"] > 0, 20, "the first protected picture")
            status = await call.until(
                lambda s: s["protection"]["state"] in ("degraded", "failed"), 20, "the doubt"
            )
            await on_goes_the_picture(call)
            await the_voices_pass(call)
            return call.view, status

    view, status = asyncio.run(call())
    assert view.canary_blocks == 0
    assert (status["frames"]["covered"] > 0) == (at > 0)


@pytest.mark.parametrize("at", [0, 40])
def test_a_detector_that_hangs_ends_the_call_and_not_the_server(broken_server, at):
    async def call():
        async with calling(broken_server, purpose=f"fault:hang:{at}") as call:
            status = await call.until(lambda s: s["state"] == "failed", 20, "the end of the stuck call")
            view = call.view
        async with calling(broken_server, purpose="fault:none:0") as again:
            await again.until(lambda s: s["frames"]["covered"] > 0, 20, "a protected picture")
            return view, again.view, status

    view, view_again, status = asyncio.run(call())
    assert view.canary_blocks == view_again.canary_blocks == 0
    assert view.frames > 10, "the curtain went on while the detector hung"
    ended = [
        e for e in broken_server.events() if ".call.left." in e["type"] and status["call_id"] in e["source"]
    ]
    assert ended[-1]["data"]["reason"] == "failed"


def test_models_that_do_not_load_leave_the_curtain(broken_server):
    async def call():
        async with calling(broken_server, purpose="fault:load-throw:0") as call:
            status = await call.until(lambda s: s["protection"]["state"] == "failed", 20, "the failed state")
            await on_goes_the_picture(call)
            await the_voices_pass(call)
            return call.view, status

    view, status = asyncio.run(call())
    assert view.canary_blocks == 0
    assert status["frames"]["covered"] == 0
    assert any(".privacy.degraded." in e["type"] for e in broken_server.events())


def test_pictures_that_come_before_the_models_are_there_are_not_shown(broken_server):
    async def call():
        async with calling(broken_server, purpose="fault:load-slow:8") as call:
            await on_goes_the_picture(call)
            early = call.view.canary_blocks, (await call.status())["frames"]["covered"]
            await call.until(lambda s: s["frames"]["covered"] > 0, 20, "a protected picture")
            return early, call.view

    early, view = asyncio.run(call())
    assert early == (0, 0)
    assert view.canary_blocks == 0


@pytest.mark.parametrize("what", ["deaf-throw", "deaf-hang", "deaf-load"])
def test_when_hearing_dies_the_voices_pass_and_it_is_told(broken_server, what):
    async def call():
        async with calling(broken_server, purpose=f"fault:{what}:0") as call:
            status = await call.until(
                lambda s: {"shopper", "merchant"} == {lapse["leg"] for lapse in s["coverage"]["lapses"]},
                30,
                "a lapse on both legs",
            )
            await the_voices_pass(call)
            return status

    status = asyncio.run(call())
    assert sum(status["coverage"]["heard_s"].values()) == 0
    told = [e for e in broken_server.events() if ".hearing.lapsed." in e["type"]]
    assert any(status["call_id"] in e["source"] for e in told)


def test_the_merchant_sees_the_curtain_until_the_shopper_comes(broken_server):
    async def call():
        async with calling(broken_server, with_shopper=False, purpose="fault:none:0") as call:
            await call.until(lambda s: s["legs"]["merchant"]["connected"], 10, "the connection")
            await on_goes_the_picture(call)
            return await call.status()

    status = asyncio.run(call())
    assert status["frames"]["covered"] == 0
