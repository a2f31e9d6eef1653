"""A call through an SFU that speaks WHIP and WHEP; Guardian is the client of both."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription

from guardian.core.violations import Role
from guardian.demo.peers import CallClient, CameraTrack, new_peer
from tests.loopback.harness import ToneTrack, View, canary_pictures, serving, until, watch

SIZE = (320, 240)
TOKEN = "sfu-token-that-stays-secret"


@pytest.fixture(scope="module")
def sfu():
    program = [sys.executable, str(Path(__file__).with_name("whip_server.py")), TOKEN]
    process = subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        found = re.search(rb"listening on (http://\S+)", process.stdout.readline())
        assert found
        yield found[1].decode()
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@pytest.fixture(scope="module")
def server(sfu, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("guardian"), media=f'sfu_origins = ["{sfu}"]\n') as running:
        yield running


async def post(sfu: str, path: str, pc: RTCPeerConnection) -> None:
    await pc.setLocalDescription(await pc.createOffer())
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/sdp"}
    async with httpx.AsyncClient(base_url=sfu, trust_env=False, timeout=30) as http:
        answer = await http.post(path, content=pc.localDescription.sdp, headers=headers)
    assert answer.status_code == 201, answer.text
    await pc.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))


async def connect(server, call_id: str, role: Role, **ends: str) -> httpx.Response:
    endpoints = {name: {"url": url, "token": TOKEN} for name, url in ends.items()}
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as http:
        return await http.post(f"/v1/calls/{call_id}/connect", json={"role": role, "endpoints": endpoints})


@asynccontextmanager
async def peers(count: int):
    made = [new_peer() for _ in range(count)]
    try:
        yield made
    finally:
        for pc in made:
            await pc.close()


def deleted(sfu: str) -> list[str]:
    """The sessions that were ended by DELETE."""
    return httpx.get(f"{sfu}/sessions", trust_env=False).json()["deleted"]


def test_guardian_pulls_the_raw_stream_and_pushes_the_protected_one(server, sfu):
    view = View()

    async def main():
        async with CallClient(server.url) as client, peers(2) as (shopper, merchant):
            call_id, _ = await client.create(mode="selfie")
            shopper.addTrack(ToneTrack())
            shopper.addTrack(CameraTrack(canary_pictures(SIZE), 30))
            await post(sfu, "/whip/raw", shopper)
            answer = await connect(server, call_id, Role.SHOPPER, whep=f"{sfu}/whep/raw")
            assert answer.status_code == 200, answer.text
            answer = await connect(server, call_id, Role.MERCHANT, whip=f"{sfu}/moved/whip/protected")
            assert answer.status_code == 200, answer.text
            merchant.addTransceiver("audio", direction="recvonly")
            merchant.addTransceiver("video", direction="recvonly")
            await post(sfu, "/whep/protected", merchant)
            async with asyncio.TaskGroup() as tasks:
                watching = [
                    tasks.create_task(watch(merchant, "video", view.look)),
                    tasks.create_task(watch(merchant, "audio", lambda f: view.listen(Role.MERCHANT, f))),
                ]
                await until(lambda: SIZE in view.sizes and view.frames > 30, 60, "a moving picture")
                await until(lambda: view.loud[Role.MERCHANT], 20, "the shopper's voice")
                for task in watching:
                    task.cancel()
            await client.hang_up(call_id)
            await until(lambda: len(deleted(sfu)) == 2, 20, "the end of both sessions")

    asyncio.run(main())
    assert view.canary_blocks == 0


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/whep/nobody-publishes", 502, "answered 404"),
        ("/nothing/here", 502, "answered 404"),
        ("/astray/whep/raw", 502, "does not name"),
    ],
)
def test_an_endpoint_that_does_not_let_guardian_in_is_told(server, sfu, path, status, words):
    async def main():
        async with CallClient(server.url) as client:
            call_id, _ = await client.create()
            answer = await connect(server, call_id, Role.SHOPPER, whep=f"{sfu}{path}")
            await client.hang_up(call_id)
            return answer

    answer = asyncio.run(main())
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    assert TOKEN not in server.log()


def test_an_sfu_that_is_not_configured_is_not_contacted(server):
    async def main():
        async with CallClient(server.url) as client:
            call_id, _ = await client.create()
            answer = await connect(server, call_id, Role.SHOPPER, whep="https://sfu.example.com/whep/raw")
            await client.hang_up(call_id)
            return answer

    answer = asyncio.run(main())
    assert answer.status_code == 403
    assert "media.sfu_origins" in answer.json()["detail"]
