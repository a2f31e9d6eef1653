"""A frame number painted into a picture so coarsely that it survives protection and codecs.

Ten fields of 64 x 64 pixels hold the number's bits; the row below holds their opposites, so neither
brightness nor contrast matters. The background cover averages over far smaller areas.
"""

from __future__ import annotations

from guardian.core.frames import U8

FIELD = 64
BITS = 10
COUNT = 1 << BITS
ROWS = 2 * FIELD
_DARK, _LIGHT = 60, 190
_CLEAR = 24


def paint(luma: U8, number: int) -> None:
    """Paints `number` modulo COUNT into the top of the luma plane (h >= 128, w >= 640), in place."""
    for bit in range(BITS):
        one = number >> bit & 1
        columns = slice(bit * FIELD, (bit + 1) * FIELD)
        luma[:FIELD, columns] = _LIGHT if one else _DARK
        luma[FIELD:ROWS, columns] = _DARK if one else _LIGHT


def read(luma: U8) -> int | None:
    """The number painted into a picture, or None when there is none."""
    number = 0
    half = FIELD // 2
    for bit in range(BITS):
        x = bit * FIELD + half
        upper = float(luma[half - 8 : half + 8, x - 8 : x + 8].mean())
        lower = float(luma[FIELD + half - 8 : FIELD + half + 8, x - 8 : x + 8].mean())
        if abs(upper - lower) < _CLEAR:
            return None
        number |= (upper > lower) << bit
    return number
