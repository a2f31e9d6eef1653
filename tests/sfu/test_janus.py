"""A call through Debian's Janus: a private raw room and a public protected one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

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
from tests.sfu.janus_server import PUBLIC_PIN, PUBLIC_ROOM, RAW_PIN, RAW_ROOM, Janus
from tests.sfu.participants import attending, connect, guest, rooms

SIZE = (320, 240)
NO_SUCH_FEED, WORD_MISSING, WRONG_WORD = 428, 429, 433
"""Error codes of Janus: of a PIN and of a room's secret alike."""


@pytest.fixture(scope="module")
def server(janus, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("guardian"), media=f'sfu_origins = ["{janus.origin}"]\n') as running:
        yield running


@asynccontextmanager
async def both_inside(server: Server, janus: Janus):
    """(client, call_id, shopper, merchant): both in their rooms and sending, Guardian in both rooms."""
    places = rooms(janus)
    async with (
        CallClient(server.url) as client,
        guest(places[Role.SHOPPER], "shopper") as shopper,
        guest(places[Role.MERCHANT], "merchant") as merchant,
    ):
        call_id, _ = await client.create(mode="selfie")
        await shopper.publish(ToneTrack(), CameraTrack(canary_pictures(SIZE), 30))
        await merchant.publish(ToneTrack(), CameraTrack(canary_pictures(SIZE), 15))
        for role in Role:
            answer = await connect(server, call_id, role, places[role])
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


def test_the_merchants_pin_opens_nothing_of_the_shoppers_room(server, janus):
    """Whoever knows the number of a room is told who is there; all else asks for words the merchant lacks."""

    async def main():
        places = rooms(janus)
        async with both_inside(server, janus), attending(places[Role.MERCHANT]) as stranger:

            async def present(room: int) -> dict[str, int]:
                told = await stranger.says(request="listparticipants", room=room)
                return {one["display"]: one["id"] for one in told["participants"]}

            assert set(await present(PUBLIC_ROOM)) == {"guardian", "merchant"}
            feed = (await present(RAW_ROOM))["shopper"]
            join = {"request": "join", "room": RAW_ROOM, "pin": PUBLIC_PIN}
            watch = {**join, "ptype": "subscriber", "streams": [{"feed": feed}]}
            sink = {"host": "127.0.0.1", "streams": [{"mid": "1", "port": 9}]}
            forward = {"request": "rtp_forward", "room": RAW_ROOM, "publisher_id": feed, **sink}
            refusals = [
                (WRONG_WORD, {**join, "ptype": "publisher"}),
                (WRONG_WORD, watch),
                (WORD_MISSING, {name: value for name, value in watch.items() if name != "pin"}),
                (NO_SUCH_FEED, {**watch, "room": PUBLIC_ROOM}),
                (WORD_MISSING, forward),
                (WRONG_WORD, {**forward, "secret": PUBLIC_PIN}),
                (WORD_MISSING, {"request": "edit", "room": RAW_ROOM, "new_pin": PUBLIC_PIN}),
            ]
            for code, request in refusals:
                said = await stranger.says(**request)
                assert said.get("error_code") == code, (request, said)

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
    place = replace(rooms(janus)[Role.SHOPPER], **changes)

    async def main():
        async with CallClient(server.url) as client:
            call_id, _ = await client.create()
            answer = await connect(server, call_id, Role.SHOPPER, place)
            await client.hang_up(call_id)
            return answer

    answer = asyncio.run(main())
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    assert PUBLIC_PIN not in server.log()
    assert RAW_PIN not in server.log()
