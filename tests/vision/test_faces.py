"""Real networks on real pictures: a face is found, people are found, and none of it leaves."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from guardian.bench.privacy.finders import UNPRINTED
from guardian.bench.scene import scene
from guardian.core.config import VisionConfig
from guardian.core.frames import Mode, Planes, RawFrame, Showing
from guardian.core.geometry import Box
from guardian.core.notes import Seen, Unknown
from guardian.core.tracks import REVISIT_FRAMES
from guardian.vision.chain import VideoChain
from guardian.vision.faces import TurningFaceFinder
from guardian.vision.looks import WHOLE, Rota, Round, far_sighted, fit, short_sighted
from guardian.vision.people import SelfieSegmenter
from guardian.vision.yunet import YuNet
from tests.fakes.vision import Scripted, Steps, nobody


def portrait(size):
    """The public-domain portrait at the left edge of a plain picture of this size."""
    data = pytest.importorskip("skimage.data", reason="scikit-image with its portrait is not installed")
    w, h = size
    picture = np.full((h, w, 3), 150, np.uint8)
    face = cv2.resize(data.astronaut()[:, :, ::-1], (h, h), interpolation=cv2.INTER_AREA)
    picture[:, : min(w, h)] = face[:, : min(w, h)]
    i420 = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    rest = i420.reshape(-1)[w * h :].reshape(2, h // 2, w // 2)
    return Planes(i420[:h], rest[0], rest[1])


FACE = Box(0.345, 0.13, 0.17, 0.22)
"""Where the portrait's face is, in shares of its side."""


def nets(weights):
    yield "yunet", lambda: YuNet(weights("face", "yunet").files["model"], 0.3)

    def blaze():
        from guardian.vision.blazeface import BlazeFace

        return BlazeFace(weights("face", "blazeface-short").files["model"], 0.3)

    yield "blazeface-short", blaze


@pytest.mark.parametrize("which", ["yunet", "blazeface-short"])
@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (480, 640)])
def test_the_portraits_face_is_found(weights, which, size):
    planes = portrait(size)
    finder = TurningFaceFinder(dict(nets(weights))[which]())
    answer = finder.find(planes)
    assert isinstance(answer, Seen)
    side = size[1]
    wanted = FACE.scaled(side, side)
    assert max(face.box.iou(wanted) for face in answer.value) > 0.4


@pytest.mark.parametrize(
    ("which", "gaze", "side"), [("yunet", far_sighted, 128), ("blazeface-short", short_sighted, 256)]
)
def test_a_small_face_is_found_within_one_turn(weights, which, gaze, side):
    finder = TurningFaceFinder(dict(nets(weights))[which](), gaze)
    small = portrait((side, side))
    picture = Planes(np.full((720, 1280), 120, np.uint8), *(np.full((360, 640), 128, np.uint8) for _ in "uv"))
    finder.find(picture)
    x, y, half = 1000, 420, side // 2
    picture.y[y : y + side, x : x + side] = small.y
    for plane, patch in ((picture.u, small.u), (picture.v, small.v)):
        plane[y // 2 : y // 2 + half, x // 2 : x // 2 + half] = patch
    wanted = FACE.scaled(side, side).shifted(x, y)
    found = [finder.find(picture) for _ in range(REVISIT_FRAMES)]
    assert any(face.box.iou(wanted) > 0.3 for answer in found for face in answer.value)


def test_a_face_that_is_seen_much_narrower_than_it_is_is_found_in_its_place(weights):
    finder = TurningFaceFinder(YuNet(weights("face", "yunet").files["model"], 0.3))
    upright, narrow = portrait((240, 240)), (84, 240)
    picture = Planes(np.full((480, 640), 120, np.uint8), *(np.full((240, 320), 128, np.uint8) for _ in "uv"))
    picture.y[100:340, 400:484] = cv2.resize(upright.y, narrow, interpolation=cv2.INTER_AREA)
    for plane, patch in ((picture.u, upright.u), (picture.v, upright.v)):
        plane[50:170, 200:242] = cv2.resize(patch, (42, 120), interpolation=cv2.INTER_AREA)
    wanted = FACE.scaled(*narrow).shifted(400, 100)
    found = [finder.find(picture) for _ in range(REVISIT_FRAMES)]
    assert any(face.box.iou(wanted) > 0.4 for answer in found for face in answer.value)


@pytest.mark.parametrize("pace", [1, 2, 3])
@pytest.mark.parametrize("gaze", [far_sighted, short_sighted])
@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (1920, 1080), (480, 640), (176, 144), (2, 2)])
def test_every_part_of_the_picture_is_looked_at_while_a_face_is_held(gaze, size, pace):
    seen = np.zeros(size[::-1], np.bool_)
    for one in gaze(*size):
        assert one.pictures(pace) <= REVISIT_FRAMES
        rota = Rota(one)
        taken = [look for _ in range(one.pictures(pace)) for look in rota.due(beside=False, pace=pace)]
        assert set(taken) == {look for turn in one.turns for look in turn}
        for look in taken:
            x0, y0, x1, y1 = look.box(*size)
            assert 0 <= x0 < x1 <= size[0]
            assert 0 <= y0 < y1 <= size[1]
            seen[y0:y1, x0:x1] = True
    assert seen.all()


