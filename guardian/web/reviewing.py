"""Who reviews: somebody signed in with what their roles allow, or an API key with all that keys may."""

from __future__ import annotations

from starlette.requests import Request

from guardian.core.people import PEOPLE_ONLY, Permission, Person
from guardian.core.review_desk import Reviewer
from guardian.web.access import principal_of, require_principal
from guardian.web.sessions import signed_in

_KEYS = frozenset(Permission) - PEOPLE_ONLY


def require_reviewer(request: Request, permission: Permission) -> Reviewer:
    """Who is asking. Problem 401; 403 where they may not do what `permission` names."""
    principal = require_principal(request, permission)
    signed = signed_in(request)
    return Reviewer(principal, _KEYS) if signed is None else reviewer_of(signed.person)


def reviewer_of(person: Person) -> Reviewer:
    """Somebody who is signed in, with what their roles allow."""
    return Reviewer(principal_of(person), frozenset(one for one in Permission if person.may(one)))
