"""Calls with pictures in a fleet: taken again elsewhere, and never sent by two nodes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from guardian.core.errors import CallFailed
from guardian.core.violations import Role
from guardian.demo.peers import CallClient, CameraTrack, LegTicket, new_peer
from tests.chaos.fleet import Node, fleet, until
from tests.loopback.harness import View, canary_pictures, status_until, watch

pytestmark = [pytest.mark.live, pytest.mark.timeout(6000)]
TRIES = int(os.environ.get("GUARDIAN_TRIES", "10"))
LIMITS = "lane_stuck_s = 20.0\nbeat_lost_s = 20.0\n"


def say(figure):
    """A figure for whoever runs this with `-s`; none of them is judged."""
    sys.stdout.write(f"{figure}\n")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory, need, postgres):
    """Two nodes with a slot each."""
    need("psycopg")
    with fleet(
        tmp_path_factory.mktemp("fleet"), need, postgres.made_store(), "tests.fakes.broken_server"
    ) as one:
        a, b = one.launch("a", limits=LIMITS), one.launch("b", limits=LIMITS)
        one.settle(a, b)
        yield a, b


@dataclass
class Pair:
    """A shopper and a merchant, as connected through one node."""

    merchant: object
    view: View = field(default_factory=View)

    async def packets(self) -> int:
        """Packets of media that the merchant was sent."""
        stats = await self.merchant.getStats()
        return sum(one.packetsReceived for one in stats.values() if one.type == "inbound-rtp")


@asynccontextmanager
async def joined(node: Node, client: CallClient, tickets):
    """Both, offering at a node until it takes them."""
    merchant, shopper = new_peer(), new_peer()
    pair = Pair(merchant)
    try:
        merchant.addTransceiver("video", direction="recvonly")
        shopper.addTrack(CameraTrack(canary_pictures(), 15))
        for role, pc in ((Role.MERCHANT, merchant), (Role.SHOPPER, shopper)):
            path = tickets[role].url.split("/v1/")[1]
            await client.join(LegTicket(f"{node.url}/v1/{path}", tickets[role].token), pc)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch(merchant, "video", pair.view.look))
            try:
                yield pair
            finally:
                watching.cancel()
    finally:
        await merchant.close()
        await shopper.close()


async def created(client):
    """A call of a fleet that may just be busy: a call service asks again, as it is told to."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return await client.create(mode="selfie", purpose="fault:none:0")
        except CallFailed:
            assert time.monotonic() < deadline, "no node took the call"
            await asyncio.sleep(1.0)


@asynccontextmanager
async def calling(nodes):
    """A call that shows a covered picture: (client, id, tickets, its pair, who has it, the other node)."""
    async with CallClient(nodes[0].url, nodes[0].key) as client:
        call_id, tickets = await created(client)
        try:
            status = await client.status(call_id)
            holder, other = nodes if status["node"] == nodes[0].name else reversed(nodes)
            async with joined(other, client, tickets) as pair:
                await covered(client, call_id)
                yield client, call_id, tickets, pair, holder, other
        finally:
            await client.hang_up(call_id)


async def covered(client, call_id, node=None):
    """The picture is there, protected, and sent by that node."""
    return await status_until(
        client, call_id,
        lambda s: s.get("frames", {}).get("covered", 0) > 0 and node in (None, s["node"]), 60, "a picture",
    )  # fmt: skip


async def status_until_failed(node, call_id):
    def failed():
        answer = node.client.get(f"/v1/calls/{call_id}")
        return answer.status_code == 200 and answer.json()["state"] == "failed"

    await asyncio.to_thread(until, failed, 60, "the end of the call")


def test_a_call_whose_process_was_killed_shows_its_picture_again_at_another_node(nodes):
    async def scenario():
        async with calling(nodes) as (client, call_id, tickets, pair, holder, other):
            for process in holder.processes():
                process.send_signal(signal.SIGKILL)
            killed = time.monotonic()
            await status_until_failed(other, call_id)
            offered = time.monotonic()
            say(f"known as failed after {offered - killed:.2f} s")
            async with joined(other, client, tickets) as again:
                status = await covered(client, call_id, other.name)
                say(f"picture {time.monotonic() - offered:.2f} s after the new offer")
                return pair.view, again.view, status

    before, after, status = asyncio.run(scenario())
    assert before.canary_blocks == after.canary_blocks == 0
    assert status["state"] != "failed"


def test_a_node_that_wakes_after_its_lease_sends_nothing(nodes):
    async def one():
        async with calling(nodes) as (_, call_id, tickets, pair, holder, other):
            lost = "this node lost its lease: its calls are others' now, and end here"
            times = holder.logged(lost)
            holder.signal(signal.SIGSTOP)
            async with CallClient(other.url, other.key) as there:
                await status_until_failed(other, call_id)
                async with joined(other, there, tickets) as again:
                    await covered(there, call_id, other.name)
                    before = await pair.packets()
                    holder.signal(signal.SIGCONT)
                    await asyncio.to_thread(until, lambda: holder.logged(lost) > times, 60)
                    await asyncio.to_thread(until, holder.ready, 60)
                    woken = await pair.packets() - before
                    say(f"packets from the woken node: {woken}")
                    assert woken == 0
                    assert pair.view.canary_blocks == again.view.canary_blocks == 0
                    assert (await there.status(call_id))["node"] == other.name

    for number in range(TRIES):
        began = time.monotonic()
        asyncio.run(one())
        say(f"try {number + 1} of {TRIES}: {time.monotonic() - began:.1f} s")
