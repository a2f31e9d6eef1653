"""The end of a server's process, in its time whatever hangs.

A thread that waits for a disk or a mount that hangs cannot be ended, and Python waits for its threads.
"""

from __future__ import annotations

import os
import threading
import time

from guardian.telemetry.log import logger


class Ending:
    """Ends the process by force when it does not end by itself. Thread-safe.

    code: what it ends with then; 1 until somebody knows better.
    """

    def __init__(self) -> None:
        self.code = 1
        self._by = float("inf")
        self._sooner = threading.Condition()
        self._thread: threading.Thread | None = None

    def within(self, seconds: float) -> None:
        """The process is over by then; an earlier moment that was said before holds."""
        with self._sooner:
            self._by = min(self._by, time.monotonic() + seconds)
            if self._thread is None:
                # Nobody waits for a daemon: a process that has ended does not stay for it.
                self._thread = threading.Thread(target=self._watch, name="ending", daemon=True)
                self._thread.start()
            self._sooner.notify()

    def _watch(self) -> None:
        with self._sooner:
            while (left := self._by - time.monotonic()) > 0:
                self._sooner.wait(left)
        logger("guardian.server").error("something waits for a disk or a mount that hangs; it is left behind")
        os._exit(self.code)
