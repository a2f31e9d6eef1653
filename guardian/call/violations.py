"""What a call has told of violations, and tells again when there is evidence of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from guardian.core.calls import CallEventType
from guardian.core.evidence import SealedClip
from guardian.core.violations import Status, ViolationChange

_KEPT = 200
_WORDS_KEPT_S = 300.0
"""A clip is at most a minute long and half a minute in the writing: after this there is none to come."""
_MEDIA = "media"
_TYPES = {
    Status.DETECTED: CallEventType.VIOLATION_DETECTED,
    Status.CONFIRMED: CallEventType.VIOLATION_UPDATED,
    Status.RETRACTED: CallEventType.VIOLATION_RETRACTED,
}

Tell = Callable[[CallEventType, Mapping[str, Any], float], None]
"""(type, data, media seconds) of an event."""


@dataclass(slots=True)
class _Told:
    """The last change of a violation, what was told beside it, and evidence of it."""

    change: ViolationChange
    more: Mapping[str, Any]
    evidence: list[dict[str, Any]]
    short: bool = False

    def shorten(self) -> None:
        """Forgets each word's own time, which is most of what is held."""
        self.change = replace(self.change, words=())
        self.more = {key: value for key, value in self.more.items() if key != "words"}
        self.short = True


class ViolationBook:
    """Violations of one call, the last 200; words of the last five minutes."""

    def __init__(self, tell: Tell, budget: Callable[[], Mapping[str, Any]]) -> None:
        """budget: the frame budget as events carry it."""
        self._tell = tell
        self._budget = budget
        self._told: OrderedDict[str, _Told] = OrderedDict()

    def change(self, change: ViolationChange, more: Mapping[str, Any]) -> None:
        """Tells a change. more: what the event says besides the fields of the violation."""
        before = self._told.get(change.id)
        kind = _TYPES[change.status]
        if before is None and change.status is Status.CONFIRMED:
            kind = CallEventType.VIOLATION_DETECTED
        told = _Told(change, more, before.evidence if before is not None else [])
        self._told[change.id] = told
        while len(self._told) > _KEPT:
            self._told.popitem(last=False)
        self._raise(kind, told)
        for old in self._told.values():
            if not old.short and old.change.t_end < change.t_end - _WORDS_KEPT_S:
                old.shorten()

    def kept(self, clip: SealedClip) -> None:
        """Tells of every violation that a clip belongs to that there is one."""
        for cause in clip.causes:
            told = self._told.get(cause)
            if told is not None and told.change.status is not Status.RETRACTED:
                told.evidence.append(_entry(clip))
                # When it was noticed was told with its first event.
                told.more = {key: value for key, value in told.more.items() if key != "latency"}
                self._raise(CallEventType.VIOLATION_UPDATED, told)

    def _raise(self, kind: CallEventType, told: _Told) -> None:
        change = told.change
        data = {
            "violation": change.as_dict(),
            "video": self._budget(),
            "source": asdict(change.source),
            "evidence": list(told.evidence),
            **told.more,
        }
        self._tell(kind, data, change.t_start)

    def rows(self) -> list[dict[str, Any]]:
        """All of them as the status shows them, without a word of what was said."""
        return [
            {
                "id": change.id,
                "status": str(change.status),
                "rule": change.rule,
                "category": change.category,
                "level": str(change.level),
                "speaker": str(change.speaker),
                "t_start": change.t_start,
                "t_end": change.t_end,
            }
            for change in (told.change for told in self._told.values())
        ]


def _entry(clip: SealedClip) -> dict[str, Any]:
    """A clip as violations name it; `evidence.ready` lists its parts."""
    media = next(part for part in clip.parts if part.name == _MEDIA)
    return {
        "evidence_id": clip.evidence_id,
        "kind": "clip",
        "media_type": media.media_type,
        "start_ms": round(clip.t_start * 1000),
        "end_ms": round(clip.t_end * 1000),
        "pre_roll_ms": clip.about["pre_roll_ms"],
        "post_roll_ms": clip.about["post_roll_ms"],
        "complete": clip.about["complete"],
        "sha256": media.sha256,
        "bytes": media.stored,
        "encryption": {"alg": "AES-256-GCM", "key_id": media.key_id, "wrapped": True},
        "voices": clip.about["voices"],
    }
