"""`/review/audit`: the chain of what was done, for one platform."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from guardian.core.audit import Act
from guardian.core.audit_desk import LinkSearch
from guardian.core.people import Permission
from guardian.web.access import principal_of
from guardian.web.console import console_of, visitor
from guardian.web.disk import SESSIONS
from guardian.web.office import chosen, show, whole
from guardian.web.parts import parts_of

AUDIT = "/review/audit"
_PAGE = 100

router = APIRouter(include_in_schema=False)


@router.get(AUDIT)
async def audit(request: Request) -> Response:
    """Links, the latest first; whoever looks after accounts sees names beside ids."""
    person = visitor(request, Permission.AUDIT_SEE).person
    who = principal_of(person)
    asked = request.query_params
    meant = chosen(request, 200, "subject", "actor", "act")
    wanted = LinkSearch(whole(asked.get("before", ""), 0, (1 << 53) - 1, 0), **meant, limit=_PAGE)
    links = await SESSIONS.run(partial(parts_of(request).audit.links, who, wanted))
    names: dict[str, str] = {}
    if person.may(Permission.PEOPLE_MANAGE):
        people = await SESSIONS.run(partial(console_of(request).people.people, who))
        names = {principal_of(one).text: one.display for one in people}
    values = {
        "links": links,
        "chosen": meant,
        "acts": [act.value for act in Act],
        "names": names,
        "next": links[-1]["sequence"] if len(links) == _PAGE else None,
        "later": wanted.before > 0,
    }
    return show(request, "audit.html", values)
