import pytest

from guardian.core.masking import MASK, masked, masked_speech, masked_values


@pytest.mark.parametrize(
    "text",
    [
        "加我13812345678吧",
        "138-1234-5678",
        "138 1234 5678",
        "幺三八幺二三四五六七八",
        "yao1 san1 ba1 yao1 er4 san1 si4",
        "one three eight oh one two three",
        "１３８１２３４５６７８",
        "v1381234567x",
    ],
)
def test_a_long_number_is_hidden_however_it_is_written(text):
    hidden = masked(text)
    assert MASK in hidden
    assert not any(part in hidden for part in ("1234", "345", "san", "three"))


@pytest.mark.parametrize(
    "text",
    [
        "买123456件",
        "一二三四五六",
        "someone told everyone",
        "2026-11-21T09:14:32.418Z",
        "jia1 wei1 xin4",
        "xin4 yi1 san1 ba1",
    ],
)
def test_short_numbers_and_times_stay(text):
    assert masked(text) == text


def test_every_string_of_a_document_is_masked():
    assert masked_values({"a": ["call 13812345678", 7], "b": {"c": None}}) == {
        "a": [f"call {MASK}", 7],
        "b": {"c": None},
    }


@pytest.mark.parametrize(
    ("language", "text", "left"),
    [
        ("zh", "jia1 wei1 xin4 yi1 san1 ba1 en4 ling2 ling2 yi1 ran2 hou4 ba1 ling2 ling2", "jia1 wei1 xin4"),
        ("zh", "yi1 san1 jiu3 ba1 ge4 ling2 dui4", "dui4"),
        ("en", "text one three eight uh double oh one then eight oh two", "text"),
        ("en", "five fifty five twenty three forty seven", ""),
        ("en", "call one three nine eight zeros", "call"),
    ],
)
def test_a_number_that_was_said_is_hidden_as_far_as_rules_hear_it(language, text, left):
    hidden = masked_speech(text, language)
    assert MASK in hidden
    assert hidden.replace(MASK, "").strip() == left


@pytest.mark.parametrize("text", ["jia1 wei1 xin4 yi1 san1 ba1 en4 ling2", "one three eight uh four", ""])
def test_short_numbers_that_were_said_stay(text):
    assert masked_speech(text, "zh" if "1" in text else "en") == text
