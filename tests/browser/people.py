"""Chromium as a participant of a call."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

from guardian.core.violations import Role
from guardian.demo.peers import CallClient, LegTicket
from tests.browser.captures import COLOURS, Film
from tests.browser.stage import Stage
from tests.loopback.harness import Server

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
LOUD_DB = -50.0
LIMIT_S = 60.0
SAID = {
    "frameWidth",
    "frameHeight",
    "framesSent",
    "framesEncoded",
    "keyFramesEncoded",
    "totalEncodeTime",
    "targetBitrate",
    "qualityLimitationReason",
    "pliCount",
    "nackCount",
    "bytesSent",
    "codec",
}
"""What is said of the picture a page sends when something did not come."""
"""How long anything that has to happen may take on a slow machine."""


@dataclass(frozen=True)
class Capture:
    """What stands for a browser's camera and microphone."""

    film: Film
    sound: Path


@dataclass(frozen=True)
class Studio:
    """A browser and the film its camera shows."""

    browser: Any
    film: Film


async def launch(playwright: Any, chromium: str, capture: Capture) -> Studio:
    """A browser of its own, with an empty profile."""
    browser = await playwright.chromium.launch(
        executable_path=chromium,
        args=[
            *FLAGS,
            f"--use-file-for-fake-video-capture={capture.film.path}",
            f"--use-file-for-fake-audio-capture={capture.sound}",
        ],
    )
    return Studio(browser, capture.film)


