"""`/review/account` and `/v1/me`: one's own account, as a page and as an API."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, fields
from functools import cache, partial
from typing import Annotated, Any
from zoneinfo import available_timezones

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from guardian.core.errors import PersonRefused, SignInRefused, SignInSlowed
from guardian.core.people import LANGUAGES, Permission, Person, Preferences
from guardian.core.people_desk import PersonChange
from guardian.web.access import principal_of, require_principal
from guardian.web.bodies import Body, read, takes
from guardian.web.console import console_of, page, visitor
from guardian.web.disk import SESSIONS, SIGN_INS
from guardian.web.navigation import places_of
from guardian.web.parts import parts_of
from guardian.web.problems import Problem
from guardian.web.sessions import SESSION, SIGN_IN, form_of, signed_in, take_back
from guardian.web.words import WORDS

ACCOUNT, PASSWORD = "/review/account", "/review/account/password"

Choice = Annotated[bool | None, Field(strict=True)]

router = APIRouter(tags=["account"])


class PreferenceChange(Body):
    """What is to be different of how clips are shown."""

    blur: Choice = None
    mute: Choice = None
    grey: Choice = None
    transcript_first: Choice = None


class OwnChange(Body):
    """`PATCH /v1/me`; what is left out stays as it is."""

    language: Annotated[str, Field(max_length=8)] | None = None
    zone: Annotated[str, Field(max_length=64)] | None = None
    preferences: PreferenceChange = PreferenceChange()


class OwnPassword(Body):
    """`POST /v1/me/password`."""

    old: Annotated[str, Field(max_length=256)]
    new: Annotated[str, Field(max_length=256)]


@router.get("/v1/me", summary="Who is signed in")
async def me(request: Request) -> Response:
    """With what they may do; for people, not for keys."""
    return JSONResponse(_told(_me(request)))


@router.patch("/v1/me", openapi_extra=takes(OwnChange), summary="Change one's own account")
async def change(request: Request) -> Response:
    """Language, time zone and how clips are shown."""
    person = _me(request)
    body = await read(request, OwnChange)
    chosen = {key: value for key, value in body.preferences.model_dump().items() if value is not None}
    wish = PersonChange(
        language=body.language,
        zone=body.zone,
        preferences=Preferences(**{**asdict(person.preferences), **chosen}),
    )
    return JSONResponse(_told(await _changed(request, person, wish)))


@router.post(
    "/v1/me/password", status_code=204, openapi_extra=takes(OwnPassword), summary="Change one's password"
)
async def password(request: Request) -> Response:
    """Ends all sessions, this one too; 403 when the old one is not right."""
    person = _me(request)
    body = await read(request, OwnPassword)
    await _new_password(request, person, body.old, body.new)
    answer = Response(status_code=204)
    take_back(parts_of(request), answer, SESSION)
    return answer


@router.get("/review", include_in_schema=False)
async def home(request: Request) -> Response:
    """Where somebody comes who has just signed in."""
    places = places_of(visitor(request, Permission.SELF).person)
    return RedirectResponse(places[0].path if places else ACCOUNT, 303)


@router.get(ACCOUNT, include_in_schema=False)
async def account(request: Request) -> Response:
    """One's own account as a page."""
    visitor(request, Permission.SELF)
    return await _page(request, "saved" if request.query_params.get("saved") == "1" else "")


@router.post(ACCOUNT, include_in_schema=False)
async def save(request: Request) -> Response:
    """What the form on the page says; a box that is not ticked is not sent."""
    person = visitor(request, Permission.SELF).person
    given = form_of(await request.body())
    chosen = Preferences(**{one.name: one.name in given for one in fields(Preferences)})
    wish = PersonChange(
        language=given.get("language"), zone=given.get("zone", "").strip() or None, preferences=chosen
    )
    try:
        await _changed(request, person, wish)
    except PersonRefused as refusal:
        return await _page(request, fault=str(refusal), status=422)
    return RedirectResponse(f"{ACCOUNT}?saved=1", 303)


@router.post(PASSWORD, include_in_schema=False)
async def save_password(request: Request) -> Response:
    """Signs out everywhere when it is done."""
    person = visitor(request, Permission.SELF).person
    given = form_of(await request.body())
    try:
        await _new_password(request, person, given.get("old", ""), given.get("new", ""))
    except PersonRefused as refusal:
        return await _page(request, fault=str(refusal), status=422)
    except SignInRefused:
        return await _page(request, fault=WORDS[person.language]["wrong_old"], status=422)
    except SignInSlowed as slowed:
        words = WORDS[person.language]["slowed"].format(seconds=slowed.retry_after)
        return await _page(request, fault=words, status=429)
    answer = RedirectResponse(SIGN_IN, 303)
    take_back(parts_of(request), answer, SESSION)
    return answer


async def _page(request: Request, said: str = "", fault: str = "", status: int = 200) -> Response:
    values = {
        "said": said,
        "fault": fault,
        "zones": await asyncio.to_thread(time_zones),
        "languages": LANGUAGES,
        "preferences": [one.name for one in fields(Preferences)],
    }
    return page(request, "account.html", values, status)


async def _changed(request: Request, person: Person, wish: PersonChange) -> Person:
    people = console_of(request).people
    return await SESSIONS.run(partial(people.change, principal_of(person), person.id, wish))


async def _new_password(request: Request, person: Person, old: str, new: str) -> None:
    people = console_of(request).people
    await SIGN_INS.run(partial(people.own_password, principal_of(person), old, new))


def _me(request: Request) -> Person:
    require_principal(request, Permission.SELF)
    signed = signed_in(request)
    if signed is None:
        raise Problem(401, "Sign in at /review first.")
    return signed.person


def _told(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "name": person.name,
        "display": person.display,
        "tenant": person.tenant,
        "roles": sorted(duty.value for duty in person.duties),
        "permissions": [one.value for one in Permission if person.may(one)],
        "language": person.language,
        "zone": person.zone,
        "preferences": asdict(person.preferences),
    }


@cache
def time_zones() -> tuple[str, ...]:
    """Those of places, and UTC."""
    return ("UTC", *sorted(one for one in available_timezones() if "/" in one and not one.startswith("Etc/")))
