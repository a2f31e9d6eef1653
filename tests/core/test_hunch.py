"""What is felt: likely attempts with their reasons, what is surely innocent, and both within bounds."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.core.digits import digit_runs
from guardian.core.hunch import (
    BLOCK,
    INNOCENT,
    LONGEST,
    Hunch,
    Weights,
    WordClasses,
    pieces_of,
    sums,
)
from guardian.core.tokens import Token
from guardian.core.units import syllable_unit, word_unit

WEIGHTS = Weights(
    categories=("contact_exchange", "offplatform_payment"),
    bias=(-1.0, -1.0),
    limits={"zh": 1.0, "en": 1.0},
    sure={"zh": -0.5, "en": -0.5},
    pieces={
        "'ping": (5.0, -1.0),
        "@chat": (4.0, 3.0),
        "@money _ @chat": (0.0, 5.0),
        "'screw": (-4.0, -4.0),
        "@#mobile": (6.0, 0.0),
    },
    classes={"wei1 xin4": "chat", "'telegram": "chat", "'money": "money"},
)
HUNCH = Hunch(WEIGHTS)


def said(text, clauses=()):
    """Units of words, a quarter of a second each; a clause begins at each of these places."""
    make = {True: word_unit, False: syllable_unit}
    return tuple(
        make[not word[-1].isdigit() or word.isdigit()](
            Token(word, at / 4, at / 4 + 0.25), sum(at >= place for place in clauses)
        )
        for at, word in enumerate(text.split())
    )


def felt(text, clauses=()):
    units = said(text, clauses)
    return HUNCH.feel(units, digit_runs(units))


def test_what_is_like_an_attempt_is_told_with_its_category_and_reasons():
    (found,) = felt("just ping the telegram over there")
    assert (found.concept, found.cost < 0.5) == ("?contact_exchange", True)
    assert found.text == "ping +5.0, telegram +4.0"
    assert (found.start, found.end) == (1, 4)


def test_the_category_is_what_its_pieces_say_most():
    found = felt("send money by that telegram now")[0]
    assert found.concept == "?offplatform_payment"


def test_a_class_is_found_by_sound_alike_words_too():
    assert {one.concept for one in felt("men2 wei2 xing4 a1")} == {
        one.concept for one in felt("men2 wei1 xin4 a1")
    }


def test_what_is_nowhere_near_an_attempt_is_innocent():
    assert [(one.concept, one.start, one.end) for one in felt("turn the screw to the left")] == [
        (INNOCENT, 0, 6)
    ]


def test_an_attempt_is_told_with_its_own_clause_not_with_the_next():
    found = felt("ping " * 8 + "screw " * 8, clauses=(8,))
    assert found[0].concept == "?contact_exchange"
    assert (found[0].start, found[0].end) == (0, 8)


def test_numbers_are_named_by_their_kind_only():
    found = felt("well 13900001111 it is")[0]
    assert found.text == "#mobile +6.0"


def test_nothing_is_felt_in_nothing():
    assert HUNCH.feel((), ()) == []


def test_long_talk_is_looked_at_in_stretches_that_do_not_grow():
    units = said("word " * 400)
    found, weighed = sums(units, [], np.zeros((0, 2)))
    assert max(end - start for start, end in found) <= LONGEST
    assert weighed.shape == (len(found), 2)
    assert len(found) <= (400 // BLOCK + 1) * (LONGEST // BLOCK)


def test_a_stretch_has_the_sum_of_its_pieces():
    units = said("a ping b ping c telegram d", clauses=(2, 4))
    pieces = [
        piece for piece in pieces_of(units, (), WordClasses(WEIGHTS.classes)) if piece.name in WEIGHTS.pieces
    ]
    weights = np.array([WEIGHTS.pieces[piece.name] for piece in pieces])
    for (start, end), found in zip(*sums(units, pieces, weights), strict=True):
        inside = [start <= piece.start and piece.end <= end for piece in pieces]
        assert found == pytest.approx(weights[inside].sum(axis=0))


def test_a_stretch_is_worth_the_greatest_of_its_sums_as_a_part_of_its_length():
    assert HUNCH.greatest(said("a ping b telegram"), ()) == pytest.approx(9.0 / 2 - 1.0)
    assert HUNCH.greatest((), ()) == -1.0


def test_a_higher_limit_finds_less():
    strict = Hunch(replace(WEIGHTS, limits={"zh": 9.0, "en": 9.0}))
    units = said("just ping the telegram over there")
    assert [one.concept for one in strict.feel(units, ())] == []


@settings(max_examples=100)
@given(
    st.lists(
        st.sampled_from(["ping", "telegram", "screw", "wei1", "xin4", "13900001111", "yao1", "a"]),
        max_size=90,
    ),
    st.sets(st.integers(1, 90), max_size=8),
)
def test_whatever_is_said_places_are_in_it_and_attempts_do_not_overlap(words, clauses):
    found = felt(" ".join(words), tuple(clauses))
    assert all(0 <= one.start < one.end <= len(words) for one in found)
    assert all(0.0 <= one.cost <= 1.0 for one in found)
    attempts = sorted((one.start, one.end) for one in found if one.concept != INNOCENT)
    assert all(first[1] <= second[0] for first, second in pairwise(attempts))
