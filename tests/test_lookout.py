"""What is written is judged by the rules of speech, and by what a merchant may show."""

from __future__ import annotations

import pytest

from guardian.core.config import Allowance, ContactConfig
from guardian.core.contacts import judged_code
from guardian.core.errors import ConfigError
from guardian.core.violations import Level, Role
from guardian.ears import rules_for
from guardian.lookout import WrittenWords, allowed, open_lookout
from guardian.models import ModelStore


@pytest.fixture(scope="module")
def words():
    return WrittenWords(rules_for(""), Role.MERCHANT)


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("加我微信领红包", "contact_exchange"),
        ("支付宝转账更便宜", "offplatform_payment"),
        ("Pay me directly, no fees", "offplatform_payment"),
    ],
)
def test_a_line_that_asks_for_it_goes_to_a_person(words, text, category):
    found = words(text)
    assert found is not None
    assert (found.category, found.level, found.text) == (category, Level.REVIEW, text)


@pytest.mark.parametrize(
    "text", ["微信支付 / 支付宝", "Alipay", "请勿倒置 小心轻放", "Cordless drill 18 V", "收款码", "12345", ""]
)
def test_marks_and_labels_pass(words, text):
    assert words(text) is None


def test_one_merchant_may_show_more_than_others():
    config = ContactConfig(
        allow=Allowance(("shop.example.com",)), merchants={"m_1": Allowance(("help.example.org",), ("A-.*",))}
    )
    for merchant, texts in (
        ("m_1", ("https://shop.example.com/1", "https://help.example.org", "A-13800138000")),
        ("m_2", ("https://shop.example.com/1",)),
    ):
        assert all(judged_code(text, allowed(config, merchant)).level is Level.PASS for text in texts)
    assert judged_code("https://help.example.org", allowed(config, "m_2")).level is Level.REVIEW


def test_a_pattern_that_is_none_is_named():
    with pytest.raises(ConfigError, match="regular expression"):
        allowed(ContactConfig(allow=Allowance((), ("(",))), "")


def test_without_weights_it_says_what_is_missed(words, tmp_path):
    store = ModelStore(ModelStore.default().manifest, tmp_path)
    opened = open_lookout(store, ContactConfig(), words)
    assert opened.models == {"codes": "zxing-cpp"}
    assert "guardian models pull" in opened.notes[0]
    assert open_lookout(store, ContactConfig(kinds=("code",)), words).notes == ()