class Person:
    """One participant: a page, and what it was shown of the other one's film."""

    def __init__(self, page: Any, stage: Stage, others: Film) -> None:
        self.page = page
        self._stage = stage
        self._name, self.sight = stage.sight(others)

    async def open(self, video: Any = True) -> dict[str, float]:
        """Loads the page and opens its camera; its width, height and rate."""
        await self.page.goto(f"{self._stage.origin}/person.html")
        return await self.page.evaluate("(video) => person.openCamera(video)", video)

    async def join(self, ticket: LegTicket, **wish: Any) -> dict[str, Any]:
        """Offers and takes the answer: {status, offer, answer, patched} or {status, problem}."""
        return await self.page.evaluate(
            "([ticket, wish]) => person.join(ticket, wish)",
            [{"url": ticket.url, "token": ticket.token}, {**wish, "watcher": self._name}],
        )

    async def answer(self, offer: str) -> str:
        """Shows what an offer from elsewhere has to show; the answer to it."""
        return await self.page.evaluate("([sdp, who]) => person.answer(sdp, who)", [offer, self._name])

    async def do(self, expression: str, argument: Any = None) -> Any:
        """Evaluates something in the page."""
        return await self.page.evaluate(expression, argument)

    async def stats(self) -> dict[str, Any]:
        """What the page's getStats says."""
        return await self.do("person.stats()")

    async def picture(self) -> np.ndarray:
        """What the page shows of the other one, read from a canvas; RGB (h, w, 3)."""
        png = base64.b64decode(await self.do("person.picture()"))
        return cv2.cvtColor(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


@asynccontextmanager
async def visiting(at: Studio, others: Film, stage: Stage) -> AsyncIterator[Person]:
    """A participant in a fresh context of a browser; nothing may go wrong in the page."""
    context = await at.browser.new_context(viewport={"width": 520, "height": 230})
    wrong: list[str] = []
    try:
        page = await context.new_page()
        page.set_default_timeout(LIMIT_S * 1000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        person = Person(page, stage, others)
        await person.open()
        yield person
    finally:
        await context.close()
    assert not wrong, wrong


async def nothing_more() -> str:
    """No more to say about a failure."""
    return ""


async def until(
    true: Callable[[], Awaitable[Any]], what: str, instead: Callable[[], Awaitable[str]] = nothing_more
) -> Any:
    """The first answer that is true; fails when it takes too long and says what there was instead."""
    deadline = time.monotonic() + LIMIT_S
    while not (found := await true()):
        assert time.monotonic() < deadline, f"{what} did not come within {LIMIT_S} s. {await instead()}"
        await asyncio.sleep(0.25)
    return found


async def hears(person: Person, hertz: float) -> None:
    """Waits until a participant hears nothing as loud as the other one's tone."""

    async def heard() -> bool:
        found, level = await person.do("person.pitch()")
        return abs(found - hertz) < 30 and level > LOUD_DB

    await until(heard, f"a tone of {hertz} Hz")


async def sees_the_merchants_card(person: Person) -> None:
    """Waits until the shopper's page shows the merchant's own four colours."""

    async def shown() -> bool:
        if not (await person.stats())["presented"]:
            return False
        picture = await person.picture()
        h, w = picture.shape[:2]
        corners = [picture[h // 4 * y, w // 4 * x] for y in (1, 3) for x in (1, 3)]
        return np.abs(np.array(corners, np.int16) - COLOURS).max() < 30

    await until(shown, "the merchant's picture")


async def goes_on(person: Person) -> tuple[dict[str, Any], dict[str, Any]]:
    """Waits until the page has decoded and shown more pictures; its stats before and after."""
    before = await person.stats()
    decoded, presented = before["received"]["video"]["framesDecoded"], before["presented"][2]

    async def more() -> dict[str, Any] | None:
        after = await person.stats()
        enough = after["received"]["video"]["framesDecoded"] > decoded + 15
        return after if enough and after["presented"][2] > presented + 10 else None

    return before, await until(more, "more pictures")


@dataclass(frozen=True)
class Talk:
    """A call, its two tickets and the two who may join with them."""

    server: Server
    client: CallClient
    call_id: str
    legs: dict[Role, LegTicket]
    shopper: Person
    merchant: Person

    async def join(self, role: Role, **wish: Any) -> dict[str, Any]:
        """Lets one of them join; fails when the offer is refused."""
        joined = await self.of(role).join(self.legs[role], **wish)
        assert joined["status"] == 201, joined
        return joined

    def of(self, role: Role) -> Person:
        """Who plays a role."""
        return self.shopper if role is Role.SHOPPER else self.merchant

    async def status(self) -> dict[str, Any]:
        """What the server says."""
        return await self.client.status(self.call_id)

    async def change_mode(self, mode: str) -> None:
        """Changes what may be shown."""
        url = f"{self.server.url}/v1/calls/{self.call_id}/mode"
        async with httpx.AsyncClient(trust_env=False) as service:
            (await service.post(url, json={"mode": mode})).raise_for_status()

    async def pictures(self, count: int) -> None:
        """Waits until the merchant has been shown more protected pictures."""
        sight = self.merchant.sight
        wanted = sight.count("picture") + count

        async def enough() -> bool:
            return sight.count("picture") >= wanted

        await until(enough, f"{count} more pictures", self.instead)

    async def size(self, size: tuple[int, int], count: int = 5) -> None:
        """Waits until the merchant has been shown more pictures of a size."""
        sight = self.merchant.sight
        wanted = sight.sizes[size] + count

        async def enough() -> bool:
            return sight.sizes[size] >= wanted

        await until(enough, f"{count} more pictures of {size}", self.instead)

    async def curtain(self, count: int = 1) -> None:
        """Waits until the merchant has been shown more of the curtain."""
        sight = self.merchant.sight
        wanted = sight.count("curtain") + count

        async def enough() -> bool:
            return sight.count("curtain") >= wanted

        await until(enough, "the curtain", self.instead)

    async def both_join(self, **wish: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The merchant first, so that the curtain is there before the picture; (shopper's, merchant's)."""
        merchant = await self.join(Role.MERCHANT, **wish)
        await self.curtain(3)
        return await self.join(Role.SHOPPER, **wish), merchant

    def nothing_raw(self) -> None:
        """The merchant was shown pictures, and no block of the canary in any of them."""
        sight = self.merchant.sight
        if sight.leaked is not None:
            cv2.imwrite(str(self.server.folder / "leaked.png"), sight.leaked)
        assert sight.count("picture") > 0
        assert sight.canary_blocks == 0, f"{sight}; see {self.server.folder / 'leaked.png'}"

    async def instead(self) -> str:
        """What there is to say when something did not come."""
        sent = (await self.shopper.stats())["sent"].get("video", {})
        status = await self.status()
        facts = {name: value for name, value in sent.items() if name in SAID}
        return f"{self.merchant.sight}; sent: {facts}; {status['protection']}; {status['frames']}"

    def events(self, kind: str) -> list[dict]:
        """The call's events of a kind."""
        return [
            event
            for event in self.server.events()
            if f".{kind}." in event["type"] and event["source"].endswith(self.call_id)
        ]


@asynccontextmanager
async def talking(server: Server, shopper: Person, merchant: Person, **fields: Any) -> AsyncIterator[Talk]:
    """A call that nobody has joined yet; hung up at the end."""
    async with CallClient(server.url, server.api_key) as client:
        call_id, legs = await client.create(**{"mode": "selfie", **fields})
        try:
            yield Talk(server, client, call_id, legs, shopper, merchant)
        finally:
            await client.hang_up(call_id)
