"""Exceptions that are proposed: what becomes a rule file, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.core.errors import RuleRefused
from guardian.core.rule_proposals import PHRASE_MOST, PHRASES_MOST, proposal_of, proposed
from guardian.core.rulebook import RulesRefused, RuleState, Where
from guardian.speech.rules_draft import read_overlay

RULE = {
    "category": "contact_exchange",
    "level": "REVIEW",
    "weight": 0.8,
    "speaker": "any",
    "version": "7",
    "owner": None,
    "clause": "2.1",
    "patterns": ["加 ~2 {channel}"],
    "exceptions": ["asking"],
}


def test_in_shadow_a_copy_of_the_rule_is_added_and_the_rule_stays():
    proposal = proposed("contact.add", "加湿器\n 加湿器 \nthe humidifier", "before", 3)
    draft = read_overlay("overlays/o.yaml", proposal.text("acme", RULE, RuleState.SHADOW))
    assert (draft.tenants, draft.changes) == (frozenset({"acme"}), [])
    (context,) = draft.contexts
    assert (context.where, context.within) == (Where.BEFORE, 3)
    assert [pattern.text for pattern in context.patterns] == ["加湿器", "the_humidifier"]
    (twin,) = draft.rules
    assert (twin.state, twin.version, twin.clause) == (RuleState.SHADOW, "7", "2.1")
    assert [one.text for one in twin.exceptions] == ["asking", context.name]


def test_in_force_the_rule_has_the_exception_and_no_copy_is_left():
    proposal = proposed("contact.add", "加湿器", "near", 4)
    draft = read_overlay("overlays/o.yaml", proposal.text("acme", RULE, RuleState.LIVE))
    assert draft.rules == []
    (change,) = draft.changes
    assert (change.id, change.state, len(change.exceptions)) == ("contact.add", None, 1)


def test_written_anew_it_names_the_exception_once():
    proposal = proposed("contact.add", "加湿器", "near", 4)
    rule = {**RULE, "exceptions": ["asking", proposal.context]}
    draft = read_overlay("overlays/o.yaml", proposal.text("acme", rule, RuleState.SHADOW))
    assert [one.text for one in draft.rules[0].exceptions] == ["asking", proposal.context]


@given(st.text(max_size=60), st.text(max_size=8), st.integers(-100, 100))
def test_whatever_is_typed_is_words_or_refused(words, where, within):
    try:
        proposal = proposed("contact.add", words, where, within)
    except RuleRefused:
        return
    for state in (RuleState.SHADOW, RuleState.LIVE):
        text = proposal.text("acme", RULE, state)
        try:
            draft = read_overlay("overlays/o.yaml", text)
        except RulesRefused:
            continue  # What no file may hold is refused with its line, and nothing is written.
        assert len(draft.contexts) == 1
        assert {rule.id for rule in draft.rules} <= {proposal.twin}
        assert {change.id for change in draft.changes} <= {"contact.add"}
        assert proposal_of(text) == proposal


@pytest.mark.parametrize(
    "words", ["", "  \n ", "~|{}", "x" * (PHRASE_MOST + 1), "\n".join(map(str, range(PHRASES_MOST + 1)))]
)
def test_nothing_and_too_much_are_refused(words):
    with pytest.raises(RuleRefused):
        proposed("contact.add", words, "near", 4)


@pytest.mark.parametrize(
    "text", ["", "# {}", '# {"proposal": 5}', '# {"proposal": {"rule": 1}}', "rules: []\n", "# [1]\n"]
)
def test_other_files_are_no_proposals(text):
    assert proposal_of(text) is None
