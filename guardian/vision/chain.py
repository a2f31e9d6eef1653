"""The protection chain: a raw frame in, a safe frame and notes out.

`VideoChain.protect` is the way of a frame from top to bottom. It never raises and never returns
raw pixels: whatever goes wrong ends in the last safe cover and then in the curtain.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import cv2
import numpy as np

from guardian.core.config import VisionConfig
from guardian.core.frames import Mode, RawFrame, SafeFrame
from guardian.core.geometry import Box
from guardian.core.ladder import Ease
from guardian.core.notes import Face, FrameNotes, Hand, Print, PrintKind, Unknown
from guardian.core.ports import Clock, FaceFinder, HandFinder, PersonFinder
from guardian.core.protection import TOO_DARK, CurtainReason, Protection
from guardian.core.tracks import FaceTracks
from guardian.vision import pictures
from guardian.vision.answers import Doubt, believed_faces, believed_mask
from guardian.vision.cadence import Cadence, Pace
from guardian.vision.cover import CELL, STRICT_CELL, Covering, cover, curtain, curtains
from guardian.vision.cover import held as repeated
from guardian.vision.looks import SMALL
from guardian.vision.mask import GRID, ShownMask, Sights, apart, heads, strangers, visible
from guardian.vision.newcomers import Newcomers
from guardian.vision.outline import Outlines
from guardian.vision.print_watch import Hidden, PrintWatch, Reading
from guardian.vision.shown_cover import ShownCover
from guardian.vision.shown_hands import ShownHands

__all__ = ["VideoChain", "curtain"]


@dataclass(frozen=True, slots=True)
class _Last:
    """The last covered frame, the mode it was made for and the size (w, h) of the picture it was made of."""

    frame: SafeFrame
    mode: Mode
    size: tuple[int, int]


_GLANCE = (20, 15)
DARKEST, LIGHTER = 22.0, 24.0
"""Mean luma below which faces are missed even in a brightened copy, and above which it is light again."""


class _Stages:
    """Milliseconds of the stages of one frame."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.began = self._mark = clock()
        self.ms: dict[str, float] = {}

    def done(self, stage: str) -> None:
        """Counts the time since the last call for `stage`."""
        now = self._clock()
        self.ms[stage] = (now - self._mark) * 1000
        self._mark = now

    def total(self) -> float:
        """Milliseconds since the frame was taken up."""
        return (self._clock() - self.began) * 1000


