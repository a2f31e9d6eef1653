import hashlib
import json

OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"


def admit(server, body):
    response = server.client.post("/v1/calls", json=body)
    assert response.status_code == 201, response.text
    return response.json()


def offer(server, call, role="shopper", token=None, **headers):
    leg = call["legs"][role]
    shown = {"authorization": f"Bearer {token or leg['token']}", "content-type": "application/sdp", **headers}
    return server.client.post(leg["url"], content=OFFER, headers=shown)


def test_a_call_is_admitted_with_a_token_for_each_leg(server, call_body):
    call = admit(server, call_body(call_id="call_7", mode="selfie", order_ref="ord-1"))
    assert call["call_id"] == "call_7"
    assert set(call["legs"]) == {"shopper", "merchant"}
    assert call["legs"]["shopper"]["url"] == f"{server.url}/v1/calls/call_7/shopper"
    assert call["legs"]["shopper"]["token"] != call["legs"]["merchant"]["token"]
    assert call["legs"]["shopper"]["expires_at"].endswith("Z")
    spec = server.host.calls["call_7"]
    assert spec.mode == "selfie"
    assert spec.consent_sha256 == hashlib.sha256(b"yes-i-do").hexdigest()
    assert spec.order_ref_sha256 == hashlib.sha256(b"ord-1").hexdigest()
    assert {scope.value for scope in spec.scopes} == {"protect", "hear"}


def test_a_call_without_a_mode_shows_nothing(server, call_body):
    call = admit(server, call_body())
    assert server.host.calls[call["call_id"]].mode == "private"


def test_without_consent_guardian_does_not_join(server, call_body, refused):
    for consent in (None, {}, {"token": None}, {"token": ""}, {"token": "  ", "notice_version": "1"}):
        refused(server.client.post("/v1/calls", json=call_body(consent=consent)), 403)
    body = call_body()
    del body["consent"]
    refused(server.client.post("/v1/calls", json=body), 403)
    assert server.host.calls == {}


def test_what_is_wrong_with_a_call_is_named(server, call_body, refused):
    cases = {
        "/mode": call_body(mode="SELFIE"),
        "/consent/scopes": call_body(consent={"token": "t", "scopes": ["watch"]}),
        "/consent/scope": call_body(consent={"token": "t", "scope": ["protect"]}),
        "/shopper/id": call_body(shopper={"id": 7}),
        "/merchant": call_body(merchant=None),
        "/call_id": call_body(call_id="../etc"),
        "/languages": call_body(languages=[]),
        "/metadata": call_body(metadata={"a": "x" * 5000}),
    }
    for pointer, body in cases.items():
        problem = refused(server.client.post("/v1/calls", json=body), 422)
        assert any(error["pointer"].startswith(pointer) for error in problem["errors"]), problem


def test_a_full_host_says_when_to_come_back(serve, call_body, refused):
    server = serve(slots=1)
    admit(server, call_body(call_id="one"))
    response = server.client.post("/v1/calls", json=call_body(call_id="two"))
    refused(response, 503)
    assert int(response.headers["retry-after"]) > 0
    server.client.delete("/v1/calls/one")
    admit(server, call_body(call_id="two"))


def test_a_call_id_is_used_once(server, call_body, refused):
    admit(server, call_body(call_id="one"))
    refused(server.client.post("/v1/calls", json=call_body(call_id="one")), 409)


def test_an_offer_is_answered_as_whip_has_it(serve, call_body):
    server = serve(
        media={"ice_servers": [{"urls": ["stun:stun.example.com:3478"]}]},
    )
    call = admit(server, call_body(call_id="c"))
    response = offer(server, call)
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/sdp"
    assert response.text.startswith("v=0")
    assert response.headers["location"].startswith("/v1/calls/c/sessions/")
    assert response.headers["etag"].startswith('"')
    assert response.headers["link"] == '<stun:stun.example.com:3478>; rel="ice-server"'


def test_a_token_opens_its_own_leg_only(server, call_body, refused):
    call = admit(server, call_body(call_id="c"))
    other = admit(server, call_body(call_id="d"))
    refused(offer(server, call, "shopper", call["legs"]["merchant"]["token"]), 403)
    refused(offer(server, call, "shopper", other["legs"]["shopper"]["token"]), 401)
    refused(offer(server, call, "shopper", "nonsense"), 401)
    response = server.client.post(call["legs"]["shopper"]["url"], content=OFFER)
    refused(response, 401)
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert server.host.offers == 0


def test_two_tokens_are_none(server, call_body, refused):
    legs = server.client.post("/v1/calls", json=call_body(call_id="c")).json()["legs"]
    headers = [("authorization", f"Bearer {legs[role]['token']}") for role in ("shopper", "merchant")]
    headers.append(("content-type", "application/sdp"))
    refused(server.client.post("/v1/calls/c/shopper", content="v=0", headers=headers), 401)


def test_a_token_is_good_for_a_while(serve, call_body, refused):
    server = serve(limits={"token_s": 1e-6})
    call = admit(server, call_body())
    assert "expired" in refused(offer(server, call), 401)["detail"]


