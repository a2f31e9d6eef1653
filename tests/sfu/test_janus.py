"""A call through Debian's Janus: a private raw room and a public protected one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest

from guardian.core.errors import SfuRefused
from guardian.core.sfu import JanusRoom
from guardian.core.violations import Role
from guardian.demo.peers import CallClient, CameraTrack
from tests.loopback.harness import (
    Server,
    ToneTrack,
    View,
    canary_pictures,
    serving,
    status_until,
    until,
    watch,
)
from tests.sfu import janus_server, participants
from tests.sfu.janus_server import PUBLIC_PIN, PUBLIC_ROOM, RAW_PIN, RAW_ROOM, Janus

SIZE = (320, 240)


@pytest.fixture(scope="module")
def janus(need, tmp_path_factory):
    need("janus")
    with janus_server.running(tmp_path_factory.mktemp("janus")) as server:
        yield server


@pytest.fixture(scope="module")
def server(janus, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("guardian"), media=f'sfu_origins = ["{janus.origin}"]\n') as running:
        yield running


def rooms(janus: Janus) -> dict[Role, JanusRoom]:
    return {
        Role.SHOPPER: JanusRoom(janus.url, RAW_ROOM, RAW_PIN),
        Role.MERCHANT: JanusRoom(janus.url, PUBLIC_ROOM, PUBLIC_PIN),
    }


async def connect(server: Server, call_id: str, role: Role, janus: Janus, **changes) -> httpx.Response:
    place = rooms(janus)[role]
    body = {"role": role, "janus": {"url": place.url, "room": place.room, "pin": place.pin, **changes}}
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as http:
        return await http.post(f"/v1/calls/{call_id}/connect", json=body)


@asynccontextmanager
async def both_inside(server: Server, janus: Janus):
    """(client, call_id, shopper, merchant): both in their rooms and sending, Guardian in both rooms."""
    places = rooms(janus)
    async with (
        CallClient(server.url) as client,
        participants.guest(places[Role.SHOPPER], "shopper") as shopper,
        participants.guest(places[Role.MERCHANT], "merchant") as merchant,
    ):
        call_id, _ = await client.create(mode="selfie")
        await shopper.publish(ToneTrack(), CameraTrack(canary_pictures(SIZE), 30))
        await merchant.publish(ToneTrack(), CameraTrack(canary_pictures(SIZE), 15))
        for role in Role:
            answer = await connect(server, call_id, role, janus)
            assert answer.status_code == 200, answer.text
        await shopper.watch_guardian()
        await merchant.watch_guardian()
        yield client, call_id, shopper, merchant
        await client.hang_up(call_id)


def test_the_merchant_sees_the_protected_room_and_the_shopper_the_merchant(server, janus):
    seen, back = View(), View()

    async def main():
        async with both_inside(server, janus) as (_, _, shopper, merchant), asyncio.TaskGroup() as tasks:
            watching = [
                tasks.create_task(watch(merchant.receiving, "video", seen.look)),
                tasks.create_task(
                    watch(merchant.receiving, "audio", lambda f: seen.listen(Role.MERCHANT, f))
                ),
                tasks.create_task(watch(shopper.receiving, "video", back.look)),
                tasks.create_task(watch(shopper.receiving, "audio", lambda f: seen.listen(Role.SHOPPER, f))),
            ]
            await until(lambda: SIZE in seen.sizes and back.canary_blocks, 40, "pictures both ways")
            before = seen.frames
            await until(lambda: seen.frames > before + 30, 40, "a moving picture")
            await until(lambda: min(seen.loud.values()) > 20, 40, "both voices")
            for task in watching:
                task.cancel()

    asyncio.run(main())
    assert seen.canary_blocks == 0
    assert back.canary_blocks > 0, "the merchant's picture needs no cover and comes as it was"


def test_a_shopper_who_publishes_again_is_seen_again_and_never_raw(server, janus):
    seen = View()

    async def main():
        async with (
            both_inside(server, janus) as (client, call_id, shopper, merchant),
            asyncio.TaskGroup() as tasks,
        ):
            watching = tasks.create_task(watch(merchant.receiving, "video", seen.look))
            await until(lambda: SIZE in seen.sizes, 40, "the first picture")
            await shopper.unpublish()
            await status_until(
                client, call_id, lambda s: not s["legs"]["shopper"]["connected"], 30, "leaving"
            )
            await shopper.publish(ToneTrack(), CameraTrack(canary_pictures((480, 360)), 30))
            await status_until(client, call_id, lambda s: s["legs"]["shopper"]["connected"], 30, "joining")
            await until(lambda: (480, 360) in seen.sizes, 40, "the second camera")
            watching.cancel()

    asyncio.run(main())
    assert seen.canary_blocks == 0


def test_the_merchants_token_cannot_open_the_raw_feed(server, janus):
    async def main():
        async with both_inside(server, janus):
            raw = JanusRoom(janus.url, RAW_ROOM, PUBLIC_PIN)
            with pytest.raises(SfuRefused, match="refused to join"):
                async with participants.guest(raw, "merchant"):
                    pass
            no_pin = JanusRoom(janus.url, RAW_ROOM)
            with pytest.raises(SfuRefused, match="refused to join"):
                async with participants.guest(no_pin, "merchant"):
                    pass

    asyncio.run(main())


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"pin": "wrong"}, 502, "Janus refused to join"),
        ({"room": 9}, 502, "Janus refused to join"),
        ({"url": "http://127.0.0.1:9/janus"}, 403, "media.sfu_origins"),
    ],
)
def test_a_room_that_lets_nobody_in_is_told(server, janus, changes, status, words):
    async def main():
        async with CallClient(server.url) as client:
            call_id, _ = await client.create()
            answer = await connect(server, call_id, Role.SHOPPER, janus, **changes)
            await client.hang_up(call_id)
            return answer

    answer = asyncio.run(main())
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    assert PUBLIC_PIN not in server.log()
    assert RAW_PIN not in server.log()
