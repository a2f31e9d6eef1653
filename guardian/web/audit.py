"""`/v1/audit`: what was done, by whom, of one platform."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from guardian.core.audit_desk import LinkSearch
from guardian.core.people import Permission
from guardian.web.access import require_principal
from guardian.web.bodies import Body, asks, read_query
from guardian.web.disk import SESSIONS
from guardian.web.parts import parts_of

router = APIRouter(tags=["audit"])

Word = Annotated[str, Field(max_length=200)]


class Listed(Body):
    """The query; what is left out does not choose."""

    before: Annotated[int, Field(ge=0, lt=1 << 53)] = 0
    subject: Word = ""
    actor: Word = ""
    act: Word = ""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


@router.get("/v1/audit", openapi_extra=asks(Listed), summary="What was done, the latest first")
async def links(request: Request) -> Response:
    """`next` is what to give as `before` for more. `guardian audit verify` says whether all of it fits."""
    who = require_principal(request, Permission.AUDIT_SEE)
    asked = read_query(request.query_params, Listed)
    wanted = LinkSearch(**asked.model_dump())
    found = await SESSIONS.run(partial(parts_of(request).audit.links, who, wanted))
    more = len(found) == asked.limit
    return JSONResponse({"links": found, "next": found[-1]["sequence"] if more else None})
