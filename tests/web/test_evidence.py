"""Evidence over HTTP: who may see what, ranges, links that open once, and what a participant can ask."""

import json
import os
import time

import httpx
import pytest

from guardian.core.errors import CallFailed
from guardian.core.evidence import file_name
from guardian.events.models import EvidenceDeleted, EvidenceReady
from guardian.evidence.folder import Folder
from guardian.evidence.keyfile import EvidenceKeyFile
from guardian.evidence.sealing import Sealer
from guardian.web.keyfile import KeyFile
from tests.evidence.estate import ready, spec, write_clip

MEDIA = os.urandom(150_000)


@pytest.fixture
def house(serve, tmp_path):
    """A server with two tenants' keys and a key for evidence; sealer writes clips as a call process does."""
    return House(serve, tmp_path / "data")


class House:
    def __init__(self, serve, data, **sections):
        self.data = data
        keys = KeyFile(data / "api_keys.json")
        self.keys = {tenant: keys.add(tenant)[1] for tenant in ("acme", "rival")}
        self.second = keys.add("acme")[1]
        ring = EvidenceKeyFile(data / "evidence.key").create()
        self.sealer = Sealer(Folder(data / "evidence"), ring.sealing)
        self.server = serve(**sections)
        self.url = self.server.url

    def client(self, token=None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token or self.keys['acme']}"}
        return httpx.Client(base_url=self.url, trust_env=False, timeout=20, headers=headers)

    def keep(self, media=MEDIA, **call) -> str:
        """Is back when the event is on the disk."""
        clip = write_clip(self.sealer, {"media": media, "notes": b'{"schema":1}'})
        self.server.publish(spec(**call), ready(clip, call.get("call_id", "c")))
        with self.client() as client:
            until = time.monotonic() + 10
            while client.get(f"/v1/evidence/{clip.evidence_id}").status_code == 404:
                assert time.monotonic() < until
                time.sleep(0.02)
        return clip.evidence_id

    def events(self, name) -> list[dict]:
        """Of one type, as they came to the file."""
        until = time.monotonic() + 10
        path = self.data / "events.jsonl"
        while time.monotonic() < until:
            lines = path.read_text().splitlines() if path.exists() else []
            found = [event for event in map(json.loads, lines) if f".{name}." in event["type"]]
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"no {name}")


def test_a_withdrawal_holds_before_the_call_process_has_answered(house, call_body, monkeypatch):
    async def fails(*_):
        raise CallFailed("The call process does not answer.")

    monkeypatch.setattr(house.server.host, "set_scopes", fails)
    consent = {"token": "t", "scopes": ["protect", "hear", "keep"]}
    with house.client() as client:
        assert client.post("/v1/calls", json=call_body(call_id="c", consent=consent)).status_code == 201
        assert client.post("/v1/calls/c/consent", json={"scopes": ["protect"]}).status_code >= 500
        clip = write_clip(house.sealer, {"media": MEDIA})
        house.server.publish(spec(), ready(clip, "c"))
        other = house.keep(call_id="d")
        assert [one["evidence_id"] for one in client.get("/v1/evidence").json()["evidence"]] == [other]


def link(client, evidence_id, **body) -> str:
    answer = client.post(f"/v1/evidence/{evidence_id}/links", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["url"]


def test_a_clip_that_was_written_is_told_and_can_be_played_once(house, refused):
    one = house.keep()
    (told,) = house.events("evidence.ready")
    assert EvidenceReady.model_validate(told["data"]).evidence_id == one
    assert told["data"]["call"]["call_id"] == "c"
    assert "wrapped_key" not in json.dumps(told)
    with house.client() as client:
        url = link(client, one)
        played = client.get(url)
        assert (played.status_code, played.content) == (200, MEDIA)
        assert played.headers["content-type"] == "video/webm"
        assert played.headers["cache-control"] == "no-store"
        again = client.get(url, headers={"Range": "bytes=100-199"})
        assert (again.status_code, again.content) == (206, MEDIA[100:200])
        history = client.get(f"/v1/evidence/{one}").json()["history"]
        assert [row["act"] for row in history] == ["evidence.kept", "evidence.played"]
    with house.client() as other_session:
        refused(other_session.get(url), 410)


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=65535-65536", 65535, 65537),
        ("bytes=149999-", 149_999, 150_000),
        ("bytes=-1", 149_999, 150_000),
        ("bytes=-999999", 0, 150_000),
        ("bytes=10-999999", 10, 150_000),
    ],
)
def test_ranges_are_answered(house, asked, start, stop):
    one = house.keep()
    with house.client() as client:
        answer = client.get(link(client, one), headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, MEDIA[start:stop])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/150000"


