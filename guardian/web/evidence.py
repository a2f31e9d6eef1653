"""`/v1/evidence` and `/v1/media`: clips, what people say of them, and how they are looked at."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, ParamSpec, TypeVar

from fastapi import APIRouter
from pydantic import AwareDatetime, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from guardian.core.evidence import EVIDENCE_ID, ReviewState
from guardian.core.evidence_desk import ClipSearch, EvidenceDesk, HoldWish
from guardian.core.people import Permission
from guardian.core.times import rfc3339
from guardian.web.access import require_principal
from guardian.web.bodies import Body, asks, read, read_query, takes
from guardian.web.disk import EVIDENCE
from guardian.web.media import MediaResponse, wanted_bytes
from guardian.web.parts import parts_of
from guardian.web.problems import Problem

_COOKIE = "guardian_media"
_MOST = 200

P = ParamSpec("P")
T = TypeVar("T")

router = APIRouter(tags=["evidence"])


class Listed(Body):
    """The query of the list; what is left out does not choose."""

    call_id: Annotated[str, Field(max_length=64)] = ""
    participant: Annotated[str, Field(max_length=128)] = ""
    review: ReviewState | None = None
    after: Annotated[str, Field(max_length=64)] = ""
    limit: Annotated[int, Field(ge=1, le=_MOST)] = 100


class ReviewChange(Body):
    """`POST /v1/evidence/{id}/review`."""

    state: ReviewState
    reason: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class HoldChange(Body):
    """`PUT /v1/evidence/{id}/hold`."""

    owner: Annotated[str, Field(min_length=1, max_length=128)]
    reason: Annotated[str, Field(min_length=1, max_length=256)]
    until: AwareDatetime


class LinkWish(Body):
    """`POST /v1/evidence/{id}/links`; an empty body will do."""

    part: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,15}$")] = "media"


@router.get("/v1/evidence", openapi_extra=asks(Listed), summary="Clips")
async def search(request: Request) -> Response:
    """The oldest first, erased ones too; `next` is what to give as `after` for more."""
    who = require_principal(request, Permission.EVIDENCE_SEE)
    asked = read_query(request.query_params, Listed)
    limit = asked.limit
    wanted = ClipSearch(asked.participant, asked.call_id, asked.review, asked.after, limit)
    found = await beside(_desk(request).search, who, wanted)
    # What somebody has made of an id has no place in the order.
    places = [clip["evidence_id"] for clip in found if EVIDENCE_ID.fullmatch(clip["evidence_id"])]
    more = len(found) == limit and places
    return JSONResponse({"evidence": found, "next": places[-1] if more else None})


@router.get("/v1/evidence/{evidence_id}", summary="One clip with its history")
async def show(request: Request, evidence_id: str) -> Response:
    """What is known of it, and everything that was done with it."""
    who = require_principal(request, Permission.EVIDENCE_SEE)
    return JSONResponse(await beside(_desk(request).show, who, _known(evidence_id)))


@router.delete("/v1/evidence/{evidence_id}", summary="Erase a clip before its time")
async def erase(request: Request, evidence_id: str) -> Response:
    """Its key is destroyed, then its files; 409 under a legal hold."""
    who = require_principal(request, Permission.EVIDENCE_KEEP)
    return JSONResponse(await beside(_desk(request).erase, who, _known(evidence_id)))


@router.post(
    "/v1/evidence/{evidence_id}/review", openapi_extra=takes(ReviewChange), summary="Say what a clip is"
)
async def review(request: Request, evidence_id: str) -> Response:
    """dismissed, confirmed or appealed: each has a time after which the clip is erased."""
    who = require_principal(request, Permission.EVIDENCE_MARK)
    body = await read(request, ReviewChange)
    desk = _desk(request)
    return JSONResponse(await beside(desk.review, who, _known(evidence_id), body.state, body.reason))


@router.put("/v1/evidence/{evidence_id}/hold", openapi_extra=takes(HoldChange), summary="Set a legal hold")
async def hold(request: Request, evidence_id: str) -> Response:
    """Nothing is erased until its end; another one takes its place."""
    who = require_principal(request, Permission.EVIDENCE_KEEP)
    body = await read(request, HoldChange)
    wish = HoldWish(body.owner, body.reason, datetime.timestamp(body.until))
    return JSONResponse(await beside(_desk(request).hold, who, _known(evidence_id), wish))


@router.delete("/v1/evidence/{evidence_id}/hold", summary="Release a legal hold")
async def release(request: Request, evidence_id: str) -> Response:
    """The clip is erased when its time is over, which may be at once."""
    who = require_principal(request, Permission.EVIDENCE_KEEP)
    return JSONResponse(await beside(_desk(request).hold, who, _known(evidence_id), None))


@router.post(
    "/v1/evidence/{evidence_id}/links",
    status_code=201,
    openapi_extra=takes(LinkWish),
    summary="A link to look at a clip once",
)
async def link(request: Request, evidence_id: str) -> Response:
    """Opens for whoever asked for it, once, within a minute."""
    who = require_principal(request, Permission.MEDIA_PLAY)
    body = await read(request, LinkWish)
    ticket, until = await beside(_desk(request).link, who, _known(evidence_id), body.part)
    path = f"/v1/media/{ticket}"
    url = f"{parts_of(request).config.public_url}{path}"
    return JSONResponse({"url": url, "expires_at": rfc3339(until)}, 201, {"Location": path})


@router.get("/v1/media/{ticket}", summary="A file of a clip")
async def media(request: Request, ticket: str) -> Response:
    """The link's principal only. The first request opens it and gets a cookie for those that follow."""
    who = require_principal(request, Permission.MEDIA_PLAY)
    session = request.cookies.get(_COOKIE, "")
    # What is opened when nobody waits for it any longer is closed again.
    opened = await EVIDENCE.run(
        partial(_desk(request).open, who, ticket, session), lambda late: late.media.close()
    )
    span = wanted_bytes(request.headers, opened.media)
    answer = MediaResponse(opened.media, span)
    if opened.session != session:
        answer.set_cookie(
            _COOKIE,
            opened.session,
            path=request.url.path,
            httponly=True,
            samesite="strict",
            secure=parts_of(request).config.public_url.startswith("https:"),
        )
    return answer


async def beside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The answer of something that waits for the disk of evidence, from a thread. Unavailable."""
    return await EVIDENCE.run(partial(work, *args, **kwargs))


def _desk(request: Request) -> EvidenceDesk:
    return parts_of(request).evidence


def _known(evidence_id: str) -> str:
    if not EVIDENCE_ID.fullmatch(evidence_id):
        raise Problem(404, "There is no such evidence.")
    return evidence_id
