"""The rules that come with Guardian: what they catch, what they leave alone."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.core.violations import Level, Role
from guardian.ears import rules_for
from guardian.speech.judging import judged

PHRASES = Path(__file__).parent / "phrases"
RECALL, BENIGN_FLAGGED = 0.92, 0.04
"""What is to be reached in each language."""
NOT_BY_WORDS = {"implicit", "needs_video"}

ATTEMPTS = [
    ("contact_exchange", "要不您记一下我的手机号"),
    ("contact_exchange", "您用不用钉钉，我钉钉上拉您"),
    ("contact_exchange", "平台不让加微信，但是您可以搜我手机号，微信同号"),
    ("contact_exchange", "You can reach me at five five five zero one two three four"),
    ("contact_exchange", "Let's continue on Telegram, it's easier"),
    ("contact_exchange", "加下 Line，ID 是店名"),
    ("offplatform_payment", "要不您直接打款到我们公司账户"),
    ("offplatform_payment", "Just add a bit and wire it to my account"),
    ("offplatform_payment", "用 PayPal 付我就好"),
    ("offplatform_trade", "平台费用太高，咱们直接做"),
    ("offplatform_trade", "Cancel it here and order from me directly"),
    ("review_manipulation", "满意的话写个好评，截图找我领五块"),
    ("review_manipulation", "No help until you give us five stars"),
    ("privacy_solicitation", "把手机收到的六位数字报给我"),
    ("privacy_solicitation", "Read out your credit card number please"),
    ("harassment", "我知道你公司在哪，你小心点"),
    ("harassment", "You idiot, it's not that hard"),
]
INNOCENT = [
    "我们不加微信的，有事您在这里找我",
    "请不要把验证码给别人",
    "长度是一百三十八厘米",
    "微信小程序可以查看保修",
    "你们快递太慢了，气死了",
    "扫描包装上的二维码下载说明书",
    "您的快递单号是七八三二零零九",
    "Please hold the lamp and turn the screw to the left",
    "We can't take payments outside the platform",
    "The previous seller wanted me to pay by bank transfer and I refused",
    "Can you turn the camera to the left so I can see the hinge",
    "order 已经 ship 了",
]


@pytest.fixture(scope="module")
def rules():
    return rules_for("")


@pytest.mark.parametrize(("category", "text"), ATTEMPTS)
def test_attempts_are_flagged(rules, category, text):
    answer = judged(text, rules, Role.MERCHANT)
    assert answer.flagged, answer
    assert answer.category == category, answer


@pytest.mark.parametrize("text", INNOCENT)
def test_innocent_lines_are_not(rules, text):
    answer = judged(text, rules, Role.MERCHANT)
    assert not answer.flagged, answer


def test_what_asks_for_a_code_is_urgent_from_the_merchant_only(rules):
    asked = "短信验证码念给我"
    assert judged(asked, rules, Role.MERCHANT).level is Level.BLOCK
    assert not judged(asked, rules, Role.SHOPPER).flagged


@settings(max_examples=50)
@given(st.text(max_size=80))
def test_any_text_is_judged(text):
    answer = judged(text, rules_for(""), Role.MERCHANT)
    assert 0.0 <= answer.score <= 1.0
    assert answer.text == text


def judged_table(path, rules):
    """[as expected, all] by language and by what is expected, of the rows that words alone give away."""
    counts = defaultdict(lambda: [0, 0])
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["expected"] == "violation" and NOT_BY_WORDS & set(row["note"].split(";")):
                continue
            count = counts[row["lang"], row["expected"]]
            count[1] += 1
            count[0] += judged(row["phrase"], rules, Role.MERCHANT).flagged
    return counts


def assert_targets_are_met(counts):
    assert counts
    for (language, expected), (flagged, rows) in counts.items():
        if expected == "violation":
            assert flagged / rows >= RECALL, (language, flagged, rows)
        else:
            assert flagged / rows <= BENIGN_FLAGGED, (language, flagged, rows)


@pytest.mark.parametrize("name", ["set_a.tsv", "set_b.tsv", "set_c.tsv", "set_d.tsv", "rounds.tsv"])
def test_phrases_of_our_own_are_judged_well(rules, name):
    assert_targets_are_met(judged_table(PHRASES / name, rules))


def test_the_phrase_list_is_judged_well(rules, shared_media):
    path = shared_media.parent / "phrases" / "offplatform_dev.tsv"
    if not path.is_file():
        pytest.skip("the phrase list is not beside the shared media")
    assert_targets_are_met(judged_table(path, rules))
