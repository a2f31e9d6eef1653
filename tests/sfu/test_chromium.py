"""Two Chromiums who meet Guardian in rooms of a Janus: nothing on the way but real parts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from guardian.core.violations import Role
from tests.browser.captures import MERCHANT_HZ, SHOPPER_HZ
from tests.browser.people import Person, Talk, goes_on, hears, sees_the_merchants_card, until
from tests.loopback.harness import serving
from tests.sfu.janus_server import Janus
from tests.sfu.participants import Attendee, attending, connect, rooms

pytestmark = pytest.mark.live
SIZE = (320, 240)


@pytest.fixture(scope="module")
def server(janus, weights, tmp_path_factory):
    """`guardian serve` with its real models; two browsers may make it late, which is not what is tested."""
    weights("face")
    weights("person")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GUARDIAN_MEDIA__SFU_ORIGINS", json.dumps([janus.origin]))
        patch.setenv("GUARDIAN_VISION__LATE_S", "2")
        with serving(tmp_path_factory.mktemp("guardian")) as running:
            yield running


async def publish(person: Person, attendee: Attendee) -> None:
    """Sends the page's camera and microphone to its room."""
    answer = await attendee.publish(await person.do("person.offer()"))
    await person.do("(sdp) => person.accept(sdp)", answer)


async def watch(person: Person, attendee: Attendee) -> None:
    """Shows the page what Guardian publishes in its room."""
    await attendee.watch(await person.answer(await attendee.guardians_offer()))


@asynccontextmanager
async def inside(talk: Talk, role: Role, janus: Janus) -> AsyncIterator[None]:
    """One of them in their room, sending, met by Guardian and watching it; leaves at the end."""
    place = rooms(janus)[role]
    async with attending(place) as attendee:
        await attendee.enter(role)
        await publish(talk.of(role), attendee)
        met = await connect(talk.server, talk.call_id, role, place)
        assert met.status_code == 200, met.text
        await watch(talk.of(role), attendee)
        yield


async def key_frames_asked_of(person: Person) -> int:
    """Wishes for a key frame that reached the page's camera."""
    sent = (await person.stats())["sent"]["video"]
    return sent["pliCount"] + sent["firCount"]


def test_browsers_in_two_rooms_see_what_guardian_lets_them_see(talk, janus, tmp_path):
    async def scenario(talk):
        small = dict(zip(("width", "height"), SIZE, strict=True))
        await talk.shopper.do("(size) => person.camera().applyConstraints(size)", small)
        sight = talk.merchant.sight
        async with inside(talk, Role.MERCHANT, janus):
            await talk.curtain(10)
            assert sight.count("picture") == 0
            asked = await key_frames_asked_of(talk.merchant)
            async with inside(talk, Role.SHOPPER, janus):
                await talk.size(SIZE, 30)
                await sees_the_merchants_card(talk.shopper)
                await hears(talk.shopper, MERCHANT_HZ)
                await hears(talk.merchant, SHOPPER_HZ)
                for who in Role:
                    await goes_on(talk.of(who))
                    await talk.of(who).page.screenshot(path=tmp_path / f"{who}.png")
                assert sight.moved > 15, "the person moves"
                talk.nothing_raw()

                # What is relayed begins with the key frame that the shopper asked for, through both rooms.
                assert await key_frames_asked_of(talk.merchant) > asked
                seen = (await talk.merchant.stats())["received"]["video"]
                assert seen["codec"] == "video/VP8"
                assert 1 <= seen["keyFramesDecoded"] < seen["framesDecoded"] / 10

                await talk.change_mode("install")

                async def shown():
                    return sight.canary_blocks > 0

                await until(shown, "the room, which this mode lets through", talk.instead)

    talk(scenario)
