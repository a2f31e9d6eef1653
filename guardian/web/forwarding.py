"""In a fleet any node answers for any call: requests for calls go to whoever has, or takes, the call."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guardian.core.dispatch import Answered, Asked, Dispatcher
from guardian.core.errors import Unavailable
from guardian.web.access import bearer, identify
from guardian.web.bodies import CALL_ID, replayed
from guardian.web.parts import Parts

_CALL = re.compile(r"^/v1/calls/([^/]+)(/.*)?$")
_HOPS = frozenset(
    {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length", "cookie"}
)
_HERE = "guardian.here"
"""In the scope of a request that is answered by this node, whatever others have."""
ANSWER_BYTES = 512 * 1024
"""No answer about a call is longer; what has no end is not asked for below `/v1/calls`."""


class Forwarding:
    """ASGI middleware inside the gate, which has read the body."""

    def __init__(self, app: ASGIApp, parts: Parts, dispatcher: Dispatcher) -> None:
        self._app = app
        self._parts = parts
        self._dispatcher = dispatcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request: answered here, or passed on."""
        if scope["type"] != "http" or _HERE in scope or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        body = await _whole(receive)
        asked, answered = _asked(scope, body), None
        found = _CALL.match(scope["path"])
        if scope["path"] == "/v1/calls" and scope["method"] == "POST":
            answered, asked = await self._place(scope, asked)
        elif (
            found is not None
            and re.fullmatch(CALL_ID, found[1])
            and bearer(HTTPConnection(scope)) is not None
        ):
            answered = await self._dispatcher.route(found[1], asked)
        if answered is None:
            await self._app(scope, replayed(asked.body, receive), send)
        else:
            await _send(answered, send)

    async def _place(self, scope: Scope, asked: Asked) -> tuple[Answered | None, Asked]:
        """Strangers, and what is no call at all, are answered here."""
        try:
            body = json.loads(asked.body)
        except (ValueError, RecursionError):
            return None, asked
        if identify(self._parts, HTTPConnection(scope)) is None or not isinstance(body, dict):
            return None, asked
        # Known before it is queued, so that what is delivered twice is one call.
        call_id = body.get("call_id")
        if call_id is None:
            call_id = body["call_id"] = f"call_{secrets.token_hex(8)}"
        if not isinstance(call_id, str) or not re.fullmatch(CALL_ID, call_id):
            return None, asked
        asked = _with_body(asked, json.dumps(body).encode())
        return await self._dispatcher.place(call_id, asked), asked


async def answer_here(app: ASGIApp, asked: Asked) -> Answered:
    """What the application of this node, gate and all, answers. Unavailable when that is too long."""
    path, _, query = asked.path.partition("?")
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": asked.scheme,
        "path": unquote(path),
        "raw_path": path.encode("ascii", "replace"),
        "query_string": query.encode("ascii", "replace"),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in asked.headers],
        "client": (asked.client, 0),
        "server": None,
        "state": {},
        _HERE: True,
    }
    answer = _Answer()
    await app(scope, replayed(asked.body, _gone), answer)
    if answer.size > ANSWER_BYTES:
        raise Unavailable("The answer is too long to be passed on; ask the node that has the call.")
    return Answered(answer.status, tuple(answer.headers), b"".join(answer.chunks))


class _Answer:
    """Gathers an answer."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: list[tuple[str, str]] = []
        self.chunks: list[bytes] = []
        self.size = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            pairs = [(n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in message["headers"]]
            self.headers = [(name, value) for name, value in pairs if name not in _HOPS]
        elif message["type"] == "http.response.body":
            self.chunks.append(message.get("body", b""))
            self.size += len(message.get("body", b""))
            if self.size > ANSWER_BYTES:
                self.chunks.clear()


async def _gone() -> Message:
    return {"type": "http.disconnect"}


async def _whole(receive: Receive) -> bytes:
    chunks, more = [], True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


def _asked(scope: Scope, body: bytes) -> Asked:
    query = scope["query_string"].decode("latin-1")
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    headers = tuple((name, value) for name, value in Headers(scope=scope).items() if name not in _HOPS)
    client = scope["client"][0] if scope.get("client") else ""
    return Asked(
        scope["method"], f"{path}?{query}" if query else path, headers, body, scope["scheme"], client
    )


def _with_body(asked: Asked, body: bytes) -> Asked:
    return Asked(asked.method, asked.path, asked.headers, body, asked.scheme, asked.client)


async def _send(answered: Answered, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answered.headers]
    headers.append((b"content-length", str(len(answered.body)).encode()))
    if answered.status in (204, 304):
        headers.pop()
    await send({"type": "http.response.start", "status": answered.status, "headers": headers})
    await send({"type": "http.response.body", "body": answered.body})
