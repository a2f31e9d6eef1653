"""What the privacy benchmarks say of faces is what happened to them."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from guardian.bench.deface import DEFACE_PYTHON, deface_python
from guardian.bench.drawing import Bars, Strip, bars, strips
from guardian.bench.privacy import exposure, recall
from guardian.bench.privacy.clips import Cutout, begun, composed, cutouts, remembered
from guardian.bench.privacy.exposure import body_and_room, head_of, shown
from guardian.bench.privacy.finders import UNPRINTED, Dropping, RepeatingFaces, RepeatingPeople
from guardian.bench.privacy.judge import Judge
from guardian.bench.privacy.squares import hidden, squares
from guardian.bench.privacy.stills import Showing, Still, covered, found, unlabelled
from guardian.bench.privacy.stills import shown as shown_still
from guardian.bench.privacy.tally import (
    ALL,
    DROPPED,
    Tally,
    Variant,
    longest_run,
    matched,
    misses,
    row,
    spans,
)
from guardian.core.config import VisionConfig
from guardian.core.errors import MediaError, Unavailable
from guardian.core.frames import Mode, Planes, RawFrame
from guardian.core.geometry import Box
from guardian.core.notes import Face, Seen
from guardian.core.protection import CurtainReason
from guardian.demo.scene import planes_from_rgb, portrait
from guardian.vision.chain import VideoChain
from guardian.vision.cover import curtain

ROOT = Path(__file__).resolve().parents[2]
SIZE = (320, 240)
FACE = Face(Box(140, 60, 40, 48), 0.9)


@pytest.mark.parametrize("name", ["exposure", "recall", "prints", "all"])
def test_every_table_says_what_it_is_for(name):
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "privacy.py", name, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert all(option in done.stdout for option in ("--json", "--plot", "--quick", "--check"))


class Finding:
    """A finder of faces and of people that always sees the same."""

    name, looks, everywhere, revisit, whole_share = "finding", 1, False, 1, 1.0

    def __init__(self, faces=(), person=0.0):
        self._faces, self._person = tuple(faces), person

    def restart(self):
        pass

    def find(self, planes):
        return Seen(self._faces)

    def people(self):
        mask = np.full((144, 256), self._person, np.float32)
        return type("People", (), {"name": "people", "find": lambda _, planes: Seen(mask)})()


# --- the judge --------------------------------------------------------------------------------

STUB = """
import numpy as np
class CenterFace:
    def __init__(self, backend, override_execution_provider):
        print("deface talks on its standard output")
    def __call__(self, picture, threshold):
        {answer}
