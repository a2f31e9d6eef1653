"""Lapses close together are one, and none is forgotten in the sums."""

from guardian.core.lapses import LapseBook
from guardian.core.notes import Part


def test_spans_close_together_are_one_lapse():
    book = LapseBook(Part.HEARING, "merchant")
    assert book.add(1.0, 1.2, "behind")
    assert not book.add(1.2, 1.4, "behind")
    assert not book.add(2.0, 2.1, "behind")
    assert book.add(5.0, 6.0, "crashed")
    assert [(span.t_start, span.t_end) for span in book.spans] == [(1.0, 2.1), (5.0, 6.0)]
    assert book.count == 2
    assert abs(book.seconds - 2.1) < 1e-9


def test_the_sums_outlast_the_list():
    book = LapseBook(Part.PICTURE, "shopper")
    for number in range(500):
        book.add(number * 10.0, number * 10.0 + 1, "x")
    assert len(book.spans) == 200
    assert (book.count, round(book.seconds)) == (500, 500)


def test_what_is_told_late_of_before_is_counted_too():
    book = LapseBook(Part.HEARING, "merchant")
    assert book.add(100.0, 101.0, "hearing is behind")
    assert book.add(90.0, 95.0, "no recogniser is listening")
    assert not book.add(101.0, 102.0, "hearing is behind")
    assert not book.add(95.0, 99.5, "no recogniser is listening")
    assert sum(span.t_end - span.t_start for span in book.spans) == book.seconds == 11.5
    assert book.count == 2
