"""Datagrams of strangers at a live call's ports: the call goes on, another call does not notice."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import threading
from contextlib import asynccontextmanager

import pytest

from guardian.bench.camera import Film, NumberedCamera, SentTimes
from guardian.demo.peers import incoming, new_peer
from tests.fuzz.packets import corpus

pytestmark = pytest.mark.real


@asynccontextmanager
async def calling():
    """Two peers, one with a camera."""
    sender, receiver = new_peer(), new_peer()
    try:
        sender.addTrack(NumberedCamera(Film((640, 480)), SentTimes.none()))
        await sender.setLocalDescription(await sender.createOffer())
        await receiver.setRemoteDescription(sender.localDescription)
        await receiver.setLocalDescription(await receiver.createAnswer())
        await sender.setRemoteDescription(receiver.localDescription)
        yield sender, receiver
    finally:
        await sender.close()
        await receiver.close()


def addresses(pc):
    """Where a peer listens on IPv4."""
    found = re.findall(r"a=candidate:\S+ 1 udp \d+ (\d[\d.]+) (\d+) typ host", pc.localDescription.sdp)
    return [(host, int(port)) for host, port in found]


async def pictures(pc, count):
    """The next pictures; fails when they do not come."""
    track = incoming(pc, "video")
    async with asyncio.timeout(20):
        for _ in range(count):
            await track.recv()


def rubbish():
    """Kept datagrams, poison for stock aiortc, and what chance brings, in the guise of every protocol."""
    rng = random.Random(11)
    yield from corpus("rtp", "rtcp", "stun").values()
    yield from (b"", b"\x80", b"\x80" * 1501, b"\x80\xc8" * 700, b"\x16" + b"\xfe" * 1499, b"\x00" * 60_000)
    for _ in range(1500):
        first = rng.choice([0, 1, 20, 22, 23, 63, 128, 144, 191, 200, 255])
        yield bytes([first]) + rng.randbytes(rng.choice([0, 1, 11, 19, 27, 100, 1400]))


async def pelt(targets):
    """Sends all of it to each address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for count, datagram in enumerate(rubbish()):
            for target in targets:
                stranger.sendto(datagram, target)
            if count % 20 == 0:
                await asyncio.sleep(0.005)


def sizes(pc):
    """What a stranger could make grow."""
    transport = pc.getReceivers()[0].transport
    connection = transport.transport._connection
    return [
        len(transport._rtp_router.ssrc_table),
        len(connection._remote_candidates),
        len(connection._check_list),
        connection._queue.qsize(),
    ]


def test_a_call_goes_on_under_a_hail_of_rubbish_and_another_does_not_notice(caplog):
    async def run():
        async with calling() as (sender, receiver), calling() as (_, other):
            for pc in (receiver, other):
                await pictures(pc, 10)
            before, threads = sizes(receiver), threading.active_count()
            targets = addresses(receiver) + addresses(sender)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(pelt(targets))
                tasks.create_task(pictures(receiver, 30))
                tasks.create_task(pictures(other, 30))
            for pc in (receiver, other):
                await pictures(pc, 20)
            assert threading.active_count() <= threads + 1
            assert [after <= most + 2 for after, most in zip(sizes(receiver), before, strict=True)] == [
                True
            ] * 4
            assert (sender.connectionState, receiver.connectionState) == ("connected", "connected")
            return receiver.getReceivers()[0].counts(), other.getReceivers()[0].counts()

    attacked, untouched = asyncio.run(run())
    assert attacked["malformed"] > 0
    assert untouched["malformed"] == 0
    assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


def test_a_call_is_made_under_a_hail_of_rubbish():
    """Datagrams that come before anything is agreed upon, when nobody takes them yet."""

    async def run():
        sender, receiver = new_peer(), new_peer()
        try:
            sender.addTrack(NumberedCamera(Film((640, 480)), SentTimes.none()))
            await sender.setLocalDescription(await sender.createOffer())
            await receiver.setRemoteDescription(sender.localDescription)
            await receiver.setLocalDescription(await receiver.createAnswer())
            await pelt(addresses(sender) + addresses(receiver))
            await sender.setRemoteDescription(receiver.localDescription)
            await pictures(receiver, 10)
        finally:
            await sender.close()
            await receiver.close()

    asyncio.run(run())