class VideoChain:
    """Protects one video stream.

    `protect` and `warm_up` belong to one thread. `mode`, `ease`, `distrust`, `held` and `curtain` may be
    used from any.
    """

    def __init__(
        self,
        faces: FaceFinder,
        people: PersonFinder,
        config: VisionConfig,
        mode: Mode,
        clock: Clock = time.perf_counter,
        *,
        hands: HandFinder | None = None,
        prints: Reading | None = None,
    ) -> None:
        """clock: the one `RawFrame.arrived` was read from. hands: None leaves *product* its centre. prints:
        None leaves *install* nothing."""
        self._face_finder, self._person_finder = faces, people
        self._config, self._mode, self._clock = config, mode, clock
        self._curtain = curtains(config.cards)
        self._protection = Protection(config.warm_frames)
        self._tracks = FaceTracks(config.face_hold_s)
        self._mask = ShownMask()
        self._cadence = Cadence(config.segment_every)
        self._pace = Pace()
        self._hands = ShownHands(hands, config, clock)
        self._prints = PrintWatch(prints, config)
        self._newcomers = Newcomers()
        self._outlines = Outlines()
        self._shown = ShownCover()
        self._settled: tuple[tuple[int, int], Mode] | None = None
        self._last: _Last | None = None
        # An object of its own for each distrust, so that none is lost between two threads.
        self._distrusted = self._heeded = Doubt("")
        self._dark = False
        self.ease = Ease()
        """What is done less to keep the budget; a new value counts from the next frame on."""

    @property
    def mode(self) -> Mode:
        """What the picture may show; a new value counts from the next frame on."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode

    def warm_up(self) -> None:
        """Runs each finder once on a grey picture, so that the first frame does not wait for them."""
        # A size no camera has: the first real frame counts as a new scene and gets every look.
        blank = curtain((640, 352), 0.0, 0.0, CurtainReason.STARTING).planes
        self._face_finder.find(blank)
        self._person_finder.find(blank)
        if self._mode is Mode.PRODUCT:
            self._hands.warm_up(blank)

    def distrust(self, reason: str) -> None:
        """The coming picture is not to be trusted (packets lost, say): prove everything anew."""
        self._distrusted = Doubt(reason)

    def curtain(self, size: tuple[int, int], t: float, arrived: float, reason: CurtainReason) -> SafeFrame:
        """A curtain of `size` (w, h) for a frame of time t; needs no raw frame and no finder."""
        return self._curtain(size, t, arrived, reason)

    def held(self, t: float, arrived: float) -> SafeFrame | None:
        """The last covered frame again, or None when there is none or it is older than `hold_s`.

        Its age is the larger one by t and by arrived; it is not shown in a mode it was not made for.
        """
        last = self._last
        if last is None or last.mode is not self._mode:
            return None
        age = max(abs(t - last.frame.t), abs(arrived - last.frame.arrived))
        # Written so that NaN is too old.
        return repeated(last.frame, t, arrived) if age <= self._config.hold_s else None

    def protect(self, raw: RawFrame) -> tuple[SafeFrame, FrameNotes]:
        """The frame, fit to leave, and what was done with it."""
        stages = _Stages(self._clock)
        mode, ease = self._mode, self.ease
        faces: tuple[Face, ...] = ()
        hands: tuple[Hand, ...] = ()
        try:
            if mode is Mode.PRIVATE:
                safe = self._private(raw)
            else:
                raw = replace(raw, planes=pictures.Layered.of(raw.planes))
                size = self._settle(raw, mode)
                self._face_finder.whole_share, self._cadence.times = ease.whole_share, ease.segment_times
                # Where pictures are left out for want of time there is none for more work in each.
                pace = self._pace.of(raw.t)
                self._face_finder.pace = self._cadence.pace = pace if ease == Ease() else 1
                self._cadence.wary = mode is not Mode.SELFIE
                masked = self._cadence.due(raw.planes)
                self._face_finder.beside = masked
                faces = self._find_faces(raw, size)
                stages.done("faces")
                if masked:
                    self._find_people(raw)
                stages.done("people")
                if mode is Mode.PRODUCT:
                    hands = self._find_hands(raw, faces, ease)
                    stages.done("hands")
                covering = self._without_shown(self._decide(faces, hands, size, mode), raw)
                if mode is Mode.INSTALL:
                    covering = self._without_newcomers(covering, raw)
                    covering = self._without_prints(covering, raw, ease)
                    stages.done("prints")
                safe = cover(*_shrunk(raw, covering, ease.shrink))
                stages.done("cover")
                self._in_time(raw)
                safe = self._trusted(safe, raw, mode)
        except Exception as problem:  # noqa: BLE001 - whatever a finder or a broken picture does ends here
            safe = self._doubted(raw, problem)
        notes = FrameNotes(
            state=self._protection.state,
            mode=mode,
            showing=safe.showing,
            faces=faces,
            mask_age=self._cadence.age,
            stages_ms=stages.ms,
            protect_ms=stages.total(),
            reason=self._protection.reason,
            hands=hands,
        )
        return safe, notes

    def _private(self, raw: RawFrame) -> SafeFrame:
        """Nothing is shown, so nothing need be proven; whatever comes later starts from nothing."""
        if self._settled is not None:
            self._settled = self._last = None
            self._protection.restart("private")
        return self._curtain(_size_of(raw), raw.t, raw.arrived, CurtainReason.PRIVATE)

    def _settle(self, raw: RawFrame, mode: Mode) -> tuple[int, int]:
        """Size of the picture; a new size or mode and lost trust start over."""
        size = pictures.check(raw.planes)
        if self._settled != (size, mode):
            if self._settled is None or self._settled[0] != size:
                self._tracks.clear()
                self._face_finder.restart()
                self._tracks.large = SMALL * min(size)
            self._forget()
            self._last = None
            self._protection.restart("starting")
            self._settled = (size, mode)
        distrusted, before = self._distrusted, self._heeded
        if distrusted is not before or not raw.whole:
            self._heeded = distrusted
            self._forget()
            if distrusted is before:
                raise Doubt("packets lost")
            self._face_finder.restart()
            raise distrusted
        luma = float(cv2.mean(pictures.luma(raw.planes, _GLANCE))[0])
        self._dark = luma < (LIGHTER if self._dark else DARKEST)
        if self._dark:
            raise Doubt(TOO_DARK)
        return size

    def _find_faces(self, raw: RawFrame, size: tuple[int, int]) -> tuple[Face, ...]:
        self._face_finder.expected = self._tracks.expected(raw.t)
        answer = self._face_finder.find(raw.planes)
        if isinstance(answer, Unknown):
            # Another scene, say: what was a person in the one before is none in this.
            self._forget()
        elif self._face_finder.everywhere:
            # Faces of the scene before are not in this one.
            self._tracks.clear()
        return self._tracks.update(believed_faces(answer, size), raw.t, self._face_finder.revisit)

    def _find_people(self, raw: RawFrame) -> None:
        self._mask.update(believed_mask(self._person_finder.find(raw.planes)))
        self._cadence.answered()
        if self._mask.fast:
            self._cadence.hurry()
        elif self._mask.settled:
            self._cadence.rest()

    def _find_hands(self, raw: RawFrame, faces: tuple[Face, ...], ease: Ease) -> tuple[Hand, ...]:
        if not ease.hands:
            self._hands.clear()
            return ()
        besides = self._face_finder.looks - 1 + (self._cadence.age == 0)
        return apart(self._hands.of(raw.planes, raw.t, besides), [face.box for face in faces])

    def _forget(self) -> None:
        """What was a person, a hand or a print may be none any more."""
        self._mask.clear()
        self._cadence.restart()
        self._hands.clear()
        self._newcomers.clear()
        self._prints.clear()

    def _decide(
        self, faces: tuple[Face, ...], hands: tuple[Hand, ...], size: tuple[int, int], mode: Mode
    ) -> Covering:
        sx, sy = GRID[0] / size[0], GRID[1] / size[1]
        boxes = [face.box for face in faces]
        covers = self._outlines.of(boxes)
        sights = Sights(
            [box.scaled(sx, sy) for box in boxes],
            [cover.scaled(sx, sy) for cover in covers],
            tuple(hand.scaled(sx, sy) for hand in hands),
        )
        opacity = visible(self._mask, mode, sights, self._cadence.age)
        hidden: tuple[Box, ...] = tuple(covers)
        # A head without a face is not to be guessed from its colours either.
        hidden += tuple(head.scaled(1 / sx, 1 / sy) for head in heads(self._mask, mode, sights.faces))
        people = strangers(self._mask, mode, self._cadence.age)
        return Covering(opacity, hidden, STRICT_CELL if self._config.strict else CELL, people)

    def _without_newcomers(self, covering: Covering, raw: RawFrame) -> Covering:
        new = self._newcomers.of(raw.planes, raw.t, covering.faces)
        people = np.maximum(covering.people, new) if covering.people is not None else new
        return replace(covering, opacity=Hidden(new, ()).less(covering.opacity), people=people)

    def _without_prints(self, covering: Covering, raw: RawFrame, ease: Ease) -> Covering:
        self._prints.times = ease.print_times
        hidden = self._prints.hidden(raw, covering.opacity)
        return replace(
            covering, opacity=hidden.less(covering.opacity), faces=(*covering.faces, *hidden.boxes)
        )

    def hide(self, raw: RawFrame, kind: PrintKind, places: tuple[Print, ...]) -> None:
        """What else is not to be seen: all that was found of one kind in a frame. From any thread."""
        self._shown.found(raw, kind, places)

    def _without_shown(self, covering: Covering, raw: RawFrame) -> Covering:
        hidden = self._shown.hidden(raw)
        if hidden is None:
            return covering
        return replace(
            covering, opacity=hidden.less(covering.opacity), faces=(*covering.faces, *hidden.boxes)
        )

    def _in_time(self, raw: RawFrame) -> None:
        late = self._clock() - raw.arrived
        if not late <= self._config.late_s:
            raise Doubt("late")

    def _trusted(self, safe: SafeFrame, raw: RawFrame, mode: Mode) -> SafeFrame:
        if not self._protection.proven():
            return self._stand_in(raw)
        self._last = _Last(safe, mode, raw.planes.size)
        return safe

    def _doubted(self, raw: RawFrame, problem: Exception) -> SafeFrame:
        # A library's own message could quote content; only its kind is passed on.
        reason = str(problem) if isinstance(problem, Doubt) else f"failed: {type(problem).__name__}"
        self._protection.doubt(reason)
        self._tracks.coast(raw.t)
        return self._stand_in(raw)

    def _stand_in(self, raw: RawFrame) -> SafeFrame:
        # By the clock and not by the frame: one that took long stands for a moment long gone.
        again = self.held(raw.t, max(raw.arrived, self._clock()))
        if again is not None and self._last is not None and self._last.size == _size_of(raw):
            return again
        return self._curtain(_size_of(raw), raw.t, raw.arrived, self._protection.curtain)


def _shrunk(raw: RawFrame, covering: Covering, times: int) -> tuple[RawFrame, Covering]:
    """Both for a picture made smaller before it is covered."""
    if times == 1:
        return raw, covering
    small = replace(raw, planes=pictures.shrunk(raw.planes, times))
    sx, sy = (to / of for to, of in zip(small.planes.size, raw.planes.size, strict=True))
    boxes = tuple(box.scaled(sx, sy) for box in covering.faces)
    return small, replace(covering, faces=boxes)


def _size_of(raw: RawFrame) -> tuple[int, int]:
    """(w, h) of even the most broken picture."""
    shape: tuple[int, ...] = getattr(getattr(raw.planes, "y", None), "shape", ())
    return (int(shape[1]), int(shape[0])) if len(shape) == 2 else (2, 2)
