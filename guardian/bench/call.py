"""How much delay and processor time a call through Guardian takes, beside a stock aiortc relay.

Every picture carries its number as a coarse code that survives protection. The two peers live in
this process: the delay of a picture is the time from when the sending track hands over its encoded
packet until it is decoded at the other side. A direct connection of the same run is measured first and its
median taken off, so that what is left is what the box in the middle adds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from guardian.bench import timecode
from guardian.bench.camera import FPS, LOOP, NumberedCamera, SentTimes, has_person
from guardian.core.errors import Unavailable
from guardian.core.violations import Role
from guardian.demo.ending import run_until_told
from guardian.demo.headless import running_server
from guardian.demo.peers import CallClient, MouthTrack, incoming, new_peer
from guardian.demo.voices import Line, english_lines
from guardian.rtc.convert import planes_of

_BELIEVED_S = 10.0
"""A picture that seems to have been longer on its way is one of the loop before."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Effort:
    """What is measured, and for how many seconds."""

    sizes: tuple[tuple[int, int], ...]
    calls: tuple[int, ...]
    warm_s: float
    measure_s: float


SHORT = Effort(((640, 480),), (1,), 6.0, 14.0)
FULL = Effort(((640, 480), (1280, 720)), (1, 2), 8.0, 40.0)


@dataclass(slots=True)
class Delays:
    """Milliseconds from sent to seen, of the pictures seen while measuring."""

    sent: SentTimes = field(default_factory=SentTimes.none)
    seen_ms: list[float] = field(default_factory=list)
    measuring: bool = False

    def percentiles(self, less_ms: float = 0.0) -> dict[str, float | None]:
        """p50, p95, p99 with `less_ms` taken off; None where nothing was seen."""
        if not self.seen_ms:
            return dict.fromkeys(("p50", "p95", "p99"))
        values = np.percentile(self.seen_ms, [50, 95, 99]) - less_ms
        return {name: round(float(v), 2) for name, v in zip(("p50", "p95", "p99"), values, strict=True)}


async def _watch(pc: RTCPeerConnection, delays: Delays) -> None:
    track = incoming(pc, "video")
    while track is not None:
        try:
            async with asyncio.timeout(1.0):
                frame = await track.recv()
        except TimeoutError:
            continue
        except MediaStreamError:
            return
        now = time.monotonic()
        if (
            not delays.measuring
            or not isinstance(frame, av.VideoFrame)
            or frame.width < timecode.FIELD * timecode.BITS
        ):
            continue
        number = timecode.read(planes_of(frame).y)
        if number is not None and number < LOOP and 0 < now - delays.sent.at[number] < _BELIEVED_S:
            delays.seen_ms.append((now - delays.sent.at[number]) * 1000)


async def _drain(track: MediaStreamTrack | None) -> None:
    while track is not None:
        try:
            async with asyncio.timeout(1.0):
                await track.recv()
        except TimeoutError:
            continue
        except MediaStreamError:
            return


Join = Callable[[Role, RTCPeerConnection], Any]


