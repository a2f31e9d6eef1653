"""`/v1/events`: what was not delivered, and the endpoints. Always with an API key, on this machine too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec, TypeVar

from fastapi import APIRouter
from pydantic import AwareDatetime, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from guardian.core.delivery import DeadFilter, DeadLetter, EndpointState
from guardian.core.errors import Unavailable
from guardian.core.people import Permission
from guardian.core.times import rfc3339
from guardian.web.access import require_principal
from guardian.web.bodies import Body, asks, read, read_query, takes
from guardian.web.parts import parts_of

_WAIT_S = 30.0
_PAGE = 100

P = ParamSpec("P")
T = TypeVar("T")

router = APIRouter(tags=["events"])


class Chosen(Body):
    """Which dead letters are meant; an empty choice means all of the tenant."""

    endpoint: str | None = Field(default=None, max_length=64)
    type: str | None = Field(default=None, max_length=64)
    call_id: str | None = Field(default=None, max_length=64)
    ids: tuple[Annotated[str, Field(max_length=64)], ...] = Field(default=(), max_length=1000)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    def of(self, tenant: str) -> DeadFilter:
        """As the core has it, for one tenant."""
        return DeadFilter(
            tenant=tenant,
            endpoint=self.endpoint,
            type=self.type,
            call_id=self.call_id,
            event_ids=self.ids,
            since=self.since.timestamp() if self.since else None,
            until=self.until.timestamp() if self.until else None,
        )


class Listed(Chosen):
    """The query of the list: some of those that are chosen, those that died first first."""

    limit: int = Field(default=_PAGE, ge=1, le=1000)
    offset: int = Field(default=0, ge=0)


@router.get("/v1/events/dead", openapi_extra=asks(Listed), summary="Events that were not taken")
async def dead(request: Request) -> Response:
    """By endpoint, type, call, ids and time; `total` says how many there are in all."""
    tenant = require_principal(request, Permission.EVENTS_SEE).tenant
    asked = _query(request)
    page = await beside(parts_of(request).events.dead, asked.of(tenant), asked.limit, asked.offset)
    return JSONResponse({"total": page.total, "dead": [_letter(one) for one in page.letters]})


@router.post("/v1/events/dead/replay", openapi_extra=takes(Chosen), summary="Deliver dead events anew")
async def replay(request: Request) -> Response:
    """With all their tries; each comes in its old place within its call, which may have gone on since."""
    tenant = require_principal(request, Permission.EVENTS_REPLAY).tenant
    body = await read(request, Chosen)
    count = await beside(parts_of(request).events.replay, body.of(tenant))
    return JSONResponse({"replayed": count})


@router.post("/v1/events/dead/discard", openapi_extra=takes(Chosen), summary="Give up dead events")
async def discard(request: Request) -> Response:
    """For good, of endpoints that are configured no more too; nobody is told of them."""
    tenant = require_principal(request, Permission.EVENTS_REPLAY).tenant
    body = await read(request, Chosen)
    count = await beside(parts_of(request).events.discard, body.of(tenant))
    return JSONResponse({"discarded": count})


@router.get("/v1/events/dead/{event_id}", summary="One event that was not taken")
async def one(request: Request, event_id: str) -> Response:
    """As it is sent."""
    which = DeadFilter(tenant=require_principal(request, Permission.EVENTS_SEE).tenant, event_ids=(event_id,))
    body = await beside(parts_of(request).events.body, which)
    return Response(body, media_type="application/cloudevents+json")


@router.get("/v1/events/endpoints", summary="Where events go")
async def endpoints(request: Request) -> Response:
    """What waits for each, what it did not take, and whether it wants no more."""
    tenant = require_principal(request, Permission.EVENTS_SEE).tenant
    found = await beside(parts_of(request).events.endpoints, tenant)
    return JSONResponse({"endpoints": [_endpoint(state) for state in found]})


@router.post("/v1/events/endpoints/{name}/enable", summary="Send to an endpoint again")
async def enable(request: Request, name: str) -> Response:
    """After it has answered 410; what waits for it is sent at once."""
    tenant = require_principal(request, Permission.EVENTS_REPLAY).tenant
    await beside(parts_of(request).events.enable, tenant, name)
    return JSONResponse({"endpoint": name, "enabled": True})


def _query(request: Request) -> Listed:
    given: dict[str, Any] = dict(request.query_params)
    if "ids" in given:
        given["ids"] = given["ids"].split(",")
    return read_query(given, Listed)


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.event_id,
        "endpoint": letter.endpoint,
        "type": letter.type,
        "call_id": letter.call_id,
        "sequence": letter.sequence,
        "at": rfc3339(letter.at),
        "died_at": rfc3339(letter.died_at),
        "attempts": letter.attempts,
        "error": letter.error,
    }


def _endpoint(state: EndpointState) -> dict[str, Any]:
    return {
        "endpoint": state.name,
        "configured": state.configured,
        "pending": state.pending,
        "dead": state.dead,
        "disabled_at": rfc3339(state.disabled_at) if state.disabled_at is not None else None,
        "reason": state.reason or None,
    }


async def beside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The answer of something slow, from a thread."""
    try:
        async with asyncio.timeout(_WAIT_S):
            return await asyncio.to_thread(work, *args, **kwargs)
    except TimeoutError:
        raise Unavailable("The store takes too long to answer; try again with fewer events.") from None
