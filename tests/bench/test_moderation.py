"""The measuring of moderation: its tables stand, and what is not here is said in one sentence."""

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

from guardian.bench.moderation import cost, false_alarms, heard, latency, text
from guardian.bench.moderation.listening import Listening
from guardian.bench.moderation.recordings import Recording
from guardian.bench.moderation.sounds import chunked
from guardian.bench.moderation.tapes import Recorder, Tape, Tapes
from guardian.bench.script import quiet_steps
from guardian.core.config import SpeechConfig
from guardian.core.errors import Unavailable
from guardian.core.tokens import Hypothesis, Token
from guardian.ears import rules_for
from guardian.speech.chain import HearingChain
from guardian.speech.vad import LoudnessVad
from tests.speech.test_chain import PHRASE, Says, sound

ROOT = Path(__file__).resolve().parents[2]
NEEDS = {"text": text, "heard": heard, "false_alarms": false_alarms, "latency": latency, "cost": cost}


@pytest.mark.parametrize("name", NEEDS)
def test_without_recordings_a_sentence_says_what_is_missing(name, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("GUARDIAN_SHARED", str(tmp_path / "none"))
    monkeypatch.setattr(sys, "argv", ["moderation.py", name, "--quick"])
    spec = importlib.util.spec_from_file_location("moderation", ROOT / "benchmarks" / "moderation.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    with pytest.raises(SystemExit) as ended:
        program.app_of(program.SCRIPTS, "")()
    assert ended.value.code == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "GUARDIAN_SHARED" in said
    assert "Traceback" not in said


def phrases_in(folder):
    table = folder / "phrases" / "offplatform_dev.tsv"
    table.parent.mkdir(parents=True)
    (folder / "media" / "speech").mkdir(parents=True)
    table.write_text(
        "lang\tcategory\texpected\tphrase\tnote\n"
        "zh\tcontact_exchange\tviolation\t加我微信\tdirect\n"
        "zh\tcontact_exchange\tviolation\t你好\tdirect\n"
        "zh\tcontact_exchange\tviolation\t您懂的\timplicit\n"
        "en\tcontact_exchange\tbenign\tTurn the screw to the left\t\n",
        encoding="utf-8",
    )


def test_written_phrases_are_counted_by_language_and_what_words_do_not_tell_apart(monkeypatch, tmp_path):
    monkeypatch.setenv("GUARDIAN_SHARED", str(tmp_path))
    phrases_in(tmp_path)
    rows = asyncio.run(text.measure(quiet_steps()))
    mine = {(row["language"], row["category"]): row for row in rows if row["source"] == text.JUDGED}
    assert (mine["zh", text.ALL]["violations"], mine["zh", text.ALL]["recall"]) == (2, 0.5)
    assert (mine["en", text.ALL]["recall"], mine["en", text.ALL]["benign_flagged"]) == (None, 0.0)
    assert mine[text.ALL, text.APART]["violations"] == 1
    assert any("zh: 0.500" in said for said in text.misses(rows))
    assert "<svg" in text.drawing(rows)


def listening(tmp_path, engine):
    made = Listening.__new__(Listening)
    made.engine, made.rules = "says", rules_for("")
    made._make = lambda: engine
    made._tapes, made._recorder, made._vad = Tapes(tmp_path), Recorder(engine), LoudnessVad()
    return made


def test_a_tape_stands_in_for_the_engine_and_other_rules_can_be_tried_on_it(tmp_path):
    spoken = [*sound(1, 0.0, 0), *sound(1.6, 1.0), *sound(1, 2.6, 0)]
    first = listening(tmp_path, Says(PHRASE)).hear(spoken)
    assert len(first.confirmed) == 1
    assert first.work_s is not None

    class Silent(Says):
        def hear(self, chunk):
            raise AssertionError("the engine is not asked")

    again = listening(tmp_path, Silent([])).hear(spoken)
    assert [change.rule for change in again.confirmed] == [change.rule for change in first.confirmed]
    assert again.transcript == first.transcript == " ".join(PHRASE)
    assert again.work_s is None


def test_a_tape_of_other_calls_is_not_believed(tmp_path, monkeypatch):
    spoken = [*sound(1, 0.0, 0), *sound(1.6, 1.0), *sound(1, 2.6, 0)]
    monkeypatch.setattr(
        Tapes, "find", lambda *_: Tape([1, -1], {1: Hypothesis((Token("no", 0.0, 0.1),), True, "zh")})
    )
    taken = listening(tmp_path, Says(PHRASE)).hear(spoken)
    assert taken.transcript == " ".join(PHRASE)
    assert len(taken.confirmed) == 1


def test_a_broken_tape_is_as_none(tmp_path):
    (tmp_path / "says").mkdir()
    (tmp_path / "says" / "x.json.gz").write_bytes(b"\x1f\x8b broken")
    assert Tapes(tmp_path).find("says", "x") is None
    assert Tapes(None).find("says", "x") is None


def confirmed(spoken):
    chain = HearingChain(
        [lambda: Says(PHRASE)], rules_for(""), false_alarms.SPEAKER, LoudnessVad(), SpeechConfig()
    )
    notes = [chain.hear(chunk) for chunk in spoken] + [chain.finish()]
    return [change for note in notes for change in note.changes if change.status.value == "confirmed"]


def test_two_engines_at_one_moment_are_one_alarm_and_what_was_said_is_marked():
    changes = confirmed([*sound(1, 0.0, 0), *sound(1.6, 1.0), *sound(1, 2.6, 0)])
    assert len(changes) == 1
    recording = Recording(Path("a.ogg"), "a.ogg", "加我微信")
    (alarm,) = false_alarms._alarms([*changes, *changes], recording, rules_for(""))
    assert alarm["said"]
    (alarm,) = false_alarms._alarms(changes, Recording(Path("a.ogg"), "a.ogg", "今天天气很好"), rules_for(""))
    assert not alarm["said"]


def test_phrases_that_no_engine_heard_are_listed(tmp_path):
    made = listening(tmp_path, Says(PHRASE))
    written = heard.Spoken(
        Path("a.ogg"),
        text.Written("t", "zh", "contact_exchange", True, "加我微信", frozenset()),
        0.0,
        1.0,
    )
    said = heard._judged(written, made, made.hear([*sound(1, 0.0, 0), *sound(1.6, 1.0), *sound(1, 2.6, 0)]))
    silent = heard._judged(written, made, made.hear(chunked(next(sound(1, 0.0, 0)).samples)))
    rows = heard._rows("zh", "clean", {"a": [said, silent], "b": [silent, silent]}, made.rules)
    by_name = {row["engine"]: row for row in rows}
    assert [by_name[name]["heard"] for name in ("a", "b", heard.UNION)] == [0.5, 0.0, 0.5]
    assert by_name["a"]["written"] == 1.0
    assert len(by_name["b"]["missed"]) == 2
    assert any("zh, clean: 0.50" in sentence for sentence in heard.misses(rows))
    assert "<svg" in heard.drawing(rows)


def test_media_is_asked_for_by_name(monkeypatch, tmp_path):
    monkeypatch.setenv("GUARDIAN_SHARED", str(tmp_path))
    phrases_in(tmp_path)
    with pytest.raises(Unavailable, match="GUARDIAN_SHARED"):
        heard.spoken("zh")
