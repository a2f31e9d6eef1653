"""A running server and real peers for the tests of whole calls."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCRtpCodecCapability
from aiortc.codecs import get_capabilities
from aiortc.mediastreams import MediaStreamError

from guardian.core.canary import BLOCK, Canary
from guardian.core.frames import Planes
from guardian.core.violations import Role
from guardian.demo.peers import CallClient, CameraTrack, incoming, new_peer
from guardian.demo.scene import ScenePicture
from guardian.rtc.convert import planes_of

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 640, 480
STEADY = "start_bitrate = 2000000\nmin_bitrate = 2000000\nmax_bitrate = 2500000\n"
"""Pictures made coarse on a busy machine's account would hide what Guardian fails to hide."""
BLOCKS = (WIDTH // BLOCK) * (HEIGHT // BLOCK)
CANARY = Canary.of_size(WIDTH, HEIGHT)


@lru_cache(maxsize=16)
def canary_of(size: tuple[int, int]) -> Canary:
    """The canary of pictures of a size (w, h)."""
    return Canary.of_size(*size)


@dataclass
class Server:
    """A server process."""

    url: str
    process: subprocess.Popen
    folder: Path
    api_key: str | None = None

    def events(self) -> list[dict]:
        """Everything the event file holds by now."""
        path = self.folder / "events.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []

    def log(self) -> str:
        """What the server and its call processes wrote."""
        return (self.folder / "serve.log").read_text("utf-8", "replace")


@contextmanager
def serving(
    folder: Path,
    broken: bool = False,
    prefix: tuple[str, ...] = (),
    media: str = "",
    limits: str = "spares = 0\n",
    slots: int = 4,
    drain_s: float = 0,
) -> Iterator[Server]:
    """`guardian serve` (or one whose calls break) on a free port, stopped at the end.

    media, limits: more lines of TOML for its sections of these names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "test.toml"
    config.write_text(
        f"data_dir = {json.dumps(str(folder))}\n"
        f"[events]\nfile = {json.dumps(str(folder / 'events.jsonl'))}\n"
        f"[server]\ndrain_s = {drain_s}\n"
        f"[limits]\nmax_calls = {slots}\nlane_stuck_s = 3.0\nstart_s = 30.0\n{limits}"
        f"[media]\n{STEADY}{media}",
        encoding="utf-8",
    )
    program = (
        [sys.executable, "-m", "tests.fakes.broken_server", str(config)]
        if broken
        else [sys.executable, "-m", "guardian", "serve", "--config", str(config), "--port", "0"]
    )
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [*prefix, *program], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        found = re.search(r"listening on (http://\S+)", line)
        assert found, f"the server did not start: {(folder / 'serve.log').read_text('utf-8')}"
        yield Server(found[1], process, folder)
    finally:
        # It does not wait for calls.
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def canary_pictures(size: tuple[int, int] = (WIDTH, HEIGHT)) -> Iterator[ScenePicture]:
    """Nothing but the canary on a slowly changing grey."""
    width, height = size
    half = np.full((height // 2, width // 2), 128, np.uint8)
    everywhere = np.ones((height // BLOCK, width // BLOCK), np.bool_)
    count = 0
    while True:
        grey = np.full((height, width), 110 + count % 32, np.uint8)
        yield ScenePicture(Planes(canary_of(size).painted(grey), half, half), everywhere)
        count += 1


class ToneTrack(MediaStreamTrack):
    """A steady tone, so that a voice that is passed on can be told from silence."""

    kind = "audio"

    def __init__(self, hertz: int = 440) -> None:
        super().__init__()
        self._hertz = hertz
        self._start = None
        self._at = 0

    async def recv(self):
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        self._start = self._start or now
        await asyncio.sleep(max(0.0, self._start + self._at / 48000 - now))
        t = (self._at + np.arange(960)) / 48000
        frame = av.AudioFrame.from_ndarray(
            (8000 * np.sin(2 * np.pi * self._hertz * t)).astype(np.int16).reshape(1, -1), "s16", "mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = 48000, self._at, Fraction(1, 48000)
        self._at += 960
        return frame


@dataclass
class View:
    """What the merchant has seen and the two have heard of each other."""

    frames: int = 0
    canary_blocks: int = 0
    detailed: int = 0
    sizes: set = field(default_factory=set)
    loud: dict = field(default_factory=lambda: {role: 0 for role in Role})

    def look(self, frame: av.VideoFrame) -> None:
        """Counts one picture."""
        planes = planes_of(frame)
        self.frames += 1
        self.sizes.add(planes.size)
        sizes = {planes.size, (WIDTH, HEIGHT)}
        self.canary_blocks += max(canary_of(size).blocks_seen(planes.y) for size in sizes)

    def listen(self, role: Role, frame: av.AudioFrame) -> None:
        """Counts one piece of sound that `role` was sent."""
        self.loud[role] += float(np.abs(frame.to_ndarray()).mean()) > 1000


async def watch(pc, kind: str, take: Callable) -> None:
    """Drains one track until it ends."""
    track = incoming(pc, kind)
    while track is not None:
        try:
            async with asyncio.timeout(1.0):
                frame = await track.recv()
        except TimeoutError:
            continue
        except MediaStreamError:
            return
        await asyncio.to_thread(take, frame)


async def until(true: Callable[[], bool], limit_s: float, what: str) -> None:
    """Waits for something to become true; fails when it takes longer."""
    deadline = time.monotonic() + limit_s
    while True:
        if true():
            return
        assert time.monotonic() < deadline, f"{what} did not come within {limit_s} s"
        await asyncio.sleep(0.1)


async def status_until(
    client: CallClient, call_id: str, true: Callable[[dict], bool], limit_s: float, what: str
) -> dict:
    """The first status of which something is true; fails when it takes longer."""
    deadline = time.monotonic() + limit_s
    while True:
        status = await client.status(call_id)
        if true(status):
            return status
        assert time.monotonic() < deadline, f"{what} did not come within {limit_s} s: {status}"
        await asyncio.sleep(0.2)


@dataclass
class Call:
    """A call in progress."""

    client: CallClient
    call_id: str
    view: View
    legs: dict
    camera: CameraTrack | None

    async def status(self) -> dict:
        """What the server says."""
        return await self.client.status(self.call_id)

    async def until(self, true: Callable[[dict], bool], limit_s: float, what: str) -> dict:
        """The first status of which something is true; fails when it takes longer."""
        return await status_until(self.client, self.call_id, true, limit_s, what)


@asynccontextmanager
async def calling(server: Server, with_shopper: bool = True, **fields):
    """A call with both peers connected; everything is closed at the end."""
    async with CallClient(server.url, server.api_key) as client:
        call_id, legs = await client.create(**{"mode": "selfie", **fields})
        merchant, shopper = new_peer(), new_peer()
        view = View()
        camera = CameraTrack(canary_pictures(), 30) if with_shopper else None
        try:
            merchant.addTrack(ToneTrack())
            merchant.addTransceiver("video", direction="recvonly")
            await client.join(legs[Role.MERCHANT], merchant)
            if camera is not None:
                shopper.addTrack(ToneTrack())
                shopper.addTrack(camera)
                await client.join(legs[Role.SHOPPER], shopper)
            async with asyncio.TaskGroup() as tasks:
                watching = [
                    tasks.create_task(watch(merchant, "video", view.look)),
                    tasks.create_task(watch(merchant, "audio", lambda f: view.listen(Role.MERCHANT, f))),
                    tasks.create_task(watch(shopper, "audio", lambda f: view.listen(Role.SHOPPER, f))),
                ]
                try:
                    yield Call(client, call_id, view, legs, camera)
                finally:
                    for task in watching:
                        task.cancel()
            await client.hang_up(call_id)
        finally:
            await merchant.close()
            await shopper.close()


def preferred(codec) -> list[RTCRtpCodecCapability]:
    """What to offer for video, so that it is sent in one codec (`VP8`, `H264`)."""
    wanted = (f"video/{codec}", "video/rtx")
    return [c for c in get_capabilities("video").codecs if c.mimeType in wanted]
