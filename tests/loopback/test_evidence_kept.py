"""Evidence of a real call on a real server: told, played once, proven, and gone after a kill too."""

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
import time

import httpx
import pytest

from guardian.evidence.keyfile import EvidenceKeyFile
from guardian.web.keyfile import KeyFile
from tests.loopback.harness import calling, serving

pytestmark = pytest.mark.live
CONSENT = {"token": "yes", "notice_version": "1", "scopes": ["protect", "keep"]}
MARKS = re.compile(rb"\x1aE\xdf\xa3|webm|matroska|OpusHead|V_VP8|A_OPUS|ftyp|moof")


@pytest.fixture
def folder(tmp_path, weights):
    weights("face")
    weights("person")
    EvidenceKeyFile(tmp_path / "evidence.key").create()
    return tmp_path


def audit(folder):
    words = [sys.executable, "-m", "guardian", "audit", "verify", "--data", str(folder), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    return done.returncode, json.loads(done.stdout)


async def complain(server, call) -> httpx.Response:
    headers = {"Authorization": f"Bearer {server.api_key}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as client:
        return await client.post(f"/v1/calls/{call.call_id}/complaint")


async def complained_of(server) -> str:
    """The id of a clip of a call that went on for some seconds; back when its event is told."""
    async with calling(server, consent=CONSENT) as call:
        await call.until(lambda status: status["frames"]["covered"] > 100, 60, "protected pictures")
        answer = await complain(server, call)
        assert answer.status_code == 202, answer.text
        return answer.json()["evidence_id"]


def told(server, name) -> dict:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found = [event for event in server.events() if f".{name}." in event["type"]]
        if found:
            return found[-1]
        time.sleep(0.1)
    raise AssertionError(f"no {name}: {server.log()}")


def test_a_complaint_becomes_a_clip_that_is_played_once_and_erased(folder):
    key = KeyFile(folder / "api_keys.json").add("acme")[1]
    with serving(folder) as server:
        server.api_key = key
        evidence_id = asyncio.run(complained_of(server))
        ready = told(server, "evidence.ready")["data"]
        assert ready["evidence_id"] == evidence_id
        assert ready["cause"] == "complaint"
        on_disk = [path.read_bytes() for path in (folder / "evidence").iterdir()]
        assert len(on_disk) == len(ready["parts"])
        assert not any(MARKS.search(data) for data in on_disk)
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=server.url, headers=headers, trust_env=False, timeout=20) as client:
            url = client.post(f"/v1/evidence/{evidence_id}/links").json()["url"]
            media = client.get(url)
            assert media.headers["content-type"].startswith("video/webm")
            assert media.content.startswith(b"\x1aE\xdf\xa3")
            notes = client.post(f"/v1/evidence/{evidence_id}/links", json={"part": "notes"}).json()["url"]
            assert client.get(notes).json()["schema"] == 1
            assert audit(folder)[0] == 0
            assert client.delete("/v1/participants/merchant-1").json()["erased"] == [evidence_id]
        assert told(server, "evidence.deleted")["data"]["evidence_id"] == evidence_id
        assert list((folder / "evidence").iterdir()) == []
        code, report = audit(folder)
        assert (code, report["ok"], report["erased"]) == (0, True, 1)
        log = server.log()
        assert key not in log
        assert url.rpartition("/")[2] not in log


def test_without_a_key_for_evidence_calls_go_on_and_nothing_is_kept(folder):
    (folder / "evidence.key").unlink()
    key = KeyFile(folder / "api_keys.json").add("acme")[1]
    with serving(folder) as server:
        server.api_key = key
        assert asyncio.run(complained_of(server)) is None
        assert "no evidence is kept" in server.log()
    assert not (folder / "evidence").exists()


def test_a_clip_that_cannot_be_written_is_told_counted_and_a_lapse(folder):
    (folder / "evidence").touch()  # No folder can be made here.
    key = KeyFile(folder / "api_keys.json").add("acme")[1]
    with serving(folder) as server:
        server.api_key = key
        asyncio.run(complained_of(server))
        lapse = told(server, "hearing.lapsed")["data"]
        assert (lapse["part"], lapse["reason"]) == ("evidence", "it could not be written")
        unkept = [one for one in told(server, "call.coverage")["data"]["lapses"] if one["part"] == "evidence"]
        assert [(one["t_start"], one["t_end"]) for one in unkept] == [(lapse["t_start"], lapse["t_end"])]
        metrics = httpx.get(f"{server.url}/metrics", trust_env=False).text
        assert 'guardian_evidence_clips_total{outcome="lost"} 1.0' in metrics
        assert not [event for event in server.events() if ".evidence.ready." in event["type"]]


def test_a_server_killed_while_clips_are_written_leaves_nothing_that_does_not_fit(folder):
    key = KeyFile(folder / "api_keys.json").add("acme")[1]

    async def cut_off(server):
        async with calling(server, consent=CONSENT) as call:
            await call.until(lambda status: status["frames"]["covered"] > 100, 60, "protected pictures")
            for _ in range(3):
                await complain(server, call)
            server.process.kill()

    with serving(folder) as server:
        server.api_key = key
        with contextlib.suppress(httpx.HTTPError, ExceptionGroup):
            asyncio.run(cut_off(server))
        assert server.process.wait(20) == -signal.SIGKILL
    with serving(folder):
        code, report = audit(folder)
    assert (code, report["ok"]) == (0, True)
    assert not list(folder.glob("evidence/*.partial"))
