"""`/review/rules/{id}/exception`: an exception that is proposed, what it would have done, and writing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from guardian.core.cases import Finding
from guardian.core.errors import RuleRefused, RulesKept
from guardian.core.people import Permission
from guardian.core.rule_desk import RuleAuthor, RuleQuestion
from guardian.core.rule_proposals import WHERES, WITHIN_MOST, Proposal, proposed
from guardian.core.rulebook import RulesRefused, RuleState
from guardian.web.access import principal_of
from guardian.web.console import visitor
from guardian.web.evidence import beside as beside_cases
from guardian.web.office import done, filled, show, whole
from guardian.web.parts import parts_of
from guardian.web.reviewing import reviewer_of
from guardian.web.rule_pages import PAST_DAYS, RULES, rule_of, speaker_of
from guardian.web.rules import beside

_HERE = f"{RULES}/{{rule_id}}/exception"
_WITHIN = 4
_REMOVED = "removed"
_REASON_LEAST, _REASON_MOST = 3, 500

router = APIRouter(include_in_schema=False)


@router.post(_HERE)
async def propose(request: Request, rule_id: str) -> Response:
    """What an exception would have done to past hits; changes nothing. What was said is in no address."""
    visitor(request, Permission.RULES_TRY)
    return await _page(request, rule_id, await filled(request))


@router.post(f"{_HERE}/write")
async def write(request: Request, rule_id: str) -> Response:
    """Writes it in shadow or to hold, or removes it."""
    person = visitor(request, Permission.RULES_CHANGE).person
    rule, given = await rule_of(request, rule_id), await filled(request)
    by = RuleAuthor(principal_of(person), given.get("reason", ""))
    to = given.get("to", "")
    if not _REASON_LEAST <= len(by.reason) <= _REASON_MOST:
        return await _page(request, rule_id, given, "Say in a few words why.")
    try:
        proposal = _proposal(rule_id, given)
        text = None if to == _REMOVED else proposal.text(by.tenant, rule, _state(to))
        file = f"overlays/{proposal.overlay(by.tenant)}.yaml"
        await beside(parts_of(request).rules.put, by, file, text)
    except (RuleRefused, RulesKept, RulesRefused) as refusal:
        return await _page(request, rule_id, given, str(refusal))
    return done(f"{RULES}/{rule_id}", "rules_removed" if text is None else "rules_written")


async def _page(request: Request, rule_id: str, given: Mapping[str, str], fault: str = "") -> Response:
    rule = await rule_of(request, rule_id)
    effect: dict[str, Any] | None = None
    text, written = "", False
    tenant = visitor(request, Permission.RULES_TRY).person.tenant
    try:
        proposal = _proposal(rule_id, given)
        effect = await _effect(request, rule, proposal)
        text = proposal.text(tenant, rule, RuleState.SHADOW)
        written = any(one["name"] == proposal.overlay(tenant) for one in rule["overlays"])
    except (RuleRefused, RulesRefused) as refusal:
        fault = fault or str(refusal)
    values = {
        "rule": rule,
        "given": given,
        "within": whole(given.get("within", ""), 0, WITHIN_MOST, _WITHIN),
        "wheres": WHERES,
        "within_most": WITHIN_MOST,
        "effect": effect,
        "text": text,
        "written": written,
        "days": PAST_DAYS,
    }
    return show(request, "exception.html", values, fault=fault, status=422 if fault else 200)


def _proposal(rule_id: str, given: Mapping[str, str]) -> Proposal:
    within = whole(given.get("within", ""), 0, WITHIN_MOST, _WITHIN)
    return proposed(rule_id, given.get("words", ""), given.get("where", ""), within)


def _state(to: str) -> RuleState:
    return RuleState.LIVE if to == RuleState.LIVE else RuleState.SHADOW


async def _effect(request: Request, rule: Mapping[str, Any], proposal: Proposal) -> dict[str, Any]:
    """Past hits that would not be raised any more, or otherwise, with what people had found of them."""
    person = visitor(request, Permission.RULES_TRY).person
    parts = parts_of(request)
    hits = await beside_cases(parts.review.hits, reviewer_of(person), rule["id"], PAST_DAYS)
    lines = tuple(dict.fromkeys([*(hit.phrase for hit in hits), *proposal.phrases]))
    file = f"overlays/{proposal.overlay(person.tenant)}.yaml"
    files = {file: proposal.text(person.tenant, rule, RuleState.LIVE)}
    question = RuleQuestion(person.tenant, "", (), speaker_of(rule), lines)
    found = await beside(parts.rules.backtest, question, files)
    changed = {one["text"]: one for one in found["differences"]}
    spared = [hit for hit in hits if changed.get(hit.phrase, {}).get("kind") == "gone"]
    cases = {finding: sum(hit.cases for hit in spared if hit.finding is finding) for finding in Finding}
    return {
        "cases": sum(hit.cases for hit in hits),
        "right": cases[Finding.DISMISSED],
        "wrong": cases[Finding.CONFIRMED],
        "rows": [(hit, changed[hit.phrase]) for hit in hits if hit.phrase in changed],
        "itself": [one for text, one in changed.items() if text not in {hit.phrase for hit in hits}],
    }
