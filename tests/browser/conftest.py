"""A server that the tests' own site may post to, and browsers, shared by the tests of a module."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path

import pytest

from tests.browser import captures
from tests.browser.people import Capture, launch, talking, visiting
from tests.browser.player import played
from tests.browser.stage import Stage
from tests.loopback.harness import serving


@pytest.fixture(scope="module")
def runner():
    """The event loop that the browsers of a module live in."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def stage():
    """The tests' own site."""
    with Stage().open() as stage:
        yield stage


@pytest.fixture(scope="module")
def server(stage, weights, tmp_path_factory):
    """`guardian serve` with its real models; two browsers may make it late, which is not what is tested."""
    weights("face")
    weights("person")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GUARDIAN_SERVER__ALLOWED_ORIGINS", json.dumps([stage.origin]))
        patch.setenv("GUARDIAN_VISION__LATE_S", "2")
        with serving(tmp_path_factory.mktemp("browser")) as server:
            yield server


@pytest.fixture(scope="module")
def open_browser(runner, need):
    """open_browser(capture) -> a Chromium with its own camera and microphone."""
    chromium = need("chromium")
    need("playwright")
    from playwright.async_api import async_playwright

    manager = async_playwright()
    playwright = runner.run(manager.__aenter__())
    studios = []

    def open_one(capture):
        studios.append(runner.run(launch(playwright, chromium, capture)))
        return studios[-1]

    try:
        yield open_one
    finally:
        for studio in studios:
            runner.run(studio.browser.close())
        runner.run(manager.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def play(runner, need):
    """play(data, media type, moments, sound) -> what Chromium found in a file when it played it."""
    chromium = need("chromium")
    need("playwright")
    return lambda *file: runner.run(played(chromium, *file))


@pytest.fixture(scope="session")
def axe(need) -> str:
    """The script of axe-core."""
    return Path(need("axe")).read_text("utf-8")


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A folder for captures; they are large and go with the module."""
    folder = tmp_path_factory.mktemp("captures")
    yield folder
    for path in folder.iterdir():
        path.unlink()


@pytest.fixture(scope="module")
def merchant_browser(open_browser, films):
    """The merchant's: a coloured card and a high tone."""
    card = captures.merchants_card(films / "card.y4m")
    return open_browser(Capture(card, captures.write_tone(films / "high.wav", captures.MERCHANT_HZ)))


@pytest.fixture(scope="module")
def shopper_browser(open_browser, films, weights, need):
    """The shopper's: a person before the canary, and a low tone."""
    need("skimage")
    room = captures.shoppers_room(films / "room.y4m", weights("person").files["model"])
    return open_browser(Capture(room, captures.write_tone(films / "low.wav", captures.SHOPPER_HZ)))


@pytest.fixture
def converse(runner, stage, server):
    """converse(studio, studio, scenario, **fields): runs scenario(talk) between a shopper and a merchant."""

    async def conversation(studios, scenario, fields):
        at_shopper, at_merchant = studios
        async with (
            visiting(at_shopper, at_merchant.film, stage) as shopper,
            visiting(at_merchant, at_shopper.film, stage) as merchant,
            talking(server, shopper, merchant, **fields) as talk,
        ):
            await scenario(talk)

    def run(at_shopper, at_merchant, scenario, **fields):
        runner.run(conversation((at_shopper, at_merchant), scenario, fields))

    return run


@pytest.fixture
def talk(converse, shopper_browser, merchant_browser):
    """talk(scenario): the same between the two that everybody shares."""
    return partial(converse, shopper_browser, merchant_browser)
