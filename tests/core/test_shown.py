"""What is held up is one violation while it stays in view."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import example, given
from hypothesis import strategies as st

from guardian.core.contacts import judged_code, judged_text
from guardian.core.notes import Print, PrintKind
from guardian.core.shown import AGAIN_S, ALIKE, GONE_S, Glance, ShownBook, Sighting, agreement
from guardian.core.violations import Level, Role, Status

PLACE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0))


def code(text="https://example.com/a"):
    return Sighting(judged_code(text), Print(PrintKind.CODE, PLACE))


def number(text="138 0013 8000", sure=0.95):
    return Sighting(judged_text(text)[0], Print(PrintKind.TEXT, PLACE), sure)


@dataclass
class Camera:
    """A book and what it told: (status, text)."""

    role: Role = Role.MERCHANT
    told: list = field(default_factory=list)
    ids: set = field(default_factory=set)

    def __post_init__(self):
        numbers = iter(range(1000))
        self.book = ShownBook(self.role, lambda: f"v{next(numbers)}")

    def look(self, t, *sightings, kind=PrintKind.CODE):
        changes = self.book.see(Glance(kind, sightings, t, t + 0.1))
        self.told += [(change.status, change.heard) for change in changes]
        self.ids |= {change.id for change in changes}
        return changes


def test_a_code_in_view_is_detected_once_and_confirmed_once():
    camera = Camera()
    for n in range(100):
        camera.look(n * 0.25, code())
    assert [status for status, _ in camera.told] == [Status.DETECTED, Status.CONFIRMED]
    assert len(camera.ids) == 1


def test_a_code_seen_once_is_confirmed_when_it_has_left():
    camera = Camera()
    camera.look(1.0, code())
    camera.look(1.0 + GONE_S + 0.1)
    camera.look(1.0 + GONE_S + 0.4)
    assert [status for status, _ in camera.told] == [Status.DETECTED, Status.CONFIRMED]


def test_where_it_was_is_told_in_shares_of_the_picture():
    book = ShownBook(Role.MERCHANT, lambda: "v")
    (change,) = book.see(Glance(PrintKind.CODE, (code(),), 1.0, 1.1, (40, 20)))
    assert change.box == (0.0, 0.0, 0.25, 0.5)
    assert "box" not in change.as_dict()


def test_what_comes_back_soon_is_not_told_again_and_later_it_is():
    camera = Camera()
    for t in (0, 1, 1 + AGAIN_S - 1, 2 * AGAIN_S, 4 * AGAIN_S):
        camera.look(t, code())
    assert [status for status, _ in camera.told].count(Status.DETECTED) == 2


def test_two_codes_are_two_violations_even_when_they_look_alike():
    camera = Camera()
    camera.look(0.0, code("https://example.com/a"), code("https://example.com/b"))
    assert len(camera.ids) == 2


def test_a_poor_reading_is_told_when_it_was_read_twice():
    camera = Camera()
    camera.look(0.0, number("138 0013 8000", 0.7), kind=PrintKind.TEXT)
    assert camera.told == []
    assert camera.book.unsure
    camera.look(1.0, number("138 0013 8008", 0.8), kind=PrintKind.TEXT)
    assert camera.told == [(Status.DETECTED, "138 0013 8008")]
    camera.look(2.0, number("138 0013 8000", 0.95), kind=PrintKind.TEXT)
    assert camera.told[1:] == [(Status.CONFIRMED, "138 0013 8000")]
    assert len(camera.ids) == 1


def test_a_poor_reading_that_does_not_come_again_is_forgotten():
    camera = Camera()
    camera.look(0.0, number(sure=0.6), kind=PrintKind.TEXT)
    camera.look(20.0, kind=PrintKind.TEXT)
    assert camera.told == []
    assert not camera.book.unsure


def test_benign_codes_are_never_told():
    camera = Camera()
    camera.look(0.0, code("WIFI:T:WPA;S:home;P:secret;;"))
    assert camera.told == []


def test_the_shopper_is_never_urgent():
    shopper, merchant = Camera(Role.SHOPPER), Camera(Role.MERCHANT)
    assert shopper.look(0.0, code("wxp://f2f0"))[0].level is Level.REVIEW
    assert merchant.look(0.0, code("wxp://f2f0"))[0].level is Level.BLOCK


def test_the_end_settles_what_was_told():
    camera = Camera()
    camera.look(0.0, code())
    assert [change.status for change in camera.book.end(1.0)] == [Status.CONFIRMED]
    assert camera.book.end(2.0) == ()


def test_nothing_grows():
    camera = Camera()
    for n in range(1000):
        camera.look(n * 0.01, code(f"https://example.com/{n}"))
    assert len(camera.book._things) <= 64


def common(one, other):
    """Characters of the longest common subsequence, in steps that can be followed."""
    row = [0] * (len(other) + 1)
    for a in one:
        before, row = row, [0]
        for at, b in enumerate(other, 1):
            row.append(before[at - 1] + 1 if a == b else max(row[-1], before[at]))
    return row[-1]


@given(st.text("abc0", max_size=40), st.text("abc0", max_size=40))
@example("", "")
@example("13800138000", "13800138008")
def test_readings_agree_in_what_they_have_in_common_in_order(one, other):
    size = len(one) + len(other)
    share = 2 * common(one, other) / size if size else 0.0
    assert agreement(one, other) in (share, 0.0)
    assert (agreement(one, other) >= ALIKE) == (share >= ALIKE)
