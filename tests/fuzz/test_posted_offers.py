"""Offers and fragments as they come in: over HTTP, through the real peer, each with a plain answer."""

from __future__ import annotations

from contextlib import asynccontextmanager

import httpx
import pytest
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from guardian.core.calls import Answer
from guardian.core.config import MediaConfig
from guardian.rtc.peer import Outgoing, Peer
from guardian.settings import Settings
from tests.fakes.host import FakeHost
from tests.fuzz.offers import FILES, FRAGMENTS, GOOD
from tests.web.conftest import call_body, refused, running


class PeerHost(FakeHost):
    """A host whose offers are answered by real peers; media go nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.peers: dict[str, Peer] = {}

    async def offer(self, call_id, role, sdp):
        peer = Peer(MediaConfig(), Outgoing(AudioStreamTrack(), VideoStreamTrack()))
        self.peers[peer.session_id] = peer
        return Answer(peer.session_id, await peer.answer(sdp))

    async def trickle(self, call_id, session_id, fragment):
        await self.peers[session_id].add_candidates(fragment)

    async def close(self):
        for peer in self.peers.values():
            await peer.close()
        self.peers.clear()


@pytest.fixture(scope="module")
def leg(tmp_path_factory):
    """(client, the leg's address, headers) of a server with one call."""

    @asynccontextmanager
    async def make_host(work, publish):
        host = PeerHost()
        yield host
        await host.close()

    settings = Settings(
        data_dir=str(tmp_path_factory.mktemp("posted")), server={"port": 0, "requests_burst": 10_000}
    )
    with running(settings, make_host) as server:
        call = server.client.post("/v1/calls", json=call_body(call_id="c")).json()["legs"]["shopper"]
        yield server.client, call["url"], {"authorization": f"Bearer {call['token']}"}


def post(leg, body: bytes) -> httpx.Response:
    client, url, auth = leg
    return client.post(url, content=body, headers={**auth, "content-type": "application/sdp"})


@pytest.mark.parametrize("name", FILES)
def test_every_posted_offer_is_answered_or_refused(leg, name):
    response = post(leg, FILES[name])
    if response.status_code == 201:
        assert not name.startswith("bad-")
        assert response.text.startswith("v=0")
    else:
        assert not name.startswith("good-")
        refused(response, 400)


@pytest.mark.parametrize("size", [70_000, 200_000, 4_000_000])
def test_a_huge_offer_is_refused(leg, size):
    body = next(iter(GOOD.values())).encode()
    body += b"a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\n" * (size // 48)
    assert post(leg, body).status_code in (400, 413)


@pytest.mark.parametrize("name", FRAGMENTS)
def test_every_fragment_is_taken_or_refused(leg, name):
    client, _, auth = leg
    answer = post(leg, GOOD["good-audio-alone-without-group"].encode())
    headers = {**auth, "content-type": "application/trickle-ice-sdpfrag", "if-match": answer.headers["etag"]}
    response = client.patch(answer.headers["location"], content=FRAGMENTS[name], headers=headers)
    assert response.status_code in (204, 400, 422), response.text
    assert client.delete(answer.headers["location"], headers=auth).status_code == 200


def test_after_all_that_the_server_answers(leg):
    assert leg[0].get("/livez").status_code == 200
    assert post(leg, GOOD["good-chromium"].encode()).status_code == 201
