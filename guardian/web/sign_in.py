"""`/review/sign-in` and `/review/sign-out`: how people come in and leave."""

from __future__ import annotations

import secrets
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from guardian.core.errors import SignInRefused, SignInSlowed, Unavailable
from guardian.core.people_desk import SignInTry
from guardian.web.console import console_of, language_of, page
from guardian.web.disk import SESSIONS, SIGN_INS
from guardian.web.parts import parts_of
from guardian.web.problems import Problem
from guardian.web.sessions import (
    BROWSER,
    FORM,
    SESSION,
    SIGN_IN,
    SIGN_OUT,
    TOKEN_FIELD,
    form_of,
    give,
    refuse_forged_sign_in,
    safe_next,
    shown,
    signed_in,
    take_back,
    token_of,
)
from guardian.web.words import WORDS

_BROWSER_S = 365 * 86_400

router = APIRouter(include_in_schema=False)


@router.get(SIGN_IN)
async def form(request: Request) -> Response:
    """The form; whoever is signed in goes on to what they wanted."""
    console_of(request)
    wanted = safe_next(request.query_params.get("next", ""))
    if signed_in(request) is not None:
        return RedirectResponse(wanted, 303)
    return _form(request, wanted)


@router.post(SIGN_IN)
async def sign_in(request: Request) -> Response:
    """Goes on to what was wanted, with a session that nobody has seen before; or shows the form again."""
    parts, console = parts_of(request), console_of(request)
    fields = form_of(await request.body())
    wanted = safe_next(fields.get("next", ""))
    try:
        refuse_forged_sign_in(parts, request, fields.get(TOKEN_FIELD, ""))
    except Problem:
        return _form(request, wanted, "old_page", 403)
    tried = SignInTry(
        name=fields.get("name", ""),
        password=fields.get("password", ""),
        address=request.client.host if request.client else "",
        browser=shown(parts, request, BROWSER),
        session=shown(parts, request, SESSION),
    )
    try:
        signed = await SIGN_INS.run(partial(console.people.sign_in, tried))
    except SignInRefused:
        return _form(request, wanted, "wrong", 403)
    except SignInSlowed as slowed:
        answer = _form(request, wanted, "slowed", 429, slowed.retry_after)
        answer.headers["Retry-After"] = str(slowed.retry_after)
        return answer
    except Unavailable:
        return _form(request, wanted, "busy", 503)
    answer = RedirectResponse(wanted, 303)
    give(parts, answer, SESSION, signed.session)
    give(parts, answer, BROWSER, signed.browser, _BROWSER_S)
    take_back(parts, answer, FORM)
    return answer


@router.post(SIGN_OUT)
async def sign_out(request: Request) -> Response:
    """Ends the session; somebody whose session has ended already is as welcome."""
    parts, console = parts_of(request), console_of(request)
    if signed_in(request) is not None:
        await SESSIONS.run(partial(console.people.sign_out, shown(parts, request, SESSION)))
    answer = RedirectResponse(SIGN_IN, 303)
    take_back(parts, answer, SESSION)
    return answer


def _form(request: Request, wanted: str, said: str = "", status: int = 200, seconds: int = 0) -> Response:
    """What was typed is not shown again: a password may have been typed as a name."""
    parts = parts_of(request)
    secret = shown(parts, request, FORM) or secrets.token_urlsafe(32)
    words = WORDS[language_of(request)]
    values = {
        "wanted": wanted,
        "form_token": token_of(secret),
        "said": words[said].format(seconds=seconds) if said else "",
        "place": SIGN_IN,
    }
    answer = page(request, "sign_in.html", values, status)
    give(parts, answer, FORM, secret)
    return answer
