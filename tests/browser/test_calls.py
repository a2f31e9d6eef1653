"""Two browsers, a shopper's and a merchant's, in calls through a real Guardian."""

from __future__ import annotations

import pytest

from guardian.core.violations import Role
from tests.browser.captures import MERCHANT_HZ, SHOPPER_HZ
from tests.browser.people import goes_on, hears, sees_the_merchants_card, until
from tests.conftest import lacking

pytestmark = pytest.mark.live
ORIENTATION = "urn:3gpp:video-orientation"
SIZE = (640, 480)
LAYERS = [
    {"rid": "q", "scaleResolutionDownBy": 4},
    {"rid": "h", "scaleResolutionDownBy": 2},
    {"rid": "f"},
]


async def codecs(person):
    """What a page sends and receives its video as."""
    stats = await person.stats()
    return stats["sent"]["video"]["codec"], stats["received"]["video"]["codec"]


def test_a_shopper_and_a_merchant_see_and_hear_each_other(talk, tmp_path):
    async def scenario(talk):
        answers = await talk.both_join()
        await talk.size(SIZE, 30)
        await sees_the_merchants_card(talk.shopper)
        await hears(talk.shopper, MERCHANT_HZ)
        await hears(talk.merchant, SHOPPER_HZ)
        before, after = await goes_on(talk.merchant)
        for who in Role:
            await talk.of(who).page.screenshot(path=tmp_path / f"{who}.png")
            assert await codecs(talk.of(who)) == ("video/VP8", "video/VP8")
        received = after["received"]
        shown = (received["video"]["frameWidth"], received["video"]["frameHeight"])
        assert shown in talk.merchant.sight.sizes
        assert after["presented"][0] * 3 == after["presented"][1] * 4
        assert received["audio"]["totalAudioEnergy"] > before["received"]["audio"]["totalAudioEnergy"]
        sight = talk.merchant.sight
        assert sight.acts[0].kind == "curtain"
        assert sight.moved > 15, "the person moves"
        talk.nothing_raw()
        for joined in answers:
            assert ORIENTATION in joined["offer"]
            assert ORIENTATION not in joined["answer"]
        assert {event["data"]["role"] for event in talk.events("call.joined")} == {"shopper", "merchant"}

    talk(scenario)


@pytest.mark.parametrize("speakers", [tuple(Role), (Role.SHOPPER,), (Role.MERCHANT,)])
def test_h264_is_spoken_with_pages_that_know_nothing_else(talk, speakers):
    async def scenario(talk):
        capable = await talk.shopper.do("RTCRtpSender.getCapabilities('video').codecs.map((c) => c.mimeType)")
        if "video/H264" not in capable:
            lacking("chromium-h264", "this Chromium cannot write H.264")
        spoken = {role: "video/H264" if role in speakers else "video/VP8" for role in Role}
        for role in (Role.MERCHANT, Role.SHOPPER):
            await talk.join(role, codec=spoken[role])
        await talk.pictures(15)
        await sees_the_merchants_card(talk.shopper)
        for role in Role:
            assert await codecs(talk.of(role)) == (spoken[role], spoken[role])
        talk.nothing_raw()

    talk(scenario)


def test_simulcast_is_reduced_to_one_layer(talk):
    async def scenario(talk):
        joined, _ = await talk.both_join(layers=LAYERS)
        assert "a=simulcast" in joined["offer"]
        assert "a=simulcast" not in joined["answer"]
        assert "a=rid" not in joined["answer"]
        await talk.pictures(15)
        talk.nothing_raw()

    talk(scenario)


def test_other_sizes_in_mid_call_show_nothing(talk):
    async def scenario(talk):
        await talk.both_join()
        await talk.size(SIZE, 8)
        await talk.shopper.do("person.setLayer({ scaleResolutionDownBy: 2 })")
        await talk.size((320, 240), 8)
        await talk.shopper.do("person.camera().applyConstraints({ width: 320, height: 180 })")
        await talk.size((160, 90), 8)
        await talk.shopper.do("person.setLayer({ scaleResolutionDownBy: 1 })")
        await talk.size((320, 180), 8)
        await talk.shopper.do("person.camera().applyConstraints({ width: 640, height: 480 })")
        await talk.size(SIZE, 8)
        talk.nothing_raw()

    talk(scenario)


@pytest.mark.parametrize("who", list(Role))
def test_a_page_that_is_loaded_again_takes_its_place_again(talk, who):
    async def scenario(talk):
        await talk.both_join()
        await talk.pictures(15)
        first = (await talk.status())["legs"][who]["session"]
        await talk.of(who).open()
        if who is Role.SHOPPER:
            await talk.curtain()
        await talk.join(who)
        await talk.pictures(15)
        await sees_the_merchants_card(talk.shopper)
        await hears(talk.merchant, SHOPPER_HZ)
        await hears(talk.shopper, MERCHANT_HZ)
        status = await talk.status()
        assert status["legs"][who]["session"] != first
        assert all(leg["connected"] for leg in status["legs"].values())
        talk.nothing_raw()

    talk(scenario)


def test_pages_that_are_closed_have_left_the_call(talk):
    async def scenario(talk):
        await talk.both_join()
        await talk.pictures(5)
        for who in Role:
            await talk.of(who).do("person.hangUpWhenLeaving()")
            await talk.of(who).page.close()

        async def left():
            return {event["data"]["role"] for event in talk.events("call.left")} == {"shopper", "merchant"}

        await until(left, "the leaving of both")
        talk.nothing_raw()

    talk(scenario)


def test_whip_and_whep_with_candidates_that_trickle(talk):
    async def scenario(talk):
        pulled = await talk.join(Role.MERCHANT, way="whep", trickle=True)
        pushed = await talk.join(Role.SHOPPER, way="whip", trickle=True)
        assert (pulled["patched"], pushed["patched"]) == (204, 204)
        await talk.pictures(15)
        await hears(talk.merchant, SHOPPER_HZ)
        talk.nothing_raw()
        assert await talk.shopper.do("person.hangUp()") == 200
        assert await talk.shopper.do("person.hangUp()") == 200

        async def gone():
            return not (await talk.status())["legs"]["shopper"]["connected"]

        await until(gone, "the end of the shopper's leg")

    talk(scenario)
