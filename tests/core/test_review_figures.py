"""Figures of review by counts whose answer is known."""

from guardian.core import review_figures as figures
from guardian.core.cases import Choice, Finding

CONFIRM, DISMISS = Choice.CONFIRM, Choice.DISMISS
CONFIRMED, DISMISSED = Finding.CONFIRMED, Finding.DISMISSED


def test_precision_is_the_share_that_was_confirmed():
    counts = [
        ("contact.add", CONFIRMED, 1), ("pay.bank", DISMISSED, 1), ("contact.add", DISMISSED, 1),
        ("contact.add", CONFIRMED, 1), ("", CONFIRMED, 9),
    ]  # fmt: skip
    assert figures.precision(counts) == [
        {"name": "contact.add", "confirmed": 2, "dismissed": 1, "precision": 0.667},
        {"name": "pay.bank", "confirmed": 0, "dismissed": 1, "precision": 0.0},
    ]


def test_agreement_by_chance_is_no_agreement():
    """Cohen 1960: 20 and 15 of 50 agree, kappa 0.4."""
    table = {(CONFIRM, CONFIRM): 20, (CONFIRM, DISMISS): 5, (DISMISS, CONFIRM): 10, (DISMISS, DISMISS): 15}
    assert figures.agreement(table) == {"pairs": 50, "agreement": 0.7, "kappa": 0.4}
    assert figures.agreement({(CONFIRM, CONFIRM): 1}) == {"pairs": 1, "agreement": 1.0, "kappa": None}
    assert figures.agreement({}) == {"pairs": 0, "agreement": None, "kappa": None}


def test_waiting_is_told_by_its_middle_and_its_end():
    assert figures.waits(float(n) for n in range(100, 0, -1)) == {"cases": 100, "p50_s": 50.0, "p95_s": 95.0}
    assert figures.waits([]) == {"cases": 0, "p50_s": None, "p95_s": None}


def test_what_was_overturned_is_told_of_appeals_and_of_decisions():
    told = figures.overturned({"overturned": 2, "upheld": 6}, 100)
    assert (told["of_appeals"], told["of_decisions"]) == (0.25, 0.02)
    assert figures.overturned({}, 0)["of_appeals"] is None
