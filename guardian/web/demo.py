"""The try-it page: a call with oneself. Only on one's own machine, without keys."""

from __future__ import annotations

import asyncio
import json
import re

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from guardian.web.access import LOCAL_TENANT
from guardian.web.bodies import CALL_ID
from guardian.web.ops import page
from guardian.web.parts import DemoPage, parts_of
from guardian.web.problems import Problem

router = APIRouter(include_in_schema=False)


def _page(request: Request) -> DemoPage:
    parts = parts_of(request)
    if parts.config.demo is None or not parts.keyless():
        raise Problem(404, "The try-it page is off: it is for one's own machine without API keys.")
    return parts.config.demo


@router.get("/demo")
async def demo(request: Request) -> Response:
    """The page itself."""
    sample, parts = _page(request).sample, parts_of(request)
    values = {
        "version": parts.config.version,
        "sample": sample is not None,
        "console": parts.console is not None,
    }
    result = page("demo.html", values)
    result.headers["Permissions-Policy"] = "camera=(self), microphone=(self)"
    return result


@router.get("/demo/sample")
async def sample(request: Request) -> Response:
    """The sample video, when there is one."""
    path = _page(request).sample
    if path is None or not path.is_file():
        raise Problem(404, "There is no sample video; the page draws one.")
    return FileResponse(path)


@router.get("/demo/voice")
async def voice(request: Request) -> Response:
    """What the merchant says in a sample call: an attempt."""
    return FileResponse(_page(request).voice)


@router.get("/demo/events/{call_id}")
async def events(request: Request, call_id: str) -> Response:
    """Events of a call after `?after=N`, as sent to the sinks."""
    _page(request)
    if not re.fullmatch(CALL_ID, call_id):
        raise Problem(404, "There is no such call.")
    parts = parts_of(request)
    parts.register.of_tenant(call_id, LOCAL_TENANT)
    after = request.query_params.get("after", "0")
    if not re.fullmatch(r"[0-9]{1,12}", after):
        raise Problem(422, "`after` is a sequence number.")
    bodies = await asyncio.to_thread(parts.events_of, call_id, int(after))
    return JSONResponse({"events": [json.loads(body) for body in bodies]})
