"""The way to Vosk's process: started when it is first needed, killed when it does not answer.

One process serves every leg of this one. What stops it (an abort, a kill after a stall) ends all its
sessions; each of them raises, and whoever opens the next one starts the process anew.
"""

from __future__ import annotations

import atexit
import json
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOUND, END, ANEW = b"S", b"E", b"N"
"""Requests: 16-bit sound -> what is held to have been said; the utterance ends -> words with times and
confidence; the recogniser is made anew -> nothing."""
LARGEST = 1 << 20
"""Bytes of a request or an answer."""
LOAD_S = 50.0
"""Longest time a model may take to load, the start of the process included."""
ANSWER_S = 2.5
"""Longest time a request may take: less than what an ear waits, so that the process is stopped too."""
END_S = 2.0


class VoskLost(Exception):
    """The process has ended, did not answer in time, or could not load the model."""


@dataclass(frozen=True, slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    control: socket.socket

    def stop(self) -> None:
        self.control.close()
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(END_S)


class Session:
    """One recogniser in the process. For one thread; every method but `close` raises VoskLost."""

    def __init__(self, running: _Running, link: socket.socket) -> None:
        self._running = running
        self._link = link

    def sound(self, pcm: bytes) -> dict[str, Any]:
        """Takes 16-bit sound, at most a few seconds: `{"partial": ...}`."""
        return self._ask(SOUND + pcm, ANSWER_S)

    def end(self) -> dict[str, Any]:
        """Ends the utterance: `{"text": ..., "result": [{"word", "start", "end", "conf"}]}`."""
        return self._ask(END, ANSWER_S)

    def anew(self) -> None:
        """Has the recogniser made anew; its time begins at 0 again."""
        self._ask(ANEW, ANSWER_S)

    def wait(self) -> None:
        """Waits until the model is loaded."""
        found = self._ask(b"", LOAD_S)
        if "error" in found:
            raise VoskLost(found["error"])

    def close(self) -> None:
        """Ends the session."""
        self._link.close()

    def _ask(self, request: bytes, limit_s: float) -> dict[str, Any]:
        try:
            self._link.settimeout(limit_s)
            if request:
                self._link.send(request)
            answer = self._link.recv(LARGEST)
        except OSError as error:
            self._running.stop()
            raise VoskLost(f"Vosk did not answer ({type(error).__name__})") from error
        if not answer:
            self._running.stop()
            raise VoskLost("Vosk's process has ended")
        found: dict[str, Any] = json.loads(answer)
        return found


class Host:
    """The process. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: _Running | None = None

    @property
    def pid(self) -> int | None:
        """Its number; None before the first session."""
        return self._running.process.pid if self._running is not None else None

    def open(self, model: Path) -> Session:
        """A session with the model in a folder. VoskLost."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs, self._lock:
                running = self._started()
                socket.send_fds(running.control, [str(model).encode()], [theirs.fileno()])
            session = Session(running, ours)
            session.wait()
        except OSError as error:
            ours.close()
            raise VoskLost(f"Vosk could not be started ({type(error).__name__})") from error
        except VoskLost:
            ours.close()
            raise
        return session

    def stop(self) -> None:
        """Kills the process; the next session starts another."""
        with self._lock:
            running, self._running = self._running, None
        if running is not None:
            running.stop()

    def _started(self) -> _Running:
        if self._running is not None:
            if self._running.process.poll() is None:
                return self._running
            self._running.stop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(ANSWER_S)
        with theirs:
            # Nothing it writes is kept: Kaldi's warnings quote words.
            process = subprocess.Popen(
                [sys.executable, "-m", "guardian.speech.vosk_process", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._running = _Running(process, ours)
        return self._running


HOST = Host()
"""The one of this process."""
atexit.register(HOST.stop)
