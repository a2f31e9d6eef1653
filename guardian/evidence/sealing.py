"""Writing clips: encrypted from the first byte, and not there until they are whole."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from guardian.core.errors import Unavailable
from guardian.core.evidence import SealedPart, file_name
from guardian.core.evidence_ports import ClipStore, ClipWriter, Draft
from guardian.evidence import format
from guardian.evidence.keys import SealingKey

_CHUNK = 1 << format.CHUNK_LOG2


class Sealer:
    """Begins files of clips with a public key; what was written cannot be read again with it."""

    def __init__(self, store: ClipStore, key: SealingKey) -> None:
        self._store = store
        self._key = key

    def begin(self, evidence_id: str, part: str, media_type: str) -> ClipWriter:
        """A new file with a key of its own. Unavailable."""
        name = file_name(evidence_id, part)
        key = os.urandom(format.KEY_BYTES)
        label = _Label(part, media_type, self._key.id, self._key.wrap(key, name))
        header, cipher = format.begin(key, name)
        return _Writer(self._store.create(name), _Sealing(header, cipher), label)


@dataclass(frozen=True, slots=True)
class _Label:
    """What is known of a file before its first byte."""

    part: str
    media_type: str
    key_id: str
    wrapped_key: str


class _Sealing:
    """Turns bytes into sealed chunks; holds back up to one, because the last is sealed as such."""

    def __init__(self, header: bytes, cipher: format.ChunkCipher) -> None:
        self._cipher = cipher
        self._waiting = bytearray()
        self._index = 0
        self._ready = header
        self.taken = 0

    def feed(self, data: bytes) -> bytes:
        """What can be written to the disk after these bytes."""
        self._waiting += data
        self.taken += len(data)
        ready, self._ready = [self._ready], b""
        while len(self._waiting) > _CHUNK:
            ready.append(self._next(_CHUNK, format.MORE))
        return b"".join(ready)

    def finish(self) -> bytes:
        """What is still to be written."""
        return self._ready + self._next(_CHUNK, format.LAST)

    def _next(self, size: int, last: bytes) -> bytes:
        sealed = self._cipher.seal(self._index, bytes(self._waiting[:size]), last)
        del self._waiting[:size]
        self._index += 1
        return sealed


class _Writer:
    """A `ClipWriter` over a draft of the store."""

    def __init__(self, draft: Draft, sealing: _Sealing, label: _Label) -> None:
        self._draft = draft
        self._sealing = sealing
        self._label = label
        self._digest = hashlib.sha256()
        self._stored = 0
        self._over = self._gone = False

    def write(self, data: bytes) -> None:
        """Adds bytes at the end. Unavailable; the file is gone then."""
        if self._over:
            raise Unavailable("This clip is not being written any more.")
        self._put(self._sealing.feed(data))

    def seal(self) -> SealedPart:
        """Ends the file and shows it as whole. Unavailable; the file is gone then."""
        if self._over:
            raise Unavailable("This clip is not being written any more.")
        self._put(self._sealing.finish())
        try:
            self._draft.commit()
        except Unavailable:
            self.abandon()
            raise
        self._over = True
        label = self._label
        return SealedPart(
            name=label.part,
            media_type=label.media_type,
            size=self._sealing.taken,
            stored=self._stored,
            sha256=self._digest.hexdigest(),
            key_id=label.key_id,
            wrapped_key=label.wrapped_key,
        )

    def abandon(self) -> None:
        """Takes the file away, whole or not. Idempotent."""
        if not self._gone:
            self._gone = self._over = True
            self._draft.discard()

    def _put(self, sealed: bytes) -> None:
        try:
            self._draft.write(sealed)
        except Unavailable:
            self.abandon()
            raise
        self._digest.update(sealed)
        self._stored += len(sealed)
