"""Two nodes without media: where calls go, who answers, and what becomes of calls that failed."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from tests.chaos.fleet import fleet, until
from tests.chaos.fleet_node import DEADLY

OFFER = "v=0\r\n"
SDP = {"Content-Type": "application/sdp"}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory, need, postgres):
    """Two nodes with two slots each."""
    need("psycopg")
    with fleet(tmp_path_factory.mktemp("fleet"), need, postgres.made_store()) as made:
        a, b = made.launch("a", slots=2), made.launch("b", slots=2)
        made.settle(a, b)
        yield a, b


@pytest.fixture
def database(nodes):
    """What they keep events in."""
    engine = sa.create_engine(nodes[0].store)
    yield engine
    engine.dispose()


@pytest.fixture
def clean(nodes):
    """The same, without calls at the end."""
    made = []
    yield *nodes, made
    for call_id in made:
        nodes[0].client.delete(f"/v1/calls/{call_id}")
    for call_id in [_call(nodes[0], [])["call_id"] for _ in range(4)]:
        assert nodes[1].client.delete(f"/v1/calls/{call_id}").status_code == 204


def _create(node, made):
    answer = node.create()
    if answer.status_code == 201:
        made.append(answer.json()["call_id"])
    return answer


def _call(node, made):
    """One that was admitted: slots of calls that have ended are free a moment later."""
    return until(lambda: (one := _create(node, made)).status_code == 201 and one, 10).json()


def _offer(node, call, role="shopper", sdp=OFFER):
    path = f"/v1/calls/{call['call_id']}/{role}"
    headers = {**SDP, "Authorization": f"Bearer {call['legs'][role]['token']}"}
    return node.client.post(path, content=sdp, headers=headers)


def _taken(node, call):
    """Offers until the call goes on."""
    until(lambda: _offer(node, call).status_code == 201, 10)


def _fail(node, call_id):
    assert node.client.post(f"/v1/calls/{call_id}/mode", json={"mode": "product"}).status_code == 200


def test_calls_fill_all_nodes_and_one_more_is_refused_at_once(clean):
    a, b, made = clean
    for _ in range(4):
        _call(a, made)
    until(lambda: a.create().status_code == 503, 10)
    began = time.monotonic()
    refused = b.create()
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert "slot" in refused.json()["detail"]
    assert time.monotonic() - began < 2


def test_any_node_answers_for_any_call(clean):
    a, b, made = clean
    call = _call(a, made)
    path = f"/v1/calls/{call['call_id']}"
    for node in (a, b):
        assert node.client.get(path).json()["mode"] == "selfie"
        offered = _offer(node, call)
        assert offered.status_code == 201
        assert (
            node.client.delete(
                offered.headers["location"],
                headers={"Authorization": f"Bearer {call['legs']['shopper']['token']}"},
            ).status_code
            == 200
        )
        assert node.client.get(path, headers={"Authorization": "Bearer gk_wrong"}).status_code == 401
        assert node.create(call_id=call["call_id"]).status_code == 409
    assert b.client.delete(path).status_code == 204
    assert a.client.delete(path).status_code == 204
    for node in (a, b):
        assert node.client.get(path).json()["state"] == "ended"
        assert _offer(node, call).status_code == 409
        assert node.client.get("/v1/calls/nobody").status_code == 404


def test_a_burst_is_admitted_up_to_the_last_slot_and_no_further(clean):
    a, b, made = clean
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda i: (a, b)[i % 2].create(), range(20)))
    made.extend(one.json()["call_id"] for one in answers if one.status_code == 201)
    assert sorted(one.status_code for one in answers) == [201] * 4 + [503] * 16


def test_a_call_that_failed_is_taken_again_three_times(clean):
    a, b, made = clean
    call = _call(a, made)
    path = f"/v1/calls/{call['call_id']}"
    for turn in range(4):
        _taken((a, b)[turn % 2], call)
        assert b.client.get(path).json()["state"] != "failed"
        _fail(a, call["call_id"])
        until(lambda: b.client.get(path).json()["state"] == "failed", 10)
    refused = until(lambda: (one := _offer(b, call)).status_code == 502 and one, 10)
    assert "each time" in refused.json()["detail"]


def test_who_offers_before_a_failure_is_written_down_waits_for_it(clean, database):
    a, b, made = clean
    for first, second in ((a, b), (b, a)):
        call = _call(a, made)
        path = f"/v1/calls/{call['call_id']}"
        with ThreadPoolExecutor(2) as pool, database.begin() as held:
            held.execute(sa.text("LOCK TABLE events IN EXCLUSIVE MODE"))
            assert _offer(first, call, sdp=f"{OFFER}{DEADLY}\r\n").status_code == 502
            assert second.client.get(path).json()["state"] == "failed"
            offers = [pool.submit(_offer, first, call), pool.submit(_offer, second, call, "merchant")]
            time.sleep(0.7)
            held.rollback()
            answers = [one.result() for one in offers]
        assert [one.status_code for one in answers] == [201, 201]
        state = b.client.get(path).json()["state"]
        assert state not in ("failed", "ended")


def test_both_sides_may_offer_at_once_at_different_nodes(clean):
    a, b, made = clean
    call = _call(a, made)
    path = f"/v1/calls/{call['call_id']}"
    with ThreadPoolExecutor(2) as pool:
        for first, second in ((a, b), (b, a), (a, b)):
            assert _offer(first, call, sdp=f"{OFFER}{DEADLY}\r\n").status_code == 502
            offers = [pool.submit(_offer, second, call), pool.submit(_offer, first, call, "merchant")]
            assert [one.result().status_code for one in offers] == [201, 201]
    assert a.client.delete(path).status_code == 204
    assert b.client.get(path).json()["state"] == "ended"


def test_a_name_that_is_none_is_refused_as_such(nodes):
    refused = nodes[0].create(call_id="try-1\n")
    assert refused.status_code == 422


def test_a_stranger_has_no_call_taken_and_one_that_was_ended_stays_ended(clean):
    a, b, made = clean
    call = _call(a, made)
    path = f"/v1/calls/{call['call_id']}"
    _fail(b, call["call_id"])
    until(lambda: b.client.get(path).json()["state"] == "failed", 10)
    wrong = {"call_id": call["call_id"], "legs": {"shopper": {"token": "leg_wrong"}}}
    assert _offer(b, wrong).status_code == 401
    assert a.client.get(path).json()["state"] == "failed"
    assert b.client.delete(path).status_code == 204
    for node in (a, b):
        assert _offer(node, call).status_code == 409


def test_what_was_withdrawn_stays_withdrawn_where_a_call_is_taken_again(clean):
    a, b, made = clean
    call = _call(a, made)
    path = f"/v1/calls/{call['call_id']}"
    assert b.client.post(f"{path}/consent", json={"scopes": ["protect"]}).status_code == 200
    _fail(b, call["call_id"])
    for node in (a, b):
        _taken(node, call)
        assert node.client.get(path).json()["scopes"] == ["protect"]
