"""Puts the web application together."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp

from guardian.web import (
    access,
    account,
    appeal_pages,
    appeals,
    assets,
    audit,
    audit_pages,
    calls,
    case_page,
    cases,
    console,
    demo,
    event_pages,
    events,
    evidence,
    exception_pages,
    feed,
    legs,
    operation_pages,
    ops,
    participants,
    people,
    people_pages,
    problems,
    quality_pages,
    queue,
    rule_pages,
    rules,
    sign_in,
)
from guardian.web.clients import Clients
from guardian.web.forwarding import Forwarding
from guardian.web.front import Front
from guardian.web.parts import Parts

_ABOUT = (
    "Guardian sits beside a call service: it protects the shopper's picture, hears both voices and tells of "
    "attempts to leave the platform. Every refusal is an RFC 9457 problem document."
)


ROUTERS = tuple(
    module.router
    for module in (
        calls,
        legs,
        rules,
        cases,
        appeals,
        events,
        evidence,
        participants,
        sign_in,
        account,
        queue,
        feed,
        case_page,
        people,
        audit,
        appeal_pages,
        quality_pages,
        rule_pages,
        exception_pages,
        event_pages,
        operation_pages,
        people_pages,
        audit_pages,
        ops,
        assets,
        demo,
    )
)
"""Everything that can be asked for."""


def create_app(parts: Parts) -> ASGIApp:
    """The whole HTTP surface, with its gate in front."""
    app = FastAPI(
        title="Guardian",
        version=parts.config.version,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.parts = parts
    app.state.clients = Clients(parts)
    app.state.feeds = feed.Feeds(parts.review)
    app.add_exception_handler(access.Forbidden, access.forbidden)
    console.install(app)
    problems.install(
        app, [*app.routes, *(route for router in ROUTERS for route in router.routes)], console.answer
    )
    for router in ROUTERS:
        app.include_router(router)
    if parts.dispatcher is None:
        return Front(app, parts)
    return Front(Forwarding(app, parts, parts.dispatcher), parts)
