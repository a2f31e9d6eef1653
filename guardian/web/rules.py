"""`/v1/rules`: looking at, changing and trying the rules. Always with an API key, on this machine too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from guardian.core.errors import ConfigError, NoSuchRule, Unavailable
from guardian.core.people import Permission
from guardian.core.rule_desk import RuleAuthor
from guardian.core.rulebook import RulesRefused
from guardian.web.access import require_principal
from guardian.web.bodies import RuleChange, RuleLines, RuleProposal, media_type, read, takes
from guardian.web.parts import Parts, parts_of
from guardian.web.problems import Problem

_WAIT_S = 30.0
_YAML = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain")
_TEXT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/yaml": {"schema": {"type": "string"}}},
    }
}

P = ParamSpec("P")
T = TypeVar("T")

router = APIRouter(tags=["rules"])


@router.get("/v1/rules", summary="The rules in force")
async def overview(request: Request) -> Response:
    """States, versions, where each rule is written, the fingerprint, and what was refused last."""
    tenant = require_principal(request, Permission.RULES_SEE).tenant
    return JSONResponse(await beside(parts_of(request).rules.overview, tenant))


@router.post("/v1/rules/test", openapi_extra=takes(RuleLines), summary="Judge lines")
async def test(request: Request) -> Response:
    """Each line by itself, in order, by the rules in force."""
    tenant = require_principal(request, Permission.RULES_TRY).tenant
    body = await read(request, RuleLines)
    parts = parts_of(request)
    check_overlays(parts, tenant, body.overlays)
    return JSONResponse({"results": await beside(parts.rules.test, body.question(tenant))})


@router.post("/v1/rules/backtest", openapi_extra=takes(RuleProposal), summary="Try a change of the rules")
async def backtest(request: Request) -> Response:
    """What would be new, gone or changed among the lines if these files were put; 422 names what is wrong."""
    tenant = require_principal(request, Permission.RULES_TRY).tenant
    body = await read(request, RuleProposal)
    parts = parts_of(request)
    check_overlays(parts, tenant, body.overlays)
    return JSONResponse(await beside(parts.rules.backtest, body.question(tenant), body.files))


@router.get("/v1/rules/files/{name:path}", summary="The text of a rule file")
async def text(request: Request, name: str) -> Response:
    """As it is in force."""
    tenant = require_principal(request, Permission.RULES_SEE).tenant
    found = await beside(parts_of(request).rules.text, tenant, name)
    return PlainTextResponse(found, media_type="application/yaml")


@router.put("/v1/rules/files/{name:path}", openapi_extra=_TEXT, summary="Write a rule file")
async def put(request: Request, name: str) -> Response:
    """Holds in running calls within seconds; 422 names the line at fault and leaves all as it was."""
    by = RuleAuthor(require_principal(request, Permission.RULES_CHANGE))
    if media_type(request) not in _YAML:
        raise Problem(415, "The body must be sent as application/yaml.", {"Accept": "application/yaml"})
    try:
        written = (await request.body()).decode("utf-8")
    except UnicodeDecodeError:
        raise Problem(400, "The body is not UTF-8 text.") from None
    return JSONResponse(await beside(parts_of(request).rules.put, by, name, written))


@router.delete("/v1/rules/files/{name:path}", summary="Remove a rule file")
async def remove(request: Request, name: str) -> Response:
    """422 when the others cannot be used without it."""
    by = RuleAuthor(require_principal(request, Permission.RULES_CHANGE))
    return JSONResponse(await beside(parts_of(request).rules.put, by, name, None))


@router.get("/v1/rules/{rule_id}", summary="One rule")
async def one(request: Request, rule_id: str) -> Response:
    """As in the list."""
    tenant = require_principal(request, Permission.RULES_SEE).tenant
    found = await beside(parts_of(request).rules.overview, tenant)
    for rule in found["rules"]:
        if rule["id"] == rule_id:
            return JSONResponse(rule)
    raise NoSuchRule("There is no rule with this id.")


@router.patch("/v1/rules/{rule_id}", openapi_extra=takes(RuleChange), summary="Change the state of a rule")
async def change(request: Request, rule_id: str) -> Response:
    """off, shadow or live; kept in an overlay of the key's tenant, in force within seconds."""
    by = RuleAuthor(require_principal(request, Permission.RULES_CHANGE))
    body = await read(request, RuleChange)
    return JSONResponse(await beside(parts_of(request).rules.set_state, by, rule_id, body.state))


def check_overlays(parts: Parts, tenant: str, overlays: Sequence[str]) -> None:
    """Problem 422 when one of them is not there for this tenant."""
    unknown = parts.rules.unknown(tenant, overlays)
    if unknown:
        raise Problem(422, f"/overlays: there is no overlay {unknown[0]} of the rules; see GET /v1/rules.")


async def beside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The answer of something slow, from a thread. Problem 422 for rules that cannot be used."""
    try:
        async with asyncio.timeout(_WAIT_S):
            return await asyncio.to_thread(work, *args, **kwargs)
    except TimeoutError:
        raise Unavailable("The rules take too long to answer; try again with fewer lines.") from None
    except RulesRefused:
        raise
    except ConfigError as error:
        raise Problem(422, str(error)) from error
