"""Wall-clock time that does not jump."""

from __future__ import annotations

import time


class SteadyClock:
    """Seconds since 1970 by the clock as it was at the start: setting it later moves nothing."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def __call__(self) -> float:
        """Now."""
        return time.monotonic() + self._offset
