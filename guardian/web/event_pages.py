"""`/review/events`: where events go, and what was not taken there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from guardian.core.delivery import DeadFilter
from guardian.core.people import Permission
from guardian.web.console import visitor
from guardian.web.events import beside
from guardian.web.office import chosen, done, filled, show, whole
from guardian.web.parts import parts_of

EVENTS = "/review/events"
_PAGE = 50
_LETTER = "letter-"
_SAID = ("events_replayed", "events_discarded", "events_enabled", "events_none", "events_unsure")

router = APIRouter(include_in_schema=False)


@router.get(EVENTS)
async def events(request: Request) -> Response:
    """Endpoints, and dead letters, those that died first first."""
    tenant = visitor(request, Permission.EVENTS_SEE).person.tenant
    desk = parts_of(request).events
    asked = request.query_params
    meant = chosen(request, 64, "endpoint", "type", "call_id")
    offset = whole(asked.get("offset", ""), 0, 1_000_000, 0)
    dead = await beside(desk.dead, _all(tenant, meant), _PAGE, offset)
    values = {
        "endpoints": await beside(desk.endpoints, tenant),
        "letters": dead.letters,
        "total": dead.total,
        "chosen": meant,
        "offset": offset,
        "step": _PAGE,
    }
    return show(request, "events.html", values, *_SAID)


@router.post(f"{EVENTS}/replay")
async def replay(request: Request) -> Response:
    """Delivers those that are ticked anew, or all that the filter means."""
    tenant = visitor(request, Permission.EVENTS_REPLAY).person.tenant
    given = await filled(request)
    return await _each(request, _meant(tenant, given), parts_of(request).events.replay, "events_replayed")


@router.post(f"{EVENTS}/discard")
async def discard(request: Request) -> Response:
    """Gives them up for good, if that is said to be meant."""
    tenant = visitor(request, Permission.EVENTS_REPLAY).person.tenant
    given = await filled(request)
    if "sure" not in given:
        return done(EVENTS, "events_unsure")
    return await _each(request, _meant(tenant, given), parts_of(request).events.discard, "events_discarded")


@router.post(f"{EVENTS}/endpoints/{{name}}/enable")
async def enable(request: Request, name: str) -> Response:
    """Sends to an endpoint again that had said it wants no more."""
    tenant = visitor(request, Permission.EVENTS_REPLAY).person.tenant
    await beside(parts_of(request).events.enable, tenant, name)
    return done(EVENTS, "events_enabled")


async def _each(
    request: Request, meant: list[DeadFilter], work: Callable[[DeadFilter], int], said: str
) -> Response:
    if not meant:
        return done(EVENTS, "events_none")
    return done(EVENTS, said, sum([await beside(work, which) for which in meant]))


def _meant(tenant: str, given: Mapping[str, str]) -> list[DeadFilter]:
    """Which dead letters a form means: all of a filter, or those ticked, by endpoint."""
    if "all" in given:
        return [_all(tenant, given)]
    ids: dict[str, list[str]] = defaultdict(list)
    for name, value in given.items():
        endpoint, _, event_id = value.partition(" ")
        if name.startswith(_LETTER) and event_id:
            ids[endpoint].append(event_id)
    return [DeadFilter(tenant, endpoint, event_ids=tuple(those)) for endpoint, those in ids.items()]


def _all(tenant: str, given: Mapping[str, str]) -> DeadFilter:
    endpoint, kind, call_id = (given.get(name) or None for name in ("endpoint", "type", "call_id"))
    return DeadFilter(tenant, endpoint, kind, call_id)
