"""A frame number painted into a picture so coarsely that it survives protection and codecs.

Ten fields of 64 x 64 pixels hold the bits of the number's Gray code; the row below holds their opposites,
so neither brightness nor contrast matters. From one picture to the next a single field changes, for many at
once would be a new scene. The background cover averages over far smaller areas.
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
    number %= COUNT
    gray = number ^ number >> 1
    for bit in range(BITS):
        one = gray >> bit & 1
        columns = slice(bit * FIELD, (bit + 1) * FIELD)
        luma[:FIELD, columns] = _LIGHT if one else _DARK
        luma[FIELD:ROWS, columns] = _DARK if one else _LIGHT


def read(luma: U8, width: int) -> int | None:
    """The number painted into a picture that was `width` pixels wide then; None when there is none.

    luma: the plane as it arrived, which may have been made smaller on its way.
    """
    gray = 0
    scale = luma.shape[1] / width
    reach = max(round(8 * scale), 1)
    upper_y, lower_y = round(FIELD * 0.5 * scale), round(FIELD * 1.5 * scale)
    for bit in range(BITS):
        x = round((bit + 0.5) * FIELD * scale)
        columns = slice(x - reach, x + reach)
        upper = float(luma[upper_y - reach : upper_y + reach, columns].mean())
        lower = float(luma[lower_y - reach : lower_y + reach, columns].mean())
        if abs(upper - lower) < _CLEAR:
            return None
        gray |= (upper > lower) << bit
    number = 0
    while gray:
        number ^= gray
        gray >>= 1
    return number
