"""The port answers before there is anything behind it."""

import asyncio

import httpx
import pytest

from guardian.core.errors import ConfigError
from guardian.listening import answering, listen
from guardian.settings import load


def test_a_server_that_starts_says_so():
    async def scenario():
        listener = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with answering(listener) as door, httpx.AsyncClient(base_url=url, trust_env=False) as client:
            alive = await client.get("/livez")
            ready = await client.get("/readyz")
            call = await client.post("/v1/calls", json={})

            async def application(scope, receive, send):
                await send({"type": "http.response.start", "status": 204, "headers": []})
                await send({"type": "http.response.body"})

            door.app = application
            after = await client.get("/readyz")
        listener.close()
        return alive, ready, call, after

    alive, ready, call, after = asyncio.run(scenario())
    assert (alive.status_code, after.status_code) == (200, 204)
    assert ready.status_code == call.status_code == 503
    assert ready.json()["state"] == "starting"
    assert ready.headers["content-type"] == "application/problem+json"
    assert int(call.headers["Retry-After"]) >= 1


def who_asks(proxies, forwarded):
    """Whom an application takes a request from this machine for."""
    seen = []

    async def application(scope, receive, send):
        seen.append((scope["client"][0], scope["scheme"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def scenario():
        listener = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        headers = {"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https"}
        async with (
            answering(listener, proxies) as door,
            httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client,
        ):
            door.app = application
            await client.get("/")
        listener.close()

    asyncio.run(scenario())
    return seen[0]


def test_nobody_is_believed_who_asks_by_default():
    assert who_asks((), "203.0.113.9") == ("127.0.0.1", "http")
    assert who_asks(("10.0.0.0/8",), "203.0.113.9") == ("127.0.0.1", "http")


def test_a_trusted_proxy_says_who_asks():
    assert who_asks(("127.0.0.0/8",), "203.0.113.9") == ("203.0.113.9", "https")
    # What the caller wrote itself stands before what the proxy saw.
    assert who_asks(("127.0.0.1", "10.0.0.0/8"), "127.0.0.1, 203.0.113.9, 10.1.1.1")[0] == "203.0.113.9"


@pytest.mark.parametrize("wrong", ["*", "proxy.example.com", "10.0.0.1/8", ""])
def test_a_proxy_that_is_no_address_is_one_sentence(wrong, tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(f'[server]\ntrusted_proxies = ["{wrong}"]\n')
    with pytest.raises(ConfigError, match="no address and no network"):
        load(path)
