"""What a call has to account for: frames, latencies, coverage, lapses. One per call.

Counts are added on the event loop; `sent` comes from the encoder thread, so it takes a lock.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from guardian.core.frames import SafeFrame, Showing, State
from guardian.core.lapses import LapseBook
from guardian.core.latency import Latencies
from guardian.core.notes import FrameNotes, Part
from guardian.core.violations import Role

_LONGEST_GAP_S = 0.5


@dataclass(frozen=True, slots=True)
class Passage:
    """Monotonic seconds of one frame on its way: arrived, taken from the inbox, protected."""

    arrived: float
    drained: float
    taken: float
    done: float


class PictureAccount:
    """The shopper's pictures."""

    def __init__(self, budget_ms: float) -> None:
        self._budget_ms = budget_ms
        self._lock = threading.Lock()
        self._latencies = Latencies()
        self._showing: Counter[str] = Counter()
        self._states: Counter[str] = Counter()
        self._last_in: float | None = None
        self._last_out: float | None = None
        self.frames_in = 0
        self.frames_late = 0
        self.over_budget = 0
        self.step = 0
        """How far down the ladder protection is."""
        self.steps_taken = 0
        self.camera_s = 0.0
        self.protected_s = 0.0
        self.state = State.WARMING
        self.mode = ""
        self.reason = ""
        self.showing = Showing.CURTAIN
        self.lapses = LapseBook(Part.PICTURE, Role.SHOPPER)

    def came_in(self, now: float) -> None:
        """A raw frame has arrived."""
        self.frames_in += 1
        if self._last_in is not None:
            self.camera_s += min(now - self._last_in, _LONGEST_GAP_S)
        self._last_in = now

    def protected(self, notes: FrameNotes, passage: Passage) -> None:
        """The lane has finished a frame."""
        self.state, self.reason = notes.state, notes.reason
        self._states[notes.state] += 1
        with self._lock:
            record = self._latencies.record
            record("decode", (passage.drained - passage.arrived) * 1000)
            record("wait", (passage.taken - passage.drained) * 1000)
            record("protect", notes.protect_ms)
            self._latencies.record_all(notes.stages_ms.items())

    def stepped(self, step: int) -> None:
        """The ladder has moved."""
        self.step = step
        self.steps_taken += 1

    def sent(self, safe: SafeFrame, encode_ms: float, done: float) -> None:
        """The encoder has finished a picture (from its thread)."""
        total_ms = (done - safe.arrived) * 1000
        with self._lock:
            self.showing = safe.showing
            self._showing[safe.showing] += 1
            self._latencies.record("encode", encode_ms)
            if self._last_out is not None and safe.showing is not Showing.CURTAIN:
                self.protected_s += min(done - self._last_out, _LONGEST_GAP_S)
            self._last_out = done
            if safe.showing is Showing.COVERED:
                self._latencies.record("total", total_ms)
                self.over_budget += total_ms > self._budget_ms

    def budget(self) -> dict[str, Any]:
        """The frame budget as events carry it."""
        with self._lock:
            protect = self._latencies.stages.get("protect")
            covered = self._showing[Showing.COVERED]
        summary = protect.summary() if protect else {}
        return {
            "mode": str(self.mode),
            "state": str(self.state),
            "budget_ms": self._budget_ms,
            "protect_ms": {name: summary.get(name) for name in ("p50", "p95", "p99")},
            "over_budget_frames": self.over_budget,
            "coverage": round(covered / self.frames_in, 4) if self.frames_in else None,
        }

    def snapshot(self) -> dict[str, Any]:
        """Frames, states and latencies, JSON-ready."""
        with self._lock:
            return {
                "frames": {
                    "in": self.frames_in,
                    "out": self._showing.total(),
                    "late": self.frames_late,
                    "over_budget": self.over_budget,
                    **{str(showing): self._showing[showing] for showing in Showing},
                },
                "states": dict(self._states),
                "latency": self._latencies.summary(),
                "histograms": self._latencies.histograms(),
            }


class VoiceAccount:
    """One leg's sound."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.sound_s = 0.0
        self.heard_s = 0.0
        self.lost_s = 0.0
        """Seconds that never came, which `sound_s` includes."""
        self.lapses = LapseBook(Part.HEARING, role)
        self.losses = LapseBook(Part.HEARING, role)
        """Spans that never came: kept apart, as nobody else has heard them either."""


def coverage(
    seconds: float,
    picture: PictureAccount,
    voices: Mapping[Role, VoiceAccount],
    others: Iterable[LapseBook] = (),
) -> dict[str, Any]:
    """Seconds of call, seen and heard, and the spans that were not, those of `others` too."""
    lapses = [*picture.lapses.spans, *(span for book in others for span in book.spans)]
    for voice in voices.values():
        lapses += [*voice.lapses.spans, *voice.losses.spans]
    return {
        "seconds": round(seconds, 2),
        "camera_s": round(picture.camera_s, 2),
        "protected_s": round(picture.protected_s, 2),
        "sound_s": {str(role): round(voice.sound_s, 2) for role, voice in voices.items()},
        "heard_s": {str(role): round(voice.heard_s, 2) for role, voice in voices.items()},
        "lost_s": {str(role): round(voice.lost_s, 2) for role, voice in voices.items()},
        "lapses": [
            {
                "part": str(lapse.part),
                "leg": lapse.leg,
                "t_start": round(lapse.t_start, 2),
                "t_end": round(lapse.t_end, 2),
                "reason": lapse.reason,
            }
            for lapse in sorted(lapses, key=lambda lapse: lapse.t_start)
        ],
    }
