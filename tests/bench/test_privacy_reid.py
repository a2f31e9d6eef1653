"""The attacks on covered faces name people where there is something to see, and the figures say so."""

from __future__ import annotations

import asyncio
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from guardian.bench.privacy import reid
from guardian.bench.privacy.attacks import LEARNED, NAIVE, PARROT, Rank1, best, folds, rate
from guardian.bench.privacy.portraits import (
    Portrait,
    averaged,
    box_in_scene,
    place,
    scene_with,
    seen_at,
    usual_covers,
)
from guardian.bench.script import quiet_steps
from guardian.core.frames import Mode
from guardian.core.geometry import Box

PEOPLE, EACH = 12, 10
WHO = np.repeat(np.arange(PEOPLE), EACH)


def pictures_of(own: float, noise: float, seed: int = 1) -> np.ndarray:
    """Vectors of PEOPLE: what is their own times `own`, and noise."""
    rng = np.random.default_rng(seed)
    people = rng.normal(0, 1, (PEOPLE, 300)).repeat(EACH, axis=0)
    return (people * own + rng.normal(0, noise, people.shape)).astype(np.float32)


@pytest.mark.parametrize("attack", [*NAIVE.items(), *LEARNED.items()], ids=lambda one: one[0])
def test_every_attack_names_people_who_can_be_told_apart(attack):
    assert rate(attack[1], pictures_of(1, 1.5), pictures_of(1, 1.5), WHO, 1) > 0.9


@pytest.mark.parametrize("attack", [*NAIVE.items(), *LEARNED.items()], ids=lambda one: one[0])
def test_no_attack_names_people_in_noise(attack):
    noise = pictures_of(0, 1)
    assert rate(attack[1], noise, noise, WHO, 2) < 3 / PEOPLE


def test_no_attack_fails_on_pictures_that_are_all_the_same():
    same = np.full((len(WHO), 50), 110, np.float32)
    for attack in {**NAIVE, **PARROT, **LEARNED}.values():
        assert rate(attack, same, same, WHO, 1) == pytest.approx(1 / PEOPLE, abs=0.05)


def test_the_best_attack_and_its_view_are_named():
    views = {
        "noise": (pictures_of(0, 1), pictures_of(0, 1)),
        "signal": (pictures_of(1, 1), pictures_of(1, 1)),
    }
    found = best(NAIVE, views, WHO, 1)
    assert found.rate > 0.9
    assert found.attack.endswith("signal")


def test_everybody_is_asked_about_in_every_picture_once():
    asked = []
    for known, unknown in folds(WHO, 3):
        assert not set(known) & set(unknown)
        assert np.bincount(WHO[known]).tolist() == [8] * PEOPLE
        asked += unknown.tolist()
    assert sorted(asked) == list(range(len(WHO)))


def test_the_interval_is_that_of_wilson():
    found = Rank1.of(0.025, 400, "x")
    assert (found.low, found.high) == (pytest.approx(0.0136, abs=2e-4), pytest.approx(0.0454, abs=2e-4))
    nobody = Rank1.of(0.0, 400, "x")
    assert nobody.low == 0
    assert nobody.high > 0.005, "none of 400 does not mean never"


# --- pictures ---------------------------------------------------------------------------------


def portrait(picture: np.ndarray | None = None) -> Portrait:
    """Something that can be found again, as large as a portrait."""
    if picture is None:
        patches = np.random.default_rng(2).integers(0, 256, (14, 11), np.uint8)
        picture = np.asarray(cv2.resize(patches, (92, 112), interpolation=cv2.INTER_CUBIC), np.uint8)
    return Portrait(1, picture, Box(14, 22, 66, 80))


def test_what_is_seen_lies_where_the_portrait_was_put_however_it_sways():
    one, region = portrait(), Box(10, 12, 60, 80)
    takes = ((0, 0), (5, 0), (11, 3), (30, 7))
    crops = [
        seen_at(scene_with(one, frame, take), region, place(one, frame, take)).luma for frame, take in takes
    ]
    for crop in crops[1:]:
        assert np.abs(crop - crops[0]).mean() < 4
    moved = seen_at(scene_with(one, 0, 0), region.shifted(6, 0), place(one, 0, 0)).luma
    assert np.abs(moved - crops[0]).mean() > 15


def test_an_average_is_finer_than_its_pictures():
    one, region = portrait(np.full((112, 92), 128, np.uint8)), Box(20, 20, 30, 30)
    crops = [seen_at(scene_with(one, i, 0), region, place(one, i, 0)) for i in range(20)]
    assert averaged(crops).luma.std() < 0.5 * np.mean([crop.luma.std() for crop in crops])


def test_the_usual_covers_change_the_box_and_nothing_else():
    planes = scene_with(portrait(), 0, 0)
    box = box_in_scene(Box(20, 20, 40, 50), place(portrait(), 0, 0))
    x0, y0, x1, y1 = box.pixels(*planes.size)
    outside = np.ones(planes.y.shape, bool)
    outside[y0:y1, x0:x1] = False
    covers = dict(usual_covers(planes, box))
    assert set(covers) == {"Gaussian blur", "mosaic of 8x8"}
    for covered in covers.values():
        assert np.array_equal(covered.y[outside], planes.y[outside])
        assert np.abs(covered.y[y0:y1, x0:x1].astype(int) - planes.y[y0:y1, x0:x1]).mean() > 5


# --- judging ----------------------------------------------------------------------------------


def row(what: str, found: float, **more: object) -> dict[str, object]:
    named = {kind: Rank1.of(found, 400, "ridge").as_dict() for kind in reid.KINDS}
    return {"what": what, "region": "face", "chance": 0.025, **named, **more}


def test_a_face_that_is_recognised_is_a_miss():
    assert reid.SCRIPT.misses([row("selfie", 0.03, missed=0)]) == []
    said = reid.SCRIPT.misses([row("selfie", 0.09, missed=0)])
    assert [sentence.split("(")[1].split(",")[0] for sentence in said] == ["naive", "parrot", "restored"]


def test_what_is_recognised_in_the_whole_portrait_is_told_and_is_no_miss():
    assert reid.SCRIPT.misses([row("install", 0.9, missed=0) | {"region": "portrait"}]) == []


def test_attacks_that_name_nobody_prove_nothing():
    clear = {"what": "clear", "region": "face", "chance": 0.025, "clear": {"rate": 0.5}}
    assert len(reid.SCRIPT.misses([clear])) == 1
    assert len(reid.SCRIPT.misses([row("Gaussian blur", 0.05)])) == 1
    assert reid.SCRIPT.misses([row("Gaussian blur", 0.8)]) == []


def test_portraits_go_through_the_live_chain(shared_media, weights):
    if not (shared_media / "faces_orl").is_dir():
        pytest.skip("no portraits here")
    weights("person")
    weights("face", "yunet")
    effort = reid.Effort(2, 5, 1, (Mode.INSTALL,))
    rows = asyncio.run(reid.measure(effort, quiet_steps()))
    assert [(one["what"], one["region"]) for one in rows[-2:]] == [
        ("install", "face"),
        ("install", "portrait"),
    ]
    assert rows[0]["clear"]["rate"] > 0.8
    assert rows[0]["asked"] == 10
    assert all(len(reid.SCRIPT.cells(one)) == len(reid.SCRIPT.columns) for one in rows)
    assert rows[-1]["missed"] <= 2
    assert reid.SCRIPT.drawing is not None
    ElementTree.fromstring(reid.SCRIPT.drawing(rows))
