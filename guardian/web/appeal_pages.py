"""`/review/appeals`: a second look at a decision, by somebody who has not decided it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from guardian.core.appeals import APPEAL_ID, AppealChoice, AppealFinding, AppealState
from guardian.core.case_queue import CURSOR_OR_NONE
from guardian.core.cases import Choice
from guardian.core.errors import CaseConflict, CaseRefused, NoSuchCase
from guardian.core.people import Permission
from guardian.core.review_desk import AppealList, Judgement, Reviewer
from guardian.web.console import visitor
from guardian.web.evidence import beside
from guardian.web.office import done, filled, show, whole
from guardian.web.parts import Parts, parts_of
from guardian.web.reviewing import reviewer_of

APPEALS = "/review/appeals"
_ONE = f"{APPEALS}/{{appeal_id}}"
_PAGE = 50
_REASON_LEAST, _REASON_MOST, _TEXT_MOST = 3, 2000, 5000
_OUTCOMES = {AppealChoice.UPHOLD: AppealFinding.UPHELD, AppealChoice.OVERTURN: AppealFinding.OVERTURNED}
_OPINIONS = (Choice.CONFIRM, Choice.DISMISS)
_SAID = ("appeals_claimed", "appeals_opinion_kept", "appeals_decided_now")
_TEXTS = ("facts", "clause", "automation", "redress")

router = APIRouter(include_in_schema=False)


@router.get(APPEALS)
async def appeals(request: Request) -> Response:
    """Those of a state, those that are due first first."""
    who = reviewer_of(visitor(request, Permission.CASES_SEE).person)
    asked = request.query_params
    state = next((one for one in AppealState if one == asked.get("state")), AppealState.OPEN)
    after = asked.get("after", "") if _is_cursor(asked.get("after", "")) else ""
    found = await beside(parts_of(request).appeals.list, who, AppealList(state, after, _PAGE))
    values = {"appeals": found["appeals"], "next": found["next"], "state": state, "states": list(AppealState)}
    return show(request, "appeals.html", values)


@router.get(_ONE)
async def one(request: Request, appeal_id: str) -> Response:
    """One appeal; what was decided is folded away until whoever looks has said what they think."""
    return await _page(request, appeal_id)


@router.post(f"{_ONE}/claim")
async def claim(request: Request, appeal_id: str) -> Response:
    """Claims the case of the appeal."""
    who, appeal = await _judge(request, appeal_id)
    try:
        await beside(parts_of(request).review.claim, who, appeal["case_id"])
    except (CaseConflict, CaseRefused) as refusal:
        return await _page(request, appeal_id, fault=refusal)
    return done(f"{APPEALS}/{appeal_id}", "appeals_claimed")


@router.post(f"{_ONE}/opinion")
async def opinion(request: Request, appeal_id: str) -> Response:
    """Keeps what somebody thinks of the case; what was decided is told then."""
    who, appeal = await _judge(request, appeal_id)
    given = await filled(request)
    choice = next((one for one in _OPINIONS if one == given.get("opinion")), None)
    version = whole(given.get("version", ""), 0, 1 << 53, 0)
    try:
        if choice is None:
            raise CaseRefused("Say what you think of the case.")
        await _claimed(parts_of(request), who, appeal, given)
        await beside(parts_of(request).appeals.opinion, who, appeal_id, choice, version)
    except (CaseConflict, CaseRefused) as refusal:
        return await _page(request, appeal_id, given, refusal)
    return done(f"{APPEALS}/{appeal_id}", "appeals_opinion_kept")


@router.post(f"{_ONE}/decide")
async def decide(request: Request, appeal_id: str) -> Response:
    """Upholds or overturns; the page that refuses it holds all that was typed."""
    who, appeal = await _judge(request, appeal_id)
    given = await filled(request)
    choice = next((one for one in AppealChoice if one == given.get("decision")), None)
    reason = given.get("reason", "")
    version = whole(given.get("version", ""), 0, 1 << 53, 0)
    desk = parts_of(request).appeals
    try:
        if choice is None:
            raise CaseRefused("Say whether the decision is upheld or overturned.")
        if not _REASON_LEAST <= len(reason) <= _REASON_MOST:
            raise CaseRefused("Say in a few words why.")
        await _claimed(parts_of(request), who, appeal, given)
        drafts = await beside(desk.draft, who, appeal_id)
        statement = _edited(drafts[_OUTCOMES[choice].value], given)
        await beside(desk.decide, who, appeal_id, Judgement(version, choice, reason, statement))
    except (CaseConflict, CaseRefused) as refusal:
        return await _page(request, appeal_id, given, refusal)
    return done(f"{APPEALS}/{appeal_id}", "appeals_decided_now")


async def _judge(request: Request, appeal_id: str) -> tuple[Reviewer, dict[str, Any]]:
    who = reviewer_of(visitor(request, Permission.APPEALS_JUDGE).person)
    return who, await beside(parts_of(request).appeals.show, who, _known(appeal_id))


async def _claimed(parts: Parts, who: Reviewer, appeal: Mapping[str, Any], given: Mapping[str, str]) -> None:
    """Claims the case first where the form says so: a claim that ended takes nothing typed along."""
    if "claim" in given:
        await beside(parts.review.claim, who, appeal["case_id"])


async def _page(
    request: Request,
    appeal_id: str,
    typed: Mapping[str, str] | None = None,
    fault: CaseConflict | CaseRefused | None = None,
) -> Response:
    """The page; typed: what a form had that was refused."""
    who = reviewer_of(visitor(request, Permission.CASES_SEE).person)
    parts = parts_of(request)
    appeal = await beside(parts.appeals.show, who, _known(appeal_id))
    case = await beside(parts.review.show, who, appeal["case_id"])
    judges = who.may(Permission.APPEALS_JUDGE) and not appeal["mine"]["decided_before"]
    deciding = judges and appeal["mine"]["judge"] and appeal["state"] != AppealState.DECIDED
    drafts = await beside(parts.appeals.draft, who, appeal_id) if deciding else {}
    draft = drafts.get(AppealFinding.UPHELD.value)
    values = {
        "appeal": appeal,
        "case": case,
        "held": case["lease"] is not None,
        "judges": judges and appeal["state"] != AppealState.DECIDED,
        "deciding": deciding,
        "typed": typed or {},
        "texts": {name: (typed or {}).get(f"statement-{name}", text) for name, text in _texts(draft).items()},
        "choices": list(AppealChoice),
        "opinions": _OPINIONS,
        "conflict": isinstance(fault, CaseConflict),
    }
    status = 200 if fault is None else 409 if isinstance(fault, CaseConflict) else 422
    return show(
        request, "appeal.html", values, *_SAID, fault=str(fault) if fault is not None else "", status=status
    )


def _texts(draft: Mapping[str, Any] | None) -> dict[str, str]:
    """What of a statement of reasons is text that a person completes."""
    if draft is None:
        return {}
    automation, redress = draft.get("automation") or {}, draft.get("redress") or {}
    found = (draft.get("facts"), draft.get("clause"), automation.get("text"), redress.get("text"))
    return {name: str(text or "") for name, text in zip(_TEXTS, found, strict=True)}


def _edited(draft: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """The draft with what a person made of its texts; what machines did and until when stays as it was."""
    made = deepcopy(dict(draft))
    texts = {name: given.get(f"statement-{name}", text)[:_TEXT_MOST] for name, text in _texts(draft).items()}
    made["facts"], made["clause"] = texts["facts"], texts["clause"] or None
    made["automation"] = {**(made.get("automation") or {}), "text": texts["automation"]}
    made["redress"] = {**(made.get("redress") or {}), "text": texts["redress"]}
    return made


def _is_cursor(text: str) -> bool:
    return re.fullmatch(CURSOR_OR_NONE, text) is not None


def _known(appeal_id: str) -> str:
    if not APPEAL_ID.fullmatch(appeal_id):
        raise NoSuchCase("There is no such appeal.")
    return appeal_id
