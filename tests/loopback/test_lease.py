"""A call process sends while its lease holds, and not one datagram after it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil
import pytest
from aioice.ice import StunProtocol
from aiortc import RTCSessionDescription

from guardian.core.calls import CallSpec
from guardian.core.config import CallLimits, WorkConfig
from guardian.core.lease import lease_clock
from guardian.core.violations import Role
from guardian.demo.peers import CameraTrack, new_peer
from guardian.fleet.supervisor import Supervisor
from tests.loopback.harness import ToneTrack, canary_pictures, until

pytestmark = pytest.mark.live

_LIMITS = CallLimits(start_s=60.0, beat_lost_s=60.0, spares=0)
_SPEC = CallSpec("call_lease", "t", {Role.SHOPPER: "s", Role.MERCHANT: "m"})
_HOLDS_S = 1.5


@dataclass
class Running:
    """A call whose process has a lease."""

    host: Supervisor
    datagrams: list[int]
    renewing: bool = True

    @property
    def process(self) -> int:
        """Its pid."""
        return next(one.pid for one in psutil.Process().children() if "guardian.callmain" in one.cmdline())

    async def renew(self) -> None:
        """Extends the lease as long as it is told to."""
        while True:
            if self.renewing:
                self.host.extend(lease_clock() + _HOLDS_S)
            await asyncio.sleep(0.3)

    async def comes(self, count: int = 50) -> None:
        """Waits for datagrams."""
        wanted = self.datagrams[0] + count
        await until(lambda: self.datagrams[0] >= wanted, 40, "datagrams")

    async def silent(self) -> int:
        """Waits until nothing has come for a second; how many came before that."""
        before = -1
        async with asyncio.timeout(40):
            while before != self.datagrams[0]:
                before = self.datagrams[0]
                await asyncio.sleep(1.0)
        return before


@asynccontextmanager
async def leased(monkeypatch):
    datagrams = [0]
    taken = StunProtocol.datagram_received

    def counted(protocol, data, addr):
        datagrams[0] += 1
        taken(protocol, data, addr)

    monkeypatch.setattr(StunProtocol, "datagram_received", counted)
    async with Supervisor(WorkConfig(limits=_LIMITS), lambda spec, event: None) as host:
        await host.open(_SPEC, "", lease_clock() + _HOLDS_S)
        merchant, shopper = new_peer(), new_peer()
        merchant.addTrack(ToneTrack())
        merchant.addTransceiver("video", direction="recvonly")
        shopper.addTrack(ToneTrack())
        shopper.addTrack(CameraTrack(canary_pictures(), 15))
        running = Running(host, datagrams)
        async with asyncio.TaskGroup() as tasks:
            renewing = tasks.create_task(running.renew())
            try:
                for role, peer in ((Role.MERCHANT, merchant), (Role.SHOPPER, shopper)):
                    await peer.setLocalDescription(await peer.createOffer())
                    answer = await host.offer(_SPEC.call_id, role, peer.localDescription.sdp)
                    await peer.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
                await running.comes()
                yield running
            finally:
                with contextlib.suppress(StopIteration, ProcessLookupError):
                    os.kill(running.process, signal.SIGCONT)
                renewing.cancel()
                await merchant.close()
                await shopper.close()


def test_nothing_leaves_while_the_lease_is_over_and_all_goes_on_when_it_holds_again(monkeypatch):
    async def scenario():
        async with leased(monkeypatch) as running:
            running.renewing = False
            await running.silent()
            running.renewing = True
            await running.comes()

    asyncio.run(scenario())


def test_a_process_that_wakes_up_after_its_lease_sends_nothing(monkeypatch):
    async def scenario():
        async with leased(monkeypatch) as running:
            for _ in range(3):
                os.kill(running.process, signal.SIGSTOP)
                running.renewing = False
                before = await running.silent()
                await asyncio.sleep(_HOLDS_S)
                status = running.host.status(_SPEC.call_id)
                os.kill(running.process, signal.SIGCONT)
                await until(lambda: running.host.status(_SPEC.call_id) is not status, 20, "a beat")  # noqa: B023
                assert await running.silent() == before
                running.renewing = True
                await running.comes()

    asyncio.run(scenario())
