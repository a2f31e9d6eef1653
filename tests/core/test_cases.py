"""Who may decide what when, what comes of it, and in which order cases come."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.core.appeals import AppealChoice, AppealFinding, Grounds, settled, statement
from guardian.core.case_queue import LEAD_S, Cursor, Urgency, cursor_from, place, priority, rank
from guardian.core.cases import (
    REASONS,
    CaseState,
    Choice,
    Finding,
    Lease,
    Next,
    ReviewTerms,
    Said,
    Standing,
    clip_state,
    decided,
    needs_second,
)
from guardian.core.errors import CaseConflict, CaseRefused
from guardian.core.evidence import ReviewState
from guardian.core.violations import Level

TERMS = ReviewTerms()
CONFIRM, DISMISS, ESCALATE = Choice.CONFIRM, Choice.DISMISS, Choice.ESCALATE


def said(choice=CONFIRM, by="person:a/1"):
    return Said(choice, REASONS[choice][0], by)


def standing(state=CaseState.OPEN, *earlier, two=False):
    return Standing(state, earlier, two)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (CONFIRM, Next(CaseState.DECIDED, Finding.CONFIRMED)),
        (DISMISS, Next(CaseState.DECIDED, Finding.DISMISSED)),
        (ESCALATE, Next(CaseState.ESCALATED, None)),
    ],
)
def test_one_person_decides_an_ordinary_case(choice, expected):
    assert decided(standing(), said(choice)) == expected


def test_two_people_decide_where_they_have_to():
    assert decided(standing(two=True), said()) == Next(CaseState.SECOND_REVIEW, None)
    second = standing(CaseState.SECOND_REVIEW, said(), two=True)
    assert decided(second, said(by="person:a/2")) == Next(CaseState.DECIDED, Finding.CONFIRMED)
    assert decided(second, said(DISMISS, "person:a/2")) == Next(CaseState.ESCALATED, None)


def test_nobody_decides_twice():
    with pytest.raises(CaseRefused, match="another person"):
        decided(standing(CaseState.SECOND_REVIEW, said(), two=True), said())
    with pytest.raises(CaseRefused, match="another person"):
        decided(standing(CaseState.ESCALATED, said(ESCALATE)), said())


def test_what_is_escalated_is_decided_there():
    escalated = standing(CaseState.ESCALATED, said(), said(DISMISS, "person:a/2"), two=True)
    assert decided(escalated, said(DISMISS, "person:a/3")).finding is Finding.DISMISSED
    with pytest.raises(CaseConflict):
        decided(escalated, said(ESCALATE, "person:a/3"))


@pytest.mark.parametrize("state", [CaseState.DECIDED, CaseState.WITHDRAWN, CaseState.APPEALED])
def test_what_is_over_is_not_decided(state):
    with pytest.raises(CaseConflict):
        decided(standing(state), said())


@pytest.mark.parametrize("choice", Choice)
def test_a_reason_is_one_that_the_choice_has(choice):
    for other in set(Choice) - {choice}:
        with pytest.raises(CaseRefused, match="reasons"):
            decided(standing(), Said(choice, REASONS[other][0], "person:a/1"))


def test_urgent_cases_and_a_share_of_the_others_are_decided_by_two():
    ids = [f"case_{n}" for n in range(4000)]
    assert all(needs_second(one, Level.BLOCK, TERMS) for one in ids[:50])
    drawn = [one for one in ids if needs_second(one, Level.REVIEW, TERMS)]
    assert 0.035 < len(drawn) / len(ids) < 0.065
    assert drawn == [one for one in ids if needs_second(one, Level.REVIEW, TERMS)]
    nobody = ReviewTerms(second_levels=frozenset(), second_share=0.0)
    assert not any(needs_second(one, level, nobody) for one in ids for level in Level)
    assert all(needs_second(one, Level.REVIEW, ReviewTerms(second_share=1.0)) for one in ids)


def test_a_lease_ends():
    lease = Lease("person:a/1", "lease_1", 100.0)
    assert lease.alive(99.9)
    assert not lease.alive(100.0)
    assert not Lease("", "", 100.0).alive(0.0)


def test_urgent_cases_come_first_and_old_ones_are_not_forgotten():
    fresh = Urgency(Level.BLOCK, 1_000_000.0, 1)
    review = Urgency(Level.REVIEW, 1_000_000.0, 1)
    older = Urgency(Level.REVIEW, 1_000_000.0 - LEAD_S, 1)
    ancient = Urgency(Level.REVIEW, 1_000_000.0 - 2 * LEAD_S, 1)
    more = Urgency(Level.REVIEW, 1_000_000.0, 4)
    order = sorted([review, fresh, older, ancient, more], key=lambda one: rank(one, TERMS))
    assert order == [ancient, fresh, older, more, review]


urgencies = st.builds(
    Urgency,
    st.sampled_from([Level.REVIEW, Level.BLOCK]),
    st.floats(0, 4e9, allow_nan=False),
    st.integers(1, 100),
)


@given(st.lists(urgencies, min_size=2, max_size=6), st.floats(0, 4e9, allow_nan=False))
def test_the_number_people_see_follows_the_order(cases, now):
    ranks = sorted(rank(one, TERMS) for one in cases)
    shown = [priority(at, now, TERMS) for at in ranks]
    assert all(0 <= one <= 100 for one in shown)
    assert all(sooner >= later for sooner, later in pairwise(shown))


def test_what_is_over_stands_by_when_that_was():
    assert place(CaseState.DECIDED, 5.0, 200.0) < place(CaseState.DECIDED, 1.0, 100.0)
    assert place(CaseState.ESCALATED, 5.0, 200.0) == 5.0


@given(st.floats(1, 4e9, allow_nan=False))
def test_a_cursor_comes_back_as_it_was(at):
    cursor = Cursor(at, "case_01J9ZK3M8Q6T4V7X2B5N0C1D2E")
    assert cursor_from(cursor.text) == cursor


@given(st.text(max_size=60))
def test_what_is_no_cursor_is_refused_or_read(text):
    with suppress(CaseRefused):
        cursor_from(text)


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        ([], None),
        ([(CaseState.OPEN, None)], None),
        ([(CaseState.DECIDED, Finding.DISMISSED), (CaseState.OPEN, None)], None),
        ([(CaseState.DECIDED, Finding.DISMISSED), (CaseState.WITHDRAWN, None)], ReviewState.DISMISSED),
        ([(CaseState.DECIDED, Finding.CONFIRMED), (CaseState.OPEN, None)], ReviewState.CONFIRMED),
        (
            [(CaseState.APPEALED, Finding.DISMISSED), (CaseState.DECIDED, Finding.CONFIRMED)],
            ReviewState.APPEALED,
        ),
    ],
)
def test_a_clip_lives_as_long_as_the_case_that_needs_it_longest(cases, expected):
    assert clip_state(cases) is expected


def test_an_appeal_turns_a_decision_or_leaves_it():
    assert settled(AppealChoice.UPHOLD, Finding.DISMISSED) == (AppealFinding.UPHELD, Finding.DISMISSED)
    assert settled(AppealChoice.OVERTURN, Finding.CONFIRMED) == (AppealFinding.OVERTURNED, Finding.DISMISSED)


def test_a_statement_of_reasons_names_facts_clause_machines_and_redress():
    grounds = Grounds(
        case_id="case_1",
        call_id="c",
        kind="violation",
        category="contact_exchange.wechat",
        rule="contact.add",
        rule_version="7",
        clause="2.1",
        seconds=210.3,
        finding=Finding.CONFIRMED,
        outcome=AppealFinding.UPHELD,
        people=2,
        until="2027-05-21T09:14:33.000Z",
    )
    told = statement(grounds)
    assert "contact.add, version 7" in told["facts"]
    assert told["clause"] == "2.1"
    assert told["automation"]["detection"] == "automated"
    assert told["automation"]["decision"] == "human"
    assert told["redress"]["evidence_until"] == grounds.until