def test_what_is_no_offer_is_refused(server, call_body, refused):
    call = admit(server, call_body(call_id="c"))
    leg = call["legs"]["shopper"]
    auth = {"authorization": f"Bearer {leg['token']}"}
    refused(offer(server, call, **{"content-type": "application/json"}), 415)
    for body in (b"", b"hello", b"\xff\xfe", b"v=0\x00"):
        headers = {**auth, "content-type": "application/sdp"}
        refused(server.client.post(leg["url"], content=body, headers=headers), 400)
    response = server.client.get(leg["url"])
    refused(response, 405)
    assert set(response.headers["allow"].split(", ")) == {"OPTIONS", "POST"}


def test_options_tells_what_may_be_posted(server):
    response = server.client.options("/v1/calls/c/merchant")
    assert response.status_code == 200
    assert response.headers["accept-post"] == "application/sdp"


def test_a_session_takes_candidates_and_ends_twice(server, call_body, refused):
    call = admit(server, call_body(call_id="c"))
    answer = offer(server, call)
    session = answer.headers["location"]
    auth = {"authorization": f"Bearer {call['legs']['shopper']['token']}"}
    sdpfrag = {**auth, "content-type": "application/trickle-ice-sdpfrag"}
    matching = {**sdpfrag, "if-match": answer.headers["etag"]}
    assert server.client.patch(session, content="a=mid:0", headers=matching).status_code == 204
    assert server.host.fragments[0][1] == "a=mid:0"
    refused(server.client.patch(session, content="a", headers={**sdpfrag, "if-match": '"old"'}), 412)
    refused(server.client.patch(session, content="a", headers={**sdpfrag, "if-match": "*"}), 422)
    refused(server.client.patch(session, content="a", headers=auth), 415)
    other = {"authorization": f"Bearer {call['legs']['merchant']['token']}"}
    refused(server.client.delete(session, headers=other), 403)
    for _ in range(2):
        assert server.client.delete(session, headers=auth).status_code == 200
    refused(server.client.delete("/v1/calls/c/sessions/none", headers=auth), 404)


def test_a_call_is_watched_and_ended(server, call_body, refused):
    admit(server, call_body(call_id="c", metadata={"room": 19}))
    status = server.client.get("/v1/calls/c").json()
    assert status["state"] == "warming"
    assert status["metadata"] == {"room": 19}
    assert status["latency"]["protect"]["p50"] == 3.0
    for _ in range(2):
        assert server.client.delete("/v1/calls/c").status_code == 204
    assert server.client.get("/v1/calls/c").json()["state"] == "ended"
    refused(server.client.post("/v1/calls/c/mode", json={"mode": "private"}), 409)
    refused(server.client.get("/v1/calls/other"), 404)
    refused(server.client.delete("/v1/calls/other"), 404)


def test_mode_and_consent_change_in_mid_call(server, call_body, refused):
    admit(server, call_body(call_id="c"))
    assert server.client.post("/v1/calls/c/mode", json={"mode": "install"}).status_code == 200
    assert server.client.post("/v1/calls/c/consent", json={"scopes": []}).status_code == 200
    assert server.host.modes["c"] == "install"
    assert server.host.scopes["c"] == ()
    assert server.client.get("/v1/calls/c").json()["mode"] == "install"
    refused(server.client.post("/v1/calls/c/mode", json={"mode": "loud"}), 422)
    refused(server.client.post("/v1/calls/c/consent", json={}), 422)


def test_complaints_and_requests_become_events(server, call_body):
    admit(server, call_body(call_id="c"))
    complaint = server.client.post("/v1/calls/c/complaint")
    assert (complaint.status_code, complaint.json()["evidence_id"]) == (202, None)
    server.host.clips["c"] = "ev_1"
    assert server.client.post("/v1/calls/c/mute", json={"role": "merchant"}).status_code == 202
    answer = server.client.post("/v1/calls/c/notice", json={"role": None, "notice": "stay_on_platform"})
    assert answer.status_code == 202
    events = server.client.get("/demo/events/c").json()["events"]
    assert [event["type"].split("guardian.")[1] for event in events] == [
        "complaint.received.v1",
        "action.requested.v1",
        "action.requested.v1",
    ]
    assert [event["sequence"] for event in events] == ["000000000001", "000000000002", "000000000003"]
    assert events[2]["id"] == answer.json()["event_id"]
    assert server.client.post("/v1/calls/c/complaint").json()["evidence_id"] == "ev_1"
    assert "yes-i-do" not in json.dumps(events)


def test_what_is_not_of_calls_is_closed_to_strangers(server, refused):
    for path in ("cases", "appeals", "rules", "events/dead", "participants/p"):
        refused(server.client.get(f"/v1/{path}"), 401)


def test_probes_metrics_and_docs(server, call_body):
    admit(server, call_body(call_id="c"))
    assert server.client.get("/livez").status_code == 200
    assert server.client.get("/readyz").json()["status"] == "ready"
    metrics = server.client.get("/metrics").text
    assert "guardian_call_slots_taken 1.0" in metrics
    assert 'guardian_stage_worst_seconds{quantile="p50",stage="protect"} 0.003' in metrics
    docs = server.client.get("/docs")
    assert "/v1/calls" in docs.text
    assert "http" not in docs.headers["content-security-policy"]
    assert "//" not in docs.text.replace("http://127.0.0.1", "")
    assert "/v1/calls" in server.client.get("/openapi.json").json()["paths"]
