"""The port answers before there is anything behind it."""

import asyncio

import httpx

from guardian.listening import answering, listen


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
