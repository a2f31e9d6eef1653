"""The recognisers on real sound: what was said, and when."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from guardian.core.config import SpeechConfig
from guardian.core.errors import ConfigError
from guardian.core.frames import SPEECH_RATE, AudioChunk
from guardian.core.violations import Role, Status
from guardian.ears import open_ears
from guardian.models import ModelStore
from guardian.resources import resource
from guardian.speech.audio import chunks_of
from guardian.speech.syllables import SYLLABLES_ZH, numbered
from guardian.speech.transducer import Piece, Transducer, TransducerRecogniser
from guardian.speech.vad import WINDOW, SileroVad
from guardian.speech.words import WORDS_EN


def whole(engine, path):
    for chunk in chunks_of(path):
        engine.hear(chunk)
    return engine.finish()


def rules_raised(path, engine="auto", languages=("zh", "en")):
    chain = open_ears(ModelStore.default(), SpeechConfig(engine=engine), languages, Role.MERCHANT)
    changes = [change for chunk in chunks_of(path) for change in chain.hear(chunk).changes]
    changes += chain.finish().changes
    return [change for change in changes if change.status is Status.CONFIRMED]


def clip(name):
    for path in (resource("guardian", "demo", "clips", name),):
        if path.is_file():
            return path
    pytest.skip(f"the demo clip {name} is not here")


@pytest.mark.parametrize(
    ("piece", "expected"), [("iǎng", ("iang", "3")), ("ǜ", ("v", "4")), ("e", ("e", "")), ("üè", ("ve", "4"))]
)
def test_tone_marks_become_numbers(piece, expected):
    assert numbered(piece) == expected


def test_what_a_syllable_may_have_been_instead_is_told_with_it():
    pieces = [
        Piece("b", 1.0, 0.8, (("f", 0.4),)),
        Piece("ā", 1.1, 0.6, (("á", 0.5), ("āng", 0.3), ("áng", 0.2))),
        Piece("w", 1.4, 0.9),
        Piece("ǒ", 1.5, 0.9),
    ]
    first, second = SYLLABLES_ZH.join(pieces)
    assert (first.text, second.text) == ("ba1", "wo3")
    # All tones of a final together.
    assert first.others == (("fa1", 0.4), ("bang1", 0.333), ("fang1", 0.133))
    assert second.others == ()


def test_mandarin_becomes_timed_syllables(weights, shared_media):
    engine = TransducerRecogniser(weights("syllables-zh").files, SYLLABLES_ZH)
    found = whole(engine, shared_media / "speech" / "zh" / "phrases" / "zh_001.ogg")
    assert [token.text for token in found.tokens[:3]] == ["jia1", "ge4", "wei1"]
    assert found.tokens[0].t_start == pytest.approx(0.45, abs=0.3)
    assert all(a.t_end <= b.t_start + 1e-6 for a, b in zip(found.tokens, found.tokens[1:], strict=False))


def test_times_follow_the_sound_and_the_engine_goes_on(weights):
    engine = TransducerRecogniser(weights("words-en").files, WORDS_EN)
    path = clip("merchant_innocent.ogg")
    first = whole(engine, path)
    for chunk in chunks_of(path):
        engine.hear(AudioChunk(chunk.samples, chunk.t + 100.0))
    second = engine.finish()
    assert first.tokens[0].text == "please"
    assert [token.text for token in first.tokens] == [token.text for token in second.tokens]
    assert second.tokens[0].t_start == pytest.approx(first.tokens[0].t_start + 100.0, abs=0.01)


def test_silence_is_no_speech_and_a_voice_is(weights):
    vad = SileroVad(weights("vad").files["model"])
    assert max(vad.speech(np.zeros(WINDOW, np.int16)) for _ in range(20)) < 0.2
    said = np.concatenate([chunk.samples for chunk in chunks_of(clip("merchant_innocent.ogg"))])
    said = said[: len(said) // WINDOW * WINDOW].reshape(-1, WINDOW)
    assert max(vad.speech(window) for window in said) > 0.8


@pytest.mark.parametrize("engine", ["pocketsphinx", "words-en"])
def test_the_demo_solicitation_is_heard_and_the_innocent_line_is_not(engine, weights):
    weights("english-embedded" if engine == "pocketsphinx" else engine)
    assert rules_raised(clip("merchant_solicitation.ogg"), engine, ("en",))
    assert not rules_raised(clip("merchant_innocent.ogg"), engine, ("en",))


def test_both_languages_on_one_leg_raise_an_attempt_once(weights, shared_media):
    weights("syllables-zh")
    folder = shared_media / "speech" / "zh" / "phrases"
    raised = rules_raised(folder / "zh_024.ogg")
    assert [change.category for change in raised] == ["offplatform_payment"]
    assert raised[0].language == "zh"
    assert 0 < raised[0].t_start < raised[0].t_end < raised[0].t_emitted


def test_an_unknown_engine_or_language_is_said():
    store = ModelStore.default()
    with pytest.raises(ConfigError, match="engine 'ears'"):
        open_ears(store, SpeechConfig(engine="ears"), ("en",), Role.MERCHANT)
    with pytest.raises(ConfigError, match="language 'fr'"):
        open_ears(store, SpeechConfig(), ("fr",), Role.MERCHANT)


def test_chunks_are_twenty_milliseconds_and_lose_nothing():
    chunks = list(chunks_of(clip("merchant_innocent.ogg")))
    assert {len(chunk.samples) for chunk in chunks[:-1]} == {SPEECH_RATE // 50}
    assert chunks[-1].t == pytest.approx(0.02 * (len(chunks) - 1))


def test_two_legs_on_one_network_hear_what_each_would_hear_alone(shared_media, weights):
    files = weights("syllables-zh").files
    clips = sorted((shared_media / "speech" / "zh" / "sentences").glob("*.flac"))[:8]

    def heard(clip):
        ear = Transducer(files)
        for chunk in chunks_of(clip):
            ear.hear(chunk)
        return [piece.text for piece in ear.flush()]

    alone = [heard(clip) for clip in clips]
    with ThreadPoolExecutor(2) as legs:
        together = list(legs.map(heard, clips))
    assert together == alone
    assert all(alone)
