"""The hearing chain never raises, keeps time, and says when it does not hear."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.core.config import SpeechConfig
from guardian.core.frames import SPEECH_RATE, AudioChunk
from guardian.core.rules import RuleSet
from guardian.core.tokens import Hypothesis, Token
from guardian.core.violations import Role, Status
from guardian.ears import rules_for
from guardian.speech.chain import HearingChain
from guardian.speech.vad import LoudnessVad

CHUNK = SPEECH_RATE // 50


class Says:
    """Says one syllable of a phrase with every 0.2 s of sound."""

    name = "says"
    language = "zh"

    def __init__(self, syllables):
        self._syllables = syllables
        self._heard: list[Token] = []
        self._origin = None
        self._t = 0.0

    def hear(self, chunk):
        if self._origin is None:
            self._origin = chunk.t
        self._t = chunk.t + chunk.seconds
        due = min(len(self._syllables), int((self._t - self._origin) / 0.2))
        if due == len(self._heard):
            return None
        self._heard = [
            Token(text, self._origin + i * 0.2, self._origin + i * 0.2 + 0.2)
            for i, text in enumerate(self._syllables[:due])
        ]
        return Hypothesis(tuple(self._heard), False, self.language)

    def finish(self):
        found, self._heard, self._origin = tuple(self._heard), [], None
        return Hypothesis(found, True, self.language) if found else None


class Throws(Says):
    name = "throws"

    def hear(self, chunk):
        raise RuntimeError("engine")


def chain(*factories):
    return HearingChain(factories, rules_for(""), Role.MERCHANT, LoudnessVad(), SpeechConfig())


def sound(seconds, start=0.0, level=4000):
    rng = np.random.default_rng(1)
    for i in range(int(seconds * 50)):
        yield AudioChunk((rng.standard_normal(CHUNK) * level).astype(np.int16), start + i * 0.02)


def play(ears, *parts):
    changes, lapses, heard = [], [], 0.0
    for part in parts:
        for chunk in part:
            notes = ears.hear(chunk)
            changes += notes.changes
            lapses += notes.lapses
            heard += notes.heard_s
    notes = ears.finish()
    return changes + list(notes.changes), lapses + list(notes.lapses), heard


PHRASE = ["jia1", "wo3", "wei1", "xin4"]


def test_a_phrase_is_detected_and_confirmed_with_true_times():
    changes, lapses, heard = play(
        chain(lambda: Says(PHRASE)), sound(1, 10.0, 0), sound(1.6, 11.0), sound(1, 12.6, 0)
    )
    assert [change.status for change in changes] == [Status.DETECTED, Status.CONFIRMED]
    assert changes[0].id == changes[1].id
    assert changes[0].t_start == pytest.approx(10.6, abs=0.5)
    assert 0 <= changes[0].t_emitted - changes[0].t_end < 1.0
    assert not lapses
    assert heard == pytest.approx(3.6, abs=0.01)


def test_two_ears_raise_one_attempt_once():
    changes, _, _ = play(chain(lambda: Says(PHRASE), lambda: Says(PHRASE)), sound(2), sound(1, 2.0, 0))
    assert len({change.id for change in changes}) == 1


def test_an_engine_that_throws_is_a_lapse_and_the_other_listens_on():
    changes, lapses, heard = play(
        chain(lambda: Throws(PHRASE), lambda: Says(PHRASE)), sound(10), sound(1, 10.0, 0)
    )
    assert any("throws failed" in lapse.reason for lapse in lapses)
    assert any("given up" in lapse.reason for lapse in lapses)
    assert len(lapses) < 10
    assert [change.status for change in changes] == [Status.DETECTED, Status.CONFIRMED]
    assert heard == pytest.approx(11.0, abs=0.01)


def test_a_chain_that_hears_nothing_says_so_all_the_time():
    _, lapses, heard = play(chain(), sound(12))
    assert heard == 0
    assert sum(lapse.t_end - lapse.t_start for lapse in lapses) == pytest.approx(12, abs=0.1)


def test_an_engine_that_cannot_be_made_is_said():
    def broken():
        raise OSError("no such model")

    _, lapses, heard = play(chain(broken), sound(1))
    assert heard == 0
    assert any("could not be started" in lapse.reason for lapse in lapses)


def test_an_engine_is_started_again_after_a_fault():
    made = []

    def sometimes():
        made.append(1)
        return Throws(PHRASE) if len(made) == 1 else Says(PHRASE)

    changes, lapses, _ = play(chain(sometimes), sound(3), sound(1, 3.0, 0))
    assert len(made) == 2
    assert len(lapses) == 1
    assert changes[-1].status is Status.CONFIRMED


def test_a_gap_in_time_keeps_the_times_true():
    changes, _, _ = play(
        chain(lambda: Says(PHRASE)),
        sound(0.2, 0.0, 0),
        sound(0.3, 50.0, 0),
        sound(2, 50.3),
        sound(1, 52.3, 0),
    )
    assert changes[0].t_start == pytest.approx(50.0, abs=0.5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 100), st.integers(0, 700), st.sampled_from([0, 3000])), max_size=25))
def test_any_chunks_in_any_time_are_taken(parts):
    ears = chain(lambda: Says(PHRASE), lambda: Throws(PHRASE))
    for t, size, level in parts:
        assert ears.hear(AudioChunk(np.full(size, level, np.int16), t)) is not None
    assert ears.finish() is not None


def test_words_are_told_while_they_are_said_and_once_more_when_the_utterance_is_over():
    ears, said = chain(lambda: Says(PHRASE)), []
    for part in (sound(1.5), sound(1.0, 1.5, level=0)):
        for chunk in part:
            said += ears.hear(chunk).said
    said += ears.finish().said
    assert {(one.role, one.engine, one.said.language) for one in said} == {(Role.MERCHANT, "says", "zh")}
    assert [one.said.final for one in said] == [False] * (len(said) - 1) + [True]
    assert [len(one.said.tokens) for one in said] == [1, 2, 3, 4, 4]
    assert (said[-1].t_start, said[-1].t_end) == (said[0].t_start, said[-1].said.tokens[-1].t_end)


def test_the_same_words_are_matched_once_until_rules_change(monkeypatch):
    """Looks go on while nothing new is said; what they find is known."""
    looked = []
    match = RuleSet.match
    monkeypatch.setattr(
        RuleSet, "match", lambda self, *said: looked.append((self, *said)) or match(self, *said)
    )
    ears = chain(lambda: Says(("jia", "wei", "xin")))
    play(ears, sound(3.0))
    assert len(looked) == len({units for _, units, _ in looked}) > 1
    ears.rules = newer = RuleSet(rules_for("").book)
    play(ears, sound(1.0, start=3.0))
    assert looked[-1][0] is newer
