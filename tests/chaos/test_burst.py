"""Many ask for a call at once: as many are let in as there are slots, and the others know at once."""

from __future__ import annotations

import asyncio
import sys
import time

import httpx
import pytest

from tests.loopback.harness import serving

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

AT_ONCE, SLOTS = 50, 2
BODY = {"shopper": {"id": "u"}, "merchant": {"id": "m"}, "consent": {"token": "t"}}


async def ask(client: httpx.AsyncClient) -> tuple[httpx.Response, float]:
    began = time.perf_counter()
    answer = await client.post("/v1/calls", json=BODY)
    return answer, (time.perf_counter() - began) * 1000


async def burst(url: str) -> None:
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=120, limits=limits) as client:
        async with asyncio.TaskGroup() as tasks:
            # Connections take their time too; refusals are measured on such as are there.
            for _ in range(AT_ONCE):
                tasks.create_task(client.get("/livez"))
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(ask(client)) for _ in range(AT_ONCE)]
        answers = [task.result() for task in asked]
        made = [answer.json() for answer, _ in answers if answer.status_code == 201]
        refused = [(answer, ms) for answer, ms in answers if answer.status_code == 503]
        assert (len(made), len(refused)) == (SLOTS, AT_ONCE - SLOTS)
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer, _ in refused)
        times = sorted(ms for _, ms in refused)
        admitted = sorted(ms for answer, ms in answers if answer.status_code == 201)
        said = ", ".join(f"{ms:.0f}" for ms in admitted)
        times_ms = f"refused in ms: p50 {times[len(times) // 2]:.0f}, max {times[-1]:.0f}; admitted: {said}"
        sys.stdout.write(f"{times_ms}\n")  # for whoever runs it with -s
        probe = (await client.get("/readyz")).json()
        assert (probe["state"], probe["slots"]) == ("full", {"taken": SLOTS, "all": SLOTS})
        assert (await client.delete(f"/v1/calls/{made[0]['call_id']}")).status_code == 204
        assert (await client.get("/readyz")).json()["state"] == "ready"
        again, _ = await ask(client)
        assert again.status_code == 201, "the slot of a call that has ended is free again"


def test_fifty_at_once(tmp_path):
    with serving(tmp_path, slots=SLOTS) as server:
        asyncio.run(burst(server.url))
