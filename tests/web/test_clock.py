"""A clock that is set back while a server runs: nothing waits for it to catch up, and nothing comes back."""

import time

import pytest

from tests.evidence.estate import DAY_S
from tests.fakes.host import ANSWER
from tests.web.test_events import QUICK, SECRET, receiver_in_a_thread
from tests.web.test_evidence import MEDIA, House, link


@pytest.fixture
def wall(monkeypatch):
    """Moves the wall clock by so many seconds; it goes on from there."""
    real, moved = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + moved[0])

    def move(seconds):
        moved[0] += seconds

    return move


def test_calls_events_and_evidence_go_on_and_what_expired_stays_unreadable(
    serve, tmp_path, call_body, refused, wall
):
    (tmp_path / "secret").write_text(SECRET)
    with receiver_in_a_thread(["500 No"] * 2) as receiver:
        hook = {"name": "hook", "url": receiver.url, "allow_private": True}
        hook["secret"] = {"file": str(tmp_path / "secret")}
        events = {"webhooks": [hook], "retry_s": QUICK}
        house = House(serve, tmp_path / "data", events=events, evidence={"sweep_s": 1.0})
        with house.client() as client:
            leg = client.post("/v1/calls", json=call_body(call_id="c")).json()["legs"]["shopper"]
            one, two = house.keep(call_id="x"), house.keep(call_id="d")
            said = {"state": "dismissed", "reason": "false_positive"}
            assert client.post(f"/v1/evidence/{one}/review", json=said).status_code == 200
            wall(DAY_S + 60)
            assert client.get(f"/v1/evidence/{one}").json()["state"] in ("expired", "erased")

            wall(-2 * DAY_S)
            assert client.get("/readyz").status_code == 200
            assert client.get(f"/v1/evidence/{one}").json()["state"] in ("expired", "erased")
            refused(client.post(f"/v1/evidence/{one}/links", json={}), 410)
            (deleted,) = house.events("evidence.deleted")
            assert deleted["data"]["evidence_id"] == one
            assert client.get(link(client, two)).content == MEDIA

            assert client.get("/v1/calls/c").json()["state"] == "warming"
            headers = {"Authorization": f"Bearer {leg['token']}", "Content-Type": "application/sdp"}
            assert client.post(leg["url"], content=ANSWER, headers=headers).status_code == 201
            assert client.post("/v1/calls", json=call_body(call_id="e")).status_code == 201
            asked = [client.post(f"/v1/calls/{call}/complaint") for call in ("c", "e", "c")]
            wanted = {answer.json()["event_id"] for answer in asked}
            until = time.monotonic() + 20
            while not wanted <= {event["id"] for event in receiver.taken}:
                assert time.monotonic() < until
                time.sleep(0.02)
        numbers = [int(event["sequence"]) for event in receiver.taken if event["partitionkey"] == "c"]
        assert numbers == list(range(1, len(numbers) + 1))
