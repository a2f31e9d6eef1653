"""`/v1/appeals`: brought by the call service for either party, judged by another person."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, JsonValue, field_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from guardian.core.appeals import APPEAL_ID, AppealChoice, AppealState
from guardian.core.case_queue import CURSOR_OR_NONE
from guardian.core.cases import Choice
from guardian.core.people import Permission
from guardian.core.review_desk import AppealDesk, AppealList, AppealWish, Judgement
from guardian.core.violations import Role
from guardian.web.bodies import Body, asks, read, read_query, takes
from guardian.web.cases import Version
from guardian.web.evidence import beside
from guardian.web.parts import parts_of
from guardian.web.problems import Problem
from guardian.web.reviewing import require_reviewer

router = APIRouter(tags=["review"])

_STATEMENT_BYTES = 16_384


class Brought(Body):
    """`POST /v1/appeals`. statement: what the party says, in their words."""

    case_id: Annotated[str, Field(pattern=r"^case_[0-9A-HJKMNP-TV-Z]{26}$")]
    role: Role
    statement: Annotated[str, Field(min_length=1, max_length=5000)]


class Listed(Body):
    """The query of the list."""

    state: AppealState = AppealState.OPEN
    after: Annotated[str, Field(pattern=CURSOR_OR_NONE)] = ""
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class Opinion(Body):
    """`POST /v1/appeals/{id}/opinion`."""

    version: Version
    opinion: Choice


class Outcome(Body):
    """`POST /v1/appeals/{id}/decide`. statement: what the party is told; left out: the draft."""

    version: Version
    decision: AppealChoice
    reason: Annotated[str, Field(min_length=3, max_length=2000)]
    statement: dict[str, JsonValue] = Field(default_factory=dict, max_length=20)

    @field_validator("statement")
    @classmethod
    def _small(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        try:
            size = len(json.dumps(value, allow_nan=False))
        except ValueError:
            raise ValueError("a statement has numbers that JSON cannot give back") from None
        if size > _STATEMENT_BYTES:
            raise ValueError(f"a statement has {_STATEMENT_BYTES} bytes at most")
        return value


@router.post("/v1/appeals", status_code=201, openapi_extra=takes(Brought), summary="Appeal for a party")
async def bring(request: Request) -> Response:
    """Once for each party of a decided case; its evidence is kept until the appeal is over."""
    who = require_reviewer(request, Permission.APPEALS_BRING)
    body = await read(request, Brought)
    made = await beside(_desk(request).open, who, AppealWish(body.case_id, body.role, body.statement))
    return JSONResponse(made, 201, {"Location": f"/v1/appeals/{made['appeal_id']}"})


@router.get("/v1/appeals", openapi_extra=asks(Listed), summary="Appeals, those that are due first first")
async def search(request: Request) -> Response:
    """open, judged or decided."""
    who = require_reviewer(request, Permission.CASES_SEE)
    asked = read_query(request.query_params, Listed)
    return JSONResponse(
        await beside(_desk(request).list, who, AppealList(asked.state, asked.after, asked.limit))
    )


@router.get("/v1/appeals/{appeal_id}", summary="One appeal")
async def show(request: Request, appeal_id: str) -> Response:
    """What was decided before is folded away until whoever asks has said what they think."""
    who = require_reviewer(request, Permission.CASES_SEE)
    return JSONResponse(await beside(_desk(request).show, who, _known(appeal_id)))


@router.get("/v1/appeals/{appeal_id}/draft", summary="Drafts of the statement of reasons")
async def draft(request: Request, appeal_id: str) -> Response:
    """For both outcomes: facts, clause, what machines did, and redress."""
    who = require_reviewer(request, Permission.APPEALS_JUDGE)
    return JSONResponse(await beside(_desk(request).draft, who, _known(appeal_id)))


@router.post("/v1/appeals/{appeal_id}/opinion", openapi_extra=takes(Opinion), summary="Say what one thinks")
async def opinion(request: Request, appeal_id: str) -> Response:
    """By somebody who has not decided the case and has claimed it; tells what was decided."""
    who = require_reviewer(request, Permission.APPEALS_JUDGE)
    body = await read(request, Opinion)
    if body.opinion is Choice.ESCALATE:
        raise Problem(422, "/opinion: is confirm or dismiss.")
    desk = _desk(request)
    return JSONResponse(await beside(desk.opinion, who, _known(appeal_id), body.opinion, body.version))


@router.post("/v1/appeals/{appeal_id}/decide", openapi_extra=takes(Outcome), summary="Decide an appeal")
async def decide(request: Request, appeal_id: str) -> Response:
    """Upholds or overturns; the answer has the statement of reasons."""
    who = require_reviewer(request, Permission.APPEALS_JUDGE)
    body = await read(request, Outcome)
    judgement = Judgement(body.version, body.decision, body.reason, body.statement)
    return JSONResponse(await beside(_desk(request).decide, who, _known(appeal_id), judgement))


def _desk(request: Request) -> AppealDesk:
    return parts_of(request).appeals


def _known(appeal_id: str) -> str:
    if not APPEAL_ID.fullmatch(appeal_id):
        raise Problem(404, "There is no such appeal.")
    return appeal_id
