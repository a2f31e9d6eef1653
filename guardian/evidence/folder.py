"""Clips in a folder of this machine, or a mounted one: `guardian.core.evidence_ports.ClipStore`."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from guardian.core.errors import NoSuchEvidence, Unavailable

_SPARE_BYTES = 128 << 20
"""Clips leave room on a disk that others, the store of events first, need more."""
_WHOLE = ".clip"
_DRAFT = ".partial"
_NAME = re.compile(r"[A-Za-z0-9_]{1,40}\.[a-z0-9]{1,16}")


class Folder:
    """One file per clip's part; a draft has another ending until it is whole and synced. Any thread."""

    def __init__(self, path: Path, spare_bytes: int = _SPARE_BYTES) -> None:
        self.path = path
        self._spare_bytes = spare_bytes

    def create(self, name: str) -> FolderDraft:
        """A new draft. Unavailable when it cannot be written."""
        whole = self._whole(name)
        draft = whole.with_suffix(_DRAFT)
        with _sentence(f"Evidence cannot be written to {self.path}"):
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if shutil.disk_usage(self.path).free < self._spare_bytes:
                raise OSError(errno.ENOSPC, "hardly any space is left on its disk")
            if whole.exists():
                raise FileExistsError(errno.EEXIST, "exists")
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return FolderDraft(handle, draft, whole)

    def open(self, name: str) -> FolderClip:
        """A whole clip. NoSuchEvidence, Unavailable."""
        try:
            with _sentence(f"Evidence cannot be read from {self.path}"):
                return FolderClip(os.open(self._whole(name), os.O_RDONLY | os.O_CLOEXEC))
        except FileNotFoundError:
            raise NoSuchEvidence("The file of this clip is not there.") from None

    def remove(self, name: str) -> None:
        """Takes a clip away; one that is not there is no error. Unavailable."""
        with (
            contextlib.suppress(FileNotFoundError),
            _sentence(f"{self.path} cannot be changed"),
        ):
            self._whole(name).unlink()
            _sync(self.path)

    def files(self) -> Iterator[tuple[str, float]]:
        """Every whole clip there is, and when it was written (wall clock seconds). Unavailable."""
        for path in self._with(_WHOLE):
            with contextlib.suppress(FileNotFoundError), _sentence(f"{path} cannot be looked at"):
                written = path.stat().st_mtime
                yield path.name.removesuffix(_WHOLE), written

    def sweep(self, before: float) -> int:
        """Removes drafts last written before a wall clock time; returns how many. Unavailable."""
        gone = 0
        for path in self._with(_DRAFT):
            with contextlib.suppress(FileNotFoundError), _sentence(f"{self.path} cannot be swept"):
                if path.stat().st_mtime < before:
                    path.unlink()
                    gone += 1
        return gone

    def _with(self, ending: str) -> list[Path]:
        with _sentence(f"Evidence cannot be read from {self.path}"):
            try:
                return sorted(path for path in self.path.iterdir() if path.name.endswith(ending))
            except FileNotFoundError:
                return []

    def _whole(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise NoSuchEvidence("No clip has such a name.")
        return self.path / f"{name}{_WHOLE}"


class FolderDraft:
    """A file under a name that nobody takes for whole."""

    def __init__(self, handle: int, draft: Path, whole: Path) -> None:
        self._handle = handle
        self._path = draft
        self._whole = whole
        self._open = True

    def write(self, data: bytes) -> None:
        """Adds bytes. Unavailable."""
        with _sentence("Evidence cannot be written"):
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._handle, rest) :]

    def commit(self) -> None:
        """Syncs the file and gives it its name; after that it survives a power cut. Unavailable."""
        with _sentence("Evidence cannot be written"):
            os.fsync(self._handle)
            self._close()
            self._path.rename(self._whole)
            _sync(self._whole.parent)

    def discard(self) -> None:
        """Takes the file away, also one whose commit failed; never raises."""
        with contextlib.suppress(OSError):
            self._close()
        for path in (self._path, self._whole):
            with contextlib.suppress(OSError):
                path.unlink()

    def _close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._handle)


class FolderClip:
    """A whole file, open."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.size = os.fstat(handle).st_size

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes; fewer at the end of the file. Unavailable."""
        with _sentence("Evidence cannot be read"):
            parts = []
            while size > 0 and (part := os.pread(self._handle, size, offset)):
                parts.append(part)
                offset += len(part)
                size -= len(part)
            return b"".join(parts)

    def close(self) -> None:
        """Gives the file back."""
        os.close(self._handle)


@contextlib.contextmanager
def _sentence(what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unavailable(f"{what}: {(error.strerror or str(error)).lower()}.") from error


def _sync(folder: Path) -> None:
    """Makes a change of names last."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
