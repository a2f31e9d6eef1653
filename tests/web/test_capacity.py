"""How calls are refused: full, too many of one client, about to end."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from guardian.core.errors import CallFailed


def retry_after(response):
    return int(response.headers["Retry-After"])


def test_readiness_tells_ready_from_full(serve, call_body, refused):
    server = serve(slots=1)
    ready = server.client.get("/readyz")
    assert (ready.status_code, ready.json()["state"]) == (200, "ready")
    assert ready.json()["slots"] == {"taken": 0, "all": 1}
    made = server.client.post("/v1/calls", json=call_body()).json()
    full = server.client.get("/readyz")
    assert (full.status_code, full.json()["state"]) == (200, "full"), "calls that run need their server"
    assert full.json()["slots"] == {"taken": 1, "all": 1}
    assert retry_after(server.client.post("/v1/calls", json=call_body())) >= 1
    assert server.client.delete(f"/v1/calls/{made['call_id']}").status_code == 204
    assert server.client.get("/readyz").json()["state"] == "ready"


def test_fifty_at_once_get_what_there_is(serve, call_body, refused):
    server = serve(slots=3)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: server.client.post("/v1/calls", json=call_body()), range(50)))
    assert sorted(a.status_code for a in answers) == [201] * 3 + [503] * 47
    for answer in answers:
        if answer.status_code == 503:
            assert "slot" in refused(answer, 503)["detail"]
            assert retry_after(answer) >= 1
    assert server.host.capacity() == (3, 3)


@pytest.mark.parametrize("failure", [CallFailed("It could not be started."), RuntimeError("?")])
def test_a_failed_start_gives_its_slot_back(serve, call_body, failure, monkeypatch):
    server = serve(slots=1)

    async def fails(spec, rules=""):
        raise failure

    monkeypatch.setattr(server.host, "open", fails)
    assert server.client.post("/v1/calls", json=call_body(call_id="c")).status_code in (500, 502)
    monkeypatch.undo()
    assert server.client.post("/v1/calls", json=call_body(call_id="c")).status_code == 201


def test_a_start_waits_for_nobody_else(serve, call_body, monkeypatch):
    server = serve(slots=1)
    opened = asyncio.Event()
    opening = server.host.open

    async def slow(spec, rules=""):
        await opened.wait()
        await opening(spec, rules)

    monkeypatch.setattr(server.host, "open", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(server.client.post, "/v1/calls", json=call_body())
        deadline = time.monotonic() + 20
        while server.client.get("/readyz").json()["state"] != "full":
            assert time.monotonic() < deadline
        assert server.client.post("/v1/calls", json=call_body()).status_code == 503
        assert not first.done()
        server.call_soon(opened.set)
        assert first.result(20).status_code == 201


def test_a_taken_name_costs_no_slot(serve, call_body):
    server = serve(slots=2)
    assert server.client.post("/v1/calls", json=call_body(call_id="c")).status_code == 201
    assert server.client.post("/v1/calls", json=call_body(call_id="c")).status_code == 409
    assert server.host.capacity() == (1, 2)


def test_one_client_has_so_many_calls_at_once(serve, call_body, refused):
    server = serve(slots=5, limits={"client_calls": 2})
    made = [server.client.post("/v1/calls", json=call_body()) for _ in range(3)]
    assert [answer.status_code for answer in made] == [201, 201, 429]
    assert "at once" in refused(made[2], 429)["detail"]
    assert retry_after(made[2]) >= 1
    server.client.delete(f"/v1/calls/{made[0].json()['call_id']}")
    assert server.client.post("/v1/calls", json=call_body()).status_code == 201


def test_one_client_asks_for_so_many_calls_a_minute(serve, call_body, refused):
    server = serve(slots=5, limits={"client_calls_per_min": 2})
    made = [server.client.post("/v1/calls", json=call_body()) for _ in range(3)]
    assert [answer.status_code for answer in made] == [201, 201, 429]
    assert 1 <= retry_after(made[2]) <= 30
    assert "minute" in refused(made[2], 429)["detail"]
    assert server.client.get(f"/v1/calls/{made[0].json()['call_id']}").status_code == 200
