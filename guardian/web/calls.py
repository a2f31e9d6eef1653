"""`/v1/calls`: admitting, watching, steering and ending calls."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import secrets
from contextlib import suppress
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from guardian.core.calls import CallEvent, CallEventType, CallSpec
from guardian.core.errors import CallFailed, NoSuchCall, Unavailable
from guardian.core.sfu import origin_of, urls_of
from guardian.core.times import rfc3339
from guardian.core.violations import Role
from guardian.web.access import Caller, require_caller
from guardian.web.admission import Admitted, now, public_status
from guardian.web.bodies import (
    CALL_ID,
    Complaint,
    Connect,
    ConsentChange,
    CreateCall,
    ModeChange,
    Mute,
    Notice,
    read,
    takes,
)
from guardian.web.clients import client_of
from guardian.web.parts import Parts, parts_of
from guardian.web.problems import Problem
from guardian.web.rules import check_overlays

_KEEP_S = 5.0
logger = logging.getLogger("guardian.calls")

router = APIRouter(tags=["calls"])


@router.post("/v1/calls", status_code=201, openapi_extra=takes(CreateCall), summary="Admit a call")
async def create(request: Request) -> Response:
    """Answers with a url and a token for each leg; 403 without consent, 503 when every slot is taken."""
    caller = require_caller(request)
    parts = parts_of(request)
    client = client_of(request, caller)
    request.app.state.clients.knock(client)
    body = await read(request, CreateCall)
    spec = _spec(body, caller, parts)
    check_overlays(parts, caller.tenant, body.overlays)
    request.app.state.clients.one_more(client)
    # Whoever comes too late is told so before anything that takes long: nothing waits in between.
    tokens = parts.register.admit(spec, body.metadata, parts.config.token_s, client)
    try:
        parts.host.reserve(spec.call_id)
        await parts.host.open(spec, await asyncio.to_thread(parts.rules.packed, spec))
    except BaseException:
        parts.register.withdraw(spec.call_id)
        parts.host.release(spec.call_id)
        raise
    began = {"call_id": spec.call_id, "tenant": spec.tenant, "mode": spec.mode.value}
    logger.info("a call begins", extra=began)
    base = parts.config.public_url or f"{request.scope['scheme']}://{request.headers.get('host', '')}"
    legs = {
        role.value: {
            "url": f"{base}/v1/calls/{spec.call_id}/{role.value}",
            "token": token,
            "expires_at": rfc3339(expires),
        }
        for role, (token, expires) in tokens.items()
    }
    headers = {"Location": f"/v1/calls/{spec.call_id}"}
    return JSONResponse({"call_id": spec.call_id, "legs": legs}, 201, headers)


def _spec(body: CreateCall, caller: Caller, parts: Parts) -> CallSpec:
    token = body.consent.token if body.consent else None
    if body.consent is None or not token or not token.strip():
        raise Problem(403, "Without the shopper's consent Guardian does not join: send consent.token.")
    order = hashlib.sha256(body.order_ref.encode()).hexdigest() if body.order_ref else None
    return CallSpec(
        call_id=body.call_id or f"call_{secrets.token_hex(8)}",
        tenant=caller.tenant,
        participants={Role.SHOPPER: body.shopper.id, Role.MERCHANT: body.merchant.id},
        mode=body.mode or parts.config.default_mode,
        languages=body.languages,
        scopes=frozenset(body.consent.scopes),
        notice_version=body.consent.notice_version,
        consent_sha256=hashlib.sha256(token.encode()).hexdigest(),
        purpose=body.purpose,
        initiated_by=body.initiated_by,
        order_ref_sha256=order,
        started_at=now(),
        overlays=body.overlays,
    )


@router.get("/v1/calls/{call_id}", summary="State, coverage, lapses, latency")
async def status(request: Request, call_id: str) -> Response:
    """What the call process last said of itself; a call that ended says why."""
    call = _mine(request, call_id)
    spec = call.spec
    about = {
        "call_id": spec.call_id,
        "mode": spec.mode.value,
        "languages": list(spec.languages),
        "scopes": sorted(scope.value for scope in spec.scopes),
        "notice_version": spec.notice_version,
        "created_at": spec.started_at,
        "metadata": dict(call.metadata),
        "overlays": list(spec.overlays),
    }
    known = _last_status(parts_of(request), call_id) or call.last
    if call.ended is None:
        # While it is being opened, by a node that takes it again for one, nothing is known of it yet.
        return JSONResponse({**about, "state": "open", "ended_reason": None, **public_status(known)})
    state = "failed" if call.ended == "failed" else "ended"
    over = {"state": state, "ended_reason": call.ended, "ended_at": call.ended_at}
    return JSONResponse({**about, **public_status(known), **over})


@router.delete("/v1/calls/{call_id}", status_code=204, summary="End a call")
async def end(request: Request, call_id: str) -> Response:
    """Idempotent."""
    call = _mine(request, call_id)
    parts = parts_of(request)
    going_on = call.ended is None
    last = _last_status(parts, call_id) if going_on else {}
    # One that has failed is ended too: in a fleet it could be taken again.
    await parts.host.hang_up(call_id, None, "ended by the call service")
    if going_on:
        parts.register.end(call_id, "ended by the call service", last)
        await _written(parts)
    return Response(status_code=204)


@router.post(
    "/v1/calls/{call_id}/connect",
    openapi_extra=takes(Connect),
    summary="Meet a participant at an SFU",
)
async def connect(request: Request, call_id: str) -> Response:
    """Guardian goes there as a client and stays for the rest of the call; 502 when it is not let in."""
    _live(request, call_id)
    body = await read(request, Connect)
    place = body.place()
    parts = parts_of(request)
    allowed = {origin_of(origin) for origin in parts.config.sfu_origins}
    if not all(origin_of(url) in allowed for url in urls_of(place)):
        raise Problem(403, "This SFU is not among the configured `media.sfu_origins`.")
    await parts.host.connect(call_id, body.role, place)
    return JSONResponse({"call_id": call_id, "role": body.role.value})


@router.post("/v1/calls/{call_id}/mode", openapi_extra=takes(ModeChange), summary="Change the mode")
async def change_mode(request: Request, call_id: str) -> Response:
    """Holds from the next picture on."""
    call = _live(request, call_id)
    body = await read(request, ModeChange)
    await parts_of(request).host.set_mode(call_id, body.mode)
    call.spec = replace(call.spec, mode=body.mode)
    return JSONResponse({"call_id": call_id, "mode": body.mode.value})


@router.post("/v1/calls/{call_id}/consent", openapi_extra=takes(ConsentChange), summary="Change the consent")
async def change_consent(request: Request, call_id: str) -> Response:
    """The scopes named hold from now on; those left out are withdrawn."""
    call = _live(request, call_id)
    body = await read(request, ConsentChange)
    scopes = frozenset(body.scopes)
    # What is withdrawn holds at once, however long the call process takes or whatever becomes of it.
    call.spec = replace(call.spec, scopes=call.spec.scopes & scopes)
    await parts_of(request).host.set_scopes(call_id, body.scopes)
    call.spec = replace(call.spec, scopes=scopes)
    return JSONResponse({"call_id": call_id, "scopes": sorted(s.value for s in set(body.scopes))})


@router.post(
    "/v1/calls/{call_id}/complaint",
    status_code=202,
    openapi_extra=takes(Complaint),
    summary="One-tap complaint",
)
async def complain(request: Request, call_id: str) -> Response:
    """Raises `complaint.received` and keeps the seconds around it; evidence_id null: nothing may be kept."""
    call = _live(request, call_id)
    body = await read(request, Complaint)
    data = {"role": body.role.value, "reason": body.reason}
    event_id = await _raise(request, call, CallEventType.COMPLAINT_RECEIVED, data)
    evidence_id = None
    # The complaint is on the disk: it counts, whatever becomes of the call.
    with suppress(NoSuchCall, CallFailed):
        evidence_id = await parts_of(request).host.keep(call_id, event_id)
    return JSONResponse({"call_id": call_id, "event_id": event_id, "evidence_id": evidence_id}, 202)


@router.post("/v1/calls/{call_id}/mute", status_code=202, openapi_extra=takes(Mute), summary="Ask to mute")
async def mute(request: Request, call_id: str) -> Response:
    """Raises `action.requested`; the call service acts, Guardian does not."""
    call = _live(request, call_id)
    body = await read(request, Mute)
    data = {"action": "mute", "role": body.role.value, "reason": body.reason}
    return _accepted(call, await _raise(request, call, CallEventType.ACTION_REQUESTED, data))


@router.post(
    "/v1/calls/{call_id}/notice", status_code=202, openapi_extra=takes(Notice), summary="Ask for a notice"
)
async def notice(request: Request, call_id: str) -> Response:
    """Raises `action.requested`; role null means both parties."""
    call = _live(request, call_id)
    body = await read(request, Notice)
    data = {"action": "notice", "role": body.role.value if body.role else None, "notice": body.notice}
    return _accepted(call, await _raise(request, call, CallEventType.ACTION_REQUESTED, data))


def _mine(request: Request, call_id: str) -> Admitted:
    caller = require_caller(request)
    if not re.match(CALL_ID, call_id):
        raise NoSuchCall("There is no such call.")
    return parts_of(request).register.of_tenant(call_id, caller.tenant)


def _live(request: Request, call_id: str) -> Admitted:
    call = _mine(request, call_id)
    if call.ended is not None:
        raise Problem(409, "This call has ended.")
    return call


def _accepted(call: Admitted, event_id: str) -> Response:
    return JSONResponse({"call_id": call.spec.call_id, "event_id": event_id}, 202)


async def _raise(request: Request, call: Admitted, kind: CallEventType, data: dict[str, Any]) -> str:
    """The id of the event, once it is on the disk. Unavailable."""
    parts = parts_of(request)
    media_t = _last_status(parts, call.spec.call_id).get("media_t", 0.0)
    event = CallEvent(call.spec.call_id, kind, now(), float(media_t), data)
    future = parts.publish(call.spec, event)
    try:
        async with asyncio.timeout(_KEEP_S):
            kept = await asyncio.wrap_future(future)
    except TimeoutError as error:
        raise Unavailable("The event could not be kept in time; try again.") from error
    return str(kept.event_id)


async def _written(parts: Parts) -> None:
    """Waits until what the call told at its end is on the disk, so that no kill can undo the answer."""
    newest = parts.newest()
    if newest is not None:
        with suppress(TimeoutError):  # What waits is accepted; a disk that is slow holds nobody up for long.
            async with asyncio.timeout(_KEEP_S):
                await asyncio.wait([asyncio.wrap_future(newest)])


def _last_status(parts: Parts, call_id: str) -> dict[str, Any]:
    try:
        return dict(parts.host.status(call_id))
    except NoSuchCall:
        return {}
