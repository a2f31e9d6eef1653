"""The file with the private keys for evidence: one to a line, the current one first.

Behind a key stands since when it is an old one, UTC RFC 3339: calls that began before may still seal to it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from guardian.core.errors import ConfigError, Unavailable
from guardian.core.times import rfc3339
from guardian.evidence.keys import KeyRing, new_key_text, ring_of

_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class _Line:
    key: str = field(repr=False)
    retired_at: float | None = None

    @property
    def text(self) -> str:
        return self.key if self.retired_at is None else f"{self.key} {rfc3339(self.retired_at)}"


class EvidenceKeyFile:
    """The keys of one server; a change of the file is noticed at the next look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._lines: tuple[_Line, ...] = ()

    @contextmanager
    def changing(self, wait_s: float) -> Iterator[None]:
        """Nobody else changes the keys, or what is sealed to them, in here; for `rotate`, `drop` and between.

        Unavailable when somebody else does for longer than `wait_s`. Not to be entered within itself.
        """
        path = self.path.with_name(f".{self.path.name}.lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(f"The key file {self.path} cannot be written; check its folder.") from error
        try:
            until = time.monotonic() + wait_s
            while not _locked(handle):
                if time.monotonic() > until:
                    raise Unavailable(f"Somebody else is changing {self.path}; try again.")
                time.sleep(_LOOK_S)
            self._stamp = None  # Whatever was known of the file before is read again.
            yield
        finally:
            os.close(handle)

    def ring(self) -> KeyRing | None:
        """What seals and opens; None while there is no file. ConfigError when it is damaged."""
        lines = self._read()
        return ring_of([line.key for line in lines]) if lines else None

    def create(self) -> KeyRing:
        """A first key. ConfigError when there is one."""
        if self._read():
            raise ConfigError(f"{self.path} has a key already; `guardian keys rotate` makes another.")
        return self._write((_Line(new_key_text()),))

    def rotate(self, now: float) -> KeyRing:
        """A new key before those there are. now: wall clock seconds. ConfigError when there is none yet."""
        lines = self._read()
        if not lines:
            raise ConfigError(f"{self.path} has no key yet; `guardian keys init` makes one.")
        old = tuple(_Line(line.key, line.retired_at or now) for line in lines)
        return self._write((_Line(new_key_text()), *old))

    def drop(self, retired_before: float) -> tuple[str, ...]:
        """Destroys keys that have been old since before a time; gives their ids."""
        lines = self._read()
        stay = tuple(one for one in lines if one.retired_at is None or one.retired_at >= retired_before)
        if len(stay) == len(lines):
            return ()
        gone = ring_of([line.key for line in lines if line not in stay]).ids
        self._write(stay)
        return gone

    def _read(self) -> tuple[_Line, ...]:
        try:
            stat = self.path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            if stamp != self._stamp:
                text = self.path.read_text(encoding="utf-8")
                self._lines = tuple(_line(line) for line in text.splitlines() if line.strip())
                self._stamp = stamp
        except FileNotFoundError:
            self._stamp, self._lines = None, ()
        except OSError as error:
            raise ConfigError(f"The key file {self.path} cannot be read; check its rights.") from error
        except ValueError as error:
            raise ConfigError(f"The key file {self.path} is damaged; restore it.") from error
        return self._lines

    def _write(self, lines: tuple[_Line, ...]) -> KeyRing:
        ring = ring_of([line.key for line in lines])
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write("".join(f"{line.text}\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise Unavailable(f"The key file {self.path} cannot be written; check its folder.") from error
        self._stamp = None
        return ring


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _line(text: str) -> _Line:
    key, _, retired = text.strip().partition(" ")
    return _Line(key, datetime.fromisoformat(retired).timestamp() if retired else None)
