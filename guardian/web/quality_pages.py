"""`/review/report`: how review goes, and what is raised in vain."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from guardian.core.people import Permission
from guardian.web.console import visitor
from guardian.web.evidence import beside
from guardian.web.office import show, whole
from guardian.web.parts import parts_of
from guardian.web.reviewing import reviewer_of

REPORT = "/review/report"
_DAYS, _LONGEST = 30, 366
_OFFERED = (7, 30, 90, 366)

router = APIRouter(include_in_schema=False)


@router.get(REPORT)
async def report(request: Request) -> Response:
    """Of the last days that are asked for."""
    person = visitor(request, Permission.QUALITY_SEE).person
    days = whole(request.query_params.get("days", ""), 1, _LONGEST, _DAYS)
    found = await beside(parts_of(request).review.report, reviewer_of(person), days)
    return show(request, "report.html", {"report": found, "days": days, "offered": _OFFERED})
