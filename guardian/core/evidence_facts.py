"""What is kept and told of a clip: its call, its span and its files. Never what was said or shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from guardian.core.calls import CallSpec, Scope
from guardian.core.evidence import ClipRecord, SealedClip
from guardian.core.times import rfc3339
from guardian.core.violations import Role

ALGORITHM = "AES-256-GCM"
_OF_PART = {"media_type", "size", "stored", "sha256"}


def facts_of(spec: CallSpec, clip: SealedClip) -> dict[str, Any]:
    """The facts of a new clip, JSON values. Sealed keys are kept elsewhere, where they can be destroyed."""
    return {
        "call": {
            "call_id": spec.call_id,
            "tenant": spec.tenant,
            "participants": {role.value: name for role, name in spec.participants.items()},
            "scopes": sorted(scope.value for scope in spec.scopes),
            "notice_version": spec.notice_version,
            "purpose": spec.purpose,
            "initiated_by": spec.initiated_by,
            "order_ref_sha256": spec.order_ref_sha256,
            "started_at": spec.started_at,
        },
        "cause": clip.cause,
        "causes": list(clip.causes),
        "start_ms": round(clip.t_start * 1000),
        "end_ms": round(clip.t_end * 1000),
        "parts": {
            part.name: {
                "media_type": part.media_type,
                "size": part.size,
                "stored": part.stored,
                "sha256": part.sha256,
            }
            for part in clip.parts
        },
        "about": dict(clip.about),
    }


def facts_read(text: str) -> Mapping[str, Any]:
    """The facts of a text that was kept; nothing when it is none: somebody has written into it."""
    try:
        facts = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return facts if _shaped(facts) else {}


def _shaped(facts: Any) -> bool:
    if not isinstance(facts, dict) or not isinstance(facts.get("causes", []), list):
        return False
    call, about, parts = (facts.get(name, {}) for name in ("call", "about", "parts"))
    if not all(isinstance(one, dict) for one in (call, about, parts)):
        return False
    scopes = call.get("scopes", [])
    return (
        isinstance(call.get("participants", {}), dict)
        and isinstance(scopes, list)
        and all(scope in list(Scope) for scope in scopes)
        and all(isinstance(part, dict) and part.keys() >= _OF_PART for part in parts.values())
    )


def call_of(record: ClipRecord) -> CallSpec:
    """The call a clip is of, as far as events name it."""
    call: Mapping[str, Any] = record.facts.get("call", {})
    return CallSpec(
        call_id=record.call_id,
        tenant=record.tenant,
        participants={Role(role): str(name) for role, name in record.participants.items()},
        scopes=frozenset(Scope(scope) for scope in call.get("scopes", ())),
        notice_version=str(call.get("notice_version", "")),
        purpose=call.get("purpose"),
        initiated_by=call.get("initiated_by"),
        order_ref_sha256=call.get("order_ref_sha256"),
        started_at=str(call.get("started_at", "")),
    )


def told(record: ClipRecord, now: float) -> dict[str, Any]:
    """A clip as the API and its events tell of it."""
    facts = record.facts
    erased = record.erased_at is not None
    state = "erased" if erased else "expired" if record.expired(now) else "kept"
    return {
        "evidence_id": record.id,
        "state": state,
        "review": record.review,
        "call_id": record.call_id or None,
        "participants": dict(record.participants),
        "cause": facts.get("cause"),
        "causes": facts.get("causes", []),
        "start_ms": facts.get("start_ms"),
        "end_ms": facts.get("end_ms"),
        **facts.get("about", {}),
        "parts": [
            {
                "kind": name,
                "media_type": part["media_type"],
                "bytes": part["stored"],
                "sha256": part["sha256"],
                "encryption": {"alg": ALGORITHM, "wrapped": name in record.part_keys},
            }
            for name, part in record.parts.items()
        ],
        "made_at": rfc3339(record.made_at),
        "retain_until": None if erased else rfc3339(record.retain_until),
        "legal_hold": None
        if record.hold is None or not record.held(now)
        else {
            "owner": record.hold.owner,
            "reason": record.hold.reason,
            "until": rfc3339(record.hold.until),
        },
        "erased_at": rfc3339(record.erased_at) if record.erased_at is not None else None,
        "erased_why": record.erased_why or None,
    }
