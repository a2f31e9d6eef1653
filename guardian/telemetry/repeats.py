"""The same thing again and again is told a few times a minute, and then how often it was left out."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from guardian.core.ports import Clock

MOST = 10
"""How often the same event of the same logger is told in a window."""
WINDOW_S = 60.0
EACH_TOLD = frozenset({"guardian.calls"})
"""Loggers whose lines are wanted one by one."""
_KINDS = 500


@dataclass(slots=True)
class _Window:
    began: float
    told: int = 0
    left_out: int = 0


class Quiet(logging.StreamHandler):  # type: ignore[type-arg]  # generic in its stubs alone
    """Writes `MOST` of the same records in a window; when it is over, one that says how many it left out.

    The same are those of one logger, level and event (before its values are put in). What was left out is
    told when the next record comes, whichever that is.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._windows: OrderedDict[tuple[str, int, str], _Window] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        """Under the handler's lock, as all handlers are."""
        now = self._clock()
        for told in list(self._over(now)):
            super().emit(told)
        if record.name in EACH_TOLD or self._may(record, now):
            super().emit(record)

    def _may(self, record: logging.LogRecord, now: float) -> bool:
        # structlog hands over an object, others a sentence whose values are put in later.
        event = record.msg.get("event") if isinstance(record.msg, Mapping) else record.msg
        window = self._windows.setdefault((record.name, record.levelno, str(event)[:200]), _Window(now))
        while len(self._windows) > _KINDS:
            self._windows.popitem(last=False)
        if window.told >= MOST:
            window.left_out += 1
            return False
        window.told += 1
        return True

    def _over(self, now: float) -> Iterator[logging.LogRecord]:
        """Ends the windows that are over; a record for each that left something out."""
        while self._windows:
            (name, level, event), window = next(iter(self._windows.items()))
            if now - window.began < WINDOW_S:
                return
            del self._windows[name, level, event]
            if window.left_out:
                values = {"name": name, "levelno": level, "levelname": logging.getLevelName(level)}
                more = {"repeated": event, "left_out": window.left_out}
                yield logging.makeLogRecord({**values, "msg": "repeats were left out", **more})
