"""For any sequence of answers, failures, delays, sizes and modes, hidden pixels are not their source's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.bench.privacy.finders import UNPRINTED
from guardian.core.config import VisionConfig
from guardian.core.frames import Mode, Planes, RawFrame, SafeFrame, Showing
from guardian.core.geometry import Box
from guardian.core.ladder import STEPS, Ease
from guardian.core.notes import Face, Hand, Seen, Unknown
from guardian.vision.chain import VideoChain
from guardian.vision.mask import GRID
from guardian.vision.pictures import luma
from tests.fakes.vision import Scripted, Steps, boom, canary


@dataclass(frozen=True)
class Moment:
    """One picture: what comes in and what the finders make of it."""

    size: tuple[int, int]
    mode: Mode
    ease: Ease
    faces: tuple[tuple[float, float, float], ...] | None
    """x, y and width, in shares of the picture; None for a finder that fails."""
    person: tuple[float, float] | None
    """Left and right end of who is there, in shares; None for a finder that fails."""
    hands: tuple[tuple[float, float, float], ...] | None
    """x, y and width of palms, in shares; None for a finder that fails."""
    took_s: float
    gap_s: float
    whole: bool


def seldom(usual: Any, odd: Any) -> st.SearchStrategy[Any]:
    """`odd` once in about sixteen times."""
    return st.integers(0, 15).flatmap(lambda n: odd if n == 7 else usual)


def film() -> st.SearchStrategy[list[Moment]]:
    """Scenes of one size and mode, long enough for pictures to be shown, with mishaps."""
    share = st.floats(0, 1)
    face = st.tuples(st.floats(-0.2, 1.1), st.floats(-0.2, 1.1), st.floats(0.05, 0.9))
    palm = st.tuples(st.floats(-0.1, 1.0), st.floats(-0.1, 1.0), st.floats(0.05, 0.3))
    people = st.tuples(share, share).map(lambda ends: (min(ends), max(ends)))

    def scene(size: tuple[int, int], mode: Mode, ease: Ease) -> st.SearchStrategy[list[Moment]]:
        moment = st.builds(
            Moment,
            size=st.just(size),
            mode=st.just(mode),
            ease=seldom(st.just(ease), st.sampled_from(STEPS)),
            faces=seldom(st.lists(face, max_size=3).map(tuple), st.none()),
            person=seldom(people, st.none()),
            hands=seldom(st.lists(palm, max_size=2).map(tuple), st.none()),
            took_s=seldom(st.just(0.0), st.sampled_from([0.01, 0.3])),
            gap_s=seldom(st.just(1 / 30), st.sampled_from([1 / 15, 0.4])),
            whole=seldom(st.just(True), st.just(False)),
        )
        return st.lists(moment, min_size=6, max_size=12)

    sizes = st.sampled_from([(160, 128), (128, 160), (320, 192)])
    modes = st.sampled_from([Mode.SELFIE, Mode.SELFIE, Mode.PRODUCT, *Mode])
    scenes = st.tuples(sizes, modes, st.sampled_from(STEPS)).flatmap(lambda drawn: scene(*drawn))
    return st.lists(scenes, min_size=1, max_size=3).map(lambda parts: [one for part in parts for one in part])


class Play:
    """A chain whose finders answer by the present moment. hands: those it says it shows."""

    def __init__(self) -> None:
        self.clock = Steps()
        self.now: Moment | None = None
        self.hands: tuple[Hand, ...] = ()
        self.chain = VideoChain(
            Scripted([self._faces]),
            Scripted([self._people]),
            VisionConfig(codes_every_s=0.0, text_every_s=0.0),
            Mode.SELFIE,
            self.clock,
            hands=Scripted([self._hands]),
            prints=UNPRINTED,
        )
        self._t = 0.0

    def show(self, moment: Moment, planes: Planes) -> SafeFrame:
        self.now, self._t = moment, self._t + moment.gap_s
        self.clock.now = 100 + self._t
        self.chain.mode, self.chain.ease = moment.mode, moment.ease
        safe, notes = self.chain.protect(RawFrame(planes, self._t, self.clock.now, moment.whole))
        self.hands = notes.hands
        return safe

    def _faces(self) -> Any:
        assert self.now is not None
        self.clock.now += self.now.took_s
        if self.now.faces is None:
            return Unknown("planted")
        return Seen(tuple(Face(box, 0.8) for box in boxes(self.now)))

    def _people(self) -> Any:
        assert self.now is not None
        return boom() if self.now.person is None else Seen(probability(self.now))

    def _hands(self) -> Any:
        assert self.now is not None
        return boom() if self.now.hands is None else Seen(palms(self.now))


def boxes(moment: Moment) -> list[Box]:
    w, h = moment.size
    return [Box(x * w, y * h, side * w, side * w * 1.2) for x, y, side in moment.faces or ()]


def palms(moment: Moment) -> tuple[Hand, ...]:
    w, h = moment.size
    found = [Box(x * w, y * h, side * w, side * w) for x, y, side in moment.hands or ()]
    return tuple(Hand(palm.grown(2.6), palm, 0.9) for palm in found)


def probability(moment: Moment) -> np.ndarray:
    mask = np.zeros(GRID[::-1], np.float32)
    left, right = moment.person or (0, 0)
    mask[:, round(left * GRID[0]) : round(right * GRID[0])] = 1
    return mask


def hidden(moment: Moment, safe: SafeFrame, hands: tuple[Hand, ...] = ()) -> np.ndarray:
    """bool (h, w): what of this picture may not be seen by what the finders said of this very picture.

    hands: those that are shown in *product*.
    """
    w, h = safe.planes.size
    out = np.zeros((h, w), np.bool_)
    if safe.showing is not Showing.COVERED or moment.mode is Mode.PRIVATE:
        out[:] = True
        return out
    scale = w / moment.size[0]
    # Noise jumps from picture to picture, so each has a mask of its own.
    columns = (np.arange(w) + 0.5) / w
    left, right = moment.person or (0.0, 0.0)
    edge = 1.5 / GRID[0]
    if moment.mode is Mode.SELFIE:
        out[:, (columns < left - edge) | (columns > right + edge)] = True
    else:
        out[:, (columns > left + edge) & (columns < right - edge)] = True
    if moment.mode is Mode.PRODUCT:
        away = np.ones_like(out)
        away[int(0.11 * h) : int(0.89 * h), int(0.18 * w) : int(0.82 * w)] = False
        out |= away
        for hand in hands:
            at = hand.box.scaled(scale, scale).pixels(w, h)
            if at is not None:
                out[at[1] : at[3], at[0] : at[2]] = False
    for box in boxes(moment):
        face = box.scaled(scale, scale)
        # The cover has round corners; the face grown by 1.3 lies under it.
        at = face.grown(1.3).pixels(w, h)
        if at is not None:
            out[at[1] : at[3], at[0] : at[2]] = True
    return out


def equal(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> int:
    return int((a == b)[where].sum())


def by_chance(cover: np.ndarray, noise: np.ndarray, where: np.ndarray) -> float:
    """How many pixels of a cover that knows nothing of the noise are expected to equal it."""
    shares = np.bincount(noise.ravel(), minlength=256) / noise.size
    return float(shares[cover[where]].sum())


@settings(max_examples=150, deadline=None)
@given(film())
def test_no_hidden_pixel_equals_its_source_beyond_chance(script):
    play = Play()
    for i, moment in enumerate(script):
        planes = canary(moment.size, seed=i)
        safe = play.show(moment, planes)
        where = hidden(moment, safe, play.hands)
        source = luma(planes, safe.planes.size)
        chance = by_chance(safe.planes.y, source, where)
        assert equal(safe.planes.y, source, where) <= chance + 6 * max(chance, 4) ** 0.5 + 8


@settings(max_examples=60, deadline=None)
@given(film())
def test_no_face_has_any_part_in_what_leaves(script):
    """The same film with other pixels under the faces is, to the last bit, the same protected film."""
    ours, theirs = Play(), Play()
    for i, moment in enumerate(script):
        planes = canary(moment.size, seed=i)
        swapped = Planes(*(plane.copy() for plane in (planes.y, planes.u, planes.v)))
        w, h = moment.size
        for box in boxes(moment):
            at = box.pixels(w, h)
            if at is not None:
                swapped.y[at[1] : at[3], at[0] : at[2]] ^= 255
                half = np.s_[at[1] // 2 : (at[3] + 1) // 2, at[0] // 2 : (at[2] + 1) // 2]
                swapped.u[half] ^= 255
                swapped.v[half] ^= 255
        one, two = ours.show(moment, planes).planes, theirs.show(moment, swapped).planes
        if moment.faces is not None:
            for a, b in ((one.y, two.y), (one.u, two.u), (one.v, two.v)):
                assert np.array_equal(a, b)
