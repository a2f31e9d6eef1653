"""A call of two browsers, a complaint, and a third browser that plays what was kept."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import httpx
import pytest

from guardian.evidence.keyfile import EvidenceKeyFile
from guardian.web.keyfile import KeyFile
from tests.browser.captures import MERCHANT_HZ, SHOPPER_HZ
from tests.browser.people import hears, until
from tests.evidence.footage import shown
from tests.loopback.harness import serving

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]
KEPT = {"token": "yes", "notice_version": "1", "scopes": ["protect", "hear", "keep"]}
BEFORE_S, AFTER_S = 5.0, 3.0


@pytest.fixture(scope="module")
def server(stage, weights, tmp_path_factory):
    """`guardian serve` with a key for callers and one for evidence."""
    weights("face")
    weights("person")
    folder = tmp_path_factory.mktemp("kept")
    _, api_key = KeyFile(folder / "api_keys.json").add("default")
    EvidenceKeyFile(folder / "evidence.key").create()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GUARDIAN_SERVER__ALLOWED_ORIGINS", json.dumps([stage.origin]))
        patch.setenv("GUARDIAN_VISION__LATE_S", "2")
        patch.setenv("GUARDIAN_EVIDENCE__BEFORE_S", str(BEFORE_S))
        patch.setenv("GUARDIAN_EVIDENCE__AFTER_S", str(AFTER_S))
        with serving(folder) as server:
            yield replace(server, api_key=api_key)


def test_a_complaint_becomes_a_clip_that_a_browser_plays(talk, play, server):
    kept = {}

    async def scenario(talk):
        await talk.both_join()
        await hears(talk.shopper, MERCHANT_HZ)
        await hears(talk.merchant, SHOPPER_HZ)
        await talk.pictures(30)
        await asyncio.sleep(BEFORE_S)  # so that there is as much before the complaint as a clip holds
        headers = {"Authorization": f"Bearer {server.api_key}"}
        async with httpx.AsyncClient(
            base_url=server.url, headers=headers, trust_env=False, timeout=30
        ) as service:
            complaint = await service.post(f"/v1/calls/{talk.call_id}/complaint", json={"role": "shopper"})
            evidence_id = complaint.json()["evidence_id"]

            async def ready():
                return talk.events("evidence.ready")

            (event,) = await until(ready, "evidence")
            assert event["data"]["evidence_id"] == evidence_id
            assert event["data"]["causes"] == [complaint.json()["event_id"]]
            assert "wrapped_key" not in json.dumps(event)
            for part in event["data"]["parts"]:
                name = part["kind"]
                link = await service.post(f"/v1/evidence/{evidence_id}/links", json={"part": name})
                media = await service.get(link.json()["url"])
                assert media.status_code == 200
                kept[name] = (media.content, part["media_type"])
        talk.nothing_raw()
        film = talk.merchant.sight.film
        assert sum(film.canary_blocks(luma) for _, luma in shown(kept["media"][0])) == 0

    talk(scenario, consent=KEPT)
    assert sorted(kept) == ["media", "merchant", "notes"]
    found = play(*kept["media"], [1.0, BEFORE_S], True)
    notes = json.loads(kept["notes"][0])
    assert found["duration"] == pytest.approx(notes["t_end"] - notes["t_start"], abs=0.5)
    assert found["duration"] >= BEFORE_S + AFTER_S - 1
    (_, left_hz, left), (_, right_hz, right) = found["loud"]
    assert abs(left_hz - MERCHANT_HZ) < 60
    assert abs(right_hz - SHOPPER_HZ) < 60
    assert min(left, right) > 0.02
    beside = play(*kept["merchant"], [BEFORE_S], False)
    assert beside["size"] == [320, 240]
    stored = b"".join(path.read_bytes() for path in (server.folder / "evidence").iterdir())
    assert not any(mark in stored for mark in (b"matroska", b"OpusHead", b"thumbnails", b"V_VP8", b"A_OPUS"))
