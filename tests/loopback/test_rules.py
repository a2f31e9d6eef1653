"""Rules that are edited while people speak: in force within seconds, and no call is lost by it."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from guardian.core.violations import Role
from guardian.demo.peers import CallClient, new_peer
from guardian.web.keyfile import KeyFile
from tests.loopback.harness import serving, status_until
from tests.loopback.test_hearing import Words
from tests.speech.tiny_kaldi import write

IN_FORCE_S = 5.0
RULES = """
rules:
  - id: test.other
    category: harassment
    patterns: ["微信 加我"]
"""
PAY = """
  - id: test.pay
    category: offplatform_payment
    clause: "4.2"
    version: "9"
    patterns: ["转账 hello"]
"""


@pytest.mark.live
def test_rules_edited_on_disk_and_by_the_api_judge_a_running_call_and_broken_ones_change_nothing(
    need, tmp_path, monkeypatch
):
    need("vosk")
    rules = tmp_path / "rules" / "test.yaml"
    rules.parent.mkdir()
    rules.write_text(RULES, encoding="utf-8")
    # No weights: the loudness gate opens for tones, Silero's network would not.
    monkeypatch.setenv("GUARDIAN_MODELS", str(tmp_path / "none"))
    monkeypatch.setenv("GUARDIAN_MODEL_MIRROR", "none")
    monkeypatch.setenv("GUARDIAN_SPEECH__ENGINE", "vosk-zh")
    monkeypatch.setenv("GUARDIAN_SPEECH__VOSK_ZH_DIR", str(write(tmp_path / "model")))
    monkeypatch.setenv("GUARDIAN_SPEECH__RULES_DIR", str(rules.parent))

    async def run(server):
        async with CallClient(server.url, key) as client:
            call_id, legs = await client.create(mode="private")
            merchant = new_peer()

            async def until(true, limit_s, what):
                return await status_until(client, call_id, true, limit_s, what)

            try:
                merchant.addTrack(Words("转账", "hello"))
                merchant.addTransceiver("video", direction="recvonly")
                await client.join(legs[Role.MERCHANT], merchant)
                first = await until(
                    lambda s: s["coverage"]["heard_s"]["merchant"] > 4, 40, "sound that is heard"
                )
                assert not first["violations"]

                rules.write_text(RULES + PAY, encoding="utf-8")
                edited = await until(
                    lambda s: s["rules"]["ruleset"] != first["rules"]["ruleset"], IN_FORCE_S, "the edit"
                )
                found = await until(lambda s: s["violations"], 10, "what the new rule is about")

                rules.write_text(RULES + PAY + "    weight: heavy\n", encoding="utf-8")
                deadline = time.monotonic() + IN_FORCE_S
                while "test.yaml line 12" not in server.log():
                    assert time.monotonic() < deadline, "the broken edit was not told"
                    await asyncio.sleep(0.2)
                last = await client.status(call_id)

                rules.write_text(RULES + PAY, encoding="utf-8")
                url, headers = f"{server.url}/v1/rules/test.pay", {"Authorization": f"Bearer {key}"}
                async with httpx.AsyncClient(headers=headers, trust_env=False) as api:
                    answer = await api.patch(url, json={"state": "shadow"})
                assert answer.status_code == 200, answer.text
                by_api = f"{answer.json()['ruleset']}@{answer.json()['fingerprint']}"
                await until(lambda s: s["rules"]["ruleset"] == by_api, IN_FORCE_S, "the change by the API")
                quiet = await until(lambda s: s["rules"]["shadow_hits"], 15, "a hit in shadow")
            finally:
                await merchant.close()
            await client.hang_up(call_id)
        return edited, found, last, quiet

    _, key = KeyFile(tmp_path / "server" / "api_keys.json").add("default")
    with serving(tmp_path / "server") as server:
        edited, found, last, quiet = asyncio.run(run(server))
        log, events = server.log(), server.events()
    assert {violation["rule"] for violation in found["violations"]} == {"test.pay"}
    assert last["rules"]["ruleset"] == edited["rules"]["ruleset"], "the old rules stay"
    assert last["state"] == quiet["state"] == "open"
    assert set(quiet["rules"]["shadow_hits"]) == {"test.pay"}
    assert log.count("an edit of the rules was refused") == 1
    told = next(event for event in events if event["type"].endswith("violation.detected.v1"))
    (match,) = told["data"]["matches"]
    assert (match["rule_version"], match["ruleset"]) == ("9", "default")
    assert f"default@{match['ruleset_version']}" == edited["rules"]["ruleset"]
    assert told["data"]["policy"] == {"clause": "4.2"}
