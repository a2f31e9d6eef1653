"""Vosk in a real call: what a merchant says over Opus comes out as a violation, also after it has hung."""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction

import av
import numpy as np
import psutil
import pytest
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from guardian.core.violations import Role
from guardian.demo.peers import CallClient, new_peer
from tests.loopback.harness import serving, status_until
from tests.speech.tiny_kaldi import spoken, write

RATE, PIECE = 48_000, 960
RULES = """
rules:
  - id: test.add
    category: contact_exchange
    patterns: ["加我 微信"]
  - id: test.pay
    category: offplatform_payment
    patterns: ["转账 hello"]
"""


class Words(MediaStreamTrack):
    """Says words in tones, over and over, with silence between."""

    kind = "audio"

    def __init__(self, *words):
        super().__init__()
        self.say(*words)
        self._start, self._count = None, 0

    def say(self, *words):
        """Other words from now on."""
        said = spoken(words, RATE)
        self._samples = np.concatenate((said, np.zeros(RATE + (-len(said)) % PIECE, np.int16)))

    async def recv(self):
        if self.readyState != "live":
            raise MediaStreamError
        self._start = self._start or time.monotonic()
        await asyncio.sleep(max(0.0, self._start + self._count * PIECE / RATE - time.monotonic()))
        at = self._count * PIECE % len(self._samples)
        frame = av.AudioFrame.from_ndarray(self._samples[None, at : at + PIECE], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._count * PIECE, Fraction(1, RATE)
        self._count += 1
        return frame


def rules_confirmed(status):
    return [one["rule"] for one in status["violations"] if one["status"] == "confirmed"]


@pytest.mark.live
def test_a_violation_is_heard_by_vosk_in_a_call_and_a_vosk_that_hangs_ends_no_call(
    need, tmp_path, monkeypatch
):
    need("vosk")
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "test.yaml").write_text(RULES, encoding="utf-8")
    # No weights: the loudness gate opens for tones, Silero's network would not.
    monkeypatch.setenv("GUARDIAN_MODELS", str(tmp_path / "none"))
    monkeypatch.setenv("GUARDIAN_MODEL_MIRROR", "none")
    monkeypatch.setenv("GUARDIAN_SPEECH__ENGINE", "vosk-zh")
    monkeypatch.setenv("GUARDIAN_SPEECH__VOSK_ZH_DIR", str(write(tmp_path / "model")))
    monkeypatch.setenv("GUARDIAN_SPEECH__RULES_DIR", str(rules))

    async def run(server):
        async with CallClient(server.url) as client:
            call_id, legs = await client.create(mode="private")
            merchant, voice = new_peer(), Words("加我", "微信")
            try:
                merchant.addTrack(voice)
                merchant.addTransceiver("video", direction="recvonly")
                await client.join(legs[Role.MERCHANT], merchant)
                before = await status_until(
                    client, call_id, lambda s: rules_confirmed(s) == ["test.add"], 40, "a violation"
                )
                decoders = [
                    process
                    for process in psutil.Process(server.process.pid).children(recursive=True)
                    if "guardian.speech.vosk_process" in process.cmdline()
                ]
                assert len(decoders) == 1, "one process for all legs of a call"
                decoders[0].suspend()  # It hangs, as far as anybody can tell.
                voice.say("转账", "hello")
                after = await status_until(
                    client, call_id, lambda s: "test.pay" in rules_confirmed(s), 40, "one after the stall"
                )
            finally:
                await merchant.close()
            await client.hang_up(call_id)
        return before, after

    with serving(tmp_path / "server") as server:
        before, after = asyncio.run(run(server))
        told = [event for event in server.events() if event["type"].endswith("violation.detected.v1")]
    assert {violation["speaker"] for violation in before["violations"]} == {"merchant"}
    assert before["engines"]["speech-zh"] == "vosk-zh"
    assert any("vosk-zh failed" in lapse["reason"] for lapse in after["coverage"]["lapses"])
    assert len(told) >= 2
