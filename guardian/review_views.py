"""How cases are told: in lists with little, on their own page with all that is needed to decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from guardian.core.case_queue import priority
from guardian.core.case_records import CaseRecord, DecisionRecord, HistoryRow
from guardian.core.cases import CaseState, Finding, ReviewTerms
from guardian.core.review_desk import Reviewer
from guardian.core.times import rfc3339

UNSURE = 0.6
"""A recogniser that was less sure of the words on average is said to be unsure."""
_BY_PEOPLE = frozenset({"claimed", "taken_over", "released"})


def row(record: CaseRecord, who: Reviewer, now: float, terms: ReviewTerms) -> dict[str, Any]:
    """A case as lists tell of it: no names, no words."""
    held = record.lease.alive(now)
    waits = record.state in (CaseState.OPEN, CaseState.SECOND_REVIEW, CaseState.ESCALATED)
    return {
        "case_id": record.id,
        "kind": record.kind.value,
        "state": record.state.value,
        "priority": priority(record.rank(terms), now, terms) if waits else None,
        "level": record.level.value,
        "category": record.category,
        "language": record.language or None,
        "rule": record.rule or None,
        "hits": record.hits,
        "role": record.role.value,
        "call_id": record.call_id or None,
        "made_at": rfc3339(record.made_at),
        "due_at": rfc3339(record.due_at),
        "overdue": waits and now > record.due_at,
        "claimed_by": record.lease.holder if held else None,
        "claimed_by_me": held and record.lease.holder == who.text,
        "claimed_until": rfc3339(record.lease.until) if held else None,
        "finding": record.finding.value if record.finding and record.state is CaseState.DECIDED else None,
        "decided_at": rfc3339(record.decided_at) if record.decided_at is not None else None,
        "version": record.version,
    }


def counts(record: CaseRecord, found: Mapping[str, int] | None) -> dict[str, int]:
    """How other cases about the same party ended. found: by finding, all of the party's."""
    known = dict(found or {})
    if record.finding is not None and record.party:
        known[record.finding.value] = known.get(record.finding.value, 0) - 1
    return {finding.value: max(0, known.get(finding.value, 0)) for finding in Finding}


def call(record: CaseRecord) -> dict[str, Any]:
    """The call of a case. Of the order no more than the beginning of a hash."""
    spec = record.call
    order = spec.order_ref_sha256
    return {
        "call_id": record.call_id or None,
        "purpose": spec.purpose,
        "initiated_by": spec.initiated_by,
        "notice_version": spec.notice_version,
        "scopes": sorted(scope.value for scope in spec.scopes),
        "order_ref": f"ord_sha256:{order[:12]}" if order else None,
        "started_at": spec.started_at or None,
    }


def hit(record: CaseRecord, rule: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Why it was flagged; None of a complaint. rule: the one in force now, None when there is none."""
    facts = record.facts
    if "score" not in facts:
        return None
    sure = facts.get("confidence")
    return {
        "rule": record.rule,
        "rule_version": facts.get("rule_version") or None,
        "rule_version_now": rule.get("version") if rule else None,
        "ruleset": facts.get("ruleset") or None,
        "clause": facts.get("clause") or None,
        "kind": "shown" if facts.get("shown") else "phrase",
        "shown": facts.get("shown"),
        "box": facts.get("box"),
        "status": facts.get("status"),
        "phrase": record.said.get("phrase"),
        "heard": record.said.get("heard"),
        "start_ms": round(facts["t_start"] * 1000),
        "end_ms": round(facts["t_end"] * 1000),
        "score": {
            "total": facts["score"],
            "weight": rule.get("weight") if rule else None,
            "recogniser": sure,
        },
        "recogniser": facts.get("recogniser"),
        "unsure": sure is not None and sure < UNSURE,
        "exceptions_weighed": list(rule.get("exceptions", ())) if rule else [],
    }


def history(rows: Sequence[HistoryRow]) -> list[dict[str, Any]]:
    """What was done in a case. Who decided what is not told here: some decide without knowing it."""
    return [
        {
            "version": one.version,
            "what": one.what,
            "by": one.actor if one.what in _BY_PEOPLE else None,
            "at": rfc3339(one.at),
        }
        for one in rows
    ]


def notes(rows: Sequence[HistoryRow], shown: Callable[[str], str]) -> list[dict[str, Any]]:
    """What people have remarked. shown: as whoever asks may read it."""
    return [
        {"by": one.actor, "at": rfc3339(one.at), "note": shown(str(one.detail["note"]))}
        for one in rows
        if one.detail.get("note")
    ]


def decision(made: DecisionRecord) -> dict[str, Any]:
    """A decision that was made."""
    return {
        "choice": made.choice.value,
        "reason": made.reason,
        "stage": made.stage.value,
        "by": made.actor,
        "at": rfc3339(made.at),
        "finding": made.finding.value if made.finding is not None else None,
    }
