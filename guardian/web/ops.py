"""Probes, metrics, the description of this API, and the addresses of what is not built yet."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from guardian.web.parts import parts_of
from guardian.web.problems import Problem

router = APIRouter()

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=select_autoescape()
)


def page(name: str, values: Mapping[str, Any]) -> Response:
    """A page of our own: nothing in it comes from elsewhere."""
    return HTMLResponse(
        templates.get_template(name).render(**values), headers={"Content-Security-Policy": PAGE_POLICY}
    )


@router.get("/livez", tags=["probes"], summary="The server runs")
async def livez() -> Response:
    """Says nothing of calls."""
    return JSONResponse({"status": "alive"})


@router.get("/readyz", tags=["probes"], summary="The server can take calls")
async def readyz(request: Request) -> Response:
    """200 while it is ready or full; 503 while starting, draining or failing. `state` says which."""
    parts = parts_of(request)
    now = parts.ready()
    taken, slots = parts.host.capacity()
    about = {"state": now.status.value, "slots": {"taken": taken, "all": slots}}
    if not now.able:
        raise Problem(
            503, now.reason or "Guardian takes no calls.", {"Retry-After": str(now.retry_after)}, about
        )
    reason = {"reason": now.reason} if now.reason else {}
    return JSONResponse({"status": now.status.value, **about, **reason})


@router.get("/metrics", tags=["probes"], summary="Prometheus")
async def metrics(request: Request) -> Response:
    """Counts and times; no call, person or tenant is named."""
    body, media_type = await asyncio.to_thread(parts_of(request).metrics)
    return Response(body, media_type=media_type)


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """The API as a page, made from /openapi.json."""
    schema = request.app.openapi()
    operations = [
        {"method": method.upper(), "path": path, **operation}
        for path, item in schema["paths"].items()
        for method, operation in item.items()
    ]
    return page("docs.html", {"info": schema["info"], "operations": operations})


@router.get("/", include_in_schema=False)
async def root() -> Response:
    """A browser that was sent to the bare address sees what there is."""
    return RedirectResponse("/docs", 307)
