"""What every page of the console has in common: who may look, its language, its headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from guardian.core.people import LANGUAGES, Permission
from guardian.web.access import Forbidden, forbidden, principal_of
from guardian.web.navigation import places_of
from guardian.web.ops import templates
from guardian.web.parts import Console, parts_of
from guardian.web.problems import Problem, response
from guardian.web.sessions import SIGN_IN, Signed, signed_in
from guardian.web.showing import UTC, moment
from guardian.web.words import WORDS
from guardian.web.words.sentences import sentence

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
"""Nothing from elsewhere, nothing inline, and no text that becomes a script."""

_HEADERS = {
    "Content-Security-Policy": POLICY,
    # Not `no-referrer`: a form of ours would come with the origin `null`.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), display-capture=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Cookie, Accept-Language",
}
_PAGES = "/review/"
_ACCEPTED = re.compile(r"\s*([A-Za-z]{2,3})[A-Za-z0-9-]*\s*(?:;\s*q=([01](?:\.\d{0,3})?)\s*)?")


class SignInFirst(Exception):
    """A page was asked for by somebody who is not signed in. wanted: its address."""

    def __init__(self, wanted: str) -> None:
        super().__init__(wanted)
        self.wanted = wanted


class PageForbidden(Forbidden):
    """A page was asked for by somebody who may not see it."""


def visitor(request: Request, permission: Permission) -> Signed:
    """Who looks at a page. SignInFirst, PageForbidden; Problem 404 while the console is switched off."""
    console_of(request)
    signed = signed_in(request)
    if signed is None:
        query = f"?{request.url.query}" if request.url.query else ""
        raise SignInFirst(f"{request.url.path}{query}" if request.method == "GET" else "")
    if not signed.person.may(permission):
        raise PageForbidden(principal_of(signed.person), permission)
    return signed


def console_of(request: Request) -> Console:
    """The console. Problem 404 while it is switched off."""
    console = parts_of(request).console
    if console is None:
        raise Problem(404, "The review console is switched off; see [console] in the settings.")
    return console


def page(request: Request, name: str, values: Mapping[str, Any], status: int = 200) -> Response:
    """A page of the console in the language of whoever looks at it."""
    signed, language = signed_in(request), language_of(request)
    common = {
        "language": language,
        "words": WORDS[language],
        "me": signed.person if signed else None,
        "token": signed.token if signed else "",
        "moment": partial(moment, zone=signed.person.zone if signed else UTC),
        "places": places_of(signed.person) if signed else (),
        "here": request.url.path,
        "version": parts_of(request).config.version,
    }
    return HTMLResponse(templates.get_template(name).render(**common, **values), status, _HEADERS)


def language_of(request: Request) -> str:
    """The account's; of the signed-out what they choose by `?language=`, else what their browser prefers."""
    signed = signed_in(request)
    if signed is not None:
        return signed.person.language if signed.person.language in LANGUAGES else LANGUAGES[0]
    chosen = request.query_params.get("language", "")
    if chosen in LANGUAGES:
        return chosen
    accepted = [
        (float(found[2] or 1), -place, found[1].lower())
        for place, one in enumerate(request.headers.get("accept-language", "")[:200].split(","))
        if (found := _ACCEPTED.fullmatch(one))
    ]
    known = [language for _, _, language in sorted(accepted, reverse=True) if language in LANGUAGES]
    return known[0] if known else LANGUAGES[0]


def answer(request: Request, problem: Problem) -> Response:
    """A refusal as whoever asks can read it: somebody at a page gets a page, all others a document."""
    if signed_in(request) is None or not request.url.path.startswith(_PAGES):
        return response(problem)
    values = {"status": problem.status, "fault": sentence(language_of(request), problem.detail)}
    shown = page(request, "fault.html", values, problem.status)
    shown.headers.update(problem.headers)
    return shown


def install(app: FastAPI) -> None:
    """Answers the signed-out with the form, and those who may not with a page that says so."""

    async def first(_: Request, error: Exception) -> Response:
        assert isinstance(error, SignInFirst)
        where = f"{SIGN_IN}?next={quote(error.wanted, safe='')}" if error.wanted else SIGN_IN
        return RedirectResponse(where, 303)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, PageForbidden)
        await forbidden(request, error)
        return page(request, "refused.html", {"needed": error.permission.value}, 403)

    app.add_exception_handler(SignInFirst, first)
    app.add_exception_handler(PageForbidden, refused)
