"""One attempt is told once: detected, then confirmed or retracted, under one id."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from guardian.core.attempts import Attempts, Look
from guardian.core.rulebook import Rule
from guardian.core.rules import Hit
from guardian.core.violations import Level, Role, Status


def rule(name="r", category="contact_exchange", level=Level.REVIEW):
    return Rule(name, category, level, 0.8, ())


def hit(start=1.0, end=2.0, of=None, score=0.8):
    return Hit(of or rule(), "phrase", "heard", 0, 1, start, end, score)


def look(now, *hits, ear="zh", final=False, since=0.0):
    return Look(ear, ear, hits, now, now + 0.05, since, final)


def attempts():
    numbers = count()
    return Attempts(Role.MERCHANT, lambda: f"v{next(numbers)}")


def statuses(changes):
    return [(change.id, change.status) for change in changes]


def test_one_partial_result_is_not_enough():
    assert not attempts().see(look(2.1, hit()))


def test_detected_at_the_second_look_and_confirmed_at_the_end():
    one = attempts()
    one.see(look(2.1, hit()))
    assert statuses(one.see(look(2.4, hit()))) == [("v0", Status.DETECTED)]
    assert statuses(one.see(look(2.8, hit(), final=True))) == [("v0", Status.CONFIRMED)]
    assert not one.see(look(3.1, hit(), final=True))


def test_retracted_when_the_end_takes_it_back():
    one = attempts()
    one.see(look(2.1, hit()))
    one.see(look(2.4, hit()))
    assert not one.see(look(2.6))
    assert statuses(one.see(look(2.8, final=True))) == [("v0", Status.RETRACTED)]


def test_a_hit_only_at_the_end_is_told_in_two_steps():
    assert statuses(attempts().see(look(2.8, hit(), final=True))) == [
        ("v0", Status.DETECTED),
        ("v0", Status.CONFIRMED),
    ]


def test_confirmed_while_the_speaker_goes_on():
    one = attempts()
    one.see(look(2.1, hit()))
    one.see(look(2.4, hit()))
    assert statuses(one.see(look(3.2, hit()))) == [("v0", Status.CONFIRMED)]


def test_the_other_ear_does_not_raise_it_again():
    one = attempts()
    one.see(look(2.8, hit(), final=True))
    other = hit(1.2, 2.2, rule("another"))
    assert not one.see(look(2.9, other, ear="en", final=True))


def test_the_same_rule_again_soon_is_the_same_attempt_and_later_another():
    one = attempts()
    one.see(look(2.8, hit(), final=True))
    assert not one.see(look(6.0, hit(4.0, 5.0), final=True, since=3.0))
    assert statuses(one.see(look(40.0, hit(38.0, 39.0), final=True, since=37.0)))[0][0] == "v1"


def test_a_graver_rule_on_the_same_words_is_raised():
    one = attempts()
    one.see(look(2.8, hit(), final=True))
    pay = hit(1.5, 2.5, rule("pay", "offplatform_payment", Level.BLOCK))
    assert len(one.see(look(2.9, pay, final=True))) == 2


def test_what_a_failed_ear_had_detected_is_retracted():
    one = attempts()
    one.see(look(2.1, hit()))
    one.see(look(2.4, hit()))
    assert statuses(one.drop("zh", 3.0)) == [("v0", Status.RETRACTED)]


LOOKS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.floats(0, 50), st.floats(0, 2), st.sampled_from("abc")), max_size=3),
        st.sampled_from(["zh", "en"]),
        st.booleans(),
    ),
    max_size=30,
)


@given(LOOKS)
def test_every_violation_is_detected_once_and_ends_at_most_once(looks):
    one = attempts()
    told = {}
    for i, (hits, ear, final) in enumerate(looks):
        found = [hit(start, start + size, rule(name)) for start, size, name in hits]
        for change in one.see(look(float(i), *found, ear=ear, final=final)):
            told.setdefault(change.id, []).append(change.status)
    for history in told.values():
        assert history[0] is Status.DETECTED
        assert len(history) <= 2
        assert Status.DETECTED not in history[1:]


def test_another_rule_of_the_category_right_after_is_the_same_attempt_unless_it_is_graver():
    first, next_words = hit(of=rule("hint.reach")), hit(2.0, 2.4, of=rule("hint.channel"))
    one = attempts()
    changes = [change for now in (2.1, 2.5, 2.8) for change in one.see(look(now, first, next_words))]
    assert {change.id for change in changes} == {"v0"}
    one = attempts()
    graver = hit(2.0, 2.4, of=rule("pay", level=Level.BLOCK))
    changes = [change for now in (2.1, 2.5, 2.8) for change in one.see(look(now, first, graver))]
    assert {change.id for change in changes} == {"v0", "v1"}
