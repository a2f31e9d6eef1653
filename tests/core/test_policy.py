"""What is raised, and how gravely."""

from dataclasses import replace

from guardian.core.policy import gravest, judge
from guardian.core.rulebook import Rule, RuleState
from guardian.core.rules import Hit
from guardian.core.violations import Level, Role

RULE = Rule("pay.bank", "offplatform_payment", Level.BLOCK, 0.8, ())
HIT = Hit(RULE, "phrase", "heard", 0, 1, 0.0, 1.0, 0.8)


def test_a_clear_hit_is_raised_at_the_level_of_its_rule():
    assert judge(HIT, Role.MERCHANT).level is Level.BLOCK


def test_the_shopper_is_reviewed_not_blocked():
    assert judge(HIT, Role.SHOPPER).level is Level.REVIEW


def test_excused_weak_and_shadow_hits_are_not_raised():
    shadow = replace(HIT, rule=replace(RULE, state=RuleState.SHADOW))
    for hit in (replace(HIT, excuse="negation"), replace(HIT, score=0.2), shadow):
        assert not judge(hit, Role.MERCHANT).raised


def test_the_gravest_verdict_answers():
    mild = replace(HIT, rule=replace(RULE, id="mild", level=Level.REVIEW), score=0.95)
    found = gravest((mild, HIT), Role.MERCHANT)
    assert found is not None
    assert found[0].rule.id == "pay.bank"
    assert gravest((), Role.MERCHANT) is None
