"""The gate before the application: who may knock, how often, how much they may send, and how we answer."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import math
import re
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guardian.core.errors import GuardianError
from guardian.core.rate import Rates
from guardian.web import sessions
from guardian.web.access import identify
from guardian.web.bodies import replayed
from guardian.web.clients import client_of, room
from guardian.web.parts import Parts
from guardian.web.problems import Problem, of_error, response

logger = logging.getLogger(__name__)

_LEG = re.compile(r"^/v1/calls/[^/]+/(shopper|merchant|sessions/[^/]+)$")
_NAMED = re.compile(r"(/v1/(?:calls|media)/)[^/]+|(/v1/participants/).+")
_PROBES = ("/livez", "/readyz")
_CALLS = "/v1/calls"
_AT_ONCE = 256
_DRAIN_BYTES = 8 * 1024 * 1024
_DRAIN_S = 2.0
_EXPOSED = "Location, ETag, Link, Accept-Patch, Accept-Post, Retry-After, WWW-Authenticate"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class Front:
    """ASGI middleware; the only place where an unforeseen error of the application ends."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app = app
        self._parts = parts
        config = parts.config
        self._under_way = 0
        self._rates = Rates(config.requests_per_s, config.requests_burst, time.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = _Answer(send, self._headers(scope))
        self._under_way += 1
        try:
            self._let_in(scope)
            connection = HTTPConnection(scope)
            sessions.keep(connection, await sessions.recognise(self._parts, connection))
            body = await self._body(scope, receive)
            sessions.refuse_forgery(self._parts, connection, body)
            await self._app(_as_get(scope), replayed(body, receive), answer)
        except Problem as problem:
            await answer.refuse(problem, scope, receive)
        except GuardianError as error:
            await answer.refuse(of_error(error), scope, receive)
        except Exception as error:  # noqa: BLE001  # whatever it was, the server lives and the caller is told
            # Type and place only: messages and locals may hold what callers sent.
            logger.error("%s failed: %s", _pattern(scope["path"]), _place(error))
            await answer.refuse(
                Problem(500, "Something went wrong inside Guardian; the server goes on."), scope, receive
            )
        finally:
            self._under_way -= 1
            self._parts.count(_method(scope["method"]), answer.status)

    def _let_in(self, scope: Scope) -> None:
        connection = HTTPConnection(scope)
        peer = connection.client.host if connection.client else ""
        path = scope["path"]
        if path not in _PROBES:
            if self._under_way > _AT_ONCE:
                raise Problem(503, "Too many requests are under way; wait a little.", {"Retry-After": "1"})
            # The keys are looked at after the rate of the address, so that guessing is slow.
            caller = identify(self._parts, connection)
            wait = self._rates.wait(client_of(connection, caller))
            if wait > 0:
                raise Problem(429, "Too many requests; wait a little.", {"Retry-After": str(math.ceil(wait))})
            # In a fleet there may be room elsewhere.
            alone = self._parts.dispatcher is None
            if alone and caller is not None and scope["method"] == "POST" and path == _CALLS:
                # Before the body and all that costs: of many at once the last is told soon too.
                room(self._parts)
        if self._parts.keyless():
            self._guard_loopback(peer, connection.headers)

    def _guard_loopback(self, peer: str, headers: Headers) -> None:
        """Without keys only this machine is served, and no page of another site may use it as its hand."""
        if not _loopback(peer):
            raise Problem(401, "Guardian has no API keys yet and serves only its own machine.")
        host = _hostname(f"//{headers.get('host', '')}")
        if host is None or not (host == "localhost" or _loopback(host) or host == self._public_host()):
            raise Problem(403, "Guardian is not known by this Host; use 127.0.0.1 or localhost.")
        origin = headers.get("origin")
        if origin is None or self._known_origin(origin, headers):
            return
        raise Problem(403, "Pages of this origin may not use Guardian; see `allowed_origins`.")

    def _public_host(self) -> str | None:
        return _hostname(self._parts.config.public_url)

    def _known_origin(self, origin: str, headers: Headers) -> bool:
        allowed = self._parts.config.allowed_origins
        own = {f"http://{headers.get('host', '')}", f"https://{headers.get('host', '')}"}
        return origin in own or origin in allowed or "*" in allowed

    def _headers(self, scope: Scope) -> dict[str, str]:
        headers = dict(_HEADERS)
        asked = Headers(scope=scope)
        origin = asked.get("origin")
        if origin and _LEG.match(scope["path"]) and self._known_origin(origin, asked):
            headers |= {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Expose-Headers": _EXPOSED,
                "Cross-Origin-Resource-Policy": "cross-origin",
                "Vary": "Origin",
            }
            if scope["method"] == "OPTIONS":
                headers |= {
                    "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
                    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
                    "Access-Control-Max-Age": "600",
                }
        return headers

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        config = self._parts.config
        length = Headers(scope=scope).get("content-length", "0")
        chunks: list[bytes] = []
        size = int(length) if length.isdecimal() and len(length) < 16 else 0
        try:
            async with asyncio.timeout(config.body_timeout_s):
                more = size <= config.max_body_bytes
                size = 0 if more else size
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Problem(400, "The request ended before its body did.")
                    chunks.append(message.get("body", b""))
                    size += len(chunks[-1])
                    more = message.get("more_body", False) and size <= config.max_body_bytes
        except TimeoutError:
            raise Problem(408, "The body took too long to arrive.", {"Connection": "close"}) from None
        if size > config.max_body_bytes:
            await _drain(receive)
            raise Problem(413, f"A body has {config.max_body_bytes} bytes at most.", {"Connection": "close"})
        return b"".join(chunks)


class _Answer:
    """Adds the headers of every answer and remembers whether it has begun."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        self._send = send
        self._headers = headers
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
        await self._send(message)

    async def refuse(self, problem: Problem, scope: Scope, receive: Receive) -> None:
        """Answers with a problem, unless an answer has begun: that one is cut off by the server."""
        if self.status == 0:
            await response(problem)(scope, receive, self)


def _as_get(scope: Scope) -> Scope:
    """HEAD is answered as GET; the server leaves the body out."""
    return {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope


async def _drain(receive: Receive) -> None:
    """Lets a sender of too much finish, within bounds: one that is cut off would not see the answer."""
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            while size < _DRAIN_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _loopback(host: str) -> bool:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


def _pattern(path: str) -> str:
    """The path without what callers put into it."""
    return _NAMED.sub(lambda found: f"{found[1] or found[2]}{{id}}", path)[:80]


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
    return f"{type(error).__name__}{place}"


def _method(method: str) -> str:
    return method if method in {"GET", "POST", "PATCH", "DELETE", "OPTIONS", "HEAD", "PUT"} else "other"
