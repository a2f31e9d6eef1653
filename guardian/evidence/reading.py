"""Reading clips: any range of bytes, each chunk proven before a byte of it is given away."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag

from guardian.core.errors import EvidenceDamaged
from guardian.core.evidence_ports import StoredClip
from guardian.evidence import format

_DIGEST_BYTES = 1 << 20


class ClipReader:
    """One file of a clip. One thread at a time. Raises EvidenceDamaged, and Unavailable of its store.

    Opening it proves the header and the last chunk, and by that the size: a file that was cut off at a
    chunk's end does not open.
    """

    def __init__(self, stored: StoredClip, key: bytes, name: str) -> None:
        self._stored = stored
        chunk, self._cipher = format.resume(key, name, stored.read(0, format.HEADER_BYTES))
        self._layout = format.Layout.of_file(stored.size, chunk)
        self.size = self._layout.size
        self._open(self._layout.count - 1)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` up to `stop` (both within the size), a chunk at a time."""
        chunk = self._layout.chunk
        while start < stop:
            index = start // chunk
            first = index * chunk
            yield self._open(index)[start - first : stop - first]
            start = first + chunk

    def close(self) -> None:
        """Gives the file back."""
        self._stored.close()

    def _open(self, index: int) -> bytes:
        offset, size = self._layout.place(index)
        last = format.LAST if index == self._layout.count - 1 else format.MORE
        try:
            return self._cipher.open(index, self._stored.read(offset, size), last)
        except InvalidTag as error:
            raise EvidenceDamaged("A clip's file was changed or cut off.") from error


def digest(stored: StoredClip) -> str:
    """SHA-256 of the file as it lies there, hexadecimal. Unavailable."""
    found = hashlib.sha256()
    for offset in range(0, stored.size, _DIGEST_BYTES):
        found.update(stored.read(offset, min(_DIGEST_BYTES, stored.size - offset)))
    return found.hexdigest()