class Pair:
    """One call's two peers."""

    def __init__(self, size: tuple[int, int], lines: tuple[Line, ...]) -> None:
        self.delays = Delays()
        self._shopper, self._merchant = new_peer(), new_peer()
        self._shopper.addTrack(MouthTrack(Role.SHOPPER, lines))
        self._shopper.addTrack(NumberedCamera(size, self.delays.sent))
        self._merchant.addTrack(MouthTrack(Role.MERCHANT, lines))
        self._merchant.addTrack(NumberedCamera(size, SentTimes.none()))

    async def connect(self, join: Join) -> None:
        """Both peers join through the box in the middle."""
        await join(Role.MERCHANT, self._merchant)
        await join(Role.SHOPPER, self._shopper)

    async def connect_directly(self) -> None:
        """Both peers join each other."""
        await self._shopper.setLocalDescription(await self._shopper.createOffer())
        await self._merchant.setRemoteDescription(self._shopper.localDescription)
        answer = await self._merchant.createAnswer()
        assert answer is not None
        await self._merchant.setLocalDescription(answer)
        await self._shopper.setRemoteDescription(self._merchant.localDescription)

    def watch(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Takes everything that arrives."""
        return [
            tasks.create_task(_watch(self._merchant, self.delays)),
            tasks.create_task(_drain(incoming(self._shopper, "video"))),
            tasks.create_task(_drain(incoming(self._merchant, "audio"))),
            tasks.create_task(_drain(incoming(self._shopper, "audio"))),
        ]

    async def close(self) -> None:
        """Hangs up."""
        async with asyncio.timeout(10):
            await self._shopper.close()
            await self._merchant.close()


@dataclass(frozen=True, slots=True)
class Load:
    """Processor time and memory of the box in the middle while measuring."""

    cores: float
    pss_mb: float


class Meter:
    """Reads processor time of processes before and after."""

    def __init__(self, processes: list[psutil.Process]) -> None:
        self._processes = processes
        self._began = time.monotonic()
        self._before = [self._cpu(p) for p in processes]

    @staticmethod
    def _cpu(process: psutil.Process) -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    def read(self) -> Load:
        """Cores used since the beginning, and the largest process' memory now (PSS)."""
        used = sum(self._cpu(p) - b for p, b in zip(self._processes, self._before, strict=True))
        pss = max(p.memory_full_info().pss for p in self._processes)
        return Load(used / (time.monotonic() - self._began), pss / 2**20)


async def _measured(
    pairs: list[Pair], effort: Effort, processes: Callable[[], list[psutil.Process]]
) -> Load | None:
    """Warms up, measures; the load of the box, or None where there is none."""
    async with asyncio.TaskGroup() as tasks:
        watching = [task for pair in pairs for task in pair.watch(tasks)]
        await asyncio.sleep(effort.warm_s)
        boxes = processes()
        meter = Meter(boxes) if boxes else None
        for pair in pairs:
            pair.delays.measuring = True
        await asyncio.sleep(effort.measure_s)
        load = meter.read() if meter else None
        for task in watching:
            task.cancel()
    return load


def _together(pairs: list[Pair]) -> Delays:
    return Delays(seen_ms=[ms for pair in pairs for ms in pair.delays.seen_ms])


async def _close(pairs: list[Pair]) -> None:
    for pair in pairs:
        await pair.close()


@asynccontextmanager
async def _stock_relay() -> AsyncIterator[tuple[Join, psutil.Process]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "guardian.bench.stock_relay",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        limit=1 << 20,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    async def join(role: Role, pc: RTCPeerConnection) -> None:
        await pc.setLocalDescription(await pc.createOffer())
        stdin.write(json.dumps({"role": role, "sdp": pc.localDescription.sdp}).encode() + b"\n")
        async with asyncio.timeout(20):
            line = await stdout.readline()
        if not line:
            raise Unavailable("The stock relay ended; the comparison cannot be made.")
        await pc.setRemoteDescription(RTCSessionDescription(json.loads(line)["sdp"], "answer"))

    try:
        yield join, psutil.Process(process.pid)
    finally:
        process.kill()
        await process.wait()


async def _direct(size: tuple[int, int], lines: tuple[Line, ...], effort: Effort) -> Delays:
    pair = Pair(size, lines)
    try:
        await pair.connect_directly()
        await _measured([pair], effort, list)
    finally:
        await pair.close()
    return pair.delays


async def _stock(
    size: tuple[int, int], lines: tuple[Line, ...], effort: Effort
) -> tuple[Delays, Load | None]:
    async with _stock_relay() as (join, process):
        pair = Pair(size, lines)
        try:
            await pair.connect(join)
            load = await _measured([pair], effort, lambda: [process])
        finally:
            await pair.close()
    return pair.delays, load


@dataclass(frozen=True, slots=True)
class _Guarded:
    delays: Delays
    load: Load | None
    statuses: list[dict[str, Any]]


async def _guardian(size: tuple[int, int], lines: tuple[Line, ...], effort: Effort, calls: int) -> _Guarded:
    with tempfile.TemporaryDirectory(prefix="guardian-bench-") as folder:
        settings = {"GUARDIAN_LIMITS__MAX_CALLS": str(calls)}
        async with running_server(Path(folder), settings) as url, CallClient(url) as client:
            pairs, ids = [], []
            for _ in range(calls):
                call_id, legs = await client.create(mode="selfie")
                pair = Pair(size, lines)

                async def join(role: Role, pc: RTCPeerConnection, legs: Any = legs) -> None:
                    await client.join(legs[role], pc)

                await pair.connect(join)
                pairs.append(pair)
                ids.append(call_id)
            load = await _measured(pairs, effort, _server_processes)
            await asyncio.sleep(1.2)
            statuses = [await client.status(call_id) for call_id in ids]
            await _close(pairs)
    return _Guarded(_together(pairs), load, statuses)


def _server_processes() -> list[psutil.Process]:
    """The server and its call processes: all that this process has started."""
    return list(psutil.Process().children(recursive=True))


async def _row(size: tuple[int, int], calls: int, effort: Effort, say: Say) -> dict[str, Any]:
    if not has_person():
        say("scikit-image is not installed, so the measured pictures show a room without a person.")
    lines = english_lines()
    direct = await _direct(size, lines, effort)
    floor = float(np.median(direct.seen_ms)) if direct.seen_ms else 0.0
    stock, stock_load = await _stock(size, lines, effort)
    guarded = await _guardian(size, lines, effort, calls)
    if not guarded.delays.seen_ms:
        say("No picture with a number came through Guardian; its delay could not be measured.")
    frames = [status["frames"] for status in guarded.statuses]
    return {
        "calls": calls,
        "size": f"{size[0]}x{size[1]}",
        "fps": FPS,
        "cpu_per_call": round(guarded.load.cores / calls, 3) if guarded.load else None,
        "stock_cpu_per_call": round(stock_load.cores, 3) if stock_load else None,
        "protect_ms": _slowest(guarded.statuses, "protect"),
        "total_ms": _slowest(guarded.statuses, "total"),
        "direct_latency_ms": direct.percentiles(),
        "added_latency_ms": guarded.delays.percentiles(floor),
        "stock_relay_latency_ms": stock.percentiles(floor),
        "frames": sum(f["in"] for f in frames),
        "over_budget": sum(f["over_budget"] for f in frames),
        "curtain_frames": sum(f["curtain"] for f in frames),
        "rss_mb": round(guarded.load.pss_mb, 1) if guarded.load else None,
    }


def _slowest(statuses: list[dict[str, Any]], stage: str) -> dict[str, Any]:
    """The stage's percentiles of the call in which it was slowest."""
    found = [s["latency"][stage] for s in statuses if stage in s["latency"]]
    worst: dict[str, Any] = max(found, key=lambda numbers: numbers["p95"] or 0.0, default={})
    return {name: worst.get(name) for name in ("p50", "p95", "p99", "max")}


def measure(effort: Effort, say: Say) -> list[dict[str, Any]]:
    """One row per size and number of calls."""

    async def rows() -> list[dict[str, Any]]:
        return [await _row(size, calls, effort, say) for size in effort.sizes for calls in effort.calls]

    return run_until_told(rows())
