"""Many ask for a call at once: as many are let in as there are slots, and the others know at once."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass

import httpx
import pytest

from tests.loopback.harness import serving

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

AT_ONCE, SLOTS = 50, 2
BODY = {"shopper": {"id": "u"}, "merchant": {"id": "m"}, "consent": {"token": "t"}}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and after how long."""

    status: int
    headers: dict[str, str]
    body: dict
    ms: float


async def ask(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes) -> Answer:
    """By hand: a client that takes long would be measured and not the server."""
    reader, writer = streams
    began = time.perf_counter()
    writer.write(request)
    async with asyncio.timeout(120):
        head = await reader.readuntil(b"\r\n\r\n")
        ms = (time.perf_counter() - began) * 1000
        first, *lines = head.decode().split("\r\n")[:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
    return Answer(int(first.split()[1]), headers, json.loads(body), ms)


async def at_once(url: httpx.URL) -> list[Answer]:
    body = json.dumps(BODY)
    request = (
        f"POST /v1/calls HTTP/1.1\r\nHost: {url.netloc.decode()}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
    connections = [await asyncio.open_connection(url.host, url.port) for _ in range(AT_ONCE)]
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(ask(streams, request)) for streams in connections]
    for _, writer in connections:
        writer.close()
    return [task.result() for task in asked]


def told(answers: list[Answer]) -> str:
    """How long answers took, for whoever runs it with -s."""
    refused = sorted(one.ms for one in answers if one.status == 503)
    made = ", ".join(f"{one.ms:.0f}" for one in answers if one.status == 201)
    return f"refused in ms: p50 {refused[len(refused) // 2]:.0f}, max {refused[-1]:.0f}; admitted: {made}\n"


def test_fifty_at_once(tmp_path):
    with (
        serving(tmp_path, slots=SLOTS) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client,
    ):
        answers = asyncio.run(at_once(httpx.URL(server.url)))
        sys.stdout.write(told(answers))
        made = [one.body["call_id"] for one in answers if one.status == 201]
        refused = [one for one in answers if one.status == 503]
        assert (len(made), len(refused)) == (SLOTS, AT_ONCE - SLOTS)
        assert all(int(one.headers["retry-after"]) >= 1 for one in refused)
        probe = client.get("/readyz").json()
        assert (probe["state"], probe["slots"]) == ("full", {"taken": SLOTS, "all": SLOTS})
        assert client.delete(f"/v1/calls/{made[0]}").status_code == 204
        assert client.get("/readyz").json()["state"] == "ready"
        again = client.post("/v1/calls", json=BODY)
        assert again.status_code == 201, "the slot of a call that has ended is free again"
