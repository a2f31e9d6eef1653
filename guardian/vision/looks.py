"""Where a face network looks: parts of a picture, in turn.

One pass over a whole picture at full size would cost more than the frame may. So each picture is seen as a
whole at a small size, and some have a turn of closer looks besides: tiles for small faces, a tiny copy for
faces that fill the picture, copies turned for people who lie down and cameras held anyhow, and one made wider
for faces that are seen narrower than they are: in pictures on a wall, or in one that was stretched itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

WHOLE_AREA = 256 * 192
WIDE_AREA = 416 * 288
TILE_AREA, MOST_TILE_AREA = 400 * 240, 512 * 240
TINY_AREA = 128 * 96
NEAR_AREA = 160 * 120
TURNED_AREA = 256 * 192
STRETCHED_AREA, STRETCH = 256 * 192, 1.6
OBLIQUE_AREA = 192 * 144
"""Turned by less than a quarter, a picture takes nearly twice its area."""
TURNED_SCORE = 0.35
TURNED_AGAIN = 0.7
"""Score a face seen in a turned copy needs in its second glance: hands look like faces that lie."""
NEAR_SCORE = 0.35
"""BlazeFace gives flat enlarged parts just above 0.3."""
CLOSER_SCORE = 0.55
"""Score in a closer look that is believed at once: seen closely, hands and leaves look like faces."""
SMALLEST, SMALL = 0.07, 0.12
"""Shares of the picture's shorter side: a face below the first is believed at once, for a second glance shows
no more of it and little is hidden wrongly; one below the other need only not be denied. One above it gets a
second glance whatever its score: what a tile cuts off looks like another face, and hides much."""
LARGE = 0.2
"""Share of the picture's shorter side from which on a face is one for the tiny copy."""
TILE_SCALE = 0.8
"""A tile is shown to the network at this scale at least, so that faces of 12 pixels stay faces."""
OVERLAP = 1.1
"""How much larger than its part of the picture a tile is."""
EVERY = 3
"""One picture in so many has a turn, or sooner one in which much is done besides."""


