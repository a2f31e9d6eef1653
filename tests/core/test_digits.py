"""Numbers that are spoken digit by digit are put together; prices and sizes are left alone."""

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
    ],
)
def test_digits_are_gathered(text, expected):
    assert digits(text) == [expected]


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
