"""`/v1/cases`: what waits for a person, who looks at it, and what they say of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field, field_validator, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from guardian.core.case_queue import CURSOR_OR_NONE
from guardian.core.cases import CASE_ID, REASONS, WAITING, Action, CaseState, Choice
from guardian.core.people import Permission
from guardian.core.review_desk import DecisionWish, Queue, ReviewDesk, Sweep
from guardian.core.violations import Level
from guardian.web.bodies import Body, asks, read, read_query, takes
from guardian.web.evidence import beside
from guardian.web.parts import parts_of
from guardian.web.problems import Problem
from guardian.web.reviewing import require_reviewer

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"

router = APIRouter(tags=["review"])

Name = Annotated[str, Field(pattern=_NAME)]
Note = Annotated[str, Field(max_length=2000)]
Version = Annotated[int, Field(ge=1, lt=1 << 31)]
LeaseId = Annotated[str, Field(pattern=r"^lease_[0-9A-Z]{26}$")]


class Chosen(Body):
    """Which cases are meant; what is left out does not choose. A category may be a family."""

    level: Level | None = None
    category: Name | None = None
    language: Name | None = None

    def queue(self, **more: Any) -> Queue:
        """As the core has it."""
        return Queue(level=self.level, category=self.category or "", language=self.language or "", **more)


class Listed(Chosen):
    """The query of the list. state: `waiting` (open, second_review, escalated), `claimed`, or one of them."""

    state: str = "waiting"
    claimed_by: Annotated[str, Field(max_length=200)] = ""
    q: Annotated[str, Field(max_length=64)] = ""
    after: Annotated[str, Field(pattern=CURSOR_OR_NONE)] = ""
    limit: Annotated[int, Field(ge=1, le=200)] = 50

    @field_validator("state")
    @classmethod
    def _known(cls, state: str) -> str:
        if state not in ("waiting", "claimed", *CaseState):
            raise ValueError(f"is one of waiting, claimed, {', '.join(CaseState)}")
        return state

    def wanted(self) -> Queue:
        """As the core has it."""
        claimed = self.state == "claimed"
        if claimed:
            states: tuple[CaseState, ...] = (*WAITING, CaseState.APPEALED)
        else:
            states = WAITING if self.state == "waiting" else (CaseState(self.state),)
        # An id is looked for wherever the case stands.
        if self.q:
            states = tuple(CaseState)
        holder = self.claimed_by or ("anybody" if claimed else "")
        return self.queue(states=states, claimed_by=holder, q=self.q, after=self.after, limit=self.limit)


class NextWish(Chosen):
    """`POST /v1/cases/next`; an empty body will do. besides: cases that are to be passed by."""

    besides: Annotated[tuple[Name, ...], Field(max_length=50)] = ()


class LeaseShown(Body):
    """What is done under a claim shows its lease."""

    lease: LeaseId


class TakeOver(Body):
    """`POST /v1/cases/{id}/takeover`."""

    reason: Annotated[str, Field(min_length=3, max_length=500)]


class Remark(Body):
    """`POST /v1/cases/{id}/note`."""

    note: Annotated[str, Field(min_length=1, max_length=2000)]


class Decision(Body):
    """`POST /v1/cases/{id}/decide`. version: of the case as it was looked at."""

    lease: LeaseId
    version: Version
    decision: Choice
    reason: Name
    note: Note = ""
    actions: Annotated[tuple[Action, ...], Field(max_length=3)] = ()

    @model_validator(mode="after")
    def _fits(self) -> Decision:
        if self.reason not in REASONS[self.decision]:
            raise ValueError(f"reason to {self.decision} is one of {', '.join(REASONS[self.decision])}")
        if self.actions and self.decision is not Choice.CONFIRM:
            raise ValueError("actions go with confirm only")
        return self

    def wish(self) -> DecisionWish:
        """As the core has it."""
        return DecisionWish(
            self.lease,
            self.version,
            self.decision,
            self.reason,
            self.note,
            tuple(dict.fromkeys(self.actions)),
        )


class Sweeping(Chosen):
    """`POST /v1/cases/dismiss`. level: of no other are many dismissed at once. count: what the same request
    without it has told."""

    level: Literal[Level.REVIEW] | None = None
    rule: Name | None = None
    reason: Name
    note: Note = ""
    count: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Sweeping:
        if self.reason not in REASONS[Choice.DISMISS]:
            raise ValueError(f"reason is one of {', '.join(REASONS[Choice.DISMISS])}")
        return self


class Reported(Body):
    """The query of the report."""

    days: Annotated[int, Field(ge=1, le=366)] = 30


@router.get("/v1/cases", openapi_extra=asks(Listed), summary="Cases, the most urgent first")
async def search(request: Request) -> Response:
    """What waits by urgency, what is over the latest first; `next` is what to give as `after` for more."""
    who = require_reviewer(request, Permission.CASES_SEE)
    asked = read_query(request.query_params, Listed)
    return JSONResponse(await beside(desk_of(request).list, who, asked.wanted()))


@router.post("/v1/cases/next", openapi_extra=takes(NextWish), summary="Claim the most urgent case")
async def take_next(request: Request) -> Response:
    """`case` is null when nothing waits for whoever asks."""
    who = require_reviewer(request, Permission.CASES_DECIDE)
    body = await read(request, NextWish)
    return JSONResponse(await beside(desk_of(request).next, who, body.queue(), body.besides))


@router.post("/v1/cases/dismiss", openapi_extra=takes(Sweeping), summary="Dismiss many cases at once")
async def dismiss(request: Request) -> Response:
    """Without `count` only tells how many there are; with it dismisses them, if they still are as many.

    Open cases of level REVIEW that nobody has claimed, 200 at most.
    """
    who = require_reviewer(request, Permission.CASES_BULK)
    body = await read(request, Sweeping)
    sweep = Sweep(body.queue(rule=body.rule or ""), body.reason, body.note, body.count)
    return JSONResponse(await beside(desk_of(request).dismiss, who, sweep))


@router.get("/v1/cases/{case_id}", summary="One case with all that is known of it")
async def show(request: Request, case_id: str) -> Response:
    """The words of its clips are told to whoever has claimed it. That it was looked at is kept."""
    who = require_reviewer(request, Permission.CASES_SEE)
    return JSONResponse(await beside(desk_of(request).show, who, _known(case_id)))


@router.get("/v1/cases/{case_id}/earlier", summary="What was decided before")
async def earlier(request: Request, case_id: str) -> Response:
    """In this case and about the same party; 403 for who is to decide without knowing it."""
    who = require_reviewer(request, Permission.CASES_DECIDE)
    return JSONResponse(await beside(desk_of(request).earlier, who, _known(case_id)))


@router.post("/v1/cases/{case_id}/claim", summary="Claim a case")
async def claim(request: Request, case_id: str) -> Response:
    """For ten minutes after the last activity; 409 when somebody else has it."""
    who = require_reviewer(request, Permission.CASES_DECIDE)
    return JSONResponse(await beside(desk_of(request).claim, who, _known(case_id)))


@router.post("/v1/cases/{case_id}/renew", openapi_extra=takes(LeaseShown), summary="Hold a case longer")
async def renew(request: Request, case_id: str) -> Response:
    """409 when the claim has ended; what was typed can be sent with the next one."""
    who = require_reviewer(request, Permission.CASES_DECIDE)
    body = await read(request, LeaseShown)
    return JSONResponse(await beside(desk_of(request).renew, who, _known(case_id), body.lease))


@router.post("/v1/cases/{case_id}/release", openapi_extra=takes(LeaseShown), summary="Give a case back")
async def release(request: Request, case_id: str) -> Response:
    """Others can claim it at once."""
    who = require_reviewer(request, Permission.CASES_DECIDE)
    body = await read(request, LeaseShown)
    return JSONResponse(await beside(desk_of(request).release, who, _known(case_id), body.lease))


@router.post("/v1/cases/{case_id}/takeover", openapi_extra=takes(TakeOver), summary="Take a case over")
async def take_over(request: Request, case_id: str) -> Response:
    """From whoever has claimed it; why is kept."""
    who = require_reviewer(request, Permission.CASES_SECOND)
    body = await read(request, TakeOver)
    return JSONResponse(await beside(desk_of(request).take_over, who, _known(case_id), body.reason))


@router.post("/v1/cases/{case_id}/note", openapi_extra=takes(Remark), summary="Remark something")
async def note(request: Request, case_id: str) -> Response:
    """Seen by those who review the case."""
    who = require_reviewer(request, Permission.CASES_DECIDE)
    body = await read(request, Remark)
    return JSONResponse(await beside(desk_of(request).note, who, _known(case_id), body.note))


@router.post("/v1/cases/{case_id}/decide", openapi_extra=takes(Decision), summary="Decide a case")
async def decide(request: Request, case_id: str) -> Response:
    """409 with what is new when the claim has ended or the case has changed since it was looked at."""
    who = require_reviewer(request, Permission.CASES_DECIDE)
    body = await read(request, Decision)
    return JSONResponse(await beside(desk_of(request).decide, who, _known(case_id), body.wish()))


@router.get("/v1/review/report", openapi_extra=asks(Reported), summary="How review goes")
async def report(request: Request) -> Response:
    """Precision by rule, what was overturned, how reviewers agree, time to review, and what waits."""
    who = require_reviewer(request, Permission.QUALITY_SEE)
    asked = read_query(request.query_params, Reported)
    return JSONResponse(await beside(desk_of(request).report, who, asked.days))


def desk_of(request: Request) -> ReviewDesk:
    """Who answers."""
    return parts_of(request).review


def _known(case_id: str) -> str:
    if not CASE_ID.fullmatch(case_id):
        raise Problem(404, "There is no such case.")
    return case_id
