"""Vosk itself, on a tiny model that tells tones apart: words, times, crashes, stalls, silence, any bytes."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import wave
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.core.config import SpeechConfig
from guardian.core.errors import ConfigError, ModelMissing
from guardian.core.frames import SPEECH_RATE, AudioChunk
from guardian.core.violations import Role, Status
from guardian.ears import open_ears, rules_for, vosk_model
from guardian.manifest import load_manifest
from guardian.models import ModelStore
from guardian.resources import resource
from guardian.speech import vosk_host, vosk_words
from guardian.speech.chain import HearingChain
from guardian.speech.vad import LoudnessVad
from guardian.speech.vosk_host import HOST, VoskLost
from guardian.speech.vosk_words import VoskRecogniser
from guardian.unpacked import unpacked
from tests.speech.tiny_kaldi import MODEL, PAUSE_S, TONE_S, UNKNOWN, spoken, write

CHUNK = SPEECH_RATE // 50
SYLLABLES = {
    "加我": ("jia1", "wo3"),
    "微信": ("wei1", "xin4"),
    "转账": ("zhuan3", "zhang4"),
    "验证码": ("yan4", "zheng4", "ma3"),
    "hello": ("hello",),
}
SENTENCE = ("加我", "微信", "hello", "验证码", "转账")


@pytest.fixture(scope="module")
def model(need, tmp_path_factory) -> Path:
    need("vosk")
    yield write(tmp_path_factory.mktemp("tones"))
    HOST.stop()


def chunks(samples, start=0.0):
    for at in range(0, len(samples), CHUNK):
        yield AudioChunk(samples[at : at + CHUNK], start + at / SPEECH_RATE)


def play(engine, samples, start=0.0):
    """(partial hypotheses, the final one)."""
    found = [engine.hear(chunk) for chunk in chunks(samples, start)]
    return [one for one in found if one is not None], engine.finish()


def texts(hypothesis):
    return [token.text for token in hypothesis.tokens]


def syllables(words):
    return [text for word in words for text in SYLLABLES[word]]


def starts(words):
    """Where each word begins in `spoken(words)`."""
    at, found = PAUSE_S, []
    for word in words:
        found.append(at)
        at += TONE_S * (3 if word == "验证码" else 1) + PAUSE_S
    return found


def test_words_are_told_as_syllables_with_the_times_they_were_said_at(model):
    engine = VoskRecogniser(model, "zh")
    for start in (0.0, 100.0):
        partials, final = play(engine, spoken(SENTENCE), start)
        assert texts(final) == syllables(SENTENCE)
        assert final.final
        first = [token.t_start for token in final.tokens if token.text in ("jia1", "wei1", "hello", "yan4")]
        assert first == pytest.approx([start + t for t in starts(SENTENCE)[:4]], abs=0.07)
        wei, xin = final.tokens[2:4]
        assert wei.t_end == pytest.approx(xin.t_start)
        assert wei.t_end - wei.t_start == pytest.approx(xin.t_end - xin.t_start)
        assert all(0.0 < token.confidence <= 1.0 for token in final.tokens)
        assert texts(partials[-1]) == texts(final), "partial results are not far behind"


def test_a_word_is_known_soon_after_it_was_said_and_keeps_its_time(model):
    engine = VoskRecogniser(model, "zh")
    known = {}
    for chunk in chunks(spoken(("微信", "转账"))):
        found = engine.hear(chunk)
        if found is not None and not found.final and found.tokens:
            known.setdefault(texts(found)[-1], (chunk.t + chunk.seconds, found.tokens[-1]))
    said, token = known["xin4"]
    assert said - (PAUSE_S + TONE_S) < 0.4
    assert abs(token.t_end - (PAUSE_S + TONE_S)) < 0.4
    final = engine.finish()
    assert final.tokens[1].t_end == pytest.approx(PAUSE_S + TONE_S, abs=0.07)


def test_english_is_words_and_what_is_no_word_is_left_out(model):
    engine = VoskRecogniser(model, "en")
    _, final = play(engine, spoken(("hello", UNKNOWN, "hello")))
    assert texts(final) == ["hello", "hello"]


def test_nothing_said_is_nothing_and_the_engine_goes_on(model):
    engine = VoskRecogniser(model, "zh")
    assert engine.finish() is None
    assert play(engine, np.zeros(SPEECH_RATE, np.int16)) == ([], None)
    assert texts(play(engine, spoken(("微信",)), 5.0)[1]) == ["wei1", "xin4"]


def test_a_recogniser_is_made_anew_between_utterances_and_times_go_on(model, monkeypatch):
    monkeypatch.setattr(vosk_words, "ANEW_S", 1.0)
    engine = VoskRecogniser(model, "zh")
    for start in (0.0, 10.0, 20.0):
        _, final = play(engine, spoken(("转账", "微信")), start)
        assert texts(final) == syllables(("转账", "微信"))
        assert final.tokens[0].t_start == pytest.approx(start + PAUSE_S, abs=0.07)


def test_legs_share_a_model_and_hear_what_each_would_hear_alone(model):
    lines = [("微信", "转账"), ("hello",), ("加我", "微信"), ("验证码", "加我", "hello")]

    def heard(line):
        return texts(play(VoskRecogniser(model, "zh"), spoken(line))[1])

    with ThreadPoolExecutor(4) as legs:
        together = list(legs.map(heard, lines))
    assert together == [syllables(line) for line in lines]


def test_minutes_of_silence_and_then_a_word(model):
    engine = VoskRecogniser(model, "zh")
    silence = np.zeros(180 * SPEECH_RATE, np.int16)
    _, final = play(engine, np.concatenate((silence, spoken(("微信",)))))
    assert texts(final) == ["wei1", "xin4"]
    assert final.tokens[0].t_start == pytest.approx(180 + PAUSE_S, abs=0.07)


@pytest.fixture(scope="module")
def engine(model):
    return VoskRecogniser(model, "zh")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=2, max_size=6000), max_size=8))
def test_any_bytes_are_sound(engine, pieces):
    for piece in pieces:
        samples = np.frombuffer(piece[: len(piece) // 2 * 2], np.int16)
        found = engine.hear(AudioChunk(samples, 0.0))
        assert found is None or all(token.t_start <= token.t_end for token in found.tokens)
    engine.finish()


def test_an_abort_inside_the_library_is_a_fault_and_not_the_end(model, tmp_path):
    lines = [line for line in MODEL.splitlines() if "silence-phones" not in line]
    aborting = VoskRecogniser(write(tmp_path, "\n".join(lines) + "\n"), "zh")
    with pytest.raises(VoskLost):
        play(aborting, spoken(("微信",)))
    assert texts(play(VoskRecogniser(model, "zh"), spoken(("微信",)))[1]) == ["wei1", "xin4"]


def test_a_process_that_hangs_is_killed_and_started_anew(model, monkeypatch):
    engine = VoskRecogniser(model, "zh")
    hung = HOST.pid
    os.kill(hung, signal.SIGSTOP)
    monkeypatch.setattr(vosk_host, "ANSWER_S", 0.3)
    with pytest.raises(VoskLost):
        play(engine, spoken(("微信",)))
    monkeypatch.undo()
    assert texts(play(VoskRecogniser(model, "zh"), spoken(("微信",)))[1]) == ["wei1", "xin4"]
    assert HOST.pid != hung
    assert not psutil.pid_exists(hung)


def test_a_folder_without_a_model_is_said(model, tmp_path):
    with pytest.raises(VoskLost, match="Failed to create a model"):
        VoskRecogniser(tmp_path, "zh")


def test_the_process_ends_with_whoever_started_it(model):
    script = (
        "import os, sys; from pathlib import Path\n"
        "from guardian.speech.vosk_words import HOST, VoskRecogniser\n"
        "kept = VoskRecogniser(Path(sys.argv[1]), 'zh'); print(HOST.pid, flush=True); os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(model)], capture_output=True, timeout=60, check=True
    )
    child = int(done.stdout)
    if psutil.pid_exists(child):
        psutil.wait_procs([psutil.Process(child)], timeout=10)
    assert not psutil.pid_exists(child)


def test_a_leg_goes_on_when_vosk_is_killed(model):
    chain = HearingChain(
        [lambda: VoskRecogniser(model, "zh")], rules_for(""), Role.MERCHANT, LoudnessVad(), SpeechConfig()
    )
    chain.start()
    line = np.concatenate((spoken(("hello",)), np.zeros(SPEECH_RATE, np.int16)))
    for chunk in chunks(line):
        chain.hear(chunk)
    os.kill(HOST.pid, signal.SIGKILL)
    said = np.concatenate((spoken(("加我", "微信")), np.zeros(2 * SPEECH_RATE, np.int16)))
    reasons, confirmed = [], []
    for start in range(10, 200, 10):
        found = [chain.hear(chunk) for chunk in chunks(said, start)]
        found.append(chain.finish())
        reasons += [lapse.reason for notes in found for lapse in notes.lapses]
        confirmed += [c for notes in found for c in notes.changes if c.status is Status.CONFIRMED]
        if confirmed:
            break
    assert any("vosk-zh failed (VoskLost)" in reason for reason in reasons)
    assert [change.rule for change in confirmed]


# --- how it comes to listen ---------------------------------------------------------------------


@pytest.fixture
def bare(monkeypatch, tmp_path) -> ModelStore:
    """No weights but those inside packages."""
    monkeypatch.setenv("GUARDIAN_MODELS", str(tmp_path / "none"))
    monkeypatch.setenv("GUARDIAN_MODEL_MIRROR", "none")
    return replace(ModelStore.default(), mirrors=())


def engines(store, config, *languages):
    chain = open_ears(store, config, languages, Role.MERCHANT)
    return chain.engines, chain.notes


def test_vosk_listens_where_its_model_is(model, bare):
    config = SpeechConfig(vosk_zh_dir=str(model), vosk_en_dir=str(model))
    assert engines(bare, config, "zh")[0] == {"speech-zh": "vosk-zh"}, "the only one there is"
    assert engines(bare, config, "en")[0] == {"speech-en": "vosk-en"}
    by_name = replace(config, engine="vosk-en")
    assert engines(bare, by_name, "zh", "en")[0] == {"speech-en": "vosk-en"}


def test_vosk_is_a_second_opinion_where_a_zipformer_listens(model, weights):
    weights("syllables-zh")
    config = SpeechConfig(vosk_zh_dir=str(model))
    store = ModelStore.default()
    assert engines(store, config, "zh")[0] == {"speech-zh": "syllables-zh+vosk-zh"}
    off = replace(config, second_opinion="off")
    assert engines(store, off, "zh")[0] == {"speech-zh": "syllables-zh"}


def test_a_folder_that_is_no_model_is_said(bare, tmp_path, need):
    need("vosk")
    config = SpeechConfig(vosk_en_dir=str(tmp_path))
    with pytest.raises(ConfigError, match="vosk_en_dir"):
        open_ears(bare, replace(config, engine="vosk-en"), ("en",), Role.MERCHANT)
    found, notes = engines(bare, config, "en")
    assert found == {"speech-en": "pocketsphinx"}
    assert any("vosk_en_dir" in note for note in notes)
    with pytest.raises(ModelMissing, match="models pull transcript-zh"):
        vosk_model(bare, config, "zh")


def test_listening_to_a_file_with_vosk_and_what_the_machine_says_of_it(model, bare, tmp_path, monkeypatch):
    monkeypatch.setenv("GUARDIAN_SPEECH__VOSK_ZH_DIR", str(model))
    path = tmp_path / "said.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SPEECH_RATE, 0, "NONE", ""))
        file.writeframes(
            np.concatenate((spoken(("加我", "微信")), np.zeros(SPEECH_RATE, np.int16))).tobytes()
        )

    def guardian(*arguments):
        command = [sys.executable, "-m", "guardian", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, timeout=120, check=False).stdout.decode()

    rows = [
        json.loads(line) for line in guardian("listen", path, "--engine", "vosk-zh", "--json").splitlines()
    ]
    assert [row["status"] for row in rows if row["kind"] == "violation"] == ["detected", "confirmed"]
    assert rows[-1]["engine"] == "vosk-zh"
    assert rows[-1]["transcript"] == "jia1 wo3 wei1 xin4"
    checks = {check["name"]: check for check in json.loads(guardian("doctor", "--json"))["checks"]}
    assert checks["import vosk"]["verdict"] == "ok"
    assert checks["second opinion zh"]["found"] == str(model)
    assert "models pull transcript-en" in checks["second opinion en"]["found"]
    listed = {role["role"]: role for role in json.loads(guardian("models", "list", "--json"))["roles"]}
    assert listed["transcript-zh"]["state"] == "set"
    assert listed["transcript-en"]["state"] == "missing"


def test_an_archive_among_the_weights_is_used_where_its_sha256_is_right(model, bare, tmp_path):
    archive = packed(model, bare.folder / "vosk", "vosk-model-small-cn-0.22")
    assert engines(bare, SpeechConfig(), "zh")[0] == {}, "not what the manifest names"
    digest, size = hashlib.sha256(archive.read_bytes()).hexdigest(), archive.stat().st_size
    text = resource("models", "manifest.toml").read_text(encoding="utf-8")
    text = text.replace("3af8b0e7e0f835ae9d414ce5df580237a3cfb08d586c9fbbb0f7ff29ad5b14ba", digest)
    (tmp_path / "manifest.toml").write_text(text.replace("43898754", str(size)), encoding="utf-8")
    store = replace(bare, manifest=load_manifest(tmp_path / "manifest.toml"))
    assert engines(store, SpeechConfig(), "zh")[0] == {"speech-zh": "vosk-zh"}
    assert engines(store, SpeechConfig(second_opinion="off"), "zh")[0] == {"speech-zh": "vosk-zh"}


def packed(model, folder, name):
    """A model as an archive of the official form."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
        for path in model.rglob("*"):
            archive.write(path, Path(name) / path.relative_to(model))
    return folder / f"{name}.zip"


def test_an_archive_is_unpacked_once_and_again_when_it_was_damaged(model, tmp_path):
    archive = packed(model, tmp_path / "weights" / "vosk", "tones")
    folder = unpacked(archive, tmp_path / "weights")
    assert folder == archive.parent / "tones"
    words = folder / "graph" / "words.txt"
    before = words.stat().st_mtime_ns
    assert unpacked(archive, tmp_path / "weights") == folder
    assert words.stat().st_mtime_ns == before
    words.write_text("<eps> 0\n")
    unpacked(archive, tmp_path / "weights")
    assert words.read_bytes() == (model / "graph" / "words.txt").read_bytes()
    assert sorted(path.name for path in archive.parent.iterdir()) == ["tones", "tones.zip"]
    archive.write_bytes(archive.read_bytes()[:500])
    with pytest.raises(ModelMissing, match="bring it anew"):
        unpacked(archive, tmp_path / "weights")
