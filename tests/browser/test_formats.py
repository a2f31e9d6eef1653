"""Small and large pictures, slow and fast ones, of a browser's camera."""

from __future__ import annotations

import pytest

from tests.browser import captures
from tests.browser.people import Capture, until

pytestmark = pytest.mark.real


@pytest.mark.parametrize(("size", "fps"), [((320, 180), 60), ((1920, 1080), 10)])
def test_pictures_of_any_format_are_protected(converse, open_browser, films, merchant_browser, size, fps):
    """Where the scene may be seen and nobody is there, the canary arrives; so what hides it is the mode."""
    room = captures.canary_room(films / f"{size[1]}p.y4m", size, fps)
    tone = captures.write_tone(films / f"{size[1]}p.wav", captures.SHOPPER_HZ)
    studio = open_browser(Capture(room, tone))

    async def scenario(talk):
        camera = await talk.shopper.do("person.camera().getSettings()")
        assert (camera["width"], camera["height"], round(camera["frameRate"])) == (*size, fps)
        await talk.both_join()
        await talk.size(size, 1)
        sight = talk.merchant.sight

        async def seen():
            return sight.canary_blocks > 0

        await until(seen, "the scene")

        async def fast():
            sent = (await talk.shopper.stats())["sent"]["video"]
            return sent.get("framesPerSecond", 0) > fps * 0.6

        await until(fast, f"{fps} pictures a second")
        await talk.pictures(1)
        before = len(sight.acts)
        await talk.change_mode("selfie")
        await talk.curtain()
        await talk.size(size, 5)
        after = sight.acts[before:]
        assert after[0].kind == "curtain"
        assert sum(act.canary_blocks for act in after) == 0

    converse(studio, merchant_browser, scenario, mode="install")
