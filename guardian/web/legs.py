"""A leg's offer and its session: WHIP (RFC 9725), WHEP and plain two-way peers at one address."""

from __future__ import annotations

import hashlib
import re

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from guardian.core.config import IceServer
from guardian.core.errors import NoSuchCall, OfferRefused
from guardian.core.violations import Role
from guardian.web.access import require_leg, require_session
from guardian.web.admission import Session
from guardian.web.bodies import media_type
from guardian.web.parts import parts_of
from guardian.web.problems import Problem

_SDP = "application/sdp"
_FRAGMENT = "application/trickle-ice-sdpfrag"
_SESSIONS_KEPT = 64
_NO_RESTART = "ICE cannot be restarted; post a new offer to the leg, it takes over."

router = APIRouter(tags=["legs"])


async def _offer(request: Request, call_id: str, role: Role) -> Response:
    call = require_leg(request, call_id, role)
    if media_type(request) != _SDP:
        raise Problem(415, "An offer is sent as application/sdp.", {"Accept-Post": _SDP})
    if call.ended is not None:
        raise Problem(409, "This call has ended.")
    parts = parts_of(request)
    offer = await _text(request)
    answer = await parts.host.offer(call_id, role, offer)
    call.sessions[answer.session_id] = Session(role, _ice(offer))
    while len(call.sessions) > _SESSIONS_KEPT:
        call.sessions.popitem(last=False)
    headers = {
        "Location": f"/v1/calls/{call_id}/sessions/{answer.session_id}",
        "ETag": _etag(answer.session_id),
        "Accept-Patch": _FRAGMENT,
    }
    result = Response(answer.sdp, 201, headers, _SDP)
    for server in parts.ice_servers():
        for url in server.urls:
            result.headers.append("Link", _link(url, server))
    return result


def _options() -> Response:
    return Response(status_code=200, headers={"Accept-Post": _SDP, "Allow": "OPTIONS, POST"})


_OFFER_SCHEMA = {"requestBody": {"content": {_SDP: {"schema": {"type": "string"}}}, "required": True}}


@router.post(
    "/v1/calls/{call_id}/shopper", status_code=201, openapi_extra=_OFFER_SCHEMA, summary="The shopper's offer"
)
async def shopper(request: Request, call_id: str) -> Response:
    """Takes an SDP offer with the leg's token, answers with SDP, Location and ETag."""
    return await _offer(request, call_id, Role.SHOPPER)


@router.post(
    "/v1/calls/{call_id}/merchant",
    status_code=201,
    openapi_extra=_OFFER_SCHEMA,
    summary="The merchant's offer",
)
async def merchant(request: Request, call_id: str) -> Response:
    """Takes an SDP offer with the leg's token, answers with SDP, Location and ETag."""
    return await _offer(request, call_id, Role.MERCHANT)


@router.options("/v1/calls/{call_id}/shopper", include_in_schema=False)
async def shopper_options(call_id: str) -> Response:
    """What may be posted."""
    return _options()


@router.options("/v1/calls/{call_id}/merchant", include_in_schema=False)
async def merchant_options(call_id: str) -> Response:
    """What may be posted."""
    return _options()


@router.options("/v1/calls/{call_id}/sessions/{session_id}", include_in_schema=False)
async def session_options(call_id: str, session_id: str) -> Response:
    """What may be done with a session."""
    headers = {"Accept-Patch": _FRAGMENT, "Accept-Post": _SDP, "Allow": "DELETE, OPTIONS, PATCH"}
    return Response(status_code=200, headers=headers)


@router.patch(
    "/v1/calls/{call_id}/sessions/{session_id}", status_code=204, summary="More ICE candidates of the peer"
)
async def trickle(request: Request, call_id: str, session_id: str) -> Response:
    """Takes application/trickle-ice-sdpfrag.

    428 without If-Match, 412 for another ETag, 422 for an ICE restart.
    """
    call = require_session(request, call_id, session_id)
    if media_type(request) != _FRAGMENT:
        raise Problem(415, f"Candidates are sent as {_FRAGMENT}.", {"Accept-Patch": _FRAGMENT})
    shown = ",".join(request.headers.getlist("if-match"))
    if not shown:
        raise Problem(428, "Candidates are for one ICE session: send its ETag as If-Match.")
    fragment = await _text(request)
    if shown.strip(' "') == "*":
        raise Problem(422, _NO_RESTART)
    if _etag(session_id) not in re.findall(r'(?:W/)?"[^"]*"', shown):
        raise Problem(412, "This is not the session's ETag.")
    if not _ice(fragment) <= call.sessions[session_id].ice:
        raise Problem(422, _NO_RESTART)
    if call.ended is not None:
        raise NoSuchCall("This call has ended.")
    await parts_of(request).host.trickle(call_id, session_id, fragment)
    return Response(status_code=204)


@router.delete("/v1/calls/{call_id}/sessions/{session_id}", summary="Hang up a leg")
async def hang_up(request: Request, call_id: str, session_id: str) -> Response:
    """Idempotent."""
    call = require_session(request, call_id, session_id)
    if call.ended is None:
        await parts_of(request).host.hang_up(call_id, session_id, "hung up")
    return Response(status_code=200)


async def _text(request: Request) -> str:
    try:
        text = (await request.body()).decode("utf-8")
    except UnicodeDecodeError:
        raise OfferRefused("The body is not UTF-8.") from None
    if not text.strip() or "\x00" in text:
        raise OfferRefused("The body holds no session description.")
    return text


def _ice(sdp: str) -> frozenset[str]:
    """User names and passwords of ICE. Others than those offered restart it (RFC 9725 section 4.3.3)."""
    names = ("a=ice-ufrag:", "a=ice-pwd:")
    return frozenset(line.strip() for line in sdp.split("\n") if line.startswith(names))


def _etag(session_id: str) -> str:
    return f'"{hashlib.sha256(session_id.encode()).hexdigest()[:16]}"'


def _link(url: str, server: IceServer) -> str:
    parts = [f'<{url}>; rel="ice-server"']
    if server.username is not None and server.credential is not None:
        parts.append(f'username="{_quoted(server.username)}"')
        parts.append(f'credential="{_quoted(server.credential)}"')
        parts.append('credential-type="password"')
    return "; ".join(parts)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
