"""`/review/cases/{case_id}`: one case, to be looked at, listened to and decided."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from guardian.core.cases import CASE_ID, REASONS, Action, CaseState, Choice
from guardian.core.errors import CaseConflict, CaseRefused, NoSuchCase
from guardian.core.people import Permission, Person
from guardian.web.bodies import read_query
from guardian.web.cases import Decision, NextWish, TakeOver, desk_of
from guardian.web.clip_view import GAP, HEIGHT, LANE, LANES, WIDTH, view_of
from guardian.web.console import language_of, page, visitor
from guardian.web.evidence import beside
from guardian.web.problems import Problem
from guardian.web.queue import QUEUE, case_path, chosen_in, exposure_of, names_of
from guardian.web.reviewing import reviewer_of
from guardian.web.sessions import form_of
from guardian.web.spans import clock, span
from guardian.web.words import WORDS

CASE = "/review/cases/{case_id}"
VERDICTS = tuple((choice.value, reason) for choice in Choice for reason in REASONS[choice])
_DRAFT = ("verdict", "note", *(action.value for action in Action))
"""What somebody may have chosen or typed of a decision; a page that says no shows it again."""
_TOLD_BY_SCRIPT = ("reason_", "found_", "category_", "state_", "confirm", "dismiss", "escalate")

router = APIRouter(include_in_schema=False)


@router.get(CASE)
async def show(request: Request, case_id: str) -> Response:
    """Everything that is needed to decide; what was said only for who has claimed it."""
    visitor(request, Permission.CASES_SEE)
    return await _page(request, case_id, chosen_in(request.query_params))


@router.post(CASE)
async def act(request: Request, case_id: str) -> Response:
    """Claims the case, takes it over, gives it back or decides it: as the button says that was pressed."""
    visitor(request, Permission.CASES_DECIDE)
    given = form_of(await request.body())
    chosen = chosen_in(given)
    work = _WORK.get(given.get("do", ""), _claim)
    try:
        if not CASE_ID.fullmatch(case_id):
            raise NoSuchCase("There is no such case.")
        done = await work(request, case_id, given)
    except NoSuchCase:
        return _missing(request)
    except CaseConflict as conflict:
        return await _page(request, case_id, chosen, _Said(given, "conflict", conflict.news), 409)
    except CaseRefused as refusal:
        return await _page(request, case_id, chosen, _Said(given, "refused", {"detail": str(refusal)}), 403)
    except Problem:
        what = "why" if work is _take_over else "incomplete"
        return await _page(request, case_id, chosen, _Said(given, what), 422)
    if done is not None:
        return RedirectResponse(done, 303)
    if any(given.get(name) for name in _DRAFT):
        return await _page(request, case_id, chosen, _Said(given, "claimed"))
    return RedirectResponse(case_path(case_id, chosen), 303)


class _Said:
    """What a page says of what was just tried. typed: what whoever tried it had typed."""

    def __init__(self, given: Mapping[str, str], what: str, news: Mapping[str, Any] | None = None) -> None:
        self.typed = {name: given[name] for name in (*_DRAFT, "why") if given.get(name)}
        self.what, self.news = what, dict(news or {})


# --- what the buttons do: where to go from there, None: to the case ---------------------------------


async def _claim(request: Request, case_id: str, _: Mapping[str, str]) -> str | None:
    await beside(desk_of(request).claim, reviewer_of(_person(request)), case_id)
    return None


async def _take_over(request: Request, case_id: str, given: Mapping[str, str]) -> str | None:
    why = read_query({"reason": given.get("why", "").strip()}, TakeOver)
    await beside(desk_of(request).take_over, reviewer_of(_person(request)), case_id, why.reason)
    return None


async def _release(request: Request, case_id: str, given: Mapping[str, str]) -> str | None:
    await beside(desk_of(request).release, reviewer_of(_person(request)), case_id, given.get("lease", ""))
    return f"{QUEUE}?said=released"


async def _decide(request: Request, case_id: str, given: Mapping[str, str]) -> str | None:
    """The next case, if that is what was asked for."""
    who, desk = reviewer_of(_person(request)), desk_of(request)
    choice, _, reason = given.get("verdict", "").partition(".")
    fields = {
        "lease": given.get("lease", ""),
        "version": given.get("version", ""),
        "decision": choice,
        "reason": reason,
        "note": given.get("note", "").strip(),
        "actions": [one.value for one in Action if one.value in given] if choice == Choice.CONFIRM else [],
    }
    await beside(desk.decide, who, case_id, read_query(fields, Decision).wish())
    chosen = chosen_in(given)
    if given["do"] == "decide":
        return f"{QUEUE}?said=decided"
    wish = read_query(chosen, NextWish)
    found = (await beside(desk.next, who, wish.queue(), ()))["case"]
    return f"{QUEUE}?said=none_left" if found is None else case_path(found["case_id"], chosen)


_WORK = {
    "claim": _claim,
    "takeover": _take_over,
    "release": _release,
    "decide": _decide,
    "decide_next": _decide,
}


# --- the page -----------------------------------------------------------------------------------


async def _page(
    request: Request, case_id: str, chosen: Mapping[str, str], said: _Said | None = None, status: int = 200
) -> Response:
    person = _person(request)
    who, desk, words = reviewer_of(person), desk_of(request), WORDS[language_of(request)]
    try:
        if not CASE_ID.fullmatch(case_id):
            raise NoSuchCase("There is no such case.")
        case = await beside(desk.show, who, case_id)
    except NoSuchCase:
        return _missing(request)
    names = await names_of(request, person)
    values = {
        "case": case,
        "clips": [(clip, view_of(clip, case["cause"], case["role"])) for clip in case["clips"]],
        "left_s": _left_s(case),
        "said": said.what if said else "",
        "news": said.news if said else {},
        "typed": said.typed if said else {},
        "drafted": said is not None and not said.typed.keys().isdisjoint(_DRAFT),
        "chosen": dict(chosen),
        "names": names,
        "person": partial(_called, names={**names, who.text: words["you"]}, otherwise=words["an_api_key"]),
        "today": await exposure_of(desk, person),
        "may_decide": person.may(Permission.CASES_DECIDE),
        "may_claim": _may_claim(person, case["state"]),
        "may_take_over": person.may(Permission.CASES_SECOND),
        "may_play": person.may(Permission.MEDIA_PLAY),
        "verdicts": VERDICTS,
        "actions": [one.value for one in Action],
        "lanes": LANES,
        "box": {"width": WIDTH, "height": HEIGHT, "lane": LANE, "gap": GAP},
        "clock": clock,
        "span": partial(span, words=words),
        "seconds": lambda text: datetime.fromisoformat(text).timestamp(),
        "now": time.time(),
        "said_words": {name: word for name, word in words.items() if name.startswith(_TOLD_BY_SCRIPT)},
    }
    return page(request, "case.html", values, status)


def _called(text: str, names: Mapping[str, str], otherwise: str) -> str:
    """Whoever the chain calls so, as people know them."""
    return names.get(text, otherwise)


def _left_s(case: Mapping[str, Any]) -> float:
    """How long the claim of whoever looks goes on."""
    lease = case["lease"]
    return max(0.0, datetime.fromisoformat(lease["until"]).timestamp() - time.time()) if lease else 0.0


def _may_claim(person: Person, state: str) -> bool:
    second = (CaseState.SECOND_REVIEW, CaseState.ESCALATED)
    if state == CaseState.APPEALED:
        return person.may(Permission.APPEALS_JUDGE)
    if state in second:
        return person.may(Permission.CASES_SECOND)
    return state == CaseState.OPEN and person.may(Permission.CASES_DECIDE)


def _person(request: Request) -> Person:
    return visitor(request, Permission.CASES_SEE).person


def _missing(request: Request) -> Response:
    return page(request, "missing.html", {}, 404)
