"""Phrases are found though they are said with an accent or misheard a little, and no others are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.core.phrases import Entry, Lexicon, weighted_distance
from guardian.core.tokens import Token, UnsureToken
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


def unsure(*syllables):
    """Each syllable with what else it may have been: (`ba1`, `fa1`, 0.3)."""
    tokens = [
        UnsureToken(text, i * 0.2, i * 0.2 + 0.2, 0.8, tuple(zip(more[::2], more[1::2], strict=True)))
        for i, (text, *more) in enumerate(syllables)
    ]
    return units_of(tokens, "zh")


def test_a_syllable_that_may_have_been_another_one_is_found_as_that_too():
    lex = lexicon("发您", "短信验证码")
    said = unsure(("wo3",), ("ba1", "fa1", 0.3, "da1", 0.1), ("nin2",))
    assert [(one.start, one.end) for one in lex.find(said)] == [(1, 3)]
    assert not found(lex, heard("wo3", "ba1", "nin2"))
    likely = unsure(("ba1", "fa1", 0.9), ("nin2",))
    hardly = unsure(("ba1", "fa1", 0.03), ("nin2",))
    assert 0 < lex.find(likely)[0].cost < lex.find(hardly)[0].cost
    both = unsure(("ba1", "fa1", 0.3), ("ning1", "nin2", 0.5), ("nin2",))
    assert not found(lex, both[:2]), "two wrong syllables of two are not forgiven"


def test_a_single_syllable_has_to_be_what_was_heard():
    lex = lexicon("加", "加我")
    assert found(lex, unsure(("xia1", "jia1", 1.0), ("wo3",))) == {"加我"}


def test_a_short_phrase_is_not_stretched():
    lex = lexicon("微信", "加")
    assert not found(lex, units_of_text("卫星"))
    assert not found(lex, units_of_text("价"))


def test_one_wrong_syllable_in_a_long_phrase_is_forgiven():
    lex = lexicon("好评返现五块钱")
    assert found(lex, heard("hao3", "ping2", "fan3", "gua1", "wu3", "kuai4", "qian2"))
    assert not found(lex, heard("hao3", "ping2", "da1", "gua1", "mo4", "kuai4", "qian2"))


def test_in_a_phrase_of_five_none_may_be_missing():
    lex = lexicon("不会放过你")
    assert found(lex, heard("bu4", "hui4", "fang4", "guo4", "li3"))
    assert not found(lex, heard("bu4", "hui4", "fang4", "guo4", "gou3"))
    assert not found(lex, heard("bu4", "hui4", "fang4", "guo4"))


def test_a_short_word_is_said_in_one_breath():
    assert not found(lexicon("没加"), units_of_text("有没，家里"))
    assert found(lexicon("没加"), units_of_text("有没加"))


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
