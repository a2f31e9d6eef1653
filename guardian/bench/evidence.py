"""What does keeping evidence of a call cost, and what does a clip?

A call's two videos and two voices, encoded before, go through everything that keeps them, as fast as they
can; time is told as a part of one core while a call goes on in real time. Memory is what Python holds.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from guardian.bench.camera import LOOP, Film, encoded_loop, pictures
from guardian.bench.script import Row, Script, Steps
from guardian.call.keeping import KEY_EVERY_S, Around, Keeping, KeepWay
from guardian.core.config import EvidenceConfig
from guardian.core.evidence import SealedClip
from guardian.core.frames import SafeFrame
from guardian.core.protection import CurtainReason
from guardian.core.recording import SentPicture
from guardian.core.violations import Role
from guardian.evidence.clip import ClipCutter
from guardian.evidence.folder import Folder
from guardian.evidence.keys import OpeningKey, new_key_text
from guardian.evidence.ring import Ring
from guardian.evidence.sealing import Sealer
from guardian.rtc.compat import EncodedFrame, is_key_frame
from guardian.rtc.encoding import Order, VideoEncoding
from guardian.rtc.opus import OPUS_CLOCK, SILENCE, SILENCE_TICKS
from guardian.rtc.transcoding import video_decoder
from guardian.vision.cover import curtains

_TICK_S = 0.25
_VOICE_BYTES = 160
"""Of 20 ms of a voice: 64 kbit/s, more than browsers send."""
_BITS_PER_S = 2_000_000
MOST_CORE = 0.01
MOST_MB = 12.0


@dataclass(frozen=True, slots=True)
class Effort:
    """Films, and seconds of call."""

    films: tuple[Film, ...]
    call_s: int


QUICK = Effort((Film((640, 480)),), 60)
WHOLE = Effort((Film((640, 480)), Film((1280, 720))), 300)


class _Kept:
    """A call whose clock is what has come of it, and what keeps evidence of it."""

    def __init__(self, film: Film, folder: Path) -> None:
        self.now = 0.0
        self.clips: list[SealedClip] = []
        self.ring = Ring()
        sealing = OpeningKey.from_text(new_key_text()).sealing
        cutter = ClipCutter(Sealer(Folder(folder), sealing), video_decoder)
        self.way = KeepWay(
            Keeping(self.ring, cutter, lambda: f"ev_{len(self.clips):026d}"),
            EvidenceConfig(),
            Around("call", self._media_t, lambda: None, lambda *_: (), self.clips.append, lambda *_: None),
        )
        self.way.allowed = True
        self._spoken = 0
        self._film = film
        self._loop = encoded_loop(film)
        self._keys = [is_key_frame("VP8", data) for data in self._loop]
        self._safe: SafeFrame = curtains({})(film.size, 0.0, 0.0, CurtainReason.WAITING)

    def _media_t(self, _monotonic: float) -> float:
        return self.now

    def pieces(self, seconds: int) -> Iterator[Callable[[], None]]:
        """What comes within some seconds, as calls to be made; each has bytes of its own, as in a call."""
        fps = self._film.fps
        for number in range(seconds * fps):
            data, key = self._loop[number % LOOP], self._keys[number % LOOP]
            ticks = number * 90_000 // fps
            yield partial(self.way.sent, self._safe, SentPicture("VP8", _own(data), key, 0))
            frame = EncodedFrame("VP8", _own(data), ticks, 90_000, key, False, 0.0)
            yield partial(self.way.merchants, frame)
            while self._spoken < self.now * OPUS_CLOCK:
                self._spoken += SILENCE_TICKS
                yield from (partial(self.way.voice, role, self._sound(), self.now) for role in Role)
            self.now += 1 / fps

    def _sound(self) -> EncodedFrame:
        data = _own(SILENCE.ljust(_VOICE_BYTES, b"\0"))
        return EncodedFrame("opus", data, self._spoken, OPUS_CLOCK, True, False, 0.0, 0, SILENCE_TICKS)


def _own(data: bytes) -> bytes:
    return bytes(bytearray(data))


async def _keep(kept: _Kept, seconds: int) -> float:
    """Keeps some seconds of call; processor seconds of what keeps them."""
    used, ticked = 0.0, kept.now
    for piece in kept.pieces(seconds):
        began = time.thread_time()
        piece()
        used += time.thread_time() - began
        if kept.now - ticked >= _TICK_S:
            ticked = kept.now
            began = time.thread_time()
            await kept.way.tick()
            used += time.thread_time() - began
    return used


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """A row for each film."""
    steps.expect(3 * len(effort.films))
    rows: list[Row] = []
    for film in effort.films:
        with tempfile.TemporaryDirectory() as folder:
            steps.begin(f"{film}: keeping")
            kept = _Kept(film, Path(folder))
            used_s = await _keep(kept, effort.call_s)
            steps.done()
            steps.begin(f"{film}: a clip")
            clip_s = await _clip(kept)
            steps.done()
            steps.begin(f"{film}: memory")
            held_mb = await _memory(film, Path(folder))
            steps.done()
        (clip,) = kept.clips
        rows.append(
            {
                "size": f"{film.size[0]}x{film.size[1]}",
                "fps": film.fps,
                "core": round(used_s / effort.call_s, 5),
                "key_frames_core": round(_key_frames_core(film), 5),
                "ring_mb": round(held_mb, 2),
                "clip_s": round(clip.t_end - clip.t_start, 1),
                "clip_cpu_s": round(clip_s, 2),
                "clip_mb": round(sum(part.stored for part in clip.parts) / 2**20, 2),
            }
        )
    return rows


def _key_frames_core(film: Film) -> float:
    """Part of a core that key frames take that would be others, were nothing kept."""
    encoding = VideoEncoding("VP8")
    cost: dict[bool, list[float]] = {False: [], True: []}
    for number, picture in enumerate(islice(pictures(film), 6 * film.fps)):
        key = number % film.fps == 0
        began = time.thread_time()
        encoding.encode(picture, Order(_BITS_PER_S, _BITS_PER_S, key))
        cost[key].append(time.thread_time() - began)
    return max(0.0, median(cost[True]) - median(cost[False])) / KEY_EVERY_S


async def _clip(kept: _Kept) -> float:
    """Processor seconds of this process while a clip comes to its end, without those of keeping."""
    kept.way.complaint("event")
    await _keep(kept, 10)
    kept.now += 2.0
    began = time.process_time()
    await kept.way.tick()
    used = time.process_time() - began
    await asyncio.sleep(0)
    await kept.way.finish()
    return used


async def _memory(film: Film, folder: Path) -> float:
    """MiB that are held while nothing is waited for."""
    kept = _Kept(film, folder)
    gc.collect()
    tracemalloc.start()
    try:
        await _keep(kept, 30)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / 2**20
    finally:
        tracemalloc.stop()


def _cells(row: Row) -> Sequence[Any]:
    what = f"{row['size']} at {row['fps']}"
    shares = [f"{100 * row[name]:.2f} %" for name in ("core", "key_frames_core")]
    return (what, *shares, row["ring_mb"], row["clip_s"], row["clip_cpu_s"], row["clip_mb"])


def _misses(rows: Sequence[Row]) -> list[str]:
    missed = []
    for row in rows:
        core = row["core"] + row["key_frames_core"]
        if core >= MOST_CORE:
            missed.append(f"{row['size']}: keeping takes {100 * core:.2f} % of a core.")
        if row["ring_mb"] > MOST_MB:
            missed.append(f"{row['size']}: what is kept takes {row['ring_mb']} MB.")
    return missed


SCRIPT = Script(
    "What does keeping evidence of a call cost, and what does a clip?",
    partial(measure, WHOLE),
    partial(measure, QUICK),
    ("both videos", "of a core", "key frames", "MB kept", "clip s", "clip cpu s", "clip MB"),
    _cells,
    _misses,
)
