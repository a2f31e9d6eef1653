"""The leg's address as a WHIP and WHEP endpoint: RFC 9725 sentence by sentence, over real HTTP."""

import base64
import hashlib
import hmac
import re
import time

import pytest

from guardian.core.errors import Unavailable
from guardian.web.admission import Register

ICE = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
OFFER = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n{ICE}"
FRAGMENT = (
    "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
    f"{ICE}a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n"
    "a=end-of-candidates\r\n"
)
SDP = "application/sdp"
SDPFRAG = "application/trickle-ice-sdpfrag"
PAGE = "https://shop.example"


class Leg:
    """One leg of a call, as a WHIP client sees it."""

    def __init__(self, server, call_body, role="shopper"):
        self.server = server
        call = server.client.post("/v1/calls", json=call_body(call_id="c")).json()
        self.url = call["legs"][role]["url"]
        self.auth = {"authorization": f"Bearer {call['legs'][role]['token']}"}

    def post(self, body=OFFER, **headers):
        shown = {**self.auth, "content-type": SDP, **headers}
        return self.server.client.post(self.url, content=body, headers=shown)

    def patch(self, answer, body=FRAGMENT, **headers):
        shown = {**self.auth, "content-type": SDPFRAG, "if-match": answer.headers["etag"], **headers}
        shown = {name: value for name, value in shown.items() if value is not None}
        return self.server.client.patch(answer.headers["location"], content=body, headers=shown)


@pytest.fixture
def leg(server, call_body):
    return Leg(server, call_body)


@pytest.mark.parametrize("role", ["shopper", "merchant"])
def test_an_offer_makes_a_session(server, call_body, role):
    answer = Leg(server, call_body, role).post()
    assert answer.status_code == 201
    assert answer.headers["content-type"] == SDP
    assert answer.text.startswith("v=0")
    assert answer.headers["location"].startswith("/v1/calls/c/sessions/")
    assert re.fullmatch(r'"[^"]+"', answer.headers["etag"]), "strong, as section 4.3.1 wants it"
    assert answer.headers["accept-patch"] == SDPFRAG


def test_every_session_has_its_own_tag(leg):
    one, two = leg.post(), leg.post()
    assert one.headers["location"] != two.headers["location"]
    assert one.headers["etag"] != two.headers["etag"]


@pytest.mark.parametrize("kind", ["application/json", "text/plain", SDPFRAG, ""])
def test_an_offer_of_another_type_is_refused(leg, refused, kind):
    answer = leg.post(**{"content-type": kind})
    refused(answer, 415)
    assert answer.headers["accept-post"] == SDP


def test_the_type_of_an_offer_may_have_parameters(leg):
    assert leg.post(**{"content-type": "Application/SDP; charset=utf-8"}).status_code == 201


def test_a_malformed_offer_is_refused(leg, refused):
    refused(leg.post(b"hello"), 400)


def test_candidates_are_taken_without_a_body_and_without_a_tag(leg, server):
    answer = leg.post()
    taken = leg.patch(answer)
    assert (taken.status_code, taken.content) == (204, b"")
    assert "etag" not in taken.headers
    assert server.host.fragments == [(answer.headers["location"].rpartition("/")[2], FRAGMENT)]


def test_candidates_without_a_tag_are_refused(leg, server, refused):
    refused(leg.patch(leg.post(), **{"if-match": None}), 428)
    assert server.host.fragments == []


@pytest.mark.parametrize("tag", ['"other"', "W/{}", '"other", W/{}', "nonsense"])
def test_candidates_for_another_session_are_refused(leg, server, refused, tag):
    answer = leg.post()
    refused(leg.patch(answer, **{"if-match": tag.format(answer.headers["etag"])}), 412)
    assert server.host.fragments == []


def test_one_of_several_tags_is_enough(leg):
    answer = leg.post()
    assert leg.patch(answer, **{"if-match": f'"other", {answer.headers["etag"]}'}).status_code == 204


def test_the_tag_of_an_earlier_session_does_not_fit(leg, refused):
    old, new = leg.post(), leg.post()
    refused(leg.patch(new, **{"if-match": old.headers["etag"]}), 412)


RESTARTS = {
    "any tag": ({"if-match": "*"}, FRAGMENT),
    "any tag, quoted as the RFC's example has it": ({"if-match": '"*"'}, FRAGMENT),
    "another user name": ({}, FRAGMENT.replace("EsAw", "ysXw")),
    "another password": ({}, FRAGMENT.replace("P2uYro0UCOQ4zxjKXaWCBui1", "vw5LmwG4y/e6dPP/zAP9Gp5k")),
}


@pytest.mark.parametrize("name", RESTARTS)
def test_ice_is_not_restarted_and_the_session_goes_on(leg, server, refused, name):
    headers, body = RESTARTS[name]
    answer = leg.post()
    refused(leg.patch(answer, body, **headers), 422)
    assert server.host.fragments == []
    assert server.host.hung_up == []
    assert leg.patch(answer).status_code == 204


def test_a_fragment_of_another_type_is_refused(leg, refused):
    answer = leg.patch(leg.post(), **{"content-type": SDP})
    refused(answer, 415)
    assert answer.headers["accept-patch"] == SDPFRAG


def test_a_session_ends_as_often_as_asked_whatever_tag_is_shown(leg, server):
    session = leg.post().headers["location"]
    for tag in ('"outdated"', "*", '"outdated"'):
        headers = {**leg.auth, "if-match": tag}
        assert server.client.delete(session, headers=headers).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_other_methods_on_the_endpoint_are_kept_for_later(leg, server, method):
    answer = server.client.request(method, leg.url, headers=leg.auth)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"OPTIONS", "POST"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST"])
