"""`/v1/people`: the accounts of a platform, for its administrators. Never for API keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from guardian.core.audit import Principal
from guardian.core.people import PASSWORD_MOST, Duty, Permission, Person
from guardian.core.people_desk import NewPerson, PeopleDesk, PersonChange
from guardian.core.times import rfc3339
from guardian.web.access import require_principal
from guardian.web.bodies import Body, read, takes
from guardian.web.console import console_of
from guardian.web.disk import SESSIONS, SIGN_INS
from guardian.web.problems import Problem

_ID = re.compile(r"p_[0-9a-f]{12}")

Text = Annotated[str, Field(max_length=128)]
Password = Annotated[str, Field(max_length=PASSWORD_MOST)]

router = APIRouter(tags=["people"])


class NewAccount(Body):
    """`POST /v1/people`."""

    name: Text
    display: Text
    roles: Annotated[frozenset[Duty], Field(max_length=len(Duty))]
    password: Password
    language: Text = "en"
    zone: Text = "UTC"


class AccountChange(Body):
    """`PATCH /v1/people/{id}`; what is left out stays as it is."""

    display: Text | None = None
    roles: Annotated[frozenset[Duty], Field(max_length=len(Duty))] | None = None
    language: Text | None = None
    zone: Text | None = None


class AnotherPassword(Body):
    """`POST /v1/people/{id}/password`."""

    password: Password


@router.get("/v1/people", summary="The accounts of the platform")
async def people(request: Request) -> Response:
    """By name, disabled ones too."""
    who, desk = _asked(request)
    found = await SESSIONS.run(partial(desk.people, who))
    return JSONResponse({"people": [_told(one) for one in found]})


@router.post("/v1/people", status_code=201, openapi_extra=takes(NewAccount), summary="Make an account")
async def add(request: Request) -> Response:
    """422 says what cannot be."""
    who, desk = _asked(request)
    body = await read(request, NewAccount)
    new = NewPerson(who.tenant, body.name, body.display, body.roles, body.language, body.zone)
    person = await SIGN_INS.run(partial(desk.add, who, new, body.password))
    return JSONResponse(_told(person), 201, {"Location": f"/v1/people/{person.id}"})


@router.patch("/v1/people/{account_id}", openapi_extra=takes(AccountChange), summary="Change an account")
async def change(request: Request, account_id: str) -> Response:
    """Other roles hold at once, also for who is signed in."""
    who, desk = _asked(request)
    body = await read(request, AccountChange)
    wish = PersonChange(display=body.display, duties=body.roles, language=body.language, zone=body.zone)
    return await _done(partial(desk.change, who, _known(account_id), wish))


@router.post("/v1/people/{account_id}/disable", summary="Disable an account")
async def disable(request: Request, account_id: str) -> Response:
    """All its sessions end. Nobody disables themselves."""
    who, desk = _asked(request)
    own_account_kept(who, account_id)
    return await _done(partial(desk.disable, who, _known(account_id)))


@router.post("/v1/people/{account_id}/enable", summary="Enable an account again")
async def enable(request: Request, account_id: str) -> Response:
    """With the password it had."""
    who, desk = _asked(request)
    return await _done(partial(desk.enable, who, _known(account_id)))


@router.post(
    "/v1/people/{account_id}/password", openapi_extra=takes(AnotherPassword), summary="Set another password"
)
async def password(request: Request, account_id: str) -> Response:
    """All sessions of the account end."""
    who, desk = _asked(request)
    body = await read(request, AnotherPassword)
    person = await SIGN_INS.run(partial(desk.set_password, who, _known(account_id), body.password))
    return JSONResponse(_told(person))


def own_account_kept(who: Principal, account_id: str) -> None:
    """Problem 409 when somebody is about to disable themselves."""
    if account_id == who.id:
        raise Problem(409, "Nobody can disable their own account; another administrator can.")


async def _done(work: Callable[[], Person]) -> Response:
    return JSONResponse(_told(await SESSIONS.run(work)))


def _asked(request: Request) -> tuple[Principal, PeopleDesk]:
    who = require_principal(request, Permission.PEOPLE_MANAGE)
    return who, console_of(request).people


def _known(account_id: str) -> str:
    if not _ID.fullmatch(account_id):
        raise Problem(404, "There is no such account.")
    return account_id


def _told(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "name": person.name,
        "display": person.display,
        "roles": sorted(duty.value for duty in person.duties),
        "language": person.language,
        "zone": person.zone,
        "made_at": rfc3339(person.made_at),
        "password_at": rfc3339(person.password_at),
        "disabled_at": None if person.disabled_at is None else rfc3339(person.disabled_at),
    }
