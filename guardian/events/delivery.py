"""When a failed delivery is tried again."""

from __future__ import annotations

import random
from itertools import accumulate

QUICK_S = (1.0, 5.0, 30.0, 120.0)
"""Moderation is pressing: the first tries come fast."""
TAIL_S = (300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""The schedule of the Standard Webhooks specification, about three days."""

_WAITS = QUICK_S + TAIL_S
PERMANENT_TRIES = 3
TOTAL_S = list(accumulate(_WAITS))[-1]


class DeliveryFailed(Exception):
    """A sink did not take an event.

    permanent: the receiver refuses this event and will go on doing so. retry_after: seconds it asked for.
    """

    def __init__(self, message: str, permanent: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


def wait_before(attempts: int, failure: DeliveryFailed | None = None) -> float | None:
    """Seconds until the next try after `attempts` failed ones; None when there is to be none."""
    if attempts > len(_WAITS):
        return None
    if failure is not None and failure.permanent and attempts >= PERMANENT_TRIES:
        return None
    wait = _WAITS[attempts - 1] * random.uniform(0.9, 1.1)  # jitter, no secret
    asked = failure.retry_after if failure is not None else None
    return max(wait, min(asked, 86400.0)) if asked is not None else wait
