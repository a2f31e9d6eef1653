"""What each event holds, as models; the schema files under docs/schemas are made from them.

They describe and do not filter: an event is sent as the envelope builds it, and tests hold it to these.
Receivers must bear with keys they do not know; a change they could not bear makes a new version of the type.
"""

from __future__ import annotations

from guardian.core.calls import CallEventType
from guardian.events.call_models import Complained, Coverage, Degraded, Joined, Lapsed, Left, Requested
from guardian.events.evidence_models import EvidenceDeleted, EvidenceReady
from guardian.events.model_parts import Data
from guardian.events.review_models import AppealDecided, AppealOpened, ReviewClaimed, ReviewDecided
from guardian.events.violation_models import Violation

DATA: dict[CallEventType, type[Data]] = {
    CallEventType.VIOLATION_DETECTED: Violation,
    CallEventType.VIOLATION_UPDATED: Violation,
    CallEventType.VIOLATION_RETRACTED: Violation,
    CallEventType.CALL_JOINED: Joined,
    CallEventType.CALL_COVERAGE: Coverage,
    CallEventType.CALL_LEFT: Left,
    CallEventType.PRIVACY_DEGRADED: Degraded,
    CallEventType.HEARING_LAPSED: Lapsed,
    CallEventType.ACTION_REQUESTED: Requested,
    CallEventType.COMPLAINT_RECEIVED: Complained,
    CallEventType.EVIDENCE_READY: EvidenceReady,
    CallEventType.EVIDENCE_DELETED: EvidenceDeleted,
    CallEventType.REVIEW_CLAIMED: ReviewClaimed,
    CallEventType.REVIEW_DECIDED: ReviewDecided,
    CallEventType.APPEAL_OPENED: AppealOpened,
    CallEventType.APPEAL_DECIDED: AppealDecided,
}
"""What each type holds in `data`."""