def test_ranges_that_are_none_are_told(house, refused):
    one = house.keep()
    with house.client() as client:
        answer = client.get(link(client, one), headers={"Range": "bytes=150000-"})
        refused(answer, 416)
        assert answer.headers["content-range"] == "bytes */150000"
        for asked in ("bytes=9-5", "bytes=-", "lines=1-2", "bytes=0-1,5-6", "bytes=x-"):
            assert client.get(link(client, one), headers={"Range": asked}).status_code == 200
        stale = {"Range": "bytes=0-1", "If-Range": '"another"'}
        assert client.get(link(client, one), headers=stale).status_code == 200


def test_a_link_is_for_whoever_asked_for_it(house, refused):
    one = house.keep()
    with house.client() as client, house.client(house.second) as colleague:
        url = link(client, one)
        refused(colleague.get(url), 404)
        refused(httpx.get(f"{house.url}{url}", trust_env=False), 401)
        assert client.get(url).status_code == 200


PATHS = [
    ("GET", "/v1/evidence"),
    ("GET", "/v1/evidence/{id}"),
    ("DELETE", "/v1/evidence/{id}"),
    ("POST", "/v1/evidence/{id}/review"),
    ("PUT", "/v1/evidence/{id}/hold"),
    ("DELETE", "/v1/evidence/{id}/hold"),
    ("POST", "/v1/evidence/{id}/links"),
    ("GET", "/v1/media/guess"),
    ("GET", "/v1/participants/u_1"),
    ("DELETE", "/v1/participants/u_1"),
]


def test_strangers_get_nothing_and_other_tenants_see_nothing(house, refused):
    one = house.keep()
    bodies = {
        "review": {"state": "dismissed", "reason": "x"},
        "hold": {"owner": "o", "reason": "r", "until": "2030-01-01T00:00:00Z"},
    }
    with house.client(house.keys["rival"]) as rival:
        for method, path in PATHS:
            path = path.format(id=one)
            refused(httpx.request(method, f"{house.url}{path}", trust_env=False), 401)
            body = bodies.get(path.rpartition("/")[2]) if method in ("POST", "PUT") else None
            answer = rival.request(method, path, json=body)
            if path == "/v1/evidence":
                assert answer.json() == {"evidence": [], "next": None}
            elif "participants" in path:
                assert one not in answer.text
            else:
                refused(answer, 404)
    with house.client() as client:
        assert client.get(f"/v1/evidence/{one}").json()["state"] == "kept"


def test_without_keys_nobody_sees_evidence_on_this_machine_either(server, refused):
    for method, path in PATHS:
        refused(server.client.request(method, path.format(id="ev_01J9ZK3M8Q6T4V7X2B5N0C1D2E")), 401)


def test_what_people_say_sets_the_clock(house, refused):
    one = house.keep()
    with house.client() as client:
        before = client.get(f"/v1/evidence/{one}").json()
        said = client.post(
            f"/v1/evidence/{one}/review", json={"state": "dismissed", "reason": "asr_error"}
        ).json()
        assert (before["review"], said["review"]) == ("unreviewed", "dismissed")
        assert said["retain_until"] < before["retain_until"]
        refused(client.post(f"/v1/evidence/{one}/review", json={"state": "unreviewed", "reason": "x"}), 409)
        refused(client.post(f"/v1/evidence/{one}/review", json={"state": "gone", "reason": "x"}), 422)


