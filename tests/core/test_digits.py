"""Numbers that are spoken digit by digit are put together; prices and sizes are left alone."""

from dataclasses import replace

import pytest

from guardian.core.digits import digit_runs, luhn
from guardian.speech.text import units_of_text


def digits(text):
    return [run.digits for run in digit_runs(units_of_text(text))]


def kinds(text):
    return {kind for run in digit_runs(units_of_text(text)) for kind in run.kinds()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("幺三八，零零幺，三八零零零", "13800138000"),
        ("洞幺拐勾四", "01794"),
        ("一三九，然后八个零", "13900000000"),
        ("幺三八等一下零零零零再来四个零", "13800000000"),
        ("double five oh one triple two", "5501222"),
        ("five five five oh one hundred", "55501" + "00"),
        ("call 138 0013 8000", "13800138000"),
        ("eighty eight twenty three", "8823"),
        ("三个零，再四个一", "0001111"),
        ("three zeros, then two sixes", "00066"),
        ("five five five, uh, hang on, oh one", "55501"),
        ("一五五，后头是零零零", "155000"),
    ],
)
def test_digits_are_gathered(text, expected):
    assert digits(text) == [expected]


def unsure(text, *others):
    """Units of a text; others: (place, what it may have been)."""
    units = list(units_of_text(text))
    for at, other in others:
        units[at] = replace(units[at], others=units_of_text(other))
    return [run.digits for run in digit_runs(units)]


def test_what_may_have_been_a_digit_is_one_between_digits():
    assert unsure("一三九三雨五六七八九零", (4, "五")) == ["13935567890"]
    assert unsure("一三九三雨五六七八九零") == ["1393", "567890"]
    assert unsure("一三九，再来次个零", (5, "四")) == ["1390000"]
    assert unsure("五六七雨", (3, "五")) == ["567"], "what follows a number is no part of it"


@pytest.mark.parametrize(
    "text", ["一共一百三十八块", "长一米三八宽五十九", "它卖三千五百", "两万五千", "加我微信"]
)
def test_values_are_no_numbers(text):
    assert "number" not in kinds(text)


def test_a_mobile_number_is_known_for_one():
    assert "mobile" in kinds("幺三九一二三四五六七八")
    assert "mobile" not in kinds("二三九一二三四五六七八")


def test_a_platform_hotline_is_no_private_number():
    assert kinds("四零零八八八一二三四") == {"service"}


def test_a_card_needs_its_check_digit():
    assert luhn("4111111111111111")
    assert not luhn("4111111111111112")
    assert "card" in kinds("4111 1111 1111 1111")
