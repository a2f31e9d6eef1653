"""The question of how matching grows: plausible phrases, and work that does not grow with them."""

import sys

import pytest

from guardian.bench import rules as bench
from guardian.core.rules import RuleSet
from guardian.core.violations import Role
from guardian.speech.rules_folder import rulebooks


def rule_set(size):
    return RuleSet(rulebooks({"phrases.yaml": bench.rules_of(bench.phrases(size))}).book(()))


def test_there_are_phrases_enough_and_no_two_alike():
    most = bench.phrases(bench.SIZES[-1])
    assert len(set(most)) == bench.SIZES[-1]
    assert bench.phrases(100) == most[:100]


def test_a_row_for_each_size(monkeypatch):
    monkeypatch.setattr(bench, "SIZES", (20, 60))
    rows = bench.measure(bench.Amount(utterances=20, passes=1))
    assert [row["phrases"] for row in rows] == [20, 60]
    assert all(row["us_per_token"] > 0 for row in rows)


@pytest.mark.parametrize("size", [1_000, 3_000])
def test_the_steps_of_matching_do_not_grow_with_the_phrases(size):
    """Steps instead of seconds, so that a busy machine changes nothing."""
    talk = list(bench._utterances(200))

    def steps(rules):
        count = 0

        def called(_frame, event, _argument):
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(called)
        try:
            for units in talk:
                rules.match(units, Role.MERCHANT)
        finally:
            sys.setprofile(None)
        return count

    few, many = rule_set(100), rule_set(size)
    steps(few)  # fills what is remembered of sounds
    assert steps(many) < 1.5 * steps(few)
