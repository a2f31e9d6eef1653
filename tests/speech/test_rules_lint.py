"""The lint finds words nobody uses and patterns in vain, and nothing in the rules that come with Guardian."""

import pytest

from guardian.resources import rules_folder
from guardian.speech.rules_folder import read_folder, rulebooks
from guardian.speech.rules_lint import warnings

RULES = """
terms:
  channel: [微信, 威信号]
  idle: [没人用]
contexts:
  sign: {where: near, within: 2, patterns: ["支付失败"]}
  alone: {patterns: [一个人]}
rules:
  - id: contact.add
    category: contact_exchange
    patterns:
      - "加 ~2 {channel}"
      - "{#mobile} ~3 记一下"
      - "支付失败 ~1 {channel}"
      - "{#card} ~0 {#mobile}"
    exceptions: [sign]
"""


@pytest.fixture(scope="module")
def found():
    overlay = 'contexts: {mine: {patterns: ["会员"]}}\n'
    return {
        (fault.file, fault.line): fault.detail
        for fault in warnings(rulebooks({"rules.yaml": RULES, "overlays/o.yaml": overlay}))
    }


def test_unused_terms_and_contexts_are_named(found):
    assert "term idle" in found["rules.yaml", 4]
    assert "context alone" in found["rules.yaml", 7]
    assert "context mine" in found["overlays/o.yaml", 1]


def test_a_pattern_that_its_own_exception_excuses_is_named(found):
    assert "always excused by sign" in found["rules.yaml", 14]


def test_a_pattern_that_cannot_match_is_named(found):
    # Two numbers without anything between are one number.
    assert "can never match" in found["rules.yaml", 15]


def test_nothing_else_is(found):
    assert len(found) == 5


def test_the_shipped_rules_have_nothing_to_be_looked_at():
    assert warnings(rulebooks(read_folder(rules_folder("")))) == []