def test_other_methods_on_the_session_are_kept_for_later(leg, server, method):
    session = leg.post().headers["location"]
    answer = server.client.request(method, session, headers=leg.auth)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"DELETE", "OPTIONS", "PATCH"}


def test_options_say_what_is_taken_to_anybody(leg, server):
    for url in (leg.url, leg.post().headers["location"]):
        answer = server.client.options(url)
        assert answer.status_code == 200
        assert answer.headers["accept-post"] == SDP
        assert "link" not in answer.headers, "servers and credentials are for those who have a token"


@pytest.mark.parametrize(
    ("path", "method"), [("shopper", "POST"), ("sessions/s", "PATCH"), ("sessions/s", "DELETE")]
)
def test_a_configured_page_may_ask_before_it_sends(serve, path, method):
    server = serve(server={"allowed_origins": [PAGE]})
    asked = {
        "origin": PAGE,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type,if-match",
    }
    answer = server.client.options(f"/v1/calls/c/{path}", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["vary"] == "Origin"
    assert method in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "if-match"} <= set(allowed)
    assert "access-control-allow-credentials" not in answer.headers


def test_a_configured_page_may_read_what_it_needs(serve, call_body):
    leg = Leg(serve(server={"allowed_origins": [PAGE]}), call_body)
    answer = leg.post(origin=PAGE)
    assert answer.headers["access-control-allow-origin"] == PAGE
    exposed = set(answer.headers["access-control-expose-headers"].lower().split(", "))
    assert {"location", "etag", "link", "accept-patch", "retry-after"} <= exposed
    refusal = leg.post(b"hello", origin=PAGE)
    assert refusal.headers["access-control-allow-origin"] == PAGE, "a page can read why it was refused"


def test_other_pages_may_not(serve, call_body, refused):
    leg = Leg(serve(server={"allowed_origins": [PAGE]}), call_body)
    refused(leg.post(origin="https://evil.example"), 403)


@pytest.mark.parametrize(
    ("shown", "challenge"),
    [
        ({}, 'Bearer realm="guardian"'),
        ({"authorization": "Basic dTpw"}, 'Bearer realm="guardian"'),
        ({"authorization": "Bearer nonsense"}, 'Bearer realm="guardian", error="invalid_token"'),
    ],
)
def test_a_bearer_token_is_asked_for(leg, server, refused, shown, challenge):
    headers = {"content-type": SDP, **shown}
    answer = server.client.post(leg.url, content=OFFER, headers=headers)
    refused(answer, 401)
    assert answer.headers["www-authenticate"] == challenge


def test_who_has_joined_in_time_may_come_back_later(server, call_body, refused, monkeypatch):
    leg = Leg(server, call_body)
    assert leg.post().status_code == 201
    monkeypatch.setattr(Register, "expired", lambda self, token: True)
    assert leg.post().status_code == 201
    call = server.client.post("/v1/calls", json=call_body(call_id="d")).json()
    late = {"authorization": f"Bearer {call['legs']['merchant']['token']}", "content-type": SDP}
    refused(server.client.post(call["legs"]["merchant"]["url"], content=OFFER, headers=late), 401)


def test_a_session_takes_no_other_token(leg, server, refused):
    session = leg.post().headers["location"]
    for method in ("PATCH", "DELETE"):
        headers = {"authorization": "Bearer nonsense"}
        refused(server.client.request(method, session, headers=headers), 401)
    assert server.host.hung_up == []


def test_an_offer_for_an_ended_call_is_a_conflict(leg, server, refused):
    server.client.delete("/v1/calls/c")
    refused(leg.post(), 409)


def test_when_no_port_is_free_it_says_when_to_come_back(leg, server, refused):
    async def none_free(call_id, role, sdp):
        raise Unavailable("Every port of media.udp_ports is taken; try again when a call has ended.")

    server.host.offer = none_free
    answer = leg.post()
    assert "udp_ports" in refused(answer, 503)["detail"]
    assert int(answer.headers["retry-after"]) > 0


def links(answer):
    """Each Link header of an answer: (url, parameters)."""
    found = []
    for value in answer.headers.get_list("link"):
        url, parameters = re.fullmatch(r"<([^>]+)>((?:; [a-z-]+=\"[^\"]*\")*)", value).groups()
        found.append((url, dict(re.findall(r'; ([a-z-]+)="([^"]*)"', parameters))))
    return found


def test_every_leg_gets_turn_credentials_that_outlast_the_call(serve, call_body, tmp_path):
    secret = tmp_path / "turn"
    secret.write_text("north\n")
    server = serve(
        media={
            "ice_servers": [{"urls": ["stun:stun.example.com:3478"]}],
            "turn": [
                {"urls": ["turn:t.example:3478", "turns:t.example:5349"], "secret": {"file": str(secret)}}
            ],
        },
        limits={"max_call_s": 7200},
    )
    leg = Leg(server, call_body)
    first, second = links(leg.post()), links(leg.post())
    assert [url for url, _ in first] == [
        "stun:stun.example.com:3478",
        "turn:t.example:3478",
        "turns:t.example:5349",
    ]
    assert first[0][1] == {"rel": "ice-server"}
    for _, told in (*first[1:], *second[1:]):
        assert (told["rel"], told["credential-type"]) == ("ice-server", "password")
        expires, _, name = told["username"].partition(":")
        assert 7200 < int(expires) - time.time() < 7200 + 600
        assert name
        digest = hmac.new(b"north", told["username"].encode(), hashlib.sha1).digest()
        assert told["credential"] == base64.b64encode(digest).decode()
    assert first[1][1]["username"] != second[1][1]["username"]
