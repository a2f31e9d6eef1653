"""Who is asking, and may they?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from guardian.core.audit import Principal
from guardian.core.people import PEOPLE_ONLY, Permission, Person
from guardian.core.violations import Role
from guardian.web.admission import Admitted
from guardian.web.disk import SESSIONS
from guardian.web.parts import Parts, parts_of
from guardian.web.problems import Problem, response
from guardian.web.sessions import signed_in

LOCAL_TENANT = "local"
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="guardian"'}
_INVALID = {"WWW-Authenticate": 'Bearer realm="guardian", error="invalid_token"'}
"""As RFC 6750 section 3.1 has it for a token that was shown and does not fit."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Someone who may create calls. key_id: None on this machine without keys."""

    tenant: str
    key_id: str | None


def bearer(connection: HTTPConnection) -> str | None:
    """The Bearer token shown, or None; of two headers nobody knows which one a proxy has looked at."""
    shown = connection.headers.getlist("authorization")
    scheme, _, token = (shown[0] if len(shown) == 1 else "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def identify(parts: Parts, connection: HTTPConnection) -> Caller | None:
    """The caller by API key, or by being on this machine while there are no keys."""
    token = bearer(connection)
    if parts.keyless():
        return Caller(LOCAL_TENANT, None)
    key = parts.keys.find(token) if token else None
    return Caller(key.tenant, key.id) if key else None


def require_caller(request: Request) -> Caller:
    """The caller, or Problem 401."""
    caller = identify(parts_of(request), request)
    if caller is None:
        raise Problem(401, "An API key is needed: Authorization: Bearer <key>.", _CHALLENGE)
    return caller


def require_key(request: Request) -> Caller:
    """A caller with an API key, on this machine too; else Problem 401."""
    parts = parts_of(request)
    if parts.keyless():
        detail = "An API key is needed here, on this machine too: make one with `guardian keys init`, and"
        raise Problem(401, f"{detail} send it as Authorization: Bearer <key>.", _CHALLENGE)
    caller = identify(parts, request)
    if caller is None or caller.key_id is None:
        raise Problem(401, "An API key is needed: Authorization: Bearer <key>.", _CHALLENGE)
    return caller


def require_principal(request: Request, permission: Permission) -> Principal:
    """Who is answerable for what is asked: somebody signed in whose roles allow it, or an API key.

    Problem 401 for everybody else, Forbidden for somebody who is known and may not.
    """
    signed = signed_in(request)
    if signed is not None:
        who = principal_of(signed.person)
        if not signed.person.may(permission):
            raise Forbidden(who, permission)
        return who
    if permission in PEOPLE_ONLY and bearer(request) is None:
        raise Problem(401, "Sign in at /review first.", _CHALLENGE)
    caller = require_key(request)
    assert caller.key_id is not None
    who = Principal(caller.tenant, "key", caller.key_id)
    if permission in PEOPLE_ONLY:
        raise Forbidden(who, permission)
    return who


def principal_of(person: Person) -> Principal:
    """Somebody who is signed in, as the chain and links name them."""
    return Principal(person.tenant, "person", person.id)


class Forbidden(Problem):
    """Somebody who is known may not do this; a person's try is told in the chain."""

    def __init__(self, who: Principal, permission: Permission) -> None:
        what = "An API key does" if who.kind == "key" else "Your roles do"
        super().__init__(403, f"{what} not allow this ({permission.value}).")
        self.who = who
        self.permission = permission


async def forbidden(request: Request, refusal: Exception) -> Response:
    """The answer to somebody who may not, after it was told."""
    assert isinstance(refusal, Forbidden)
    console = parts_of(request).console
    if console is not None and refusal.who.kind == "person":
        await SESSIONS.run(partial(console.people.forbidden, refusal.who, refusal.permission.value))
    return response(refusal)


def require_leg(request: Request, call_id: str, role: Role) -> Admitted:
    """The call whose leg token is shown. Problem 401 (none, unknown, expired), 403 (the other leg's), 404.

    The time limit is for joining: who has joined may come back while the call lasts.
    """
    parts = parts_of(request)
    token = bearer(request)
    if token is None:
        raise Problem(401, "The leg's token is needed: Authorization: Bearer <token>.", _CHALLENGE)
    call = parts.register.any_tenant(call_id)
    fits = _leg_of(call, token) if call is not None else None
    if call is None or fits is None:
        raise Problem(401, "This token opens no leg of this call.", _INVALID)
    if fits is not role:
        raise Problem(403, f"This token opens the {fits.value}'s leg, not the {role.value}'s.")
    came_in_time = any(session.role is role for session in call.sessions.values())
    if parts.register.expired(call.legs[role]) and not came_in_time:
        raise Problem(401, "This token has expired; create a new call.", _INVALID)
    return call


def require_session(request: Request, call_id: str, session_id: str) -> Admitted:
    """The call whose session its leg's token, or its tenant's caller, asks for.

    A token that is too old to join may still end or mend what it began.
    """
    parts = parts_of(request)
    token = bearer(request)
    call = parts.register.any_tenant(call_id)
    fits = _leg_of(call, token) if call is not None and token else None
    if call is None or fits is None:
        return _session_of_tenant(request, call_id, session_id)
    session = call.sessions.get(session_id)
    if session is None:
        raise Problem(404, "There is no such session.")
    if session.role is not fits:
        raise Problem(403, f"This token opens the {fits.value}'s leg only.")
    return call


def _session_of_tenant(request: Request, call_id: str, session_id: str) -> Admitted:
    parts = parts_of(request)
    caller = identify(parts, request)
    if caller is None or (caller.key_id is None and bearer(request)):
        raise Problem(401, "The leg's token is needed: Authorization: Bearer <token>.", _CHALLENGE)
    call = parts.register.of_tenant(call_id, caller.tenant)
    if session_id not in call.sessions:
        raise Problem(404, "There is no such session.")
    return call


def _leg_of(call: Admitted, token: str) -> Role | None:
    return next((role for role, leg in call.legs.items() if leg.fits(token)), None)
