"""Written text becomes what saying it gives."""

import pytest

from guardian.speech.text import spoken, units_of_text


@pytest.mark.parametrize(
    ("written", "mandarin"),
    [
        ("你搵我啦", "你找我啦"),
        ("唔使喺度俾錢", "不用在这里给钱"),
        ("平啲俾你", "便宜点给你"),
        ("你過數俾我得唔得", "你转账给我行不行"),
        ("收十蚊，平好多", "收十块，便宜多了"),
    ],
)
def test_cantonese_is_read_as_what_it_means(written, mandarin):
    assert spoken(written) == spoken(mandarin)


@pytest.mark.parametrize("written", ["水平仪放平台上", "驱蚊灯", "他得讲清楚", "返现五块"])
def test_mandarin_is_left_alone(written):
    assert [unit.text for unit in units_of_text(written)] == list(written)


@pytest.mark.parametrize(
    "written", ["w e c h a t", "w, e, c, h, a, t", "W-E-C-H-A-T", "w.e.c.h.a.t", "w、e、c、h、a、t"]
)
def test_letters_said_apart_are_one_word(written):
    assert spoken(written) == ("wechat",)


def test_words_of_one_letter_stay_words():
    assert spoken("that's a I can use") == ("that's", "a", "i", "can", "use")
    assert spoken("V X 号") == ("vx", *spoken("号"))


def test_dots_are_one_pause():
    clauses = [unit.clause for unit in units_of_text("加我……微信")]
    assert clauses == [0, 0, 1, 1]
