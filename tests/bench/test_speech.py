"""`guardian bench speech` answers in the agreed form, with an honest null for what is not here."""

import json
import sys

import pytest

from guardian.bench import speech
from guardian.bench.speech import Amount, clips, measure
from guardian.cli import main
from tests.speech.tiny_kaldi import write

KEYS = {"engine", "language", "rtf", "latency_s", "rss_mb", "clips", "detected"}


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """No recordings, and no weights but those inside packages."""
    monkeypatch.setenv("GUARDIAN_SHARED", str(tmp_path / "none"))
    monkeypatch.setenv("GUARDIAN_MODELS", str(tmp_path / "none"))
    monkeypatch.setenv("GUARDIAN_MODEL_MIRROR", "none")


def test_what_is_here_is_measured_and_what_is_not_is_null_with_a_sentence(
    alone, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", ["guardian", "bench", "speech", "--json", str(tmp_path / "f.json")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    rows = json.loads((tmp_path / "f.json").read_text())["results"]
    assert [(row["engine"], row["language"]) for row in rows] == list(speech.PLAN)
    assert all(set(row) == KEYS for row in rows)
    by_name = {row["engine"]: row for row in rows}
    heard = by_name.pop("pocketsphinx")
    assert heard["clips"] == 1
    assert 0 < heard["rtf"] < 20
    assert heard["rss_mb"] > 10
    assert all(row[key] is None for row in by_name.values() for key in ("rtf", "latency_s", "rss_mb"))
    said = " ".join(capsys.readouterr().out.split())
    assert "words-en was not measured: English words: no whole weights are here" in said
    assert "There is no Mandarin sound here" in said


def test_vosk_is_measured_with_its_process(alone, need, tmp_path, monkeypatch):
    need("vosk")
    monkeypatch.setenv("GUARDIAN_SPEECH__VOSK_EN_DIR", str(write(tmp_path / "model")))
    monkeypatch.setattr(speech, "PLAN", (("vosk-en", "en"),))
    said = []
    (row,) = measure(Amount(1, 5.0), said.append)
    assert (row["engine"], row["clips"]) == ("vosk-en", 1)
    assert row["rtf"] > 0
    assert row["latency_s"] is None, "tones are all it knows"
    assert any("has no latency" in sentence for sentence in said)


def test_clips_are_spread_over_the_recordings(shared_media):
    found = clips(shared_media, 10, pytest.fail)
    for language in ("zh", "en"):
        assert len(found[language]) == 10
        assert len({clip.path for clip in found[language]}) == 10
        assert all(clip.t_end > 0 for clip in found[language])
