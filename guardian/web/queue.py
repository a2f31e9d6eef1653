"""`/review/queue`: what waits for whoever is signed in, and the beginning of work."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from guardian.core.cases import REASONS, CaseState, Choice
from guardian.core.errors import CaseConflict
from guardian.core.exposure import Exposure
from guardian.core.people import Permission, Person
from guardian.core.review_desk import ReviewDesk, Sweep
from guardian.web.access import principal_of
from guardian.web.bodies import read_query
from guardian.web.cases import Chosen, Listed, NextWish, Sweeping, desk_of
from guardian.web.console import console_of, language_of, page, visitor
from guardian.web.disk import SESSIONS
from guardian.web.evidence import beside
from guardian.web.feed import FEED
from guardian.web.problems import Problem
from guardian.web.reviewing import reviewer_of
from guardian.web.sessions import form_of
from guardian.web.showing import zone_of
from guardian.web.spans import span
from guardian.web.words import WORDS

QUEUE, DISMISS = "/review/queue", "/review/queue/dismiss"
CATEGORIES = (
    "contact_exchange",
    "offplatform_trade",
    "offplatform_payment",
    "privacy_solicitation",
    "review_manipulation",
    "harassment",
    "complaint",
)
SPOKEN = ("zh", "en")
CHOSEN = tuple(Chosen.model_fields)
"""What the next case can be chosen by; carried along from case to case."""
_PAGE = 50

router = APIRouter(include_in_schema=False)


@router.get(QUEUE)
async def queue(request: Request) -> Response:
    """The list, by the filters in the address."""
    return await shown(request, {key: one for key, one in request.query_params.items() if one})


@router.post(QUEUE)
async def start(request: Request) -> Response:
    """Takes the next case and leads to it."""
    who = reviewer_of(visitor(request, Permission.CASES_DECIDE).person)
    chosen = chosen_in(form_of(await request.body()))
    wish = read_query(chosen, NextWish)
    found = (await beside(desk_of(request).next, who, wish.queue(), ()))["case"]
    if found is None:
        return RedirectResponse(f"{QUEUE}?{urlencode({**chosen, 'said': 'none_left'})}", 303)
    return RedirectResponse(case_path(found["case_id"], chosen), 303)


@router.get(DISMISS)
async def sweep(request: Request) -> Response:
    """The form for dismissing many at once."""
    visitor(request, Permission.CASES_BULK)
    return _sweep_page(request, chosen_in(request.query_params))


@router.post(DISMISS)
async def dismiss(request: Request) -> Response:
    """Tells how many are meant; with that number dismisses them."""
    who = reviewer_of(visitor(request, Permission.CASES_BULK).person)
    given = form_of(await request.body())
    fields = {key: one for key, one in given.items() if key in Sweeping.model_fields and one.strip()}
    try:
        asked = read_query(fields, Sweeping)
    except Problem as problem:
        return _sweep_page(request, fields, fault=problem.detail, status=422)
    wish = Sweep(asked.queue(rule=asked.rule or ""), asked.reason, asked.note, asked.count)
    try:
        told = await beside(desk_of(request).dismiss, who, wish)
    except CaseConflict as conflict:
        words = WORDS[language_of(request)]["sweep_changed"]
        return _sweep_page(request, fields, dict(conflict.news), words, 409)
    return _sweep_page(request, fields, told)


def _sweep_page(
    request: Request,
    given: Mapping[str, str],
    told: Mapping[str, Any] | None = None,
    fault: str = "",
    status: int = 200,
) -> Response:
    values = {
        "given": given,
        "told": told,
        "fault": fault,
        "reasons": REASONS[Choice.DISMISS],
        "categories": CATEGORIES,
        "spoken": SPOKEN,
    }
    return page(request, "dismiss.html", values, status)


async def shown(request: Request, given: Mapping[str, str]) -> Response:
    """The list as a page; a filter that is none is told and left out."""
    person = visitor(request, Permission.CASES_SEE).person
    who, desk, words = reviewer_of(person), desk_of(request), WORDS[language_of(request)]
    asked = {key: one for key, one in given.items() if key in Listed.model_fields}
    status, said = 200, given.get("said", "")
    try:
        wanted = read_query({**asked, "limit": str(_PAGE)}, Listed).wanted()
    except Problem:
        asked, status, said = {}, 422, "no_such_filter"
        wanted = Listed().wanted()
    pulse, found, names, today = (
        await beside(desk.pulse, who),
        await beside(desk.list, who, replace(wanted, limit=_PAGE)),
        await names_of(request, person),
        await exposure_of(desk, person),
    )
    values = {
        "rows": found["cases"],
        "next": f"{QUEUE}?{urlencode({**asked, 'after': found['next']})}" if found["next"] else "",
        "given": asked,
        "chosen": chosen_in(asked),
        "said": words.get(f"said_{said}", ""),
        "pulse": pulse,
        "feed": f"{FEED}?since={pulse.at:.3f}",
        "names": names,
        "today": today,
        "now": pulse.at,
        "seconds": lambda text: datetime.fromisoformat(text).timestamp(),
        "span": partial(span, words=words),
        "path": partial(case_path, chosen=chosen_in(asked)),
        "states": ("waiting", "claimed", *CaseState),
        "categories": CATEGORIES,
        "spoken": SPOKEN,
        "may_start": person.may(Permission.CASES_DECIDE),
        "may_sweep": person.may(Permission.CASES_BULK),
    }
    return page(request, "queue.html", values, status)


def chosen_in(given: Mapping[str, str]) -> dict[str, str]:
    """What the next case is chosen by, of what was sent."""
    return {key: given[key] for key in CHOSEN if given.get(key)}


def case_path(case_id: str, chosen: Mapping[str, str]) -> str:
    """The page of a case; the case after it is chosen by the same."""
    query = f"?{urlencode(chosen)}" if chosen else ""
    return f"/review/cases/{case_id}{query}"


async def names_of(request: Request, person: Person) -> dict[str, str]:
    """How people of a platform are shown, by what the chain names them."""
    people = await SESSIONS.run(partial(console_of(request).people.people, principal_of(person)))
    return {principal_of(one).text: one.display for one in people}


async def exposure_of(desk: ReviewDesk, person: Person) -> Exposure:
    """What somebody has played today, which begins where they are."""
    now = datetime.now(await asyncio.to_thread(zone_of, person.zone))
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return await beside(desk.exposure, reviewer_of(person), midnight.timestamp())
