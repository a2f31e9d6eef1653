"""`/review/rules`: the rules in force, what was changed of them, and what they say to a line."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from guardian.core.errors import NoSuchRule, RulesKept
from guardian.core.people import Permission
from guardian.core.rule_desk import RuleAuthor, RuleQuestion, RuleVersion
from guardian.core.rule_proposals import PREFIX, Proposal, proposal_of
from guardian.core.rulebook import RulesRefused, RuleState
from guardian.core.violations import Role
from guardian.web.access import principal_of
from guardian.web.console import visitor
from guardian.web.evidence import beside as beside_cases
from guardian.web.office import chosen, done, filled, show
from guardian.web.operation_pages import live_calls
from guardian.web.parts import parts_of
from guardian.web.reviewing import reviewer_of
from guardian.web.rules import beside

RULES = "/review/rules"
PAST_DAYS = 90
_LINES_MOST, _LINE_MOST = 200, 500
_REASON_LEAST, _REASON_MOST = 3, 500
_SAID = ("rules_switched", "rules_written", "rules_removed")

router = APIRouter(include_in_schema=False)


@router.get(RULES)
async def rules(request: Request) -> Response:
    """All of them, chosen by state and category."""
    visitor(request, Permission.RULES_SEE)
    return await _list(request, {})


@router.post(f"{RULES}/test")
async def test(request: Request) -> Response:
    """Judges typed lines by the rules in force; nothing is kept."""
    person = visitor(request, Permission.RULES_TRY).person
    given = await filled(request)
    lines = [line[:_LINE_MOST] for line in given.get("lines", "").splitlines() if line.strip()]
    speaker = Role.SHOPPER if given.get("speaker") == Role.SHOPPER else Role.MERCHANT
    question = RuleQuestion(person.tenant, "", (), speaker, tuple(lines[:_LINES_MOST]))
    judged = await beside(parts_of(request).rules.test, question)
    return await _list(request, {"lines": given.get("lines", ""), "speaker": speaker.value, "judged": judged})


@router.get(f"{RULES}/{{rule_id}}")
async def one(request: Request, rule_id: str) -> Response:
    """One rule: what it is, what it was, what it has hit."""
    visitor(request, Permission.RULES_SEE)
    return await rule_page(request, rule_id)


@router.post(f"{RULES}/{{rule_id}}/past")
async def past(request: Request, rule_id: str) -> Response:
    """What the rules in force say to what this one has hit before."""
    person = visitor(request, Permission.RULES_TRY).person
    rule = await rule_of(request, rule_id)
    hits = await beside_cases(parts_of(request).review.hits, reviewer_of(person), rule_id, PAST_DAYS)
    lines = tuple(dict.fromkeys(hit.phrase for hit in hits))
    question = RuleQuestion(person.tenant, "", (), speaker_of(rule), lines)
    judged = await beside(parts_of(request).rules.test, question) if lines else []
    return await rule_page(request, rule_id, judged={row["text"]: row for row in judged})


@router.post(f"{RULES}/{{rule_id}}/state")
async def switch(request: Request, rule_id: str) -> Response:
    """Switches a rule off, to shadow or live; holds in running calls within seconds."""
    person = visitor(request, Permission.RULES_CHANGE).person
    given = await filled(request)
    rule = await rule_of(request, rule_id)
    reason = given.get("reason", "")
    state = next((one for one in RuleState if one == given.get("state")), None)
    if state is None or not _REASON_LEAST <= len(reason) <= _REASON_MOST:
        return await rule_page(request, rule["id"], reason, fault="Say in a few words why.")
    by = RuleAuthor(principal_of(person), reason)
    try:
        await beside(parts_of(request).rules.set_state, by, rule["id"], state)
    except (RulesKept, RulesRefused) as refusal:
        return await rule_page(request, rule["id"], reason, fault=str(refusal))
    return done(f"{RULES}/{rule['id']}", "rules_switched")


async def rule_of(request: Request, rule_id: str) -> Mapping[str, Any]:
    """A rule in force for whoever looks. NoSuchRule."""
    tenant = visitor(request, Permission.RULES_SEE).person.tenant
    found = await beside(parts_of(request).rules.overview, tenant)
    for rule in found["rules"]:
        if rule["id"] == rule_id:
            return {**rule, "editable": found["editable"], "overlays": found["overlays"]}
    raise NoSuchRule("There is no rule with this id.")


def speaker_of(rule: Mapping[str, Any]) -> Role:
    """Who is taken to speak where lines are tried."""
    return Role.SHOPPER if rule["speaker"] == Role.SHOPPER else Role.MERCHANT


async def rule_page(
    request: Request,
    rule_id: str,
    reason: str = "",
    judged: Mapping[str, Any] | None = None,
    fault: str = "",
) -> Response:
    """The page of one rule. reason: as it was typed; judged: past hits by their phrase."""
    person = visitor(request, Permission.RULES_SEE).person
    parts, rule = parts_of(request), await rule_of(request, rule_id)
    may_see_hits = person.may(Permission.QUALITY_SEE)
    hits = (
        await beside_cases(parts.review.hits, reviewer_of(person), rule_id, PAST_DAYS) if may_see_hits else ()
    )
    changes = await beside(parts.rules.changes, person.tenant, rule_id)
    values = {
        "rule": rule,
        "states": list(RuleState),
        "reason": reason,
        "hits": hits,
        "judged": judged,
        "days": PAST_DAYS,
        "shadow": _shadow(request, person.tenant).get(rule_id, 0),
        "changes": [(change, _differences(change)) for change in changes],
        "proposals": await _proposals(request, person.tenant, rule),
    }
    return show(request, "rule.html", values, *_SAID, fault=fault, status=422 if fault else 200)


async def _list(request: Request, tried: Mapping[str, Any]) -> Response:
    tenant = visitor(request, Permission.RULES_SEE).person.tenant
    found = await beside(parts_of(request).rules.overview, tenant)
    meant = chosen(request, 64, "state", "category")
    listed = [
        rule
        for rule in found["rules"]
        if meant["state"] in ("", rule["state"]) and meant["category"] in ("", rule["category"])
    ]
    values = {
        "about": found,
        "rules": listed,
        "chosen": meant,
        "states": list(RuleState),
        "counts": Counter(rule["state"] for rule in found["rules"]),
        "categories": sorted({rule["category"] for rule in found["rules"]}),
        "shadow": _shadow(request, tenant),
        "tried": tried,
    }
    return show(request, "rules.html", values)


def _shadow(request: Request, tenant: str) -> Counter[str]:
    """Attempts in shadow by rule, of the calls that are live."""
    counted: Counter[str] = Counter()
    for _, status in live_calls(parts_of(request), tenant):
        rules = status.get("rules")
        counted.update(dict(rules.get("shadow_hits", {})) if isinstance(rules, Mapping) else {})
    return counted


async def _proposals(request: Request, tenant: str, rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Exceptions that were proposed here for a rule, and whether they hold."""
    shadow, found = _shadow(request, tenant), []
    for overlay in rule["overlays"]:
        if not overlay["name"].startswith(PREFIX):
            continue
        text = await beside(parts_of(request).rules.text, tenant, f"overlays/{overlay['name']}.yaml")
        proposal: Proposal | None = proposal_of(text)
        if proposal is not None and proposal.rule == rule["id"]:
            state = RuleState.LIVE if overlay["changes"] else RuleState.SHADOW
            spared = max(0, shadow[rule["id"]] - shadow[proposal.twin])
            counted = {"hits": shadow[proposal.twin], "spared": spared}
            found.append({"proposal": proposal, "state": state, **counted})
    return found


def _differences(change: RuleVersion) -> list[tuple[str, str, str]]:
    """(what, `del`, `ins` or `span`, line): each fact that changed, old lines and new ones."""
    rows = []
    was, now = change.was or {}, change.now or {}
    for name in {**was, **now}:
        before, after = _lines(was.get(name)), _lines(now.get(name))
        for line in difflib.ndiff(before, after):
            mark = {"- ": "del", "+ ": "ins", "  ": "span"}.get(line[:2])
            if mark is not None and (mark != "span" or len(before) < 2):
                rows.append((name, mark, line[2:]))
    return rows


def _lines(value: Any) -> Sequence[str]:
    if value is None or value == "":
        return []
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]
