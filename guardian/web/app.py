"""Puts the web application together."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp

from guardian.web import calls, demo, legs, ops, problems, rules
from guardian.web.front import Front
from guardian.web.parts import Parts

_ABOUT = (
    "Guardian sits beside a call service: it protects the shopper's picture, hears both voices and tells of "
    "attempts to leave the platform. Every refusal is an RFC 9457 problem document."
)


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
    routers = [module.router for module in (calls, legs, rules, ops, demo)]
    problems.install(app, [*app.routes, *(route for router in routers for route in router.routes)])
    for router in routers:
        app.include_router(router)
    return Front(app, parts)
