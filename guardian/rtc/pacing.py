"""When the packets of one picture leave.

Back to back, the packets of a key frame overflow the short queue of a thin line, and those of other calls
behind it. Other pictures leave at once while the network loses nothing: half an interval more would be delay
for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

AT_ONCE = 8
"""Packets that leave together: a usual picture at 2 Mbit/s."""
_TOGETHER = 2
_GAP_S = 0.002
_SHARE = 0.5
"""Of the time to the next picture."""
_FACTOR = 2.5
"""Times the rate at which packets leave where the network is what limits it, as libwebrtc's pacer has it."""
_LONGEST_S = 0.1


@dataclass(frozen=True, slots=True)
class Way:
    """What a picture is sent into: the time to the next one in seconds, and the network's limit in bits per
    second where it is known to be one."""

    interval_s: float
    limit: int | None


def departures(count: int, size: int, way: Way) -> Iterator[tuple[float, int]]:
    """Groups of `count` packets of `size` bytes in all: seconds after the first group, and how many leave."""
    spread = way.interval_s * _SHARE
    if way.limit is not None:
        spread = min(max(spread, size * 8 / (way.limit * _FACTOR)), _LONGEST_S)
    groups = max(1, min(-(-count // _TOGETHER), int(spread / _GAP_S)))
    for group in range(groups):
        yield group * spread / groups, count * (group + 1) // groups - count * group // groups
