"""The port of a server, and who answers there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from guardian.core.errors import GuardianError, Unavailable
from guardian.core.readiness import Status
from guardian.web.problems import Problem, response
from guardian.web.protocol import PlainProtocol

_UP_S = 10.0
_SHUT_S = 4.0


class _Web(uvicorn.Server):
    """Leaves signals to the server; says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Sets `up` once requests are taken."""
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


async def starting(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers while there is no application yet: it lives, and is not ready."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/livez":
        await JSONResponse({"status": "alive"})(scope, receive, send)
        return
    detail = "Guardian is starting; ask again in a moment."
    await response(Problem(503, detail, {"Retry-After": "2"}, {"state": Status.STARTING.value}))(
        scope, receive, send
    )


class Door:
    """Whoever is at the port. app: who answers; `starting` until there is somebody else.

    proxies: addresses and networks whose word on who asks is taken (X-Forwarded-For, X-Forwarded-Proto).
    """

    def __init__(self, proxies: Sequence[str] = ()) -> None:
        self.app: ASGIApp = starting
        self._web = _Web(
            uvicorn.Config(
                self,
                http=PlainProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(proxies),
                forwarded_allow_ips=list(proxies),
                timeout_graceful_shutdown=2,
                timeout_keep_alive=10,
            )
        )
        self._shut = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's request."""
        await self.app(scope, receive, send)

    async def serve(self, listener: socket.socket) -> None:
        """Takes requests until it is shut."""
        try:
            await self._web.serve(sockets=[listener])
        finally:
            self._shut.set()

    async def open(self) -> None:
        """Waits until requests are taken. TimeoutError."""
        async with asyncio.timeout(_UP_S):
            await self._web.up.wait()

    async def shut(self) -> None:
        """Takes no more requests; those under way may be finished, within bounds."""
        self._web.should_exit = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SHUT_S):
                await self._shut.wait()


@asynccontextmanager
async def answering(listener: socket.socket, proxies: Sequence[str] = ()) -> AsyncIterator[Door]:
    """Requests are taken while inside. proxies: as `Door` has it."""
    async with asyncio.TaskGroup() as tasks:
        door = Door(proxies)
        serving = tasks.create_task(door.serve(listener), name="http")
        try:
            await door.open()
            yield door
        finally:
            await door.shut()
            serving.cancel()


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Unavailable in one sentence when the address is not to be had."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = sorted(found, key=lambda f: f[0] != socket.AF_INET)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"The address {host} is not one of this machine; choose another --host.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        if isinstance(error, PermissionError):
            raise Unavailable(f"Port {port} needs rights this user lacks; choose one above 1023.") from error
        raise Unavailable(
            f"Port {port} on {host} is in use; end the other program or choose another --port."
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """The base url of whoever listens there."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def plain(group: ExceptionGroup[Exception]) -> Exception:
    """The error with a sentence inside a group, else the group."""
    for error in group.exceptions:
        inner = plain(error) if isinstance(error, ExceptionGroup) else error
        if isinstance(inner, GuardianError):
            return inner
    return group
