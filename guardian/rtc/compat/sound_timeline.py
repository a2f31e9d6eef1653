"""Where pieces of sound are in time, whatever the sender does to its timestamps. Pure.

A gap in the timestamps without one in the sequence numbers is no loss: the sender was silent (DTX, RFC 7587
section 3.1.3).
"""

from __future__ import annotations

from itertools import count

from guardian.rtc.compat.frames import SoundFrame
from guardian.rtc.compat.serial import signed
from guardian.rtc.opus import OPUS_CLOCK, opus_ticks

_JUMP_TICKS = 5 * OPUS_CLOCK
"""A timestamp further ahead than this of the time that has passed begins a stream of its own."""

_numbers = count(1)
"""Of all streams in this process: a participant who comes back is told from the one before."""


class Timeline:
    """Timestamps without wraps, from 0 on and always forward.

    Within a stream they are the sender's. Where it starts anew they go on by the time that has passed, and
    `SoundFrame.stream` is another one.
    """

    def __init__(self) -> None:
        self._stream = 0
        self._rtp: int | None = None
        self._timestamp = 0
        self._ticks = 0
        self._arrived: float | None = None

    def begin(self) -> None:
        """The next piece is the first of a stream."""
        self._rtp = None

    def place(self, rtp: int, data: bytes, arrived: float, missing: int) -> SoundFrame:
        """The piece in time. rtp: its timestamp as sent; missing: packets given up just before it."""
        passed = 0 if self._arrived is None else round((arrived - self._arrived) * OPUS_CLOCK)
        step = 0 if self._rtp is None else signed(rtp - self._rtp, 32)
        lost = 0
        if 0 < step <= max(passed, 0) + _JUMP_TICKS:
            # What a silent sender did not send is not lost: no more than the packets could hold is.
            lost = max(0, min(step - self._ticks, missing * self._ticks))
        else:
            self._stream = next(_numbers)
            step = 0 if self._arrived is None else max(self._ticks, passed)
        self._rtp, self._arrived = rtp, arrived
        self._timestamp += step
        self._ticks = opus_ticks(data)
        frame = SoundFrame(data, self._timestamp, arrived)
        frame.stream, frame.ticks, frame.lost = self._stream, self._ticks, lost
        return frame
