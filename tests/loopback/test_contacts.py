"""A code or a number held into a camera of a real call is told; in the shopper's picture it is covered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest

from guardian.bench.placards import code_card, held, text_card
from guardian.core.violations import Role
from guardian.demo.peers import CallClient, CameraTrack, new_peer
from guardian.demo.scene import ScenePicture, planes_from_rgb, room
from guardian.rtc.convert import planes_of
from tests.loopback.harness import ToneTrack, serving, status_until, watch

pytestmark = pytest.mark.live

LINK = "https://example.com/add-me"
HOME = "WIFI:T:WPA;S:home;P:secret;;"
SIZE = (640, 480)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("contacts")) as server:
        yield server


@dataclass
class Hand:
    """Holds a card into a camera, or none."""

    card: np.ndarray | None = None
    at: tuple[int, int] = (240, 170)

    def pictures(self) -> Iterator[ScenePicture]:
        scene = planes_from_rgb(room(*SIZE))
        nowhere = np.zeros((SIZE[1] // 16, SIZE[0] // 16), np.bool_)
        while True:
            card = self.card
            yield ScenePicture(scene if card is None else held(scene, card, self.at), nowhere)


@dataclass
class Screen:
    """What one side sees; how much of the last picture looks like what is held into it."""

    hand: Hand
    frames: int = 0
    likeness: float = 0.0
    likenesses: list = field(default_factory=list)

    def look(self, frame) -> None:
        self.frames += 1
        card, luma = self.hand.card, planes_of(frame).y
        if card is None:
            self.likeness = 0.0
            return
        luma = cv2.resize(np.ascontiguousarray(luma), SIZE)
        (x, y), (h, w) = self.hand.at, card.shape
        part = luma[y : y + h, x : x + w]
        self.likeness = float(cv2.matchTemplate(part, card, cv2.TM_CCOEFF_NORMED).max())
        self.likenesses.append(self.likeness)


@dataclass
class Stage:
    """A call in which both have a camera and a hand."""

    server: object
    client: CallClient
    call_id: str
    hands: dict
    screens: dict

    def events(self, kind=".violation."):
        return [e for e in self.server.events() if kind in e["type"] and self.call_id in e["source"]]

    async def told(self, role, kind, limit_s=30.0):
        """The first violation of a role that was shown."""
        deadline = time.monotonic() + limit_s
        while True:
            for event in self.events(".violation.detected."):
                data = event["data"]
                if data["actor"]["role"] == role and (data["shown"] or {}).get("kind") == kind:
                    return data
            assert time.monotonic() < deadline, f"{kind} of the {role} was not told"
            await asyncio.sleep(0.1)

    async def until(self, true, limit_s, what):
        return await status_until(self.client, self.call_id, true, limit_s, what)


def on_stage(server, scenario, **fields):
    async def main():
        async with CallClient(server.url) as client:
            call_id, legs = await client.create(**{"mode": "product", **fields})
            hands = {role: Hand() for role in Role}
            # Each sees what the other's hand holds.
            screens = {role: Screen(hands[role.other]) for role in Role}
            peers = {role: new_peer() for role in Role}
            try:
                for role, pc in peers.items():
                    pc.addTrack(ToneTrack())
                    pc.addTrack(CameraTrack(hands[role].pictures(), 15))
                    await client.join(legs[role], pc)
                async with asyncio.TaskGroup() as tasks:
                    watching = [
                        tasks.create_task(watch(peers[role], "video", screens[role].look)) for role in Role
                    ]
                    stage = Stage(server, client, call_id, hands, screens)
                    try:
                        await stage.until(
                            lambda s: s["frames"]["covered"] > 10 and screens[Role.SHOPPER].frames > 10,
                            40,
                            "pictures both ways",
                        )
                        return await scenario(stage)
                    finally:
                        for task in watching:
                            task.cancel()
            finally:
                await client.hang_up(call_id)
                for pc in peers.values():
                    await pc.close()

    return asyncio.run(main())


@pytest.mark.parametrize("role", list(Role))
def test_a_code_held_into_a_camera_is_told(server, role):
    async def scenario(stage):
        stage.hands[role].card = code_card(LINK, 150)
        data = await stage.told(role, "qr")
        await stage.until(lambda s: any(v["status"] == "confirmed" for v in s["violations"]), 20, "the end")
        return data, stage

    data, stage = on_stage(server, scenario)
    assert data["shown"]["text"] == LINK
    assert data["category"] == "contact_exchange"
    assert data["matches"][0]["rule_id"] == "shown.qr"
    assert data["actor"]["track_id"] == f"video-{role}"
    assert data["transcript"] is None
    assert len(stage.events(".violation.detected.")) == 1


def test_in_the_shoppers_picture_a_code_is_covered_from_then_on(server):
    async def scenario(stage):
        hand, screen = stage.hands[Role.SHOPPER], stage.screens[Role.MERCHANT]
        hand.card = code_card(LINK, 150)
        await stage.told(Role.SHOPPER, "qr")
        await stage.until(lambda s: screen.likeness < 0.3, 20, "the cover")
        screen.likenesses.clear()
        covered = (await stage.client.status(stage.call_id))["frames"]["covered"]
        await stage.until(lambda s: s["frames"]["covered"] - covered > 30, 30, "thirty pictures")
        return list(screen.likenesses)

    seen = on_stage(server, scenario)
    assert len(seen) > 10
    assert max(seen) < 0.4


def test_the_merchants_code_is_told_and_goes_on_as_it_is(server):
    async def scenario(stage):
        hand, screen = stage.hands[Role.MERCHANT], stage.screens[Role.SHOPPER]
        hand.card = code_card(LINK, 150)
        await stage.told(Role.MERCHANT, "qr")
        await stage.until(lambda s: screen.likeness > 0.8, 20, "the code itself")

    on_stage(server, scenario)


@pytest.mark.parametrize("role", list(Role))
def test_a_written_number_is_told_without_its_digits(server, weights, role):
    weights("text")
    weights("reading")

    async def scenario(stage):
        stage.hands[role].at = (140, 200)
        stage.hands[role].card = text_card(["138 0013 8000"], 30)
        data = await stage.told(role, "phone")
        if role is Role.SHOPPER:
            screen = stage.screens[Role.MERCHANT]
            await stage.until(lambda s: screen.likeness < 0.4, 20, "the cover")
        return data

    data = on_stage(server, scenario)
    assert data["matches"][0]["rule_id"] == "shown.phone"
    assert data["shown"]["redacted"]
    assert "138" not in str(data["shown"]) + str(data["matches"])


def test_a_benign_code_is_left_and_told_to_nobody(server):
    async def scenario(stage):
        for hand in stage.hands.values():
            hand.card = code_card(HOME, 150)
        screen = stage.screens[Role.MERCHANT]
        await stage.until(lambda s: screen.likeness > 0.8, 30, "the code itself")
        before = screen.frames
        await stage.until(lambda s: screen.frames - before > 60, 30, "sixty pictures")
        await stage.until(lambda s: screen.likeness > 0.8, 30, "the code itself again")
        return stage.events()

    assert on_stage(server, scenario) == []


def test_without_consent_to_be_heard_nobody_is_watched(server):
    async def scenario(stage):
        for hand in stage.hands.values():
            hand.card = code_card(LINK, 150)
        before = stage.screens[Role.MERCHANT].frames
        await stage.until(lambda s: stage.screens[Role.MERCHANT].frames - before > 60, 30, "sixty pictures")
        return stage.events()

    scopes = {"token": "c", "notice_version": "n", "scopes": ["protect"]}
    assert on_stage(server, scenario, consent=scopes) == []
