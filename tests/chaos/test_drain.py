"""A server that is told to end lets its calls go on for a while, and says so."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess

import httpx
import pytest

from guardian.core.violations import Role
from guardian.demo.peers import CameraTrack, new_peer
from tests.loopback.harness import ToneTrack, calling, canary_pictures, serving, until

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

BODY = {"call_id": "c", "shopper": {"id": "u"}, "merchant": {"id": "m"}, "consent": {"token": "t"}}
LONG_S = 600


def client_of(server):
    return httpx.Client(base_url=server.url, trust_env=False, timeout=30)


def draining(client):
    return client.get("/readyz").json()["state"] == "draining"


def ended(server):
    try:
        return server.process.wait(60)
    except subprocess.TimeoutExpired:
        return None


def reasons(server):
    left = [event["data"] for event in server.events() if ".call.left." in event["type"]]
    return [data["reason"] for data in left if data["role"] is None]


def test_calls_go_on_while_no_new_ones_are_taken(tmp_path):
    async def scenario(server):
        with client_of(server) as client, contextlib.suppress(httpx.TransportError):
            async with calling(server) as call:
                await call.until(lambda s: s["frames"]["covered"] > 0, 60, "a protected picture")
                server.process.send_signal(signal.SIGTERM)
                await until(lambda: draining(client), 30, "the drain")
                assert client.get("/readyz").status_code == 503
                assert client.get("/livez").status_code == 200
                refused = client.post("/v1/calls", json=BODY)
                assert refused.status_code == 503
                assert int(refused.headers["Retry-After"]) >= 1
                before = call.view.frames
                await until(lambda: call.view.frames > before + 30, 60, "pictures during the drain")
                # Whoever has lost the network comes back.
                again = new_peer()
                again.addTrack(ToneTrack())
                again.addTrack(CameraTrack(canary_pictures(), 30))
                await call.client.join(call.legs[Role.SHOPPER], again)
                covered = (await call.status())["frames"]["covered"]
                await call.until(lambda s: s["frames"]["covered"] > covered + 30, 60, "the second camera")
                await again.close()
                assert server.process.poll() is None
                return call.view

    with serving(tmp_path, drain_s=LONG_S) as server:
        view = asyncio.run(scenario(server))
        assert view.canary_blocks == 0
        assert ended(server) == 0, "nobody is waited for when the last call has ended"
        assert reasons(server) == ["ended by the call service"]


def test_calls_that_last_longer_are_ended_and_told(tmp_path):
    with serving(tmp_path, drain_s=1) as server, client_of(server) as client:
        assert client.post("/v1/calls", json=BODY).status_code == 201
        server.process.send_signal(signal.SIGTERM)
        assert ended(server) == 0
        assert reasons(server) == ["draining"]


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_waits_for_nobody(tmp_path, second):
    with serving(tmp_path, drain_s=LONG_S) as server, client_of(server) as client:
        assert client.post("/v1/calls", json=BODY).status_code == 201
        server.process.send_signal(signal.SIGTERM)
        asyncio.run(until(lambda: draining(client), 30, "the drain"))
        server.process.send_signal(second)
        assert ended(server) == 0
        assert reasons(server) == ["the server stops"]
