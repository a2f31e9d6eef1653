"""The file format of clips: AES-256-GCM in chunks, a key per file, bound to the file's name.

Construction: STREAM (Hoang, Reyhanitabar, Rogaway, Vizar: Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance, CRYPTO 2015): the nonce of a chunk holds its number and whether it is the last,
so that nothing can be cut off, swapped, repeated or added. The key of the chunks is derived with HKDF (RFC
5869) from the file's own random key and its header, as in Tink's AES-GCM-HKDF streaming AEAD; a second output
commits to the key, which GCM by itself does not.

    header  0 magic "GRDNCLIP" · 8 version · 9 log2 of the chunk size · 10 zeros
            16 name, padded with zeros · 64 salt · 96 nonce prefix, 7 bytes and a zero · 104 commitment
    chunks  each `chunk size` bytes of the clip and a tag of 16; the last may be shorter, and is never empty
            unless the clip is
"""

from __future__ import annotations

import hmac
import os
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from guardian.core.errors import EvidenceDamaged

KEY_BYTES = 32
TAG_BYTES = 16
CHUNK_LOG2 = 16
HEADER_BYTES = 136

_MAGIC = b"GRDNCLIP"
_VERSION = 1
_FIXED = struct.Struct(">8sBB6x48s32s7sx")
_CHUNK_LOG2_RANGE = range(10, 21)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the chunks of a clip of `size` bytes lie. size is derived from the file's, not yet proven."""

    chunk: int
    count: int
    size: int

    @classmethod
    def of_file(cls, stored: int, chunk: int) -> Layout:
        """From the number of bytes of the file. EvidenceDamaged when no file is that long."""
        body = stored - HEADER_BYTES
        count = -(-body // (chunk + TAG_BYTES))
        size = body - count * TAG_BYTES
        if body < TAG_BYTES or (size <= (count - 1) * chunk and count > 1):
            raise EvidenceDamaged("A clip's file is cut off.")
        return cls(chunk, count, size)

    def place(self, index: int) -> tuple[int, int]:
        """Offset in the file, and bytes, of a sealed chunk."""
        start = index * self.chunk
        plain = min(self.chunk, self.size - start)
        return HEADER_BYTES + index * (self.chunk + TAG_BYTES), plain + TAG_BYTES


class ChunkCipher:
    """Seals and opens the chunks of one file."""

    def __init__(self, key: bytes, fixed: bytes) -> None:
        *_, salt, prefix = _FIXED.unpack(fixed)
        derived = HKDF(SHA256(), KEY_BYTES + 32, salt, fixed).derive(key)
        self._aead = AESGCM(derived[:KEY_BYTES])
        self._prefix: bytes = prefix
        self.commitment = derived[KEY_BYTES:]

    def seal(self, index: int, plain: bytes, last: bytes) -> bytes:
        """One chunk with its tag. last: `LAST` or `MORE`."""
        return self._aead.encrypt(self._nonce(index, last), plain, None)

    def open(self, index: int, sealed: bytes, last: bytes) -> bytes:
        """The chunk. cryptography's InvalidTag when it is not the one that was sealed here."""
        return self._aead.decrypt(self._nonce(index, last), sealed, None)

    def _nonce(self, index: int, last: bytes) -> bytes:
        return self._prefix + struct.pack(">I", index) + last


MORE, LAST = b"\0", b"\1"


def begin(key: bytes, name: str) -> tuple[bytes, ChunkCipher]:
    """The header of a new file, and what seals its chunks."""
    fixed = _FIXED.pack(_MAGIC, _VERSION, CHUNK_LOG2, name.encode("ascii"), os.urandom(32), os.urandom(7))
    cipher = ChunkCipher(key, fixed)
    return fixed + cipher.commitment, cipher


def resume(key: bytes, name: str, header: bytes) -> tuple[int, ChunkCipher]:
    """The chunk size of an existing file, and what opens its chunks.

    EvidenceDamaged: the header is not that of a clip of this name, or was not made with this key.
    """
    if len(header) != HEADER_BYTES:
        raise EvidenceDamaged("A clip's file is cut off.")
    fixed = header[: _FIXED.size]
    magic, version, chunk_log2, written, _, _ = _FIXED.unpack(fixed)
    if magic != _MAGIC or version != _VERSION or chunk_log2 not in _CHUNK_LOG2_RANGE:
        raise EvidenceDamaged("A clip's file does not begin as one.")
    cipher = ChunkCipher(key, fixed)
    same = hmac.compare_digest(cipher.commitment, header[_FIXED.size :])
    if written.rstrip(b"\0") != name.encode("ascii") or not same:
        raise EvidenceDamaged("A clip's file is another clip's, or its beginning was changed.")
    return 1 << chunk_log2, cipher
