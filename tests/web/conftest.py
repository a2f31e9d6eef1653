"""A real server on a real port, with a host that has no media."""

import asyncio
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest

from guardian.core.errors import GuardianError
from guardian.server import serving
from guardian.settings import Settings
from tests.fakes.host import FakeHost


@dataclass
class Running:
    url: str
    host: FakeHost
    settings: Settings
    publish: Callable
    client: httpx.Client
    call_soon: Callable

    @property
    def port(self) -> int:
        return httpx.URL(self.url).port

    def raw(self, request: bytes) -> tuple[int, str, bytes]:
        """Status, content type and body that come back for these very bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(request)
            response = HTTPResponse(connection)
            response.begin()
            return response.status, response.headers.get("content-type"), response.read()


@contextmanager
def running(settings: Settings, host: FakeHost | Callable) -> Iterator[Running]:
    """host: a fake one, or what makes a real one."""
    up = threading.Event()
    found: dict = {}

    @asynccontextmanager
    async def make_host(work, publish) -> AsyncIterator[FakeHost]:
        found["publish"] = publish
        if isinstance(host, FakeHost):
            yield host
        else:
            async with host(work, publish) as real:
                yield real

    async def main() -> None:
        found["loop"], found["stop"] = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with serving(settings, make_host) as url:
                found["url"] = url
                up.set()
                await found["stop"].wait()
        except GuardianError as error:
            found["error"] = error
        finally:
            up.set()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert up.wait(20)
    if "error" in found:
        thread.join(20)
        raise found["error"]
    try:
        with httpx.Client(base_url=found["url"], trust_env=False, timeout=20) as client:
            call_soon = found["loop"].call_soon_threadsafe
            yield Running(found["url"], host, settings, found["publish"], client, call_soon)
    finally:
        found["loop"].call_soon_threadsafe(found["stop"].set)
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def serve(tmp_path: Path, made_store: Path) -> Iterator[Callable[..., Running]]:
    """serve(server={...}, limits={...}, ...) -> a running server; slots=N for its host."""
    data = tmp_path / "data"
    data.mkdir(0o700)
    shutil.copy(made_store, data / "guardian.db")
    with ExitStack() as stack:

        def start(slots: int = 2, **sections) -> Running:
            given = {"data_dir": str(data), **sections}
            given["server"] = {"port": 0, **given.get("server", {})}
            return stack.enter_context(running(Settings(**given), FakeHost(slots)))

        yield start


@pytest.fixture
def server(serve) -> Running:
    return serve()


@pytest.fixture(name="call_body")
def _call_body():
    return call_body


@pytest.fixture(name="refused")
def _refused():
    return refused


def call_body(**changes) -> dict:
    body = {
        "shopper": {"id": "u_1"},
        "merchant": {"id": "m_1"},
        "consent": {"token": "yes-i-do", "notice_version": "zh-2026-10"},
    }
    return {**body, **changes}


def refused(response: httpx.Response, status: int) -> dict:
    """Checks a problem document and gives it back."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert all(problem[key] for key in ("type", "title", "detail"))
    assert "Traceback" not in response.text
    return problem
