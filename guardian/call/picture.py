"""The way of the shopper's picture: inbox, video lane, outbox, and what to show meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from guardian.call.account import Passage, PictureAccount
from guardian.call.lane import Lane, log_not_loaded
from guardian.call.slots import Closed, Latest
from guardian.core.config import WorkConfig
from guardian.core.frames import Mode, RawFrame, SafeFrame, Showing, State
from guardian.core.ladder import Ease, Ladder
from guardian.core.notes import Print, PrintKind
from guardian.core.ports import CurtainMaker, Protector
from guardian.core.protection import CurtainReason

_FIRST_SIZE = (640, 480)
_CAMERA_OFF_S = 1.0
_LOAD_S = 60.0
_JUDGED_S = 4.0
"""Whoever supervises the process looks at its stacks first, and ends it."""
_NOT_LOADED = "the models could not be loaded"


@dataclass(frozen=True, slots=True)
class Eyes:
    """How to get a protector (slow, in the lane's thread) and curtains (at once, anywhere)."""

    open: Callable[[Mode], Protector]
    curtain: CurtainMaker


class PictureWay:
    """Everything between a drained `RawFrame` and the `SafeFrame` the encoder is given.

    A raw frame has one way out: through the lane, where the protector makes a safe one of it. When
    nothing comes out in time, `next_safe` shows the last cover and then the curtain.
    """

    def __init__(self, eyes: Eyes, config: WorkConfig, mode: Mode) -> None:
        self.account = PictureAccount(config.media.budget_ms)
        self.account.mode = mode
        self._eyes = eyes
        self._config = config
        self._mode = mode
        self._lane = Lane("video")
        self._inbox: Latest[tuple[RawFrame, float]] = Latest()
        self._outbox: Latest[SafeFrame] = Latest()
        self._protector: Protector | None = None
        self._size = _FIRST_SIZE
        self._known_size: tuple[int, int] | None = None
        self._last_raw = -_CAMERA_OFF_S
        self._last_t = 0.0
        self._failed = False
        self._ladder = Ladder(config.media.budget_ms, config.vision.late_s * 1000)
        self._came = self._lost_before = 0
        self._shared = asyncio.Lock()
        self._allowed = True

    @property
    def lane_age_s(self) -> float:
        """How long the lane has been at its present frame."""
        return self._lane.age_s if self._protector is not None else 0.0

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the last picture that was protected; None before the first."""
        return self._known_size

    @property
    def replaced(self) -> int:
        """Frames a newer one took the place of."""
        return self._inbox.statistics().lost

    @property
    def unsent(self) -> int:
        """Covered frames that nobody took before the next one."""
        return self._outbox.statistics().lost

    @property
    def mode(self) -> Mode:
        """What may be shown."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        if mode is self._mode:
            return
        self._mode = mode
        self.account.mode = mode
        if self._protector is not None:
            self._protector.mode = mode
        # What waits was made for the old mode, which may show more.
        self._outbox.clear()

    @property
    def allowed(self) -> bool:
        """Whether the shopper agrees to the picture being processed."""
        return self._allowed

    @allowed.setter
    def allowed(self, allowed: bool) -> None:
        self._allowed = allowed
        if not allowed:
            self._inbox.clear()
            self._outbox.clear()
            self.distrust("consent was withdrawn")

    def put(self, raw: RawFrame) -> None:
        """A picture has come in."""
        now = time.monotonic()
        self._last_raw, self._last_t = now, raw.t
        self.account.came_in(now)
        self._came += 1
        if self._allowed and self._came % self._ladder.ease.keep_every == 0:
            self._inbox.put((raw, now))

    @property
    def ease(self) -> Ease:
        """What is done less now to keep the budget."""
        return self._ladder.ease

    def hide(self, raw: RawFrame, kind: PrintKind, places: tuple[Print, ...]) -> None:
        """All that was found of one kind in a picture and is not to be seen from now on."""
        if self._protector is not None:
            self._protector.hide(raw, kind, places)

    def distrust(self, reason: str) -> None:
        """The next pictures may be damaged or of another camera."""
        if self._protector is not None:
            self._protector.distrust(reason)

    async def run(self) -> None:
        """The lane: loads the models, then protects frame by frame until cancelled."""
        try:
            mode = self._mode
            self._protector = await self._lane.run(lambda: self._eyes.open(mode), _LOAD_S)
            self._protector.mode = self._mode
        except Exception as error:  # noqa: BLE001 - whatever a model loader raises: the curtain stays
            self._failed = True
            self.account.state = State.FAILED
            self.account.reason = _NOT_LOADED
            log_not_loaded(_NOT_LOADED, error)
            return
        while True:
            try:
                raw, drained = await self._inbox.get(1.0)
            except TimeoutError:
                continue
            except Closed:
                return
            await self._protect(self._protector, raw, drained)

    async def _protect(self, protector: Protector, raw: RawFrame, drained: float) -> None:
        taken = time.monotonic()
        stuck_s = self._config.limits.lane_stuck_s + _JUDGED_S
        safe, notes = await self._lane.run(lambda: protector.protect(raw), stuck_s)
        done = time.monotonic()
        self._size = self._known_size = safe.planes.size
        self.account.protected(notes, Passage(raw.arrived, drained, taken, done))
        self._keep_up(protector, done, raw)
        if not self._allowed or notes.mode is not self._mode:
            return
        if done - raw.arrived > self._config.vision.late_s and safe.showing is Showing.COVERED:
            self.account.frames_late += 1
            return
        self._outbox.put(safe)

    def _keep_up(self, protector: Protector, done: float, raw: RawFrame) -> None:
        """A step down the ladder when pictures take too long, up when there is room again."""
        lost, self._lost_before = self.replaced - self._lost_before, self.replaced
        before = self._ladder.step
        self._ladder.took(done, (done - raw.arrived) * 1000, lost)
        if self._ladder.step != before:
            protector.ease = self._ladder.ease
            self.account.stepped(self._ladder.step)

    async def next_safe(self) -> SafeFrame:
        """The next picture that may leave. Comes at least `curtain_fps` times a second."""
        async with self._shared:
            try:
                safe = await self._outbox.get(1.0 / max(self._config.media.curtain_fps, 10.0))
            except (TimeoutError, Closed):
                return self._meanwhile()
        return safe if self._fresh(safe) else self._meanwhile()

    def _fresh(self, safe: SafeFrame) -> bool:
        """Whether a picture that has waited for the encoder may still be sent.

        It waits long when nobody takes it: while no merchant is there, or the process was stopped.
        """
        now = time.monotonic()
        if safe.showing is Showing.CURTAIN:
            return True
        if safe.showing is Showing.HELD:
            return self._protector is not None and self._protector.held(safe.t, now) is not None
        return now - safe.arrived <= self._config.vision.late_s

    def _meanwhile(self) -> SafeFrame:
        """What to show while there is no picture: the last cover for a moment, then the curtain."""
        now = time.monotonic()
        camera_on = now - self._last_raw < _CAMERA_OFF_S
        if self._protector is not None and camera_on and self._allowed and not self._failed:
            held = self._protector.held(self._last_t + now - self._last_raw, now)
            if held is not None:
                return held
        return self._eyes.curtain(self._size, now, now, self._why(camera_on))

    def _why(self, camera_on: bool) -> CurtainReason:
        if not self._allowed:
            return CurtainReason.PRIVATE
        if self._failed:
            return CurtainReason.INTERRUPTED
        if self.account.frames_in == 0:
            return CurtainReason.WAITING
        if not camera_on:
            return CurtainReason.CAMERA_OFF
        if self._protector is None:
            return CurtainReason.STARTING
        if self._mode is Mode.PRIVATE:
            return CurtainReason.PRIVATE
        return CurtainReason.INTERRUPTED

    def close(self) -> None:
        """No more pictures."""
        self._inbox.close()
        self._outbox.close()
        self._lane.close()
