"""Datagrams of strangers at a live call's ports: the call goes on, another call does not notice."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import threading
from contextlib import asynccontextmanager

import pytest
from OpenSSL import SSL

from guardian.bench.camera import Film, NumberedCamera, SentTimes
from guardian.demo.peers import incoming, new_peer
from tests.fuzz.hostile import Hostile
from tests.fuzz.packets import rubbish
from tests.loopback.harness import until


@asynccontextmanager
async def answered():
    """Two peers, one with a camera, that has not had the answer of the other yet."""
    sender, receiver = new_peer(), new_peer()
    try:
        sender.addTrack(NumberedCamera(Film((640, 480)), SentTimes.none()))
        await sender.setLocalDescription(await sender.createOffer())
        await receiver.setRemoteDescription(sender.localDescription)
        await receiver.setLocalDescription(await receiver.createAnswer())
        yield sender, receiver
    finally:
        await sender.close()
        await receiver.close()


@asynccontextmanager
async def calling():
    """Two peers that connect."""
    async with answered() as (sender, receiver):
        await sender.setRemoteDescription(receiver.localDescription)
        yield sender, receiver


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


async def pelt(targets, spoofed=None):
    """Sends all of it to each address, from a stranger's and from that of a peer, where one is given."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for count, datagram in enumerate(rubbish(random.Random(11), 1500)):
            for target in targets:
                stranger.sendto(datagram, target)
            if spoofed is not None:
                await spoofed.getSenders()[0].transport.transport._send(datagram)
            if count % 20 == 0:
                await asyncio.sleep(0.005)


def refused(pc):
    """Datagrams that a peer has not taken, for any reason."""
    receiver = pc.getReceivers()[0]
    return {"malformed": receiver.counts()["malformed"], **receiver.transport.counts()}


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
                tasks.create_task(pelt(targets, spoofed=sender))
                tasks.create_task(pictures(receiver, 30))
                tasks.create_task(pictures(other, 30))
            for pc in (receiver, other):
                await pictures(pc, 20)
            assert threading.active_count() <= threads + 1
            assert [after <= most + 2 for after, most in zip(sizes(receiver), before, strict=True)] == [
                True
            ] * 4
            assert (sender.connectionState, receiver.connectionState) == ("connected", "connected")
            return refused(receiver), refused(other)

    attacked, untouched = asyncio.run(run())
    assert attacked["malformed"] > 0
    assert attacked["strange"] > 1000
    assert set(untouched.values()) == {0}
    assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


def test_records_that_nobody_reads_do_not_gather():
    async def run():
        async with calling() as (sender, receiver):
            await pictures(receiver, 5)
            hostile = Hostile(sender, random.Random(1))
            await hostile.send(hostile.bundled_records(50))
            await pictures(receiver, 5)
            with pytest.raises(SSL.WantReadError):
                receiver.getReceivers()[0].transport._ssl.recv(1)
            record = hostile.record(b"x")
            hostile.dtls._ssl.shutdown()
            await hostile.send([record + hostile.dtls._ssl.bio_read(100)])
            await until(lambda: receiver.connectionState == "closed", 10, "the end, told behind a record")

    asyncio.run(run())


def test_a_call_is_made_under_a_hail_of_rubbish():
    """Datagrams that come before anything is agreed upon, when nobody takes them yet."""

    async def run():
        async with answered() as (sender, receiver):
            await pelt(addresses(sender) + addresses(receiver))
            await sender.setRemoteDescription(receiver.localDescription)
            await pictures(receiver, 10)

    asyncio.run(run())
