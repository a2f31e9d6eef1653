"""A pixel of the room that is shown is counted, whatever its colour and however short."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from guardian.bench.privacy import background
from guardian.bench.privacy.compose import MOTIONS, SIZE, Clip, Person, clips, cut_out
from guardian.bench.privacy.marks import DEPTH, marked, marks, opacity
from guardian.bench.privacy.people import Still, movable
from guardian.bench.privacy.rooms import ROOM, emptied, rooms
from guardian.core.errors import Unavailable
from guardian.core.frames import Planes
from guardian.core.geometry import Box
from guardian.core.notes import Face
from guardian.demo.scene import planes_from_rgb
from guardian.models import ModelStore

PLACE = np.s_[40:80, 60:120]


def picture(seed: int = 0, size: tuple[int, int] = (160, 120)) -> Planes:
    rng = np.random.default_rng(seed)
    w, h = size
    return planes_from_rgb(rng.integers(0, 256, (h, w, 3), np.uint8))


# --- marks ------------------------------------------------------------------------------------


def test_marks_leave_every_square_as_bright_as_it_was():
    mark = marks((160, 120), 1)
    assert set(np.unique(mark)) == {-1, 1}
    assert not mark.reshape(60, 2, 80, 2).sum(axis=(1, 3)).any()


def test_what_follows_its_source_is_seen_and_by_how_much():
    mark = marks((160, 120), 1)
    one, other = (planes.y for planes in marked(picture(), mark))
    assert np.abs(one.astype(int) - other).min() == 2 * DEPTH, "black and white are marked too"
    fill = np.full_like(one, 90)
    half = [(plane // 2 + 45).astype(np.uint8) for plane in (one, other)]
    assert opacity(one, other, mark) == pytest.approx(1)
    assert opacity(fill, fill, mark) == pytest.approx(0)
    assert opacity(*half, mark).mean() == pytest.approx(0.5, abs=0.05)


def test_a_fill_that_only_changes_smoothly_is_not_seen():
    mark = marks((160, 120), 1)
    slope = np.broadcast_to(np.arange(160, dtype=np.uint8), (120, 160))
    assert np.abs(opacity(slope + np.uint8(40), slope, mark)).max() < 0.25


def test_a_shown_pixel_of_the_colour_of_the_fill_is_seen_all_the_same():
    mark = marks((160, 120), 1)
    grey = Planes(*(np.full(shape, 110, np.uint8) for shape in ((120, 160), (60, 80), (60, 80))))
    one, other = (planes.y.copy() for planes in marked(grey, mark))
    hidden = np.ones(one.shape, bool)
    hidden[PLACE] = False
    one[hidden] = other[hidden] = 110
    seen = opacity(one, other, mark) >= 0.25
    assert seen.sum() == 20 * 30
    assert seen[20:40, 30:60].all()


# --- figures ----------------------------------------------------------------------------------


def look(seen: np.ndarray, *boxes: Box) -> background.Look:
    return background.Look(seen.astype(np.float32), tuple(Face(box, 0.9) for box in boxes), True)


def test_shares_of_a_photo():
    person = np.zeros((120, 160), np.uint8)
    person[PLACE] = 255
    truth = np.zeros((60, 80))
    truth[20:40, 30:60] = 1
    perfect = background.photo_figures(look(truth), person)
    assert perfect == {"shown": 0, "kept": 1, "kept_of_all": 1, "iou": 1}
    everything = background.photo_figures(look(np.ones((60, 80))), person)
    assert (everything["shown"], everything["kept"]) == (1, 1)
    nothing = background.photo_figures(look(np.zeros((60, 80))), person)
    assert (nothing["shown"], nothing["kept"], nothing["iou"]) == (0, 0, 0)


def test_a_covered_face_is_no_part_of_what_is_to_be_kept():
    person = np.zeros((120, 160), np.uint8)
    person[PLACE] = 255
    seen = np.zeros((60, 80))
    seen[30:40, 30:60] = 1
    face = Box(60, 30, 60, 30)
    found = background.photo_figures(look(seen, face), person)
    assert found["kept_of_all"] == pytest.approx(0.5)
    assert found["kept"] == pytest.approx(1)


def clip(motion: int = 0) -> Clip:
    rng = np.random.default_rng(4)
    person = Person(rng.integers(0, 256, (200, 120, 3), np.uint8), np.ones((200, 120), np.float32))
    return Clip("x", MOTIONS[motion], (person,) * MOTIONS[motion].people, rooms(1)[0])


def test_what_was_seen_once_stays_seen():
    gathered = background.Gathered()
    hidden = np.zeros((SIZE[1] // 2, SIZE[0] // 2))
    flash = hidden.copy()
    flash[:4, :10] = 1
    shot = clip().shot(0)
    gathered.take(look(hidden), shot)
    assert gathered.union == 0
    gathered.take(look(flash), shot)
    gathered.take(look(hidden), shot)
    assert gathered.union == pytest.approx(40 / gathered.open.sum())


def test_the_person_and_the_band_around_them_are_not_the_room():
    gathered = background.Gathered()
    shot = clip().shot(0)
    gathered.take(look(shot.person[::2, ::2]), shot)
    assert gathered.union == 0
    assert gathered.kept == [pytest.approx(1, abs=0.02)]
    wide = np.zeros(shot.person.shape, bool)
    wide[:, 15:] |= shot.person[:, :-15]
    gathered.take(look(wide[::2, ::2]), shot)
    assert gathered.union == 0, "15 pixels are within 3 % of 640"
    assert (gathered.edge & gathered.open).sum() == 0
    wide[:, 60:] |= shot.person[:, :-60]
    gathered.take(look(wide[::2, ::2]), shot)
    assert gathered.union > 0


def test_a_room_is_gathered_where_it_is_and_not_where_the_camera_looks():
    number = next(i for i, motion in enumerate(MOTIONS) if motion.name == "camera pans")
    gathered = background.Gathered()
    corner = np.zeros((SIZE[1] // 2, SIZE[0] // 2))
    corner[:10, :10] = 1
    pans = []
    for t in (1.25, 3.75):
        shot = clip(number).shot(t)
        pans.append(shot.pan)
        gathered.take(look(corner), shot)
    assert max(pans) <= ROOM[0] - SIZE[0]
    assert abs(pans[0] - pans[1]) > 40
    assert gathered.room.sum() == 200


# --- clips ------------------------------------------------------------------------------------


@pytest.mark.parametrize("motion", range(len(MOTIONS)), ids=lambda i: MOTIONS[i].name)
def test_outside_the_person_there_is_the_room_and_nothing_else(motion):
    one = clip(motion)
    shares = []
    for t in np.linspace(0, 11, 8):
        shot = one.shot(float(t))
        empty = planes_from_rgb(np.ascontiguousarray(one.room[:, shot.pan : shot.pan + SIZE[0]]))
        room = ~shot.touched
        assert np.abs(shot.planes.y[room].astype(int) - empty.y[room]).max() <= 4
        assert shot.touched[shot.person].all()
        shares.append(shot.person.mean())
    assert max(shares) > 0.05


def still(box: tuple[int, int, int, int], size: tuple[int, int] = (600, 500)) -> Still:
    """A photo with a person in the box (x, y, w, h)."""
    rng = np.random.default_rng(5)
    w, h = size
    person = np.zeros((h, w), np.uint8)
    person[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = 255
    return Still("x", rng.integers(0, 256, (h, w, 3), np.uint8), person)


def test_only_whole_people_are_moved_about():
    assert movable(still((200, 100, 200, 400)))
    assert not movable(still((0, 100, 200, 400))), "cut off at the side"
    assert not movable(still((200, 0, 200, 500))), "cut off at the top"
    assert not movable(still((200, 100, 200, 300))), "legs in the air"
    with pytest.raises(Unavailable):
        clips([still((0, 0, 10, 10))], 2, 1)


def test_clips_are_the_same_every_time():
    photos = [still((180 + 5 * i, 100, 200, 400)) for i in range(4)]
    one, other = clips(photos, 8, 1), clips(photos, 8, 1)
    assert [made.name for made in one] == [made.name for made in other]
    assert len({made.name for made in one}) == 8
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a.shot(1.0).planes.y, b.shot(1.0).planes.y)


def test_a_person_is_cut_out_with_a_soft_edge():
    found = cut_out(still((200, 100, 200, 400)))
    assert found.opacity.shape == found.rgb.shape[:2] == (400, 200)
    assert found.opacity[200, 100] == 1
    assert found.opacity[-1, 100] == 1, "the photo ends there, the person does not"
    assert 0 < found.opacity[200, 1] < 1


def test_of_those_who_were_in_a_room_nothing_is_left():
    photo = still((200, 100, 200, 400))
    light, dark = photo.rgb.copy(), photo.rgb.copy()
    light[photo.person > 0], dark[photo.person > 0] = 255, 0
    assert np.array_equal(emptied(light, photo.person), emptied(dark, photo.person))
    assert emptied(light, photo.person).shape == (ROOM[1], ROOM[0], 3)


# --- judging ----------------------------------------------------------------------------------


def test_targets():
    good = {"what": "a", "shown": 0.01, "kept": 0.9, "promised": True}
    clip_row = {"what": "b", "union": 0.002, "kept": 0.7, "curve": [0.0, 0.001, 0.002]}
    assert background.SCRIPT.misses([good, clip_row]) == []
    bad = [
        {**good, "shown": 0.03},
        {**good, "kept": 0.7},
        {**good, "kept": None},
        {**clip_row, "union": 0.02},
    ]
    assert len(background.SCRIPT.misses(bad)) == 4
    assert background.SCRIPT.drawing is not None
    ElementTree.fromstring(background.SCRIPT.drawing([good, clip_row, {**clip_row, "what": "c < d"}]))


def test_an_empty_room_is_never_shown(weights):
    weights("face")
    weights("person")
    pair = background.Pair(ModelStore.default())
    empty = planes_from_rgb(np.ascontiguousarray(rooms(1)[1][:, : SIZE[0]]))
    pair.begin(SIZE)
    assert (pair.settled(empty).opacity < 0.25).mean() > 0.99