def taken_at(beside):
    """In which pictures a round of three turns, one in three pictures, takes one."""
    turns = tuple((replace(WHOLE, degrees=90 * i),) for i in range(3))
    rota = Rota(Round(turns, every=3))
    due = [rota.due(beside=one) for one in beside]
    assert [turn for turn in due if turn] == [turns[i % 3] for i in range(sum(map(bool, due)))]
    return [i for i, turn in enumerate(due) if turn]


def test_turns_are_taken_beside_other_work_and_alone_when_there_is_none():
    assert taken_at([False] * 9) == [2, 5, 8]
    assert taken_at([True] * 6) == [1, 3, 5]
    assert taken_at([i % 3 == 1 for i in range(12)]) == [1, 4, 7, 10], (
        "never alone, so no other picture is late"
    )


def test_a_face_is_held_for_a_slow_round_until_a_quick_one_has_been_all_round():
    finder, picture = TurningFaceFinder(NoFace()), scene((640, 480), 1)[0]

    def revisit():
        finder.find(picture)
        return finder.revisit

    slow = revisit()
    finder.pace = 3
    held = [revisit() for _ in range(REVISIT_FRAMES)]
    assert held[0] == slow, "what was seen by the slow round is not forgotten by a quick one"
    assert held[-1] < slow
    finder.pace = 1
    assert revisit() == slow
    assert taken_at([i % 6 == 1 for i in range(14)]) == [1, 5, 7, 11, 13]


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (480, 640)])
def test_tiles_are_seen_large_enough_for_faces_of_twelve_pixels(size):
    for turn in (turn for one in far_sighted(*size) for turn in one.turns):
        for look in (look for look in turn if look.w < 1):
            x0, y0, x1, y1 = look.box(*size)
            w, h = fit(x1 - x0, y1 - y0, look.area, YuNet.multiple)
            assert (w * h / ((x1 - x0) * (y1 - y0))) ** 0.5 > 0.75


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize(("which", "gaze"), [("yunet", far_sighted), ("blazeface-short", short_sighted)])
def test_a_face_in_a_turned_picture_is_found_in_its_place(weights, which, gaze, quarters):
    upright = portrait((480, 480))
    planes = Planes(*(np.ascontiguousarray(np.rot90(p, quarters)) for p in (upright.y, upright.u, upright.v)))
    face = np.zeros((480, 480))
    x0, y0, x1, y1 = FACE.scaled(480, 480).pixels(480, 480)
    face[y0:y1, x0:x1] = 1
    rows, columns = np.nonzero(np.rot90(face, quarters))
    wanted = Box(columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    finder = TurningFaceFinder(dict(nets(weights))[which](), gaze)
    assert max(found.box.iou(wanted) for found in finder.find(planes).value) > 0.4


def every_face(net, planes):
    """What all looks together find in a picture of which nothing is known."""
    return TurningFaceFinder(net).find(planes).value


def test_a_person_is_found_and_the_wall_is_not(weights):
    mask = SelfieSegmenter(weights("person").files["model"]).find(portrait((640, 480))).value
    assert mask.shape == (144, 256)
    assert mask[110:, 40:100].mean() > 0.8
    assert mask[:, 230:].mean() < 0.2


@pytest.mark.parametrize("mode", [Mode.SELFIE, Mode.PRODUCT, Mode.INSTALL])
def test_no_face_is_found_in_what_leaves(weights, mode):
    model = weights("face", "yunet").files["model"]
    people = SelfieSegmenter(weights("person").files["model"])
    finder = TurningFaceFinder(YuNet(model, 0.3))
    chain = VideoChain(finder, people, VisionConfig(late_s=60), mode, prints=UNPRINTED)
    judge = YuNet(model, 0.6)
    planes = portrait((640, 480))
    wanted = FACE.scaled(480, 480)
    assert max(face.box.iou(wanted) for face in every_face(judge, planes)) > 0.4
    for i in range(12):
        safe, notes = chain.protect(RawFrame(planes, i / 30, chain._clock()))
        # A whole blurred body can pass for a big face; what counts is the place of the real one.
        assert all(face.box.iou(wanted) < 0.1 for face in every_face(judge, safe.planes))
    assert safe.showing is Showing.COVERED, notes.reason


def test_a_person_moving_through_a_room_is_protected_in_every_frame(weights):
    pytest.importorskip("skimage.data", reason="scikit-image with its portrait is not installed")
    model = weights("face", "yunet").files["model"]
    people = SelfieSegmenter(weights("person").files["model"])
    chain = VideoChain(TurningFaceFinder(YuNet(model, 0.3)), people, VisionConfig(late_s=60), Mode.SELFIE)
    judge = YuNet(model, 0.6)
    covered = 0
    for i, planes in enumerate(scene((640, 480), 40)):
        safe, _ = chain.protect(RawFrame(planes, i / 30, chain._clock()))
        assert every_face(judge, safe.planes) == (), i
        covered += safe.showing is Showing.COVERED
    assert covered == 37


class NoFace:
    name, multiple = "none", 32

    def detect(self, bgr):
        return np.zeros((0, 5), np.float32)


def wall(shift, tone=110):
    """A patterned wall whose pattern stands a few pixels further on."""
    x = np.arange(640) + shift
    luma = np.broadcast_to(np.where(x // 10 % 2, tone + 60, tone - 60), (480, 640)).astype(np.uint8)
    half = np.full((240, 320), 128, np.uint8)
    return Planes(luma, half, half)


def every_look(finder, planes):
    """What the first picture of a size gets."""
    finder.find(planes)
    return finder.looks


def test_a_new_size_gets_every_look_at_once():
    finder = TurningFaceFinder(NoFace())
    assert every_look(finder, wall(0)) == 1 + sum(
        len(turn) for one in far_sighted(640, 480) for turn in one.turns
    )
    assert isinstance(finder.find(wall(0)), Seen)
    assert finder.looks == 1


def test_nothing_is_known_of_a_new_scene_until_it_was_seen_everywhere():
    finder = TurningFaceFinder(NoFace())
    everything = every_look(finder, wall(0)) - 1
    unknown, looks = [], []
    for _ in range(6):
        unknown.append(isinstance(finder.find(wall(0, tone=180)), Unknown))
        looks.append(finder.looks - 1)
    assert unknown == [True, False, False, False, False, False]
    assert looks[0] + looks[1] == everything
    assert max(looks) < everything * 0.7, "no picture waits for all of it"


class Broken(Exception):
    pass


class FailsOnce(NoFace):
    """Fails at one of its looks."""

    def __init__(self, at):
        self._looks, self._at = 0, at

    def detect(self, bgr):
        self._looks += 1
        if self._looks == self._at:
            raise Broken
        return super().detect(bgr)


@pytest.mark.parametrize(("scenes", "at"), [([110], 1), ([110], 9), ([110, 180], 17), ([110, 180, 180], 25)])
def test_a_look_that_failed_leaves_no_part_of_a_new_scene_unseen(scenes, at):
    everything = every_look(TurningFaceFinder(NoFace()), wall(0))
    finder = TurningFaceFinder(FailsOnce(at))
    for tone in scenes[:-1]:
        finder.find(wall(0, tone=tone))
    with pytest.raises(Broken):
        finder.find(wall(0, tone=scenes[-1]))
    assert isinstance(finder.find(wall(0, tone=scenes[-1])), Seen)
    assert (finder.looks, finder.everywhere) == (everything, True)


def in_private(chain, protect):
    chain.mode = Mode.PRIVATE
    protect()
    chain.mode = Mode.SELFIE


def another_camera(chain, protect):
    chain.distrust("a new camera")
    protect()


@pytest.mark.parametrize("meanwhile", [in_private, another_camera])
def test_what_a_picture_holds_is_proven_anew_though_it_looks_like_the_one_before(meanwhile):
    finder, clock = TurningFaceFinder(NoFace()), Steps()
    chain = VideoChain(finder, Scripted([nobody]), VisionConfig(), Mode.SELFIE, clock)

    def protect():
        clock.now += 1 / 30
        chain.protect(RawFrame(wall(0), clock.now, clock.now))
        return finder.looks

    everything = protect()
    assert max(protect() for _ in range(60)) < everything
    meanwhile(chain, protect)
    assert protect() == everything
    assert max(protect() for _ in range(60)) < everything


def test_pictures_are_known_while_one_scene_follows_another():
    finder = TurningFaceFinder(NoFace())
    everything = every_look(finder, wall(0)) - 1
    answers, looks = [], []
    for i in range(6):
        answers.append(finder.find(wall(0, tone=(180, 20)[i % 2])))
        looks.append(finder.looks - 1)
    assert [isinstance(answer, Unknown) for answer in answers] == [True] + [False] * 5
    assert looks[1:] == [everything] * 5, "all looks in each, for each is another scene"


def test_faces_found_while_a_new_scene_is_looked_at_are_kept(weights):
    finder = TurningFaceFinder(YuNet(weights("face", "yunet").files["model"], 0.3))
    side = 480
    upright = portrait((side, side))
    turned = Planes(*(np.ascontiguousarray(np.rot90(p, 2)) for p in (upright.y, upright.u, upright.v)))
    blank = Planes(
        np.full((side, side), 20, np.uint8), *(np.full((side // 2,) * 2, 128, np.uint8) for _ in "uv")
    )
    finder.find(blank)
    answers = [finder.find(turned) for _ in range(2)]
    assert isinstance(answers[0], Unknown)
    wanted = FACE.scaled(side, side)
    wanted = Box(side - wanted.x - wanted.w, side - wanted.y - wanted.h, wanted.w, wanted.h)
    assert max(found.box.iou(wanted) for found in answers[1].value) > 0.4


class SeesAFaceAndInCloserLooksAHandToo:
    """Nothing at all in a second glance."""

    name, multiple = "sees a face, and in closer looks a hand too", 32
    face, hand = (0.1, 0.1, 0.4, 0.6, 0.9), (0.6, 0.6, 0.2, 0.25, 0.4)

    def detect(self, bgr):
        h, w = bgr.shape[:2]
        found = {(128, 96): [self.face, self.hand], (256, 192): [self.face], (192, 160): [self.face]}
        shares = np.array(found.get((w, h), []), np.float32).reshape(-1, 5)
        return shares * np.array([w, h, w, h, 1], np.float32)


def test_a_second_glance_is_for_what_is_not_known_yet():
    look = replace(WHOLE, area=128 * 96, sure=1.0)
    finder = TurningFaceFinder(
        SeesAFaceAndInCloserLooksAHandToo(), lambda _w, _h: (Round(((look,),), every=1),)
    )
    picture = scene((640, 480), 1)[0]
    for answer in (finder.find(picture) for _ in range(3)):
        assert isinstance(answer, Seen)
        assert [round(face.score, 1) for face in answer.value] == [0.9]


class CutsWhatItSeesClosely:
    """A bright square: half of it in the closer look, whole in a second glance, and nothing anywhere else."""

    name, multiple = "cuts what it sees closely", 32

    def detect(self, bgr):
        h, w = bgr.shape[:2]
        left, top, side, high = cv2.boundingRect((bgr[:, :, 1] > 180).astype(np.uint8))
        if (w, h) == (128, 96):
            return np.array([[32, 24, 32, 48, 0.8]], np.float32)
        found = [[left, top, side, high, 0.9]] if w == h and side else []
        return np.array(found, np.float32).reshape(-1, 5)


@pytest.mark.parametrize("square", [True, False])
def test_a_second_glance_puts_what_is_large_in_its_place_or_denies_it_however_sure(square):
    look = replace(WHOLE, area=128 * 96, sure=0.55)
    finder = TurningFaceFinder(CutsWhatItSeesClosely(), lambda _w, _h: (Round(((look,),), every=1),))
    picture = spot(160, 120, side=240) if square else spot(0, 0, side=2)
    for answer in (finder.find(picture) for _ in range(3)):
        assert isinstance(answer, Seen)
        there = Box(160, 120, 240, 240)
        assert [round(face.box.iou(there), 1) for face in answer.value] == ([1.0] if square else [])


class SeesWhatIsShownLargeEnough:
    """A bright square, where it has 16 pixels or more."""

    name, multiple = "sees what is shown large enough", 32

    def detect(self, bgr):
        x, y, w, h = cv2.boundingRect((bgr[:, :, 1] > 180).astype(np.uint8))
        return np.array([[x, y, w, h, 0.9]] if w >= 16 else [], np.float32).reshape(-1, 5)


def spot(x, y, side=14):
    """A grey picture with a small bright square, its left upper corner there."""
    picture = Planes(np.full((480, 640), 90, np.uint8), *(np.full((240, 320), 128, np.uint8) for _ in "uv"))
    picture.y[y : y + side, x : x + side] = 250
    return picture


def test_a_face_too_small_for_the_whole_picture_is_followed_where_it_should_be():
    finder = TurningFaceFinder(SeesWhatIsShownLargeEnough(), lambda _w, _h: ())
    assert finder.find(spot(300, 200)).value == ()
    for i in range(8):
        finder.expected = (Box(300 + 10 * i, 200, 14, 14),)
        (face,) = finder.find(spot(310 + 10 * i, 204)).value
        assert face.box.iou(Box(310 + 10 * i, 204, 14, 14)) > 0.5
    finder.expected = (Box(60, 60, 14, 14),)
    assert finder.find(spot(390, 204)).value == (), "nobody is where somebody should be"
    finder.expected = (Box(-90, -90, 14, 14), Box(900, 20, 8, 8))
    assert finder.find(spot(390, 204)).value == (), "nor outside of the picture"


def test_no_time_is_spent_on_following_when_there_is_none():
    finder = TurningFaceFinder(SeesWhatIsShownLargeEnough(), lambda _w, _h: ())
    finder.expected, finder.whole_share = (Box(300, 200, 14, 14),), 0.5
    assert finder.find(spot(300, 200)).value == ()


def test_it_says_when_a_new_scene_has_been_seen_everywhere():
    finder = TurningFaceFinder(NoFace())
    said = []
    for tone in (100, 100, 180, 180, 180):
        finder.find(wall(0, tone=tone))
        said.append(finder.everywhere)
    assert said == [True, False, False, True, False]


def test_a_hand_that_shakes_is_no_new_scene():
    finder = TurningFaceFinder(NoFace())
    assert all(isinstance(finder.find(wall(shift)), Seen) for shift in (0, 0, 10, 3, 14))


def test_sizes_for_networks_are_multiples_and_no_larger_than_wanted():
    for w, h in ((640, 480), (1280, 720), (480, 640), (100, 2000), (64, 64)):
        small = fit(w, h, 256 * 192, 32)
        assert all(side % 32 == 0 and side >= 64 for side in small)
        assert small[0] * small[1] < 256 * 192 * 1.6