BESIDE_SCORE = 0.6
"""Score needed in a copy in which hands look like faces, when the next picture has a better one."""
_ALWAYS = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a part of the picture, given in shares of its sides, at about `area` pixels."""

    x: float
    y: float
    w: float
    h: float
    area: int
    score: float = 0.0
    """Score a face needs in this look besides the network's own threshold."""
    degrees: int = 0
    """Turned so far against the clock before looking."""
    sure: float = 0.0
    """Score below which what is found gets a second glance, alone and larger."""
    again: float = 0.45
    """Score needed in the second glance."""
    smallest: float = 0.0
    """Share of the picture's shorter side below which others find a face better."""
    stretch: float = 1.0
    """How many times wider than it is the part is shown."""

    def box(self, w: int, h: int) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1) in a picture of w x h, even numbers."""
        tile_w, tile_h = max(_even(w * self.w), 2), max(_even(h * self.h), 2)
        x0, y0 = min(_even(w * self.x), w - tile_w), min(_even(h * self.y), h - tile_h)
        return x0, y0, x0 + tile_w, y0 + tile_h


WHOLE = Look(0, 0, 1, 1, WHOLE_AREA)
BESIDE = Look(0, 0, 1, 1, round(WHOLE_AREA * 0.6), BESIDE_SCORE)
"""The whole picture where much is done besides."""
Turn = tuple[Look, ...]
"""Looks taken in one picture."""


@dataclass(frozen=True, slots=True)
class Round:
    """Turns taken one after the other, one in each `every`th picture and some sooner."""

    turns: tuple[Turn, ...]
    every: int

    def pictures(self, pace: int = 1) -> int:
        """Pictures at most until all turns have been taken, at a pace that is never less."""
        every = self.every_at(pace)
        return len(self.turns) * every + (len(self.turns) // 2 if every > 1 else 0)

    def every_at(self, pace: int) -> int:
        """One picture in so many has a turn. pace: see `guardian.core.ports.FaceFinder`."""
        return ceil(self.every / pace)


class Rota:
    """Whose turn it is in one round."""

    def __init__(self, one: Round) -> None:
        self._round = one
        self._taken = self._since = 0
        self._patience = 0

    def due(self, beside: bool, pace: int = 1) -> Turn:
        """The looks of the next picture. beside, pace: see `guardian.core.ports.FaceFinder`."""
        self._since += 1
        every = self._round.every_at(pace)
        if self._since < (ceil(every / 2) if beside else every + self._patience):
            return ()
        # After one beside other work the next waits a picture longer for such company before it goes alone.
        self._patience = int(beside and every > 1)
        self._since = 0
        self._taken += 1
        return self._round.turns[(self._taken - 1) % len(self._round.turns)]


Gaze = tuple[Round, ...]
"""Where a finder looks besides the whole picture."""
GazeOf = Callable[[int, int], Gaze]
"""The gaze for a picture of (w, h)."""


def far_sighted(w: int, h: int) -> Gaze:
    """For a network that finds faces of every size but the smallest and the largest."""
    tile = Look(0, 0, 1, 1, 0, sure=CLOSER_SCORE)
    wide = Look(0, 0, 1, 1, WIDE_AREA, sure=CLOSER_SCORE)
    tiny = Look(0, 0, 1, 1, TINY_AREA, sure=_ALWAYS, smallest=LARGE)
    stretched = Look(0, 0, 1, 1, STRETCHED_AREA, sure=CLOSER_SCORE, stretch=STRETCH)
    turned = Look(0, 0, 1, 1, TURNED_AREA, sure=_ALWAYS, again=TURNED_AGAIN)
    one, two, three = (replace(turned, degrees=degrees) for degrees in (90, 180, 270))
    oblique = [replace(turned, area=OBLIQUE_AREA, degrees=degrees) for degrees in (45, 315, 135, 225)]
    turns: list[Turn] = [(closer,) for closer in _tiles_of(w, h, tile)]
    turns += [(wide,), (tiny, one), (two,), (stretched,), (three,), *((look,) for look in oblique)]
    return (Round(tuple(turns), every=EVERY),)


def short_sighted(w: int, h: int) -> Gaze:
    """For a network that finds only faces near the camera: it is brought near to every part of any size.

    What it takes for a face by mistake is covered too, for it misses more than it makes up.
    """
    near = tiles(2, 2, Look(0, 0, 1, 1, NEAR_AREA), 1.2)
    nearer = (
        *tiles(3, 3, Look(0, 0, 1, 1, NEAR_AREA, NEAR_SCORE), 1.2),
        *tiles(5, 5, Look(0, 0, 1, 1, NEAR_AREA, NEAR_SCORE), 1.25),
        *(Look(0, 0, 1, 1, NEAR_AREA, TURNED_SCORE, degrees) for degrees in (90, 180, 270)),
    )
    return Round(_by_twos(near), every=1), Round(_by_twos(nearer), every=1)


def tiles(columns: int, rows: int, look: Look, overlap: float = OVERLAP) -> tuple[Look, ...]:
    """`look` in so many columns and rows, each `overlap` times as wide and as high as its part."""
    w, h = overlap / columns, overlap / rows
    return tuple(
        replace(look, x=i * (1 - w) / (columns - 1), y=j * (1 - h) / (rows - 1), w=w, h=h)
        for j in range(rows)
        for i in range(columns)
    )


def fit(w: int, h: int, area: int, multiple: int) -> tuple[int, int]:
    """A size of about the shape of w x h, about `area` pixels, both numbers of the multiple."""
    scale = min((area / (w * h)) ** 0.5, 1.0)
    return (
        max(round(w * scale / multiple), 2) * multiple,
        max(round(h * scale / multiple), 2) * multiple,
    )


def _tiles_of(w: int, h: int, look: Look) -> tuple[Look, ...]:
    """As few tiles as show the network enough of a picture of (w, h)."""
    columns, rows = (2, 2) if _tile_area(w, h, 4) <= MOST_TILE_AREA else (3, 2) if w >= h else (2, 3)
    area = min(max(_tile_area(w, h, columns * rows), TILE_AREA), MOST_TILE_AREA)
    return tiles(columns, rows, replace(look, area=area))


def _tile_area(w: int, h: int, count: int) -> int:
    return round(TILE_SCALE**2 * w * h * OVERLAP**2 / count)


def _by_twos(looks: tuple[Look, ...]) -> tuple[Turn, ...]:
    return tuple(looks[i : i + 2] for i in range(0, len(looks), 2))


def _even(value: float) -> int:
    return int(value) // 2 * 2
