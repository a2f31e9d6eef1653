"""Learning: what tells attempts apart gets weight, the same every time; classes carry it over."""

import numpy as np
import pytest

from guardian.bench.hunch.learning import Effort, copies, learned, rows_of
from guardian.bench.hunch.logistic import lowest
from guardian.bench.hunch.measuring import CATEGORIES
from guardian.bench.hunch.said import classes_of, phrases
from guardian.core.hunch import Hunch, WordClasses
from guardian.resources import resource
from guardian.speech.text import units_of_text

TABLE = "lang\tcategory\texpected\tphrase\tnote\n" + "".join(
    f"{row}\t\n"
    for row in (
        "en\tcontact_exchange\tviolation\tping me on telegram later",
        "en\tcontact_exchange\tviolation\tping me on whatsapp later",
        "en\toffplatform_payment\tviolation\tpay me by venmo",
        "en\toffplatform_payment\tviolation\tpay me by zelle",
        "en\tcontact_exchange\tbenign\tturn the screw to the left",
        "en\tcontact_exchange\tbenign\tturn the bracket to the left",
    )
)


@pytest.fixture(scope="module")
def classes():
    return classes_of(resource("configs", "hunch", "classes.txt"))


def weights_of(tmp_path, classes):
    table = tmp_path / "someone.tsv"
    table.write_text(TABLE, encoding="utf-8")
    said = phrases([table])
    effort = Effort(pieces=40)
    return learned(rows_of([*said, *copies(said, effort)], WordClasses(classes)), CATEGORIES, classes, effort)


def test_weights_are_the_same_every_time(tmp_path, classes):
    assert weights_of(tmp_path, classes) == weights_of(tmp_path, classes)


def test_they_find_an_app_that_was_never_seen_by_its_class(tmp_path, classes):
    found = Hunch(weights_of(tmp_path, classes)).feel(units_of_text("ping me on viber now"), ())
    assert found[0].concept == "?contact_exchange"


def test_what_tells_nothing_from_an_attempt_is_not_felt(tmp_path, classes):
    found = Hunch(weights_of(tmp_path, classes)).feel(units_of_text("turn the hinge to the left"), ())
    assert not [one for one in found if one.concept == "?contact_exchange" and one.cost < 0.5]


def test_the_optimiser_finds_the_lowest_point():
    goal = np.array([3.0, -2.0, 0.5])
    scales = np.array([1.0, 25.0, 4.0])
    found = lowest(lambda x: (float((scales * (x - goal) ** 2).sum()), 2 * scales * (x - goal)), np.zeros(3))
    assert found == pytest.approx(goal, abs=1e-2)
