"""The last seconds of a call, in memory: what was sent and received, still encoded.

Nothing is decoded or encoded to keep it. Video is forgotten by whole groups of pictures, so that what
is left begins with a key frame.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace

from guardian.core.recording import KeptPiece, Recording, Spoken
from guardian.core.violations import Role

GIANT = 1 << 20
"""Bytes of a picture above which it is not kept: at no bitrate a call may have are there such."""
_OBJECT_BYTES = 320
"""What a piece takes besides its data."""
_GROUP_S = 5.0
"""A key frame that is older than the ring is long is kept for so long, for the pictures that need it."""
_SILENT_S = 1.0
"""A source without pictures for this long may be followed by an older one that goes on."""
_UTTERANCES = 200


@dataclass(frozen=True, slots=True)
class RingSize:
    """Bounds of what is kept: seconds, of video up to 5 s more, back to a key frame; bytes of each video and
    of each voice; held: times as much while a clip is waited for."""

    seconds: float = 15.0
    video_bytes: int = 5_500_000
    voice_bytes: int = 500_000
    held: int = 3

    @property
    def bytes(self) -> int:
        """Of a whole call while nothing is waited for."""
        return 2 * (self.video_bytes + self.voice_bytes)


class _Strand:
    """One stream. Pictures: only from a key frame on; sounds are all key."""

    def __init__(self, most: int) -> None:
        self.pieces: deque[KeptPiece] = deque()
        self._ends: deque[float] = deque()
        """When the last piece came of each key frame with those that need it."""
        self.most = most
        self.bytes = 0
        self.refused = 0
        """Pieces that were not kept, for want of room."""
        self.waits_for_key = True
        self.key_at = float("-inf")
        """When the newest key frame came."""
        self._source = -1
        self._newest = float("-inf")

    def add(self, piece: KeptPiece) -> bool:
        """Whether the piece is of use: not one of a source that another has followed, nor after a gap."""
        if piece.source != self._source:
            follows = piece.source > self._source or piece.came - self._newest > _SILENT_S
            if not (piece.key and follows):
                return False
            self._source = piece.source
        if piece.came < self._newest:
            # What was shown instead of a picture that took long was sent before it.
            piece = replace(piece, came=self._newest)
        self._newest = piece.came
        if self.waits_for_key and not piece.key:
            return False
        self.waits_for_key = False
        if piece.key:
            self.key_at = piece.came
            self._ends.append(piece.came)
        self._ends[-1] = piece.came
        self.pieces.append(piece)
        self.bytes += _size(piece)
        return True

    def drop_group(self) -> None:
        """Forgets the oldest key frame and all that need it."""
        self._ends.popleft()
        while self.pieces:
            self.bytes -= _size(self.pieces.popleft())
            if self.pieces and self.pieces[0].key:
                return
        self.waits_for_key = True

    def forget(self, oldest: float) -> None:
        """Forgets what came before then and nothing since needs; never keeps a key frame for long."""
        while self.pieces and (self._ends[0] < oldest or self.pieces[0].came < oldest - _GROUP_S):
            self.drop_group()

    def gap(self) -> None:
        """What comes next cannot be decoded without what is missing."""
        self.waits_for_key = True

    def clear(self) -> None:
        """Forgets everything."""
        self.pieces.clear()
        self._ends.clear()
        self.bytes = 0
        self.waits_for_key = True
        self.key_at = float("-inf")


def _size(piece: KeptPiece) -> int:
    return len(piece.data) + _OBJECT_BYTES


class Ring:
    """`guardian.core.evidence_ports.EvidenceRing`. Thread-safe; no method takes longer than a look at a few
    pieces, but `cut`, which copies references."""

    def __init__(self, size: RingSize | None = None) -> None:
        self._size = size or RingSize()
        self._lock = threading.Lock()
        self._pictures = {role: _Strand(self._size.video_bytes) for role in Role}
        self._sounds = {role: _Strand(self._size.voice_bytes) for role in Role}
        self._spoken: deque[Spoken] = deque(maxlen=_UTTERANCES)
        self._held_since: float | None = None
        self._full = False
        self._keeps = False

    @property
    def bytes(self) -> int:
        """Bytes kept now."""
        with self._lock:
            return sum(strand.bytes for strand in self._strands())

    @property
    def refused(self) -> int:
        """Pieces that were not kept, for want of room."""
        return sum(strand.refused for strand in self._strands())

    @property
    def full(self) -> bool:
        """Whether something was not kept since `hold`, for want of room."""
        return self._full

    def begin(self) -> None:
        """Keeps what comes from now on."""
        with self._lock:
            self._keeps = True

    def end(self) -> None:
        """Forgets everything at once, and keeps nothing more."""
        with self._lock:
            self._keeps = False
            for strand in self._strands():
                strand.clear()
            self._spoken.clear()
            self._held_since = None
            self._full = False

    def picture(self, role: Role, piece: KeptPiece) -> None:
        """Keeps a picture."""
        with self._lock:
            strand = self._pictures[role]
            if len(piece.data) > GIANT:
                strand.gap()
                strand.refused += 1
            else:
                self._keep(strand, piece)

    def sound(self, role: Role, piece: KeptPiece) -> None:
        """Keeps a piece of sound."""
        with self._lock:
            self._keep(self._sounds[role], piece)

    def said(self, spoken: Spoken) -> None:
        """Keeps words; they take the place of what the same engine held before of the same utterance."""
        with self._lock:
            if not self._keeps:
                return
            for index, other in enumerate(self._spoken):
                same = (other.role, other.engine) == (spoken.role, spoken.engine) and not other.said.final
                if same and other.t_start < spoken.t_end and spoken.t_start < other.t_end:
                    self._spoken[index] = spoken
                    return
            self._spoken.append(spoken)

    def gap(self, role: Role) -> None:
        """Pictures are missing: those that follow are of no use before a key frame."""
        with self._lock:
            self._pictures[role].gap()

    def needs_key(self, role: Role, older_than: float) -> bool:
        """Whether the newest key frame came before `older_than`, or pictures wait for one."""
        with self._lock:
            strand = self._pictures[role]
            return strand.waits_for_key or strand.key_at < older_than

    def forget(self, now: float) -> None:
        """Forgets what is older than the ring is long, and not held."""
        with self._lock:
            self._forget(now)

    def hold(self, since: float | None) -> None:
        """Nothing that came since then is forgotten as it gets old; None ends that."""
        with self._lock:
            self._held_since = since
            if since is None:
                self._full = False

    def cut(self, t_start: float, t_end: float) -> Recording:
        """What is kept of a span. It begins earlier where a key frame does, later where nothing is kept."""
        with self._lock:
            pictures = {role: _from_key(s.pieces, t_start, t_end) for role, s in self._pictures.items()}
            sounds = {role: tuple(s.pieces) for role, s in self._sounds.items()}
            spoken = tuple(self._spoken)
        firsts = [pieces[0].came for pieces in pictures.values() if pieces]
        begins = [min(firsts, default=t_end)]
        begins += [pieces[0].came - pieces[0].seconds for pieces in sounds.values() if pieces]
        began = max(min([t_start, *firsts]), min(begins))
        return Recording(
            began,
            t_end,
            pictures,
            {
                role: tuple(one for one in pieces if one.came > began and one.came - one.seconds < t_end)
                for role, pieces in sounds.items()
            },
            tuple(one for one in spoken if one.t_end > began and one.t_start < t_end),
        )

    def _keep(self, strand: _Strand, piece: KeptPiece) -> None:
        if not self._keeps:
            return
        most = strand.most if self._held_since is None else strand.most * self._size.held
        if self._held_since is not None and strand.bytes + _size(piece) > most:
            self._full = True
            strand.gap()
            strand.refused += 1
            return
        if strand.add(piece):
            while strand.bytes > most:
                strand.drop_group()
            self._forget(piece.came)

    def _forget(self, now: float) -> None:
        oldest = now - self._size.seconds
        if self._held_since is not None:
            oldest = min(oldest, self._held_since - self._size.seconds)
        for strand in self._strands():
            strand.forget(oldest)
        while self._spoken and self._spoken[0].t_end < oldest:
            self._spoken.popleft()

    def _strands(self) -> tuple[_Strand, ...]:
        return (*self._pictures.values(), *self._sounds.values())


def _from_key(pieces: deque[KeptPiece], t_start: float, t_end: float) -> tuple[KeptPiece, ...]:
    """From the last key frame that came by `t_start` on, or the first one after it."""
    first = 0
    for index, piece in enumerate(pieces):
        if piece.came > t_start:
            break
        if piece.key:
            first = index
    return tuple(piece for piece in list(pieces)[first:] if piece.came <= t_end)
