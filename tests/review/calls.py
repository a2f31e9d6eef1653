"""Calls and what they tell, as call processes do."""

from guardian.core.calls import CallEvent, CallEventType, CallSpec, Scope
from guardian.core.violations import Role

AT = "2026-11-21T09:14:32.418Z"


def spec(call_id="c", tenant="acme", **changes) -> CallSpec:
    given = {
        "participants": {Role.SHOPPER: "u_1", Role.MERCHANT: "m_1"},
        "scopes": frozenset(Scope),
        "notice_version": "zh-2026-10",
        "purpose": "after_sale_install",
        "initiated_by": "merchant",
        "started_at": "2026-11-21T09:11:02.100Z",
        **changes,
    }
    return CallSpec(call_id=call_id, tenant=tenant, **given)


def violation(
    cause, call_id="c", kind=CallEventType.VIOLATION_DETECTED, status="detected", **changes
) -> CallEvent:
    fields = {
        "id": cause,
        "status": status,
        "rule": "contact.add",
        "category": "contact_exchange.wechat",
        "level": "REVIEW",
        "phrase": "加微信",
        "heard": "加个薇信",
        "speaker": "merchant",
        "language": "zh",
        "t_start": 210.318,
        "t_end": 211.042,
        "t_emitted": 211.9,
        "score": 0.94,
        **changes,
    }
    words = [{"text": "加", "t_start": 210.318, "t_end": 210.45, "confidence": 0.8}]
    source = {"version": "7", "clause": "2.1", "ruleset": "default@abc"}
    data = {"violation": fields, "words": words, "source": source, "asr_model": "zipformer"}
    return CallEvent(call_id, kind, AT, 210.318, data)


def complaint(by="shopper", reason=None, call_id="c") -> CallEvent:
    data = {"role": by, "reason": reason}
    return CallEvent(call_id, CallEventType.COMPLAINT_RECEIVED, AT, 95.0, data)
