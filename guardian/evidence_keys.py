"""Where the keys for evidence come from, and how all that is sealed goes over to a new one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from guardian.core.errors import ConfigError, EvidenceDamaged
from guardian.core.evidence import file_name
from guardian.evidence.keyfile import EvidenceKeyFile
from guardian.evidence.keys import KeyRing, ring_of
from guardian.setting_tables_evidence import EvidenceSettings
from guardian.store.evidence import EvidenceStore, SealedKey
from guardian.store.evidence_changes import Doing

_BATCH = 200


class EvidenceKeys:
    """The keys named in the settings, or else those of the file that `guardian keys init` makes.

    Read anew for each use, so that a key that was changed needs no restart.
    """

    def __init__(self, settings: EvidenceSettings, file: Path) -> None:
        self._settings = settings
        self.file = EvidenceKeyFile(file)

    @property
    def configured(self) -> bool:
        """True when the settings name keys, which then are not ours to change."""
        return bool(self._settings.keys)

    def changing(self, wait_s: float) -> AbstractContextManager[None]:
        """`EvidenceKeyFile.changing`; keys that the settings name are not ours to change."""
        return nullcontext() if self.configured else self.file.changing(wait_s)

    def present(self) -> KeyRing | None:
        """What seals and opens now; None where nobody has made a key. ConfigError."""
        if not self.configured:
            return self.file.ring()
        return ring_of([source.read().get_secret_value() for source in self._settings.keys])

    def ring(self) -> KeyRing:
        """The same. ConfigError where there is none."""
        ring = self.present()
        if ring is None:
            raise ConfigError("There is no key for evidence; `guardian keys init` makes one.")
        return ring


@dataclass(frozen=True, slots=True)
class SealedAnew:
    """How many keys of files were sealed to the current key; closed: files whose keys cannot be opened."""

    done: int
    closed: tuple[str, ...]


def seal_anew(
    store: EvidenceStore, ring: KeyRing, doing: Doing, told: Callable[[int], None] = lambda _: None
) -> SealedAnew:
    """Seals every key of a file to the current key. It may be interrupted, and goes on from there.

    told: hears how many after each batch. Unavailable: the store refuses, or an old key is not here.
    """
    done, closed, after = 0, list[str](), ("", "")
    while batch := store.keys_besides(ring.sealing.id, after, _BATCH):
        if (last := (batch[-1].evidence_id, batch[-1].part)) == after:
            break  # A name that is no text comes again and again.
        after = last
        before, anew = list[SealedKey](), list[SealedKey]()
        for key in batch:
            name = file_name(key.evidence_id, key.part)
            try:
                wrapped = ring.rewrap(key.key_id, key.wrapped, name)
            except EvidenceDamaged:
                closed.append(name)
                continue
            before.append(key)
            anew.append(SealedKey(key.evidence_id, key.part, ring.sealing.id, wrapped))
        put = store.rewrapped(before, anew, doing)
        done += put
        told(put)
    return SealedAnew(done, tuple(closed))
