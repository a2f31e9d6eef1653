"""Signals to a child process that reach that process or nobody.

`Process.kill` of asyncio looks whether the child has ended and so takes its exit status away from the
thread that waits for it ("Unknown child process pid"); a bare pid may belong to another process
by the time it is used.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress


class Handle:
    """One child process; make it right after the start, while the child cannot have been waited for."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._fd: int | None = None
        with suppress(OSError):
            # Linux only; elsewhere the pid has to do.
            self._fd = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
        self._closed = False

    def send(self, number: signal.Signals) -> None:
        """Sends a signal; a process that has ended is left alone."""
        if self._closed:
            return
        with suppress(ProcessLookupError):
            if self._fd is not None:
                signal.pidfd_send_signal(self._fd, number)
            else:
                os.kill(self._pid, number)

    def close(self) -> None:
        """The process has been waited for; nothing is sent any more."""
        self._closed = True
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
