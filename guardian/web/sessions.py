"""Who is signed in, as a browser shows it: a cookie nobody can guess, and a token against forged requests."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import parse_qs

from starlette.requests import HTTPConnection
from starlette.responses import Response

from guardian.core.people import Person
from guardian.web.disk import SESSIONS
from guardian.web.parts import Parts
from guardian.web.problems import Problem

SIGN_IN, SIGN_OUT = "/review/sign-in", "/review/sign-out"
TOKEN_HEADER, TOKEN_FIELD = "X-CSRF-Token", "csrf"
SESSION, BROWSER, FORM = "guardian_session", "guardian_browser", "guardian_form"
"""Cookies: who is signed in; that somebody has signed in from here before; what the form's token is of."""

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_SAFE = ("GET", "HEAD", "OPTIONS")
_FORM_TYPE = "application/x-www-form-urlencoded"
_NEXT = re.compile(r"/review(/[A-Za-z0-9._~=@,:+-]+)*(\?[A-Za-z0-9._~=&%@,:+-]*)?")
_NEXT_MOST = 512
_WITHOUT = ("/livez", "/readyz", "/metrics", "/static/", "/v1/calls")
"""Where it makes no difference who is signed in; calls are for keys and tokens, and for the try-it page."""
_SIGNED = "guardian.signed"
_OLD_PAGE = "This page is out of date; load it again and repeat what you did."


@dataclass(frozen=True, slots=True)
class Signed:
    """Somebody who is signed in. token: what their forms and scripts have to show."""

    person: Person
    token: str = field(repr=False)


async def recognise(parts: Parts, connection: HTTPConnection) -> Signed | None:
    """Who is signed in; nobody where a key is shown, which is done on purpose. Unavailable."""
    path = connection.scope["path"]
    if parts.console is None or "authorization" in connection.headers or path.startswith(_WITHOUT):
        return None
    secret = shown(parts, connection, SESSION)
    if not secret:
        return None
    person = await SESSIONS.run(partial(parts.console.people.session, secret))
    return None if person is None else Signed(person, token_of(secret))


def keep(connection: HTTPConnection, signed: Signed | None) -> None:
    """Remembers who is signed in for as long as the request lasts."""
    connection.scope[_SIGNED] = signed


def signed_in(connection: HTTPConnection) -> Signed | None:
    """Who is signed in, None for everybody else."""
    signed = connection.scope.get(_SIGNED)
    return signed if isinstance(signed, Signed) else None


def refuse_forgery(parts: Parts, connection: HTTPConnection, body: bytes) -> None:
    """Problem 403 when what a signed-in browser sends may be another page's doing."""
    signed = signed_in(connection)
    method, path = connection.scope["method"], connection.scope["path"]
    # The form for signing in has a token of its own: whoever uses it need not be signed in.
    if signed is None or method in _SAFE or path == SIGN_IN:
        return
    refuse_other_sites(parts, connection)
    given = connection.headers.get(TOKEN_HEADER, "")
    if not given and connection.headers.get("content-type", "").startswith(_FORM_TYPE):
        given = form_of(body).get(TOKEN_FIELD, "")
    if not secrets.compare_digest(given.encode(), signed.token.encode()):
        raise Problem(403, _OLD_PAGE)


def refuse_forged_sign_in(parts: Parts, connection: HTTPConnection, given: str) -> None:
    """The same for the form for signing in: nobody is signed in by another page, as somebody else."""
    refuse_other_sites(parts, connection)
    secret = shown(parts, connection, FORM)
    if not secret or not secrets.compare_digest(given.encode(), token_of(secret).encode()):
        raise Problem(403, _OLD_PAGE)


def refuse_other_sites(parts: Parts, connection: HTTPConnection) -> None:
    """Problem 403 where the browser says that a page of another site has sent this."""
    host, origin = connection.headers.get("host", ""), connection.headers.get("origin")
    own = {f"http://{host}", f"https://{host}", parts.config.public_url}
    site = connection.headers.get("sec-fetch-site", "same-origin")
    if (origin is not None and origin not in own) or site not in ("same-origin", "none"):
        raise Problem(403, "Pages of other sites may not do this.")


def form_of(body: bytes) -> dict[str, str]:
    """The fields of a form, the first of each name; none where it is no form."""
    try:
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=100, errors="strict")
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def token_of(secret: str) -> str:
    """What a page shows to prove that it is ours; tells nothing of the secret in the cookie."""
    return hashlib.sha256(f"guardian csrf {secret}".encode()).hexdigest()


def shown(parts: Parts, connection: HTTPConnection, name: str) -> str:
    """The secret in one of our cookies, "" for none and for what never was one."""
    value = connection.cookies.get(_cookie(parts, name), "")
    return value if _SECRET.fullmatch(value) else ""


def give(parts: Parts, response: Response, name: str, secret: str, max_age: int | None = None) -> None:
    """Sets one of our cookies. max_age: seconds; None: until the browser is closed."""
    response.set_cookie(
        _cookie(parts, name),
        secret,
        max_age=max_age,
        path="/",
        httponly=True,
        samesite="strict",
        secure=_secure(parts),
    )


def take_back(parts: Parts, response: Response, name: str) -> None:
    """Removes one of our cookies."""
    response.delete_cookie(
        _cookie(parts, name), path="/", httponly=True, samesite="strict", secure=_secure(parts)
    )


def safe_next(wanted: str) -> str:
    """Where to go after signing in: a page of the console, whatever was asked for."""
    fits = len(wanted) <= _NEXT_MOST and _NEXT.fullmatch(wanted) and ".." not in wanted
    return wanted if fits and not wanted.startswith((SIGN_IN, SIGN_OUT)) else "/review"


def _secure(parts: Parts) -> bool:
    return parts.console is not None and parts.console.secure


def _cookie(parts: Parts, name: str) -> str:
    """With the prefix no other host of the domain can set it (RFC 6265bis, section 4.1.3.2)."""
    return f"__Host-{name}" if _secure(parts) else name
