"""What can stand between two measured peers: nothing, a stock aiortc relay, Guardian.

A box is a function that opens one call of its own; the peers and what is measured are the same for all.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from guardian.bench.pair import Pair
from guardian.bench.proxy import Proxy
from guardian.core.errors import Unavailable
from guardian.core.frames import Mode
from guardian.core.violations import Role
from guardian.demo.own_server import running_server
from guardian.demo.peers import CallClient

_ANSWER_S = 20.0
_STATUS_S = 1.2
"""A call's account is told once a second."""

Proxies = Mapping[Role, Proxy]


@dataclass(frozen=True, slots=True)
class BoxCall:
    """One call through a box.

    status: what the box says of it, empty where it says nothing. hang_up: ends it in the box; idempotent.
    """

    connect: Callable[[Pair, Proxies], Awaitable[None]]
    processes: Callable[[], list[psutil.Process]]
    status: Callable[[], Awaitable[dict[str, Any]]]
    hang_up: Callable[[], Awaitable[None]]


Box = Callable[[], AbstractAsyncContextManager[BoxCall]]


async def _says_nothing() -> dict[str, Any]:
    return {}


async def _nothing_to_end() -> None:
    return


@asynccontextmanager
async def direct_call() -> AsyncIterator[BoxCall]:
    """Nothing in between."""

    async def connect(pair: Pair, through: Proxies) -> None:
        assert not through, "a direct connection has one leg only"
        await pair.connect_directly()

    yield BoxCall(connect, list, _says_nothing, _nothing_to_end)


@asynccontextmanager
async def stock_call() -> AsyncIterator[BoxCall]:
    """A relay of stock aiortc in a process of its own, for one call."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "guardian.bench.stock_relay",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        limit=1 << 20,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    async def answer(role: Role, offer: str) -> str:
        stdin.write(json.dumps({"role": role, "sdp": offer}).encode() + b"\n")
        async with asyncio.timeout(_ANSWER_S):
            line = await stdout.readline()
        if not line:
            raise Unavailable("The stock relay ended; the comparison cannot be made.")
        return str(json.loads(line)["sdp"])

    async def connect(pair: Pair, through: Proxies) -> None:
        await pair.connect(answer, through)

    async def hang_up() -> None:
        if process.returncode is None:
            process.kill()
        await process.wait()

    handle = psutil.Process(process.pid)
    try:
        yield BoxCall(connect, lambda: [handle], _says_nothing, hang_up)
    finally:
        await hang_up()


class GuardianBox:
    """A running Guardian."""

    def __init__(self, url: str, client: CallClient, server: psutil.Process, folder: Path) -> None:
        self.url = url
        self._client = client
        self.server = server
        self.events = folder / "events.jsonl"
        """The file events go to."""

    def processes(self) -> list[psutil.Process]:
        """The server and its call processes."""
        return [self.server, *self.server.children(recursive=True)]

    async def status(self, call_id: str) -> dict[str, Any]:
        """What it says of a call, a moment later: a call's account is told once a second."""
        await asyncio.sleep(_STATUS_S)
        return await self._client.status(call_id)

    @asynccontextmanager
    async def call(self, mode: Mode = Mode.SELFIE) -> AsyncIterator[BoxCall]:
        """One call, protection on, both voices heard; hung up at the end."""
        call_id, legs = await self._client.create(mode=mode)

        async def answer(role: Role, offer: str) -> str:
            return (await self._client.offer(legs[role], offer)).sdp

        async def connect(pair: Pair, through: Proxies) -> None:
            await pair.connect(answer, through)

        async def status() -> dict[str, Any]:
            return await self.status(call_id)

        async def hang_up() -> None:
            await self._client.hang_up(call_id)

        try:
            yield BoxCall(connect, self.processes, status, hang_up)
        finally:
            await hang_up()


@asynccontextmanager
async def guardian_box(calls: int, more: Mapping[str, str] | None = None) -> AsyncIterator[GuardianBox]:
    """`guardian serve` with room for so many calls at once, stopped at the end. more: of its environment."""
    before = {process.pid for process in psutil.Process().children()}
    with tempfile.TemporaryDirectory(prefix="guardian-bench-") as folder:
        settings = {
            "GUARDIAN_LIMITS__MAX_CALLS": str(calls),
            # A machine whose cores are all at work starts processes slowly; that is not what is asked here.
            "GUARDIAN_LIMITS__START_S": "28",
            "GUARDIAN_LIMITS__ANSWER_S": "28",
            # What waits for another call is none of what a call costs.
            "GUARDIAN_LIMITS__SPARES": "0",
            **(more or {}),
        }
        async with running_server(Path(folder), settings) as url, CallClient(url) as client:
            server = next(process for process in psutil.Process().children() if process.pid not in before)
            yield GuardianBox(url, client, server, Path(folder))
