"""Makes cases of what calls tell: written with the event, so that none is without the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from guardian.core.audit import CLOCK
from guardian.core.calls import CallEvent, CallEventType, CallSpec, Scope
from guardian.core.cases import CaseKind, ReviewTerms
from guardian.core.evidence import ReviewState
from guardian.core.masking import masked, masked_speech
from guardian.core.ports import Clock
from guardian.core.retention import Retention
from guardian.core.violations import Level, Role, Status
from guardian.desk import Also
from guardian.events.ulid import ulid
from guardian.store import case_changes as changes
from guardian.store.case_changes import Key, NewCase
from guardian.store.case_work import follow
from guardian.store.evidence_changes import Doing

_VIOLATIONS = frozenset(
    {
        CallEventType.VIOLATION_DETECTED,
        CallEventType.VIOLATION_UPDATED,
        CallEventType.VIOLATION_RETRACTED,
    }
)


class CaseKeeper:
    """What an event changes among the cases. From any thread."""

    def __init__(self, terms: ReviewTerms, retention: Retention, now: Clock) -> None:
        self._terms = terms
        self._retention = retention
        self._now = now

    def beside(self, spec: CallSpec, event: CallEvent, event_id: str) -> Also | None:
        """For `guardian.desk.Surroundings`; None when the event changes no case."""
        now = self._now()
        if event.type in _VIOLATIONS:
            return self._violation(spec, event, event_id)
        match event.type:
            case CallEventType.COMPLAINT_RECEIVED:
                return partial(changes.make, new=self._complaint(spec, event, event_id), terms=self._terms)
            case CallEventType.EVIDENCE_READY:
                keys = [Key(spec.tenant, spec.call_id, str(one)) for one in event.data["causes"]]
                evidence_id = str(event.data["evidence_id"])
                return lambda db: self._follow(db, changes.add_clip(db, keys, evidence_id, now), now)
            case CallEventType.EVIDENCE_DELETED:
                evidence_id = str(event.data["evidence_id"])
                return lambda db: changes.drop_clip(db, evidence_id, now)
            case _:
                return None

    def _violation(self, spec: CallSpec, event: CallEvent, event_id: str) -> Also:
        new = self._of_violation(spec, event, event_id)
        match event.type:
            case CallEventType.VIOLATION_DETECTED:
                return partial(changes.make, new=new, terms=self._terms)
            case CallEventType.VIOLATION_RETRACTED:
                return lambda db: self._follow(db, [changes.retract(db, new.key, new.at)], new.at)
            case _:
                return lambda db: changes.update(db, new, self._terms)

    def _follow(self, db: sa.Connection, ids: Sequence[str | None], at: float) -> None:
        """Clips are kept as long as what was said of their cases has it, and that may have been before."""
        for case_id in ids:
            if case_id is not None:
                follow(db, case_id, self._retention, Doing(CLOCK.text, at))

    def _of_violation(self, spec: CallSpec, event: CallEvent, event_id: str) -> NewCase:
        change: Mapping[str, Any] = event.data["violation"]
        source: Mapping[str, str] = event.data.get("source") or {}
        shown: Mapping[str, Any] = event.data.get("shown") or {}
        role = Role(change["speaker"])
        sure = [
            float(w["confidence"]) for w in event.data.get("words", ()) if w.get("confidence") is not None
        ]
        facts = {
            **_call(spec),
            "t_start": round(float(change["t_start"]), 3),
            "t_end": round(float(change["t_end"]), 3),
            "status": Status(change["status"]).value,
            "score": round(float(change["score"]), 3),
            "confidence": round(sum(sure) / len(sure), 3) if sure else None,
            "recogniser": event.data.get("asr_model"),
            "rule_version": source.get("version") or "",
            "clause": source.get("clause") or "",
            "ruleset": source.get("ruleset") or "",
            "shown": shown.get("kind"),
            "box": shown.get("box"),
        }
        heard, language = str(change["heard"]), str(change["language"])
        heard = masked(heard) if event.data.get("shown") else masked_speech(heard, language)
        said = {"phrase": masked(str(change["phrase"])), "heard": heard}
        at = self._now()
        return NewCase(
            id=f"case_{ulid()}",
            kind=CaseKind.VIOLATION,
            key=Key(spec.tenant, spec.call_id, str(change["id"])),
            event_id=event_id,
            role=role,
            party=spec.participants.get(role, ""),
            other=spec.participants.get(role.other, ""),
            level=Level(change["level"]),
            category=str(change["category"]),
            language=language,
            rule=str(change["rule"]),
            facts=facts,
            # Without the consent to keep evidence no word of it is kept here either.
            said=said if Scope.KEEP in spec.scopes else {},
            at=at,
            retain_until=self._retention.until(ReviewState.UNREVIEWED, at),
        )

    def _complaint(self, spec: CallSpec, event: CallEvent, event_id: str) -> NewCase:
        by = Role(event.data["role"])
        reason = event.data.get("reason") or "other"
        at = self._now()
        span = {"t_start": round(event.media_t, 3), "t_end": round(event.media_t, 3)}
        return NewCase(
            id=f"case_{ulid()}",
            kind=CaseKind.COMPLAINT,
            key=Key(spec.tenant, spec.call_id, event_id),
            event_id=event_id,
            role=by.other,
            party=spec.participants.get(by.other, ""),
            other=spec.participants.get(by, ""),
            level=Level.REVIEW,
            category=f"complaint.{reason}",
            language="",
            rule="",
            facts={**_call(spec), **span, "complaint": {"by": by.value, "reason": event.data.get("reason")}},
            said={},
            at=at,
            retain_until=self._retention.until(ReviewState.UNREVIEWED, at),
        )


def _call(spec: CallSpec) -> dict[str, Any]:
    return {
        "call": {
            "scopes": sorted(scope.value for scope in spec.scopes),
            "notice_version": spec.notice_version,
            "purpose": spec.purpose,
            "initiated_by": spec.initiated_by,
            "order_ref_sha256": spec.order_ref_sha256,
            "started_at": spec.started_at,
        }
    }
