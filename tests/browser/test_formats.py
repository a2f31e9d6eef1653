"""Small and large pictures, slow and fast ones, of a browser's camera."""

from __future__ import annotations

import pytest

from tests.browser import captures
from tests.browser.people import Capture, until

pytestmark = pytest.mark.live


@pytest.mark.parametrize(("size", "fps"), [((320, 180), 60), ((1920, 1080), 8)])
def test_pictures_of_any_format_are_protected(converse, open_browser, films, merchant_browser, size, fps):
    """Where the scene may be seen and nobody is there, the canary arrives; so what hides it is the mode."""
    room = captures.canary_room(films / f"{size[1]}p.y4m", size, fps)
    tone = captures.write_tone(films / f"{size[1]}p.wav", captures.SHOPPER_HZ)
    studio = open_browser(Capture(room, tone))

    async def scenario(talk):
        camera = await talk.shopper.do("person.camera().getSettings()")
        assert (camera["width"], camera["height"], round(camera["frameRate"])) == (*size, fps)
        await talk.both_join()
        sight = talk.merchant.sight

        async def seen():
            return sight.canary_blocks > 0

        await until(seen, "the scene", talk.instead)

        async def fast():
            sent = (await talk.shopper.stats())["sent"]["video"]
            whole = (sent["frameWidth"], sent["frameHeight"]) == size
            return whole and sent.get("framesPerSecond", 0) > fps * 0.5

        await until(fast, f"{fps} pictures a second", talk.instead)
        await talk.change_mode("private")
        # Another curtain may have fallen before, and pictures of before may be under way behind it.
        act, frames = len(sight.acts), sight.acts[-1].frames

        async def nothing_under_way():
            shown = sight.acts[-1].frames - (frames if len(sight.acts) == act else 0)
            return sight.acts[-1].kind == "curtain" and shown > 15

        await until(nothing_under_way, "the private curtain", talk.instead)
        before = len(sight.acts)
        await talk.change_mode("selfie")
        await talk.pictures(5)
        assert sum(act.canary_blocks for act in sight.acts[before:]) == 0
        # On a slow network or machine Guardian makes large pictures smaller; their shape stays.
        assert all(abs(w / h - size[0] / size[1]) < 0.05 for w, h in sight.sizes)

    converse(studio, merchant_browser, scenario, mode="install")