def test_a_legal_hold_keeps_what_somebody_wants_erased(house, refused):
    one, free = house.keep(), house.keep(call_id="d")
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
    with house.client() as client:
        hold = {"owner": "legal", "reason": "case 7", "until": until}
        assert client.put(f"/v1/evidence/{one}/hold", json=hold).json()["legal_hold"]["owner"] == "legal"
        refused(client.put(f"/v1/evidence/{one}/hold", json={**hold, "until": "2001-01-01T00:00:00Z"}), 409)
        refused(client.delete(f"/v1/evidence/{one}"), 409)
        export = client.get("/v1/participants/u_1").json()
        assert [clip["evidence_id"] for clip in export["evidence"]] == [one, free]
        answer = client.delete("/v1/participants/u_1").json()
        assert answer["erased"] == [free]
        assert [clip["evidence_id"] for clip in answer["held"]] == [one]
        client.delete(f"/v1/evidence/{one}/hold")
        assert client.delete("/v1/participants/u_1").json()["erased"] == [one]
        refused(client.post(f"/v1/evidence/{one}/links", json={}), 410)
    deleted = house.events("evidence.deleted")
    assert EvidenceDeleted.model_validate(deleted[0]["data"]).reason == "participant"
    assert deleted[0]["data"]["audit"]["sequence"] > 0
    assert list((house.data / "evidence").iterdir()) == []


def test_what_has_expired_is_not_shown_and_goes_by_itself(serve, tmp_path, refused):
    house = House(serve, tmp_path / "data", retention={"unreviewed_s": 1.0}, evidence={"sweep_s": 1.0})
    clip = write_clip(house.sealer, {"media": MEDIA})
    house.server.publish(spec(), ready(clip))
    (deleted,) = house.events("evidence.deleted")
    assert deleted["data"]["reason"] == "expired"
    with house.client() as client:
        assert client.get(f"/v1/evidence/{clip.evidence_id}").json()["state"] == "erased"
        refused(client.post(f"/v1/evidence/{clip.evidence_id}/links", json={}), 410)


def test_a_damaged_file_is_said_so_and_the_others_play(house, refused):
    one, other = house.keep(), house.keep(call_id="d")
    path = house.data / "evidence" / f"{file_name(one, 'media')}.clip"
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)
    with house.client() as client:
        assert "changed" in refused(client.get(link(client, one)), 500)["detail"]
        assert client.get(link(client, other)).content == MEDIA
        assert client.get("/readyz").status_code == 200


def test_a_ticket_is_in_no_log(house, capfd, monkeypatch):
    one = house.keep()
    with house.client() as client:
        url = link(client, one)
        monkeypatch.setattr(
            "guardian.web.media.MediaResponse.__init__", lambda *_: (_ for _ in ()).throw(KeyError("x"))
        )
        assert client.get(url).status_code == 500
    err = capfd.readouterr().err
    assert url.rpartition("/")[2] not in err


def test_clips_are_listed_page_by_page(house):
    ids = [house.keep(call_id=f"c{number}") for number in range(3)]
    with house.client() as client:
        first = client.get("/v1/evidence", params={"limit": 2}).json()
        assert [clip["evidence_id"] for clip in first["evidence"]] == ids[:2]
        rest = client.get("/v1/evidence", params={"limit": 2, "after": first["next"]}).json()
        assert [clip["evidence_id"] for clip in rest["evidence"]] == ids[2:]
        assert rest["next"] is None
        only = client.get("/v1/evidence", params={"call_id": "c1"}).json()["evidence"]
        assert [clip["evidence_id"] for clip in only] == [ids[1]]


def test_a_list_that_cannot_be_understood_is_refused(house, refused):
    with house.client() as client:
        for query in ("limit=0", "limit=x", "review=maybe", "colour=red", f"after={'x' * 99}"):
            problem = refused(client.get(f"/v1/evidence?{query}"), 422)
            assert problem["detail"].startswith(query.partition("=")[0])