"""


def stub_deface(folder, monkeypatch, answer):
    (folder / "deface").mkdir()
    (folder / "deface" / "__init__.py").write_text("")
    (folder / "deface" / "centerface.py").write_text(STUB.format(answer=answer))
    monkeypatch.setenv("PYTHONPATH", str(folder))


def grey(size=SIZE, value=120):
    w, h = size
    half = np.full((h // 2, w // 2), 128, np.uint8)
    return Planes(np.full((h, w), value, np.uint8), half, half)


def test_the_judge_gets_the_picture_and_gives_boxes(tmp_path, monkeypatch):
    answer = "h, w = picture.shape[:2]; return np.array([[1, 2, w, h, threshold]]), None"
    stub_deface(tmp_path, monkeypatch, answer)
    with Judge(sys.executable) as judge:
        assert judge.faces(grey()) == (Face(Box(1, 2, 319, 238), 0.2),)
        assert judge.faces(grey((64, 48))) == (Face(Box(1, 2, 63, 46), 0.2),)


def test_the_judge_sees_red_first(tmp_path, monkeypatch):
    answer = (
        "red, _, blue = picture.mean(axis=(0, 1)); return np.array([[0, 0, 9, 9, float(red > blue)]]), None"
    )
    stub_deface(tmp_path, monkeypatch, answer)
    with Judge(sys.executable) as judge:
        assert judge.faces(planes_from_rgb(np.full((48, 64, 3), (200, 50, 30), np.uint8)))[0].score == 1


def test_a_judge_that_dies_is_one_sentence(tmp_path, monkeypatch):
    stub_deface(tmp_path, monkeypatch, "import os; os._exit(3)")
    with Judge(sys.executable) as judge, pytest.raises(Unavailable, match="has ended"):
        judge.faces(grey())


def test_a_judge_that_cannot_start_is_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(Unavailable, match="make judge"):
        Judge(str(tmp_path / "python"))
    (tmp_path / "deface").mkdir()
    (tmp_path / "deface" / "__init__.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(Unavailable, match="needs deface, onnx and onnxruntime"):
        Judge(sys.executable)


def test_the_environment_names_the_judge(monkeypatch, tmp_path):
    monkeypatch.setenv(DEFACE_PYTHON, "/somewhere/python")
    assert deface_python() == "/somewhere/python"
    monkeypatch.delenv(DEFACE_PYTHON)
    monkeypatch.setattr("guardian.bench.deface.checkout", lambda: tmp_path)
    assert deface_python() is None
    made = tmp_path / ".venv-judge" / "bin" / "python"
    made.parent.mkdir(parents=True)
    made.touch()
    assert deface_python() == str(made)


def test_the_real_judge_sees_the_portrait(need):
    need("skimage")
    with Judge(need(deface_python() or "deface")) as judge:
        faces = judge.faces(planes_from_rgb(portrait()))
    assert len(faces) == 1
    assert faces[0].box.iou(Box(180, 70, 90, 120)) > 0.4


# --- exposure ---------------------------------------------------------------------------------


def test_a_face_is_the_same_where_it_overlaps():
    near, far = Face(Box(145, 64, 40, 48), 0.3), Face(Box(20, 20, 40, 48), 0.3)
    assert matched([near, far], [FACE]) == ([near], [far])
    assert matched([near], []) == ([], [near])


def test_a_run_is_broken_by_a_covered_picture():
    assert longest_run(range(10), [1, 2, 3, 5]) == 3
    assert longest_run(range(10), []) == 0
    assert longest_run(range(0, 60, 15), [15, 30]) == 16, "what lies between was not looked at"


def test_numbers_become_spans():
    assert spans([0, 1, 2, 7, 8], 1) == [[0, 3], [7, 9]]
    assert spans([0, 15, 30, 60], 15) == [[0, 31], [60, 61]]


def tally(exposed=(), faces=100, body=0.9):
    numbers = list(range(faces))
    return Tally(
        length=100,
        every=1,
        seconds=60.0,
        judged=list(range(100)),
        with_face=numbers,
        exposed={i: [[0, 0, 9, 9, 0.5]] for i in exposed},
        first_shown=4,
        body=[body],
    )


def test_figures_of_a_clip_and_of_all_of_them():
    selfie = Variant(Mode.SELFIE, 0.0)
    one = row("clip", selfie, [tally([2, 50, 51])])
    assert one["exposed_share"] == pytest.approx(0.03)
    assert one["exposed_per_minute"] == pytest.approx(3)
    assert (one["longest_run"], one["before_proof"], one["until_shown"]) == (2, 1, 4)
    assert row("clip", selfie, [tally(faces=0)])["exposed_share"] is None
    together = row(ALL, selfie, [tally([2, 50, 51]), tally()])
    assert together["exposed_share"] == pytest.approx(0.015)
    assert together["exposed_per_minute"] == pytest.approx(1.5)


def test_what_is_missed_is_told_for_all_clips_together():
    selfie, dropped = Variant(Mode.SELFIE, 0.0), Variant(Mode.SELFIE, DROPPED)
    many = [tally() for _ in range(9)]
    assert misses([row(ALL, selfie, [tally(), *many])]) == []
    assert len(misses([row(ALL, selfie, [tally([50]), tally([50])])])) == 1
    assert misses([row(ALL, dropped, [tally([50, 53]), *many])]) == [], "half a percent may be, with drops"
    assert len(misses([row(ALL, dropped, [tally([50, 51, 52]), *many])])) == 1, "three in a row may not"
    assert len(misses([row(ALL, dropped, [tally([3]), *many])])) == 1, "none may be before the proof"
    assert len(misses([row(ALL, selfie, [tally(body=0.5), *many])])) == 0
    assert "body" in misses([row(ALL, selfie, [tally(body=0.5)])])[0]
    assert misses([row(ALL, dropped, [tally(body=0.5)])]) == []
    assert "no face" in misses([row(ALL, selfie, [tally(faces=0)])])[0]


def test_what_is_shown_is_equal_in_every_plane():
    source, other = grey(), grey()
    other.y[:20] += 9
    other.u[60:] += 9
    equal = shown(source, other)
    assert not equal[:20].any()
    assert equal[20:120].all()
    assert not equal[120:].any()


def test_the_body_is_what_the_face_leaves_of_the_person():
    body, room = body_and_room(Finding(person=0.9).people(), grey(), [FACE])
    x0, y0, x1, y1 = head_of(FACE.box).pixels(*SIZE)
    assert not body[y0:y1, x0:x1].any()
    assert int((~body).sum()) == (x1 - x0) * (y1 - y0)
    assert not room.any()


# --- finders ----------------------------------------------------------------------------------


def test_dropped_faces_are_lost_one_by_one_and_the_same_every_time():
    def counts():
        finder = Dropping(Finding([FACE] * 10), 0.3, seed=1)
        return [len(finder.find(grey()).value) for _ in range(200)]

    assert counts() == counts()
    assert np.mean(counts()) == pytest.approx(7, abs=0.3)
    assert {0, 10} - set(counts()), "not whole answers"


@pytest.mark.parametrize("mode", [Mode.INSTALL, Mode.SELFIE])
def test_squares_tell_what_a_chain_hides(mode):
    person = 0.9 if mode is Mode.SELFIE else 0.0
    faces = RepeatingFaces(Finding([FACE]))
    people = RepeatingPeople(Finding(person=person).people())
    clock = iter(np.arange(10_000) / 1e6)
    eager = VisionConfig(codes_every_s=0.0, text_every_s=0.0)
    chain = VideoChain(faces, people, eager, mode, lambda: float(next(clock)), prints=UNPRINTED)
    for i in range(12):
        chain.protect(RawFrame(grey(), i / 30, 0.0))
    faces.repeat = people.repeat = True
    safe, _ = chain.protect(RawFrame(squares(SIZE), 12 / 30, 0.0))
    hides = hidden(safe)
    x0, y0, x1, y1 = FACE.box.pixels(*SIZE)
    assert hides[y0:y1, x0:x1].all()
    assert not hides[200:, 20:300].any()


def test_a_card_hides_everything():
    assert hidden(curtain(SIZE, 0.0, 0.0, CurtainReason.STARTING)).all()


# --- recall -----------------------------------------------------------------------------------


def boxes(*some):
    return np.array(some, np.float64).reshape(-1, 4)


def test_one_hit_is_for_one_face():
    two = boxes((0, 0, 20, 20), (10, 0, 20, 20))
    assert found(two, boxes((5, 0, 20, 20))).sum() == 1
    assert found(two, two).all()
    assert not found(two, boxes((0, 0, 60, 60))).any()
    assert not found(two, boxes()).any()


def test_a_hit_on_no_face_is_counted():
    assert unlabelled(boxes((0, 0, 20, 20)), boxes((1, 1, 20, 20), (200, 100, 20, 20))) == 1
    assert unlabelled(boxes(), boxes((1, 1, 20, 20))) == 1


def test_a_face_is_covered_with_its_centre_and_nearly_all_of_it():
    faces = boxes((100, 100, 40, 40))
    bits = np.zeros((240, 320), np.bool_)
    assert not covered(faces, bits)[0]
    bits[100:137, 100:140] = True
    assert covered(faces, bits)[0]
    bits[118:122, 118:122] = False
    assert not covered(faces, bits)[0], "its centre is to be seen"


@pytest.mark.parametrize("turn", [0, 15, 90, 180])
def test_labels_turn_with_the_still(turn):
    rgb = np.zeros((208, 208, 3), np.uint8)
    rgb[40:60, 120:140] = 255
    planes, faces = shown_still(Still("", rgb, boxes((120, 40, 20, 20))), Showing("", 416, turn=turn))
    x, y, w, h = faces[0]
    assert (w, h) == pytest.approx((40, 40))
    assert planes.y[int(y + h / 2), int(x + w / 2)] > 200
    ys, xs = np.nonzero(planes.y > 200)
    assert (xs.mean(), ys.mean()) == pytest.approx((x + w / 2, y + h / 2), abs=2)


def test_light_is_taken_from_black():
    still = Still("", np.full((64, 64, 3), 255, np.uint8), boxes())
    planes, _ = shown_still(still, Showing("", 64, light=0.25))
    assert planes.y.mean() == pytest.approx(16 + 219 / 4, abs=1)


def test_recall_is_asked_at_the_size_of_a_call():
    rows = [{"shown": "640", "side": 640, "found_from": {"16": 0.95, "32": 0.9}}]
    assert [sentence for sentence in recall.misses(rows) if "32 px" in sentence]
    assert len(recall.misses(rows)) == 1
    assert recall.misses([]) != []


# --- clips and drawings -----------------------------------------------------------------------


def test_composed_clips_are_the_same_every_time_and_move():
    person = Cutout(np.ones((240, 120, 4), np.float32))
    clips = composed([person])
    for clip in clips:
        pictures = list(islice(clip.play(), 2))
        assert (pictures[0].planes.y == next(clip.play()).planes.y).all()
        assert pictures[0].planes.size == (640, 480)
    near = begun(clips[0], 12)
    first, *_, last = near.play()
    assert last.t == pytest.approx(11 / 30), "as long as it says"
    assert (last.planes.y != first.planes.y).any()
    kept = remembered(near)
    assert [one.t for one in kept.play()] == [one.t for one in kept.play()] == [i / 30 for i in range(12)]


def test_only_people_who_will_do_are_cut_out(tmp_path, monkeypatch):
    folder = tmp_path / "media" / "people"
    folder.mkdir(parents=True)
    monkeypatch.setenv("GUARDIAN_SHARED", str(tmp_path))
    mask = np.zeros((300, 200), np.uint8)
    mask[20:280, 30:170] = 255
    for name, value in (("1", 30), ("2", 200)):
        cv2.imwrite(str(folder / f"{name}.jpg"), np.full((300, 200, 3), value, np.uint8))
        cv2.imwrite(str(folder / f"{name}_mask.png"), mask)
    dark = cutouts(1, lambda planes: planes.y[300, 320] < 60)
    assert dark[0].rgba[100, 70, 0] == pytest.approx(30, abs=2)
    assert len(cutouts(2, lambda planes: True)) == 2
    with pytest.raises(MediaError, match="fewer than 2"):
        cutouts(2, lambda planes: planes.y[300, 320] < 60)


def test_drawings_are_whole_xml_whatever_is_drawn():
    ElementTree.fromstring(bars([Bars("a < b", ["x & y", "z"], {"one": [0.5, None], "two": [0, 1.0]}, "%")]))
    ElementTree.fromstring(bars([Bars("rank", ["x"], {"one": [12.0]}, "times", 20.0, (3.0,))]))
    ElementTree.fromstring(strips("a", [Strip("b & c", 30, {"on": [[0, 3]]})], {"on": "#123456"}))
    rows = [row("clip", Variant(Mode.SELFIE, 0.0), [tally([2])])]
    ElementTree.fromstring(exposure.drawing(rows))
