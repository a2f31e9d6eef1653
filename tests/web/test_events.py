"""`/v1/events` as somebody meets it who looks after what was not delivered."""

import asyncio
import base64
import threading
import time
from contextlib import contextmanager

import pytest

from guardian.web.keyfile import KeyFile
from tests.events.receiver import receiving

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
QUICK = [0.001] * 5


@contextmanager
def receiver_in_a_thread(answers):
    found, up = {}, threading.Event()

    async def main():
        found["loop"], found["stop"] = asyncio.get_running_loop(), asyncio.Event()
        async with receiving(SECRET, answers) as receiver:
            found["receiver"] = receiver
            up.set()
            await found["stop"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert up.wait(20)
    try:
        yield found["receiver"]
    finally:
        found["loop"].call_soon_threadsafe(found["stop"].set)
        thread.join(20)


class Site:
    """A server with keys for two tenants and one webhook, for what both raise."""

    def __init__(self, serve, tmp_path, receiver, **choices):
        secret = tmp_path / "secret"
        secret.write_text(SECRET)
        keys = KeyFile(tmp_path / "data" / "api_keys.json")
        self.auth = {
            tenant: {"Authorization": f"Bearer {keys.add(tenant)[1]}"} for tenant in ("acme", "other")
        }
        hook = {
            "name": "hook",
            "url": receiver.url,
            "secret": {"file": str(secret)},
            "allow_private": True,
            **choices,
        }
        self.server = serve(events={"webhooks": [hook], "retry_s": QUICK, "file": ""})

    def ask(self, method, path, tenant="acme", **options):
        return self.server.client.request(method, f"/v1/events{path}", headers=self.auth[tenant], **options)

    def complain(self, call_body, call_id, tenant="acme"):
        client, auth = self.server.client, self.auth[tenant]
        assert client.post("/v1/calls", json=call_body(call_id=call_id), headers=auth).status_code == 201
        answer = client.post(f"/v1/calls/{call_id}/complaint", headers=auth)
        assert answer.status_code == 202
        return answer.json()["event_id"]

    def until(self, true, limit_s=15.0):
        deadline = time.monotonic() + limit_s
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_strangers_are_refused_on_loopback_too(server, refused):
    for method, path in (
        ("GET", "/dead"), ("POST", "/dead/replay"), ("POST", "/dead/discard"), ("GET", "/dead/x"),
        ("GET", "/endpoints"), ("POST", "/endpoints/hook/enable"),
    ):  # fmt: skip
        problem = refused(server.client.request(method, f"/v1/events{path}"), 401)
        assert "guardian keys init" in problem["detail"]


def test_dead_letters_are_listed_and_delivered_anew(serve, tmp_path, call_body):
    with receiver_in_a_thread(["404 No"] * 3) as receiver:
        site = Site(serve, tmp_path, receiver)
        event_id = site.complain(call_body, "c")
        site.until(lambda: site.ask("GET", "/dead").json()["total"])
        (letter,) = site.ask(
            "GET", "/dead", params={"type": "complaint.received", "endpoint": "hook"}
        ).json()["dead"]
        assert {key: letter[key] for key in ("id", "call_id", "sequence", "attempts", "error")} == {
            "id": event_id, "call_id": "c", "sequence": 1, "attempts": 3, "error": "hook: HTTP 404",
        }  # fmt: skip
        whole = site.ask("GET", f"/dead/{event_id}").json()
        assert whole["id"] == event_id
        for choice in ({"type": "call.left"}, {"call_id": "d"}, {"until": "2020-01-01T00:00:00Z"}):
            assert site.ask("GET", "/dead", params=choice).json()["total"] == 0
            assert site.ask("POST", "/dead/replay", json=choice).json() == {"replayed": 0}
        assert site.ask("POST", "/dead/replay", json={"ids": [event_id]}).json() == {"replayed": 1}
        site.until(lambda: receiver.taken)
        assert receiver.taken[0]["id"] == event_id
        assert site.ask("GET", "/dead").json() == {"total": 0, "dead": []}


def test_a_tenant_sees_and_replays_its_own(serve, tmp_path, call_body, refused):
    with receiver_in_a_thread(["404 No"] * 3) as receiver:
        site = Site(serve, tmp_path, receiver)
        event_id = site.complain(call_body, "c")
        site.until(lambda: site.ask("GET", "/dead").json()["total"])
        assert site.ask("GET", "/dead", "other").json()["total"] == 0
        assert site.ask("POST", "/dead/replay", "other", json={}).json() == {"replayed": 0}
        assert site.ask("POST", "/dead/discard", "other", json={}).json() == {"discarded": 0}
        refused(site.ask("GET", f"/dead/{event_id}", "other"), 404)
        assert site.ask("GET", "/endpoints", "other").json()["endpoints"][0]["dead"] == 0
        assert site.ask("POST", "/dead/discard", json={"type": "call.left"}).json() == {"discarded": 0}
        assert site.ask("POST", "/dead/discard", json={"ids": [event_id]}).json() == {"discarded": 1}
        assert site.ask("GET", "/dead").json() == {"total": 0, "dead": []}


def test_an_endpoint_that_is_gone_is_shown_and_enabled(serve, tmp_path, call_body):
    with receiver_in_a_thread(["410 Gone"]) as receiver:
        site = Site(serve, tmp_path, receiver, tenants=["acme"])

        def state():
            return site.ask("GET", "/endpoints").json()["endpoints"][0]

        site.complain(call_body, "c")
        site.until(lambda: state()["disabled_at"])
        assert (state()["pending"], state()["dead"]) == (1, 0)
        assert "410" in state()["reason"]
        assert site.ask("GET", "/endpoints", "other").json() == {"endpoints": []}
        assert site.ask("POST", "/endpoints/hook/enable", "other").status_code == 404
        assert receiver.taken == []
        assert site.ask("POST", "/endpoints/hook/enable").status_code == 200
        site.until(lambda: receiver.taken)
        site.until(lambda: state()["pending"] == 0)
        assert state()["disabled_at"] is None


@pytest.mark.parametrize(
    ("query", "named"), [({"typ": "x"}, "typ"), ({"limit": "0"}, "limit"), ({"since": "yesterday"}, "since")]
)
def test_a_choice_that_cannot_be_is_named(serve, tmp_path, refused, query, named):
    with receiver_in_a_thread([]) as receiver:
        site = Site(serve, tmp_path, receiver)
        assert refused(site.ask("GET", "/dead", params=query), 422)["detail"].startswith(named)


def test_an_unknown_endpoint_is_said(serve, tmp_path, refused):
    with receiver_in_a_thread([]) as receiver:
        site = Site(serve, tmp_path, receiver)
        refused(site.ask("POST", "/dead/replay", json={"endpoint": "nobody"}), 404)
        refused(site.ask("POST", "/dead/discard", json={"endpoint": "nobody"}), 404)
        refused(site.ask("POST", "/endpoints/nobody/enable"), 404)


def test_a_store_without_room_takes_no_new_call_and_goes_on_with_the_others(
    serve, tmp_path, call_body, refused, monkeypatch
):
    monkeypatch.setattr("guardian.event_relay.WATCH_EVERY_S", 0.02)
    server = serve(store={"max_bytes": 1024**2})
    client = server.client
    assert client.post("/v1/calls", json=call_body(call_id="c")).status_code == 201
    monkeypatch.setattr("guardian.store.database.Database.size", lambda self: 2 * 1024**2)

    deadline = time.monotonic() + 15
    while client.get("/readyz").status_code != 503:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "store.max_bytes" in refused(client.get("/readyz"), 503)["detail"]
    assert "Retry-After" in client.post("/v1/calls", json=call_body()).headers
    assert client.post("/v1/calls/c/complaint").status_code == 202
    metrics = client.get("/metrics").text
    assert "guardian_store_full 1.0" in metrics


def test_an_endpoint_gets_what_it_wants(serve, tmp_path, call_body):
    with receiver_in_a_thread([]) as receiver:
        site = Site(serve, tmp_path, receiver, types=["complaint.*"], tenants=["other"])
        site.complain(call_body, "c")
        site.complain(call_body, "d", "other")
        site.until(lambda: receiver.taken)
        assert [event["partitionkey"] for event in receiver.taken] == ["d"]
        assert site.ask("GET", "/endpoints").json() == {"endpoints": []}
