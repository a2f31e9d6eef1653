"""`/v1/participants`: all that is known of somebody, given out or erased."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from guardian.core.people import Permission
from guardian.web.access import require_principal
from guardian.web.evidence import beside
from guardian.web.parts import parts_of
from guardian.web.problems import Problem

_LONGEST = 128

router = APIRouter(tags=["participants"])


@router.get("/v1/participants/{participant:path}", summary="Export what is known of a participant")
async def export(request: Request, participant: str) -> Response:
    """As the platform refers to them, in either role; media are had by links."""
    who = require_principal(request, Permission.PARTICIPANTS)
    return JSONResponse(await beside(parts_of(request).evidence.export, who, _named(participant)))


@router.delete("/v1/participants/{participant:path}", summary="Erase what is known of a participant")
async def delete(request: Request, participant: str) -> Response:
    """What a legal hold keeps stays and is named in `held`."""
    who = require_principal(request, Permission.PARTICIPANTS)
    return JSONResponse(await beside(parts_of(request).evidence.delete, who, _named(participant)))


def _named(participant: str) -> str:
    if not participant.strip() or len(participant) > _LONGEST or "\0" in participant:
        raise Problem(404, "Nobody is referred to like that.")
    return participant
