"""What is written or in a code: a way round the platform, or nothing of the kind."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.core.contacts import Allowed, ContactKind, folded, judged_bars, judged_code, judged_text
from guardian.core.violations import Level

REACHING = [
    ("138 0013 8000", ContactKind.PHONE),
    ("+86 138-0013-8000", ContactKind.PHONE),
    ("0086 13800138000", ContactKind.PHONE),
    ("电话１３８００１３８０００", ContactKind.PHONE),
    ("一三八零零一三八零零零", ContactKind.PHONE),
    ("1 3 8 0 0 1 3 8 0 0 0", ContactKind.PHONE),
    ("138OO138000", ContactKind.PHONE),
    ("138\n0013 8000", ContactKind.PHONE),
    ("0571-88888888", ContactKind.PHONE),
    ("(555) 010-1234", ContactKind.PHONE),
    ("+44 20 7946 0018", ContactKind.PHONE),
    ("4111 1111 1111 1111", ContactKind.CARD),
    ("6222021234567894", ContactKind.CARD),
    ("微信：shop88", ContactKind.WECHAT),
    ("加微信 abc_12345", ContactKind.WECHAT),
    ("WeChat ID: lucy-2020", ContactKind.WECHAT),
    ("weixin wxid_0a1b2c3d", ContactKind.WECHAT),
    ("VX13800138000", ContactKind.WECHAT),
    ("vx: goodshop", ContactKind.WECHAT),
    ("微信号\nabcdef12", ContactKind.WECHAT),
    ("13800138000 微信同号", ContactKind.WECHAT),
    ("www.example-shop.com/item?id=3", ContactKind.URL),
    ("example.cn", ContactKind.URL),
    ("EXAMPLE.COM", ContactKind.URL),
    ("t.me/lucy_2020", ContactKind.URL),
    ("visit lucys.shop today", ContactKind.URL),
    ("https://u.wechat.com/abCD", ContactKind.URL),
    ("wxp://f2f0abc", ContactKind.URL),
    ("weixin://dl/business", ContactKind.URL),
    ("QQ群：123456789", ContactKind.TEXT),
    ("lucy@example.com", ContactKind.TEXT),
    ("WhatsApp: +86 138 0013 8000", ContactKind.TEXT),
]
INNOCENT = [
    "400-800-8888",
    "客服热线 95588",
    "Call 1-800-555-0199",
    "订单号 13800138000",
    "SN: 13800138000",
    "Tracking no. 13800138000",
    "140 200 350 12",
    "160 170 180 19",
    "139.00 45.00 128.00",
    "¥1,399.00",
    "2026-11-21 10:00:33",
    "1200x600x18 mm",
    "Size 42 43 44 45 46 47",
    "6901234567892",
    "IMEI 860123456789012",
    "微信支付",
    "WeChat official account",
    "VX-2000 Pro",
    "Node.js and setup.exe",
    "Cordless drill 18 V 2.0 Ah",
    "Close the lid.In case of fire",
    "Press here.Shop now",
    "See the info.To use it press.me twice",
    "",
]


@pytest.mark.parametrize(("text", "kind"), REACHING)
def test_what_reaches_somebody_is_found(text, kind):
    raised = [one for one in judged_text(text) if one.level is not Level.PASS]
    assert kind in [one.kind for one in raised]


@pytest.mark.parametrize("text", INNOCENT)
def test_what_reaches_nobody_passes(text):
    assert [one for one in judged_text(text) if one.level is not Level.PASS] == []


def test_a_hotline_is_listed_and_passes():
    assert [(one.kind, one.level) for one in judged_text("400-800-8888")] == [(ContactKind.PHONE, Level.PASS)]


def test_a_number_is_given_as_it_is_written():
    assert [one.text for one in judged_text("ring 138 0013 8000 now")] == ["138 0013 8000"]


def test_what_pays_is_graver():
    levels = [
        judged_text(text)[0].level for text in ("wxp://f2f0abc", "4111 1111 1111 1111", "a.example.com")
    ]
    assert levels == [Level.BLOCK, Level.BLOCK, Level.REVIEW]


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("https://example.com/x", Level.REVIEW),
        ("HTTPS://QR.ALIPAY.COM/FKX0123", Level.BLOCK),
        ("wxp://f2f0abc", Level.BLOCK),
        ("tel:13800138000", Level.REVIEW),
        ("BEGIN:VCARD\nFN:Lucy\nEND:VCARD", Level.REVIEW),
        ("13800138000", Level.REVIEW),
        ("tel:4008008888", Level.PASS),
        ("WIFI:T:WPA;S:home;P:13800138000;;", Level.PASS),
        ("X-HM://0023ISYWYABCD", Level.PASS),
        ("6901234567892", Level.PASS),
        ("ABC-2024-99", Level.PASS),
        ("Electric kettle, 1.7 l", Level.PASS),
        ("", Level.PASS),
    ],
)
def test_codes_are_judged_by_what_they_say(text, level):
    assert judged_code(text).level is level


def test_the_digits_of_bars_name_a_product():
    assert judged_bars("13800138000").level is Level.PASS
    assert judged_bars("https://example.com").level is Level.REVIEW


def test_line_ends_of_a_code_are_one_kind():
    assert judged_code("a\r\nb\rc").text == "a\nb\nc"


def test_what_is_allowed_passes_and_what_only_looks_like_it_does_not():
    allowed = Allowed(("example.com",), (r"0571\d{8}", "ABC: .*"))
    assert judged_code("https://help.example.com/3", allowed).level is Level.PASS
    assert judged_text("0571-88888888", allowed)[0].level is Level.PASS
    assert judged_code("ABC: anything, +8613800138000", allowed).level is Level.PASS
    for text in ("https://example.com.evil.cn", "https://example.com@evil.cn/", "https://notexample.com"):
        assert judged_code(text, allowed).level is Level.REVIEW
    assert judged_code("https://help.example.com/3 13800138000", allowed).level is Level.REVIEW


def test_a_pattern_that_is_none_is_refused():
    with pytest.raises(ValueError, match="no regular expression"):
        Allowed(patterns=("(",))


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_any_text_has_an_answer(text):
    code = judged_code(text)
    assert code.level in Level
    for contact in judged_text(text):
        assert contact.text.strip()
        assert contact.text in folded(text) or contact.kind is ContactKind.URL


@given(st.text(alphabet="0123456789 -./()+Oo微信vxq号:@\n", max_size=200))
@settings(max_examples=200)
def test_any_row_of_digits_has_an_answer(text):
    judged_text(text)


@given(st.from_regex(r"1[3-9]\d{9}", fullmatch=True), st.sampled_from(["", " ", "-"]))
def test_every_mobile_number_is_found(number, between):
    written = between.join((number[:3], number[3:7], number[7:]))
    found = judged_text(f"call {written}")
    assert [(one.kind, one.level) for one in found] == [(ContactKind.PHONE, Level.REVIEW)]
