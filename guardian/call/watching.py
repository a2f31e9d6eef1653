"""The search of one role's pictures for contacts, beside their way: no picture waits for it.

Pictures come faster than they are looked at; the newest is taken. Codes are looked for a few times a second,
also between the steps of a look for text, which takes longer.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

from guardian.call.lane import Lane, log_not_loaded
from guardian.call.legs import Opaque, PictureTap
from guardian.core.config import ContactConfig
from guardian.core.frames import RawFrame
from guardian.core.lapses import LapseBook
from guardian.core.notes import Part, Print, PrintKind
from guardian.core.ports import ContactFinder
from guardian.core.shown import Glance, ShownBook, Sighting
from guardian.core.violations import Role, ViolationChange

_NICENESS = 6
"""Pictures and voices come first."""
_LOAD_S = 60.0
_STEP_S = 10.0
"""A step of a look that takes longer never ends."""
_REST_S = 0.5
_MOST_WAITING = 90
_SHARE = 0.12
"""Share of a core that looks for text may take over time."""
_RAREST_S = 4.0
"""Time between two looks for text at most, however long they take."""
_BLIND_S = 3.0
"""Video that comes and cannot be decoded for so long is a lapse."""
_NOT_LOADED = "what looks for contacts could not be loaded"
_FAILED = "looking for contacts failed"
_UNDECODED = "the picture could not be decoded"


@dataclass(frozen=True, slots=True)
class Watching:
    """How to get a finder (slow, in the lane's thread), and where what it finds goes."""

    open: Callable[[Role], ContactFinder]
    seen: Callable[[tuple[ViolationChange, ...]], None]
    lapsed: Callable[[Role, float, float, str], None]
    """(role, t_start, t_end, reason) in media seconds of the call: a span without any look."""
    hide: Callable[[RawFrame, PrintKind, tuple[Print, ...]], None]
    """Told where in a picture of the shopper all violations of a kind are; from the lane's thread."""
    ask: Callable[[], None]
    """Asks for a key frame of the merchant's video."""
    media_t: Callable[[float], float]
    """Media seconds of the call at a monotonic second."""
    tap: Callable[[], PictureTap]
    times: Callable[[], int]
    """How many times less often text is looked for, as cores are short."""

    def now(self) -> float:
        """Media seconds of the call."""
        return self.media_t(time.monotonic())


@dataclass(slots=True)
class _Look:
    """A look that may not be over yet."""

    raw: RawFrame
    steps: Iterator[tuple[Sighting, ...] | None]
    cost_s: float = 0.0


class WatchWay:
    """One role's pictures. `picture` and `encoded` are called on the event loop and never wait."""

    def __init__(self, role: Role, watching: Watching, config: ContactConfig) -> None:
        self.role = role
        self.allowed = True
        """Whether these pictures may be looked at."""
        self.lapses = LapseBook(Part.WATCHING, role)
        self.looks = dict.fromkeys(PrintKind, 0)
        """Looks taken, by kind."""
        self._watching = watching
        self._every = {PrintKind.CODE: config.codes_every_s, PrintKind.TEXT: config.text_every_s}
        self._due = {PrintKind(kind): 0.0 for kind in config.kinds}
        self._book = ShownBook(role, lambda: f"vio_{uuid4().hex}")
        self._lane = Lane(f"watch-{role}", _NICENESS)
        self._raw: RawFrame | None = None
        self._taken: dict[PrintKind, RawFrame] = {}
        self._frames: deque[Opaque] = deque()
        self._tap: PictureTap | None = None
        self._open = False
        self._came = False
        self._needs_key = True
        self._undecoded_since: float | None = None
        self._closed = False

    def picture(self, raw: RawFrame) -> None:
        """A picture has come in, decoded."""
        self._came = True
        if self.allowed and raw.whole and not self._closed:
            self._raw = raw

    def encoded(self, frame: Opaque) -> None:
        """A frame of video has come in, encoded."""
        self._came = True
        if not self.allowed or not self._open or self._closed:
            self._needs_key = True
            return
        if len(self._frames) >= _MOST_WAITING:
            self._frames.clear()
            self._needs_key = True
        if self._needs_key and not frame.key:
            # Nothing can be decoded before a key frame.
            self._undecoded()
            return
        self._needs_key = False
        self._frames.append(frame)

    def restart(self) -> None:
        """Video that comes from now on is another's."""
        self._frames.clear()
        self._needs_key = True

    async def run(self) -> None:
        """Looks until cancelled. If it cannot, the call goes on, and is told so."""
        try:
            finder = await self._lane.run(lambda: self._watching.open(self.role), _LOAD_S)
        except Exception as error:  # noqa: BLE001 - whatever a loader raises: the call goes on, loudly unseen
            log_not_loaded(_NOT_LOADED, error)
            await self._blind(_NOT_LOADED)
            return
        self._open = True
        text: _Look | None = None
        while True:
            if text is None or not self.allowed:
                await asyncio.sleep(self._rest_s())
            if not self.allowed:
                self._forget()
                text = None
                continue
            began = self._watching.now()
            try:
                text = await self._work(finder, text)
            except Exception:  # noqa: BLE001 - a finder may raise anything, or hang: a lapse
                text = None
                self._watching.lapsed(self.role, began, self._watching.now(), _FAILED)
                if self._lane.age_s:
                    await self._blind(_FAILED)
                    return

    def _rest_s(self) -> float:
        """Seconds until something is due."""
        return max(min(self._due.values(), default=_REST_S + time.monotonic()) - time.monotonic(), 0.0)

    def _is_due(self, kind: PrintKind) -> bool:
        return self._due.get(kind, float("inf")) <= time.monotonic()

    async def _work(self, finder: ContactFinder, text: _Look | None) -> _Look | None:
        """The most urgent thing to do; the look for text that is not over after it."""
        if self._is_due(PrintKind.CODE):
            self._due[PrintKind.CODE] = time.monotonic() + self._every[PrintKind.CODE]
            look = await self._look(finder, PrintKind.CODE)
            while look is not None and not await self._step(look, PrintKind.CODE):
                continue
        elif text is not None:
            if not await self._step(text, PrintKind.TEXT):
                return text
            self._due[PrintKind.TEXT] = time.monotonic() + self._pause_s(text.cost_s)
            return None
        elif self._is_due(PrintKind.TEXT):
            # Nothing new to look at: soon there will be.
            self._due[PrintKind.TEXT] = time.monotonic() + self._every[PrintKind.CODE]
            return await self._look(finder, PrintKind.TEXT)
        return text

    def _pause_s(self, cost_s: float) -> float:
        """Seconds from one look for text to the next."""
        if self._book.unsure:
            return self._every[PrintKind.CODE]
        often = self._every[PrintKind.TEXT] * (1 + self._watching.times()) / 2
        return max(often, min(cost_s / _SHARE, _RAREST_S)) - min(cost_s, often)

    async def _look(self, finder: ContactFinder, kind: PrintKind) -> _Look | None:
        """Begins to look at the newest picture; None when that was looked at."""
        raw = await self._newest()
        if raw is None or raw is self._taken.get(kind):
            self._tell(self._book.see(Glance(kind, (), self._watching.now(), self._watching.now())))
            return None
        self._taken[kind] = raw
        return _Look(raw, finder.find(raw.planes, kind))

    async def _step(self, look: _Look, kind: PrintKind) -> bool:
        """One step of a look; whether it was the last."""

        def step() -> tuple[tuple[Sighting, ...] | None, float]:
            began = time.thread_time()
            found = next(look.steps, ())
            if found is not None and self.role is Role.SHOPPER and self.allowed:
                self._watching.hide(look.raw, kind, tuple(one.place for one in found if one.raised))
            return found, time.thread_time() - began

        found, cost_s = await self._lane.run(step, _STEP_S)
        look.cost_s += cost_s
        if found is None:
            return False
        self.looks[kind] += 1
        if self.allowed:
            t = self._watching.media_t(look.raw.arrived)
            self._tell(self._book.see(Glance(kind, found, t, self._watching.now(), look.raw.planes.size)))
        return True

    def _tell(self, changes: tuple[ViolationChange, ...]) -> None:
        if changes:
            self._watching.seen(changes)

    async def _newest(self) -> RawFrame | None:
        """The newest picture, decoded if need be."""
        if self._frames:
            frames = list(self._frames)
            self._frames.clear()
            tap = self._tap = self._tap or self._watching.tap()
            self._raw = await self._lane.run(lambda: tap.decode(frames), _STEP_S) or self._raw
            if tap.needs_key:
                self._undecoded()
            else:
                self._undecoded_since = None
        return self._raw

    def _undecoded(self) -> None:
        """Video has come that cannot be decoded: a key frame is asked for, and in the end it is a lapse."""
        self._watching.ask()
        now = self._watching.now()
        if self._undecoded_since is None:
            self._undecoded_since = now
        if now - self._undecoded_since > _BLIND_S:
            self._watching.lapsed(self.role, self._undecoded_since, now, _UNDECODED)
            self._undecoded_since = now

    def _forget(self) -> None:
        """What has come is not looked at."""
        self._came = False
        self._raw = None
        self._taken.clear()
        self._frames.clear()
        self._due = dict.fromkeys(self._due, time.monotonic() + _REST_S)

    async def _blind(self, reason: str) -> None:
        """Counts everything that comes as a lapse until the call ends."""
        while True:
            began = self._watching.now()
            self._forget()
            await asyncio.sleep(_REST_S)
            if self.allowed and self._came:
                self._watching.lapsed(self.role, began, self._watching.now(), reason)

    def close(self) -> None:
        """No more pictures; what was told and is not settled is."""
        self._closed = True
        self._tell(self._book.end(self._watching.now()))
        self._forget()
        self._lane.close()
