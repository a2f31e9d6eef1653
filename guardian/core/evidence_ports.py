"""Protocols of evidence: what is kept of a call, how clips are made, where they lie and what opens them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from guardian.core.evidence import SealedClip, SealedPart
from guardian.core.frames import SafeFrame
from guardian.core.recording import ClipOrder, KeptPiece, Recording, SentPicture, Spoken
from guardian.core.violations import Role


class ClipWriter(Protocol):
    """One file of a clip being written, encrypted from the first byte. One thread at a time.

    All methods raise Unavailable when the disk does not take it; nothing of the file stays then.
    """

    def write(self, data: bytes) -> None:
        """Adds bytes at the end."""
        ...

    def seal(self) -> SealedPart:
        """Ends the file and shows it as whole; returns once it is on the disk. Once, and nothing after it."""
        ...

    def abandon(self) -> None:
        """Takes the file away, whole or not. Idempotent; never raises."""
        ...


class ClipMaker(Protocol):
    """Begins files of clips. Thread-safe. `guardian.evidence.sealing.Sealer`."""

    def begin(self, evidence_id: str, part: str, media_type: str) -> ClipWriter:
        """A new file with a key of its own, under a name that nobody takes for whole. Unavailable."""
        ...


class Draft(Protocol):
    """A file of a `ClipStore` that is not whole yet. One thread at a time."""

    def write(self, data: bytes) -> None:
        """Adds bytes at the end. Unavailable."""
        ...

    def commit(self) -> None:
        """Shows the file as whole; after that it survives a power cut. Unavailable."""
        ...

    def discard(self) -> None:
        """Takes the file away, also when `commit` failed. Never raises."""
        ...


class StoredClip(Protocol):
    """A whole file of a `ClipStore`. size: bytes."""

    size: int

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes; fewer at the end. Unavailable."""
        ...

    def close(self) -> None:
        """Gives the file back."""
        ...


class ClipStore(Protocol):
    """Where files of clips lie, encrypted before they come here. Thread-safe.

    `guardian.evidence.folder.Folder`; a store of objects could stand here too.
    """

    def create(self, name: str) -> Draft:
        """A new file. Unavailable when there is one of this name, or no room."""
        ...

    def open(self, name: str) -> StoredClip:
        """A whole file. NoSuchEvidence, Unavailable."""
        ...

    def remove(self, name: str) -> None:
        """Takes a file away; idempotent. Unavailable."""
        ...

    def files(self) -> Iterator[tuple[str, float]]:
        """Every whole file by name, and when it was written (wall clock seconds). Unavailable."""
        ...

    def sweep(self, before: float) -> int:
        """Removes files that are not whole and were last written before a wall clock time. Unavailable."""
        ...


class KeyOpener(Protocol):
    """Opens the keys of clips: private keys in memory, or a key management service.

    `guardian.evidence.keys.KeyRing`. Thread-safe; may wait.
    """

    def unwrap(self, key_id: str, wrapped: str, name: str) -> bytes:
        """The key of one file. Unavailable: no such key is here, or no answer came. EvidenceDamaged."""
        ...


class PictureKeeper(Protocol):
    """Keeps protected pictures as they were encoded for the merchant. `guardian.call.keeping.KeepWay`."""

    @property
    def key_every_s(self) -> float:
        """The longest time there may be between key frames now; 0: any."""
        ...

    def sent(self, safe: SafeFrame, picture: SentPicture) -> None:
        """From an encoder's thread."""
        ...


class EvidenceRing(Protocol):
    """The last seconds of a call in memory, bounded. Thread-safe; times are media seconds.

    `guardian.evidence.ring.Ring`. It keeps nothing before `begin`.
    """

    @property
    def bytes(self) -> int:
        """Bytes kept now."""
        ...

    @property
    def refused(self) -> int:
        """Pieces that were not kept, for want of room."""
        ...

    @property
    def full(self) -> bool:
        """Whether something was not kept since `hold`, for want of room."""
        ...

    def begin(self) -> None:
        """Keeps what comes from now on."""
        ...

    def end(self) -> None:
        """Forgets everything at once, and keeps nothing more."""
        ...

    def picture(self, role: Role, piece: KeptPiece) -> None:
        """Keeps a picture: of the shopper a protected one."""
        ...

    def sound(self, role: Role, piece: KeptPiece) -> None:
        """Keeps a piece of a voice."""
        ...

    def said(self, spoken: Spoken) -> None:
        """Keeps words; they take the place of what the same engine held before of the same utterance."""
        ...

    def gap(self, role: Role) -> None:
        """Pictures are missing: those that follow are of no use before a key frame."""
        ...

    def needs_key(self, role: Role, older_than: float) -> bool:
        """Whether the newest key frame came before `older_than`, or pictures wait for one."""
        ...

    def forget(self, now: float) -> None:
        """Forgets what is older than the ring is long, and not held."""
        ...

    def hold(self, since: float | None) -> None:
        """Nothing that came since then is forgotten as it gets old; None ends that."""
        ...

    def cut(self, t_start: float, t_end: float) -> Recording:
        """What is kept of a span. It begins earlier where a key frame does, later where nothing is kept."""
        ...


class ClipCutter(Protocol):
    """Writes clips, in a thread that may take its time. `guardian.evidence.clip.ClipCutter`."""

    def cut(self, order: ClipOrder, recording: Recording, go_on: Callable[[], None]) -> SealedClip:
        """Writes a clip. go_on: called every few milliseconds of work; what it raises ends it, and nothing
        is left of the clip then. Unavailable, and whatever libraries raise."""
        ...
