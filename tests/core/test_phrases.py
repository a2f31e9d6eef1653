"""Phrases are found though they are said with an accent or misheard a little, and no others are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.core.phrases import Entry, Lexicon, weighted_distance
from guardian.core.tokens import Token
from guardian.core.units import sound_distance, syllable_key, syllable_unit, units_of, word_key
from guardian.speech.text import units_of_text


def lexicon(*phrases):
    entries = []
    for phrase in phrases:
        units = units_of_text(phrase)
        entries.append(
            Entry(
                phrase,
                phrase,
                tuple(unit.key for unit in units),
                tuple(unit.base for unit in units),
                tuple(unit.tone for unit in units),
            )
        )
    return Lexicon(entries)


def heard(*syllables):
    return units_of([Token(text, i * 0.2, i * 0.2 + 0.2) for i, text in enumerate(syllables)], "zh")


def found(lex, units):
    return {one.concept for one in lex.find(units)}


@pytest.mark.parametrize(
    ("a", "b"), [("zhi", "zi"), ("lan", "nang"), ("fu", "hu"), ("jin", "jing"), ("shen", "seng")]
)
def test_sounds_that_are_mixed_up_share_a_class(a, b):
    assert syllable_key(a) == syllable_key(b)
    assert 0 < sound_distance(a, b) <= 0.5


def test_homophones_and_accents_are_found():
    lex = lexicon("加微信", "支付宝转账")
    assert found(lex, units_of_text("你加威信吧")) == {"加微信"}
    assert found(lex, heard("zi1", "fu4", "bao3", "zhuan3", "zhang4")) == {"支付宝转账"}


def test_a_short_phrase_is_not_stretched():
    lex = lexicon("微信", "加")
    assert not found(lex, units_of_text("卫星"))
    assert not found(lex, units_of_text("价"))


def test_one_wrong_syllable_in_a_long_phrase_is_forgiven():
    lex = lexicon("好评返现五块钱")
    assert found(lex, heard("hao3", "ping2", "fan3", "gua1", "wu3", "kuai4", "qian2"))
    assert not found(lex, heard("hao3", "ping2", "da1", "gua1", "mo4", "kuai4", "qian2"))


def test_a_phrase_does_not_reach_over_a_long_pause():
    lex = lexicon("加微信")
    tokens = [Token("jia1", 0.0, 0.2), Token("wei1", 8.0, 8.2), Token("xin4", 8.2, 8.4)]
    assert not found(lex, units_of(tokens, "zh"))


def test_english_endings_do_not_matter():
    assert word_key("transfers") == word_key("transferring") == word_key("transferred")
    assert found(lexicon("send money"), units_of_text("Sending money?"))


@given(st.lists(st.text(max_size=8), max_size=40))
def test_any_tokens_can_be_looked_through(texts):
    tokens = [Token(text, float(i), i + 0.5) for i, text in enumerate(texts)]
    lex = lexicon("加微信", "whatsapp", "好评返现五块钱")
    for language in ("zh", "en"):
        for one in lex.find(units_of(tokens, language)):
            assert 0 <= one.start < one.end <= len(tokens)


@given(st.lists(st.sampled_from(["wei", "xin", "jia", "zhi"]), max_size=6))
def test_distance_to_itself_is_nothing(syllables):
    assert weighted_distance(syllables, syllables) == 0


def test_a_bare_letter_is_a_word():
    assert syllable_unit(Token("v", 0, 0)).is_word
