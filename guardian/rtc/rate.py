"""How many bits per second of video to send, by what the other side says of the network.

Nothing here waits; times are monotonic seconds, rates bits per second.
"""

from __future__ import annotations

import math
from collections import deque

from guardian.core.config import MediaConfig

_VGA = 640 * 480
_SIZE_EXPONENT = 0.75
"""A picture of n times the pixels needs about n ** 0.75 times the bits for the same look."""
_PLENTY = 1.5
"""Times the natural rate; more would not be seen."""
_DOWN = 0.85
_UP = 1.2
_UP_EVERY_S = 5.0
_FEW_PACKETS = 20
"""Reports are gathered until they speak of this many packets: one of three lost says nothing."""
_HEAVY_LOSS = 0.1
_LIGHT_LOSS = 0.02
_RECOVERY = 1.08
_RECOVERY_EVERY_S = 5.0
_WINDOW_S = 1.0


def by_size(rate: float, pixels: float) -> float:
    """The rate at which pictures of this size look as those of 640x480 do at `rate`."""
    return rate * math.pow(pixels / _VGA, _SIZE_EXPONENT)


class LossLimit:
    """What may be sent by the losses that receiver reports tell of, where there are no better estimates.

    The loss-based controller of draft-ietf-rmcat-gcc-02, section 6: above 10 % lost, down by half of the
    loss; below 2 %, up again, here by 8 % every 5 s; between the two it stays. As in libwebrtc it takes 20
    packets to judge.
    """

    def __init__(self) -> None:
        self.rate: float | None = None
        """None while losses are no reason for a limit."""
        self._expected = 0
        self._lost = 0.0
        self._last_sequence: int | None = None
        self._calm_since: float | None = None

    def report(self, fraction: float, highest_sequence: int, sending: float, now: float) -> None:
        """A receiver report: the fraction (0..1) lost since the last one. sending: the rate at present."""
        before, self._last_sequence = self._last_sequence, highest_sequence & 0xFFFF
        if before is None:
            return
        expected = (highest_sequence - before) & 0xFFFF
        if expected >= 0x8000:
            return
        self._expected += expected
        self._lost += fraction * expected
        if self._expected >= _FEW_PACKETS:
            self._judge(self._lost / self._expected, sending, now)
            self._expected, self._lost = 0, 0.0

    def _judge(self, loss: float, sending: float, now: float) -> None:
        if loss > _LIGHT_LOSS:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        if loss > _HEAVY_LOSS:
            self.rate = min(sending, self.rate or sending) * (1 - 0.5 * loss)
        elif self.rate is not None and self._is_calm(now):
            self.rate, self._calm_since = self.rate * _RECOVERY, now

    def _is_calm(self, now: float) -> bool:
        return self._calm_since is not None and now - self._calm_since >= _RECOVERY_EVERY_S


class BitratePlan:
    """The rate to encode at. It follows the network down at once and up in steps.

    Each change may cost a key frame, so there are few: down where at least 15 % less is left, up where at
    least 20 % more is possible and nothing has changed for 5 s.
    """

    def __init__(self, config: MediaConfig) -> None:
        self._config = config
        self._estimate: int | None = None
        self._losses = LossLimit()
        self.lossy = False
        """Whether the last report told of losses worth a thought."""
        self._target: int | None = None
        self._natural = 0
        self._changed = 0.0

    @property
    def allowed(self) -> int | None:
        """What the network can take, as far as anybody has said; not rounded to steps."""
        known = [rate for rate in (self._estimate, self._losses.rate) if rate is not None]
        return round(min(known)) if known else None

    def estimated(self, rate: int) -> None:
        """The receiver's estimate (REMB, draft-alvestrand-rmcat-remb-03)."""
        self._estimate = rate

    def reported(self, fraction: float, highest_sequence: int, used: int, now: float) -> None:
        """A receiver report. used: the rate that was sent lately, for streams encoded by others."""
        self._losses.report(fraction, highest_sequence, self._target or used, now)
        self.lossy = fraction > _LIGHT_LOSS
        enough = self._natural or self._config.max_bitrate
        if self._losses.rate is not None and self._losses.rate >= _PLENTY * enough:
            self._losses.rate = None

    def target(self, pixels: int, now: float) -> int:
        """The rate for pictures of this size at `now`."""
        natural = self._start(pixels)
        if self._estimate is None:
            wanted = natural
        else:
            wanted = min(self._estimate, round(_PLENTY * natural), self._config.max_bitrate)
        if self._losses.rate is not None:
            wanted = min(wanted, round(self._losses.rate))
        wanted = max(wanted, self._config.min_bitrate)
        if self._target is None or natural != self._natural:
            self._natural = natural
            return self._settle(wanted, now)
        if wanted < _DOWN * self._target:
            return self._settle(wanted, now)
        if wanted >= _UP * self._target and now - self._changed >= _UP_EVERY_S:
            return self._settle(wanted, now)
        return self._target

    def _start(self, pixels: int) -> int:
        """The rate while nobody says anything of the network."""
        config = self._config
        rate = by_size(config.start_bitrate, pixels)
        return round(min(max(rate, config.min_bitrate), config.max_bitrate))

    def _settle(self, rate: int, now: float) -> int:
        self._target, self._changed = rate, now
        return rate


class RateMeter:
    """Bits per second over the last second."""

    def __init__(self) -> None:
        self._sent: deque[tuple[float, int]] = deque(maxlen=256)
        self._bits = 0

    def add(self, size: int, now: float) -> None:
        """So many bytes were sent."""
        if len(self._sent) == self._sent.maxlen:
            self._bits -= self._sent.popleft()[1]
        self._sent.append((now, size * 8))
        self._bits += size * 8

    def rate(self, now: float) -> int:
        """What was sent in the second before `now`."""
        while self._sent and now - self._sent[0][0] > _WINDOW_S:
            self._bits -= self._sent.popleft()[1]
        return self._bits
