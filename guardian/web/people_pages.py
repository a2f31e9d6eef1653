"""`/review/people`: the accounts of a platform, for its administrators."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from guardian.core.errors import NoSuchPerson, PersonRefused
from guardian.core.people import LANGUAGES, PASSWORD_LEAST, PASSWORD_MOST, Duty, Permission, Person
from guardian.core.people_desk import NewPerson, PeopleDesk, PersonChange
from guardian.web.access import principal_of
from guardian.web.account import time_zones
from guardian.web.console import console_of, visitor
from guardian.web.disk import SESSIONS, SIGN_INS
from guardian.web.office import done, filled, show
from guardian.web.people import own_account_kept
from guardian.web.sessions import form_of

PEOPLE = "/review/people"
_ONE = f"{PEOPLE}/{{account_id}}"
_ROLE = "role-"
_SAID = ("people_made", "people_changed", "people_disabled_now", "people_enabled_now", "people_password_set")

router = APIRouter(include_in_schema=False)


@router.get(PEOPLE)
async def people(request: Request) -> Response:
    """All of them by name, and the form for one more."""
    visitor(request, Permission.PEOPLE_MANAGE)
    return await _list(request, {})


@router.post(PEOPLE)
async def add(request: Request) -> Response:
    """Makes an account; nothing typed but the password is lost when it cannot be."""
    who = principal_of(visitor(request, Permission.PEOPLE_MANAGE).person)
    raw = await filled(request)
    new = NewPerson(
        who.tenant,
        raw.get("name", "")[:128],
        raw.get("display", "")[:128],
        _duties(raw),
        raw.get("language", LANGUAGES[0]),
        raw.get("zone", "") or "UTC",
    )
    desk = console_of(request).people
    try:
        await SIGN_INS.run(partial(desk.add, who, new, await _password(request)))
    except PersonRefused as refusal:
        return await _list(request, raw, str(refusal))
    return done(PEOPLE, "people_made")


@router.get(_ONE)
async def one(request: Request, account_id: str) -> Response:
    """One account, with what can be changed of it."""
    visitor(request, Permission.PEOPLE_MANAGE)
    return await _account(request, account_id)


@router.post(_ONE)
async def change(request: Request, account_id: str) -> Response:
    """Name to be shown, roles, language and zone."""
    who = principal_of(visitor(request, Permission.PEOPLE_MANAGE).person)
    given = await filled(request)
    wish = PersonChange(given.get("display"), _duties(given), given.get("language"), given.get("zone"))
    desk = console_of(request).people
    return await _doing(request, account_id, partial(desk.change, who, account_id, wish), "people_changed")


@router.post(f"{_ONE}/disable")
async def disable(request: Request, account_id: str) -> Response:
    """Nobody disables themselves."""
    who = principal_of(visitor(request, Permission.PEOPLE_MANAGE).person)
    own_account_kept(who, account_id)
    desk = console_of(request).people
    return await _doing(request, account_id, partial(desk.disable, who, account_id), "people_disabled_now")


@router.post(f"{_ONE}/enable")
async def enable(request: Request, account_id: str) -> Response:
    """With the password it had."""
    who = principal_of(visitor(request, Permission.PEOPLE_MANAGE).person)
    desk = console_of(request).people
    return await _doing(request, account_id, partial(desk.enable, who, account_id), "people_enabled_now")


@router.post(f"{_ONE}/password")
async def password(request: Request, account_id: str) -> Response:
    """All sessions of the account end."""
    who = principal_of(visitor(request, Permission.PEOPLE_MANAGE).person)
    await _found(request, account_id)
    desk, secret = console_of(request).people, await _password(request)
    try:
        await SIGN_INS.run(partial(desk.set_password, who, account_id, secret))
    except PersonRefused as refusal:
        return await _account(request, account_id, str(refusal))
    return done(f"{PEOPLE}/{account_id}", "people_password_set")


async def _doing(request: Request, account_id: str, work: Callable[[], Person], said: str) -> Response:
    await _found(request, account_id)
    try:
        await SESSIONS.run(work)
    except PersonRefused as refusal:
        return await _account(request, account_id, str(refusal))
    return done(f"{PEOPLE}/{account_id}", said)


async def _list(request: Request, typed: Mapping[str, str], fault: str = "") -> Response:
    accounts = await _accounts(request)
    values = {"accounts": accounts, "typed": typed, "ticked": _duties(typed), **await _choices()}
    return show(request, "people.html", values, *_SAID, fault=fault, status=422 if fault else 200)


async def _account(request: Request, account_id: str, fault: str = "") -> Response:
    person = await _found(request, account_id)
    values = {"person": person, **await _choices()}
    return show(request, "person.html", values, *_SAID, fault=fault, status=422 if fault else 200)


async def _choices() -> dict[str, Any]:
    return {
        "duties": list(Duty),
        "languages": LANGUAGES,
        "zones": await asyncio.to_thread(time_zones),
        "least": PASSWORD_LEAST,
        "most": PASSWORD_MOST,
    }


async def _accounts(request: Request) -> list[Person]:
    who = principal_of(visitor(request, Permission.PEOPLE_MANAGE).person)
    desk: PeopleDesk = console_of(request).people
    return list(await SESSIONS.run(partial(desk.people, who)))


async def _found(request: Request, account_id: str) -> Person:
    for person in await _accounts(request):
        if person.id == account_id:
            return person
    raise NoSuchPerson("There is no such account.")


async def _password(request: Request) -> str:
    """As it was typed: blanks count."""
    return form_of(await request.body()).get("password", "")


def _duties(given: Mapping[str, str]) -> frozenset[Duty]:
    return frozenset(duty for duty in Duty if f"{_ROLE}{duty.value}" in given)
