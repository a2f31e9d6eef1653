"""What is printed or shown on things is hidden in *install*, and nothing shows while that is not known."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.core.config import VisionConfig
from guardian.core.frames import Mode, Planes, RawFrame, Showing
from guardian.core.notes import Print, PrintKind, Seen, Unknown
from guardian.core.protection import READING
from guardian.eyes import aside
from guardian.vision.chain import VideoChain
from guardian.vision.codes import find_codes
from guardian.vision.following import copy_of, moved
from guardian.vision.outlines import around, outlines
from guardian.vision.print_watch import Reading, at_once
from guardian.vision.prints import PrintFinder
from guardian.vision.rough_text import RoughText
from guardian.vision.text_lines import TextLines, lines_of
from tests.fakes.vision import Scripted, Steps, boom, faces, nobody

SIZE = (320, 240)
SHEET = (100, 60, 190, 120)
"""Left, top, right and bottom of what a fake finder finds."""


def corners(left, top, right, bottom):
    return ((left, top), (right, top), (right, bottom), (left, bottom))


@dataclass
class Reader:
    """Finds the same prints each time; an answer may raise."""

    answer: Any = field(default_factory=lambda: lambda: Seen((Print(PrintKind.TEXT, corners(*SHEET)),)))
    name: str = "reader"
    asked: list[PrintKind] = field(default_factory=list)

    def find(self, planes: Planes, kind: PrintKind) -> Any:
        self.asked.append(kind)
        return self.answer()


def room(seed: int = 1, size: tuple[int, int] = SIZE) -> Planes:
    """A picture with structure of every size, as rooms have and noise has not."""
    rng = np.random.default_rng(seed)

    def plane(w: int, h: int) -> np.ndarray:
        out = np.full((h, w), 110.0, np.float32)
        for cells, strength in ((6, 60), (20, 30), (60, 15)):
            grid = rng.normal(0, strength, (cells * h // w + 1, cells)).astype(np.float32)
            out += cv2.resize(grid, (w, h), interpolation=cv2.INTER_CUBIC)
        return np.clip(out + rng.normal(0, 6, (h, w)), 40, 230).astype(np.uint8)

    w, h = size
    return Planes(plane(w, h), plane(w // 2, h // 2), plane(w // 2, h // 2))


def part_of(planes: Planes, x: int, y: int, size: tuple[int, int] = SIZE) -> Planes:
    """The part of a larger picture that a camera sees."""
    w, h = size
    half = np.s_[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2]
    return Planes(planes.y[y : y + h, x : x + w], planes.u[half], planes.v[half])


class Take:
    """A chain in *install* with its clock."""

    def __init__(self, reader: Any, run: Any = at_once, mode: Mode = Mode.INSTALL, **config: Any) -> None:
        self.clock = Steps()
        reading = None if reader is None else Reading(reader, run)
        self.chain = VideoChain(
            Scripted([faces()]), Scripted([nobody]), VisionConfig(**config), mode, self.clock, prints=reading
        )
        self.t = 0.0

    def show(self, planes: Planes, n: int = 1, gap: float = 1 / 30) -> Any:
        """n pictures of these planes; the last (safe, notes)."""
        for _ in range(n):
            self.t += gap
            self.clock.now = 100 + self.t
            last = self.chain.protect(RawFrame(planes, self.t, self.clock.now))
        return last


def same(before: Planes, after: Planes) -> np.ndarray:
    """bool (h, w): pixels of luma that are as they were, within what blending rounds."""
    return np.abs(before.y.astype(int) - after.y.astype(int)) <= 2


def inner(left, top, right, bottom):
    return np.s_[top:bottom, left:right]


def test_a_sheet_is_hidden_and_the_room_shows():
    take, planes = Take(Reader()), room()
    safe, _ = take.show(planes, 5)
    assert safe.showing is Showing.COVERED
    assert same(planes, safe.planes)[inner(*SHEET)].mean() < 0.2
    assert same(planes, safe.planes)[150:, :].mean() > 0.99


def test_what_is_hidden_has_no_part_in_what_leaves():
    planes, other = room(), room()
    other.y[inner(*SHEET)] = 255 - other.y[inner(*SHEET)]
    # The same small copy, so that both count as the same scene.
    one, two = (Take(Reader()).show(picture, 5)[0] for picture in (planes, other))
    assert np.array_equal(one.planes.y, two.planes.y)


@pytest.mark.parametrize(
    "answer",
    [
        boom,
        lambda: None,
        lambda: Unknown("planted"),
        lambda: Seen([]),
        lambda: Seen((Print(PrintKind.TEXT, ((0, 0), (1, 1))),)),
        lambda: Seen((Print(PrintKind.TEXT, ((0, 0), (9, 0), (float("nan"), 9))),)),
        lambda: Seen((Print(PrintKind.TEXT, corners(*SHEET)),) * 5000),
    ],
)
def test_nothing_shows_while_the_finder_gives_no_answer(answer):
    take = Take(Reader(answer))
    for _ in range(8):
        safe, notes = take.show(room())
        assert safe.showing is Showing.CURTAIN
    assert notes.reason


def test_nothing_shows_where_nothing_can_read():
    assert Take(None).show(room(), 8)[0].showing is Showing.CURTAIN


def test_nothing_shows_while_a_look_has_not_ended():
    take = Take(Reader(), run=lambda job: None)
    safe, notes = take.show(room(), 20)
    assert safe.showing is Showing.CURTAIN
    assert notes.reason == READING


def test_a_look_that_hangs_holds_up_no_picture_and_ends_what_shows():
    gate = threading.Event()
    hold = threading.Event()
    reader = Reader()
    usual = reader.answer

    def answer():
        if hold.is_set():
            assert gate.wait(10)
        return usual()

    reader.answer = answer
    ended = threading.Semaphore(0)

    def run(job):
        aside(lambda: (job(), ended.release()))

    take, planes = Take(reader, run), room()
    try:
        take.show(planes)
        assert ended.acquire(timeout=10)
        assert take.show(planes, 4)[0].showing is Showing.COVERED
        hold.set()
        late = round(VisionConfig().prints_late_s * 30)
        assert take.show(planes, late - 10)[0].showing is Showing.COVERED
        assert take.show(planes, 20)[0].showing is Showing.CURTAIN
        hold.clear()
    finally:
        gate.set()
    assert ended.acquire(timeout=10)
    take.show(planes)
    assert ended.acquire(timeout=10)
    assert take.show(planes, 4)[0].showing is Showing.COVERED


def test_answers_about_another_scene_do_not_count():
    jobs = []
    take = Take(Reader(), run=jobs.append)
    first, second = room(1), room(2)
    take.show(first)
    jobs.pop()()
    assert take.show(first, 5)[0].showing is Showing.COVERED
    take.show(first, 30)
    assert take.show(second)[0].showing is not Showing.COVERED
    jobs.pop()()  # that of the first scene
    assert take.show(second, 10)[0].showing is Showing.CURTAIN
    jobs.pop()()
    assert take.show(second, 5)[0].showing is Showing.COVERED


@pytest.mark.parametrize(("dx", "dy"), [(6, 0), (-8, 4), (0, 10), (3, -3)])
def test_what_is_hidden_moves_with_the_camera(dx, dy):
    world, jobs = room(3, (400, 320)), []
    take = Take(Reader(), run=jobs.append)
    take.show(part_of(world, 40, 40))
    jobs.pop()()
    take.show(part_of(world, 40, 40), 4)
    planes = part_of(world, 40 - dx * 2, 40 - dy * 2)
    safe, _ = take.show(planes)
    left, top, right, bottom = SHEET
    moved_sheet = inner(left + 2 * dx, top + 2 * dy, right + 2 * dx, bottom + 2 * dy)
    assert safe.showing is Showing.COVERED
    assert same(planes, safe.planes)[moved_sheet].mean() < 0.2


def test_what_comes_into_the_picture_is_hidden_until_it_was_looked_at():
    jobs = []
    take, planes = Take(Reader(lambda: Seen(())), run=jobs.append), room()
    take.show(planes)
    jobs.pop()()
    assert same(planes, take.show(planes, 5)[0].planes).mean() > 0.99
    new = Planes(planes.y.copy(), planes.u, planes.v)
    new.y[100:160, 200:280] = 235
    new.y[120:124, 210:270] = 30
    assert same(new, take.show(new)[0].planes)[100:160, 200:280].mean() < 0.05
    take.show(new, 10)
    while jobs:
        jobs.pop()()
    take.show(new, 30)
    while jobs:
        jobs.pop()()
    assert same(new, take.show(new)[0].planes)[100:160, 200:280].mean() > 0.9


@pytest.mark.parametrize("mode", [Mode.SELFIE, Mode.PRODUCT, Mode.PRIVATE])
def test_other_modes_ask_for_no_prints(mode):
    reader = Reader()
    Take(reader, mode=mode).show(room(), 40)
    assert not reader.asked


def test_codes_are_looked_for_twice_a_second_and_text_once():
    reader = Reader()
    Take(reader).show(room(), 301)
    assert 18 <= reader.asked.count(PrintKind.CODE) <= 22
    assert 9 <= reader.asked.count(PrintKind.TEXT) <= 12


def test_under_load_looks_are_fewer_and_never_none():
    reader = Reader()
    take = Take(reader)
    take.chain.ease = type(take.chain.ease)(print_times=100)
    take.show(room(), 4)
    assert all(take.show(room())[0].showing is Showing.COVERED for _ in range(300))
    assert 3 <= reader.asked.count(PrintKind.TEXT) <= 8


# -- the parts themselves ---------------------------------------------------------------------------------


def written(format: str, text: str, side: int = 160) -> np.ndarray:
    """A code as a grey picture of about `side` pixels."""
    code = zxingcpp.create_barcode(text, zxingcpp.barcode_format_from_str(format))
    small = np.array(zxingcpp.write_barcode_to_image(code), np.uint8)
    times = max(side // max(small.shape), 1)
    return np.kron(small, np.ones((times, times), np.uint8))


def on_a_wall(
    grey: np.ndarray, at: tuple[int, int] = (200, 140), size: tuple[int, int] = (640, 480)
) -> Planes:
    planes = room(5, size)
    x, y = at
    planes.y[y : y + grey.shape[0], x : x + grey.shape[1]] = np.clip(grey, 30, 225)
    half = np.s_[y // 2 : (y + grey.shape[0]) // 2, x // 2 : (x + grey.shape[1]) // 2]
    planes.u[half] = planes.v[half] = 128
    return planes


CODES = [
    ("QRCode", "https://u.wechat.com/kAbCdEfGh"),
    ("DataMatrix", "1234567890"),
    ("Aztec", "call me"),
    ("PDF417", "order 20481"),
    ("Code128", "ORDER-20481"),
    ("EAN13", "6901234567892"),
]


@pytest.mark.parametrize(("format", "text"), CODES)
def test_a_code_is_found_and_cannot_be_read_any_more(format, text):
    planes = on_a_wall(written(format, text))
    assert {code.text for code in find_codes(planes.y)} == {text}

    class Codes:
        name = "codes"

        def find(self, planes, kind):
            return Seen(find_codes(planes.y) if kind is PrintKind.CODE else ())

    safe, _ = Take(Codes()).show(planes, 5)
    assert safe.showing is Showing.COVERED
    assert not zxingcpp.read_barcodes(np.ascontiguousarray(safe.planes.y), return_errors=False)
    assert same(planes, safe.planes)[400:, :].mean() > 0.95


def test_a_code_that_cannot_be_read_is_found_all_the_same():
    grey = written("QRCode", "https://u.wechat.com/kAbCdEfGh", 200)
    side = grey.shape[0]
    grey[side // 2 - 30 : side // 2 + 30, side // 3 : -side // 8] = 255
    planes = on_a_wall(grey)
    assert not zxingcpp.read_barcodes(planes.y)
    found = find_codes(planes.y)
    assert found
    assert not any(code.text for code in found)


def test_a_map_without_text_has_no_lines():
    assert lines_of(np.zeros((64, 96), np.float32)).shape == (0, 4, 2)


def test_the_sheet_around_a_block_is_found():
    grey = np.full((240, 320), 90, np.uint8)
    sheet = np.array([(80, 50), (230, 60), (220, 190), (70, 180)], np.int32)
    cv2.fillConvexPoly(grey, sheet, (220,))
    block = np.array(corners(110, 90, 190, 120), np.float32)
    found = around(block, outlines(grey))
    assert found is not None
    assert cv2.intersectConvexConvex(found, sheet.astype(np.float32))[0] > 0.9 * cv2.contourArea(sheet)


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (16, 0), (-12, 8), (4, -20), (30, 30)])
def test_a_shift_of_the_whole_picture_is_found(dx, dy):
    world = room(7, (800, 600))
    before, now = part_of(world, 80, 60, (640, 480)), part_of(world, 80 - dx, 60 - dy, (640, 480))
    found = moved(copy_of(before), copy_of(now))
    assert found is not None
    assert abs(found.dx * 8 - dx) < 3
    assert abs(found.dy * 8 - dy) < 3
    assert np.count_nonzero(found.changed) < 0.25 * found.changed.size


def test_another_room_is_another_scene():
    assert moved(copy_of(room(1)), copy_of(room(2))) is None


# -- with the weights -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reader(weights) -> PrintFinder:
    return PrintFinder(TextLines(weights("text").files["model"]))


def sheet_of_text(height: int) -> Planes:
    """A sheet with two lines of letters of this height on a wall."""
    grey = np.full((height * 4 + 40, 440), 215, np.uint8)
    scale = cv2.getFontScaleFromHeight(cv2.FONT_HERSHEY_DUPLEX, height, max(height // 12, 1))
    for i, text in enumerate(("138 0013 8000", "WeChat shop88")):
        at = (20, 20 + height + i * height * 2)
        cv2.putText(grey, text, at, cv2.FONT_HERSHEY_DUPLEX, scale, (25,), max(height // 12, 1), cv2.LINE_AA)
    return on_a_wall(grey, (120, 80))


@pytest.mark.parametrize("height", [14, 24, 40, 70])
def test_text_is_found_and_is_text_no_more(reader, height):
    planes = sheet_of_text(height)
    found = reader.find(planes, PrintKind.TEXT).value
    assert found
    safe, _ = Take(reader, late_s=60.0).show(planes, 5)
    assert safe.showing is Showing.COVERED
    assert not reader.find(safe.planes, PrintKind.TEXT).value
    assert same(planes, safe.planes)[430:, :].mean() > 0.95


@pytest.mark.parametrize("height", [10, 14, 24, 40])
def test_text_is_hidden_without_weights_too(height):
    planes = sheet_of_text(height)
    safe, _ = Take(PrintFinder(RoughText()), late_s=60.0).show(planes, 5)
    assert safe.showing is Showing.COVERED
    sheet = np.s_[80 : 80 + height * 4 + 40, 120:560]
    letters = planes.y[sheet] < 60
    assert same(planes, safe.planes)[sheet][letters].mean() < 0.02
    assert same(planes, safe.planes)[430:, :].mean() > 0.95


def test_a_wall_without_text_shows_whole(reader):
    planes = room(5, (640, 480))
    safe, _ = Take(reader, late_s=60.0).show(planes, 5)
    assert same(planes, safe.planes).mean() > 0.99


# -- whatever happens -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """What the finder says from now on (None: it fails), where the camera looks, and whether a look ends."""

    boxes: tuple[tuple[int, int, int, int], ...] | None
    at: tuple[int, int]
    scene: int
    ends: bool
    gap: float


def films() -> st.SearchStrategy[list[Moment]]:
    box = st.tuples(st.integers(0, 200), st.integers(0, 140), st.integers(16, 110), st.integers(16, 90)).map(
        lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
    )
    moment = st.builds(
        Moment,
        boxes=st.one_of(st.none(), *[st.lists(box, max_size=3).map(tuple)] * 5),
        at=st.tuples(st.integers(20, 30), st.integers(20, 30)).map(lambda at: (at[0] * 2, at[1] * 2)),
        scene=st.sampled_from([1, 1, 1, 1, 2]),
        ends=st.sampled_from([True, True, False]),
        gap=st.sampled_from([1 / 30, 1 / 30, 0.3, 2.0]),
    )
    return st.lists(moment, min_size=6, max_size=14)


@settings(max_examples=40, deadline=None)
@given(films())
def test_no_pixel_of_a_print_that_was_found_leaves(script):
    worlds = {scene: room(scene, (420, 340)) for scene in (1, 2)}
    reader, jobs = Reader(), []
    take = Take(reader, run=lambda job: jobs.append((job, moment)))
    looked: list[tuple[Moment, Moment]] = []
    """What the finder said, and of which picture."""
    for moment in script:
        planes = part_of(worlds[moment.scene], *moment.at)
        known = tuple(Print(PrintKind.TEXT, corners(*box)) for box in moment.boxes or ())
        reader.answer = boom if moment.boxes is None else lambda known=known: Seen(known)
        safe, _ = take.show(planes, gap=moment.gap)
        if safe.showing is Showing.COVERED:
            assert looked, "a picture shows before anything was looked at"
            said, of = looked[-1]
            assert of.scene == moment.scene
            dx, dy = of.at[0] - moment.at[0], of.at[1] - moment.at[1]
            control = part_of(worlds[moment.scene], 0, 0)
            for left, top, right, bottom in said.boxes or ():
                where = np.s_[max(top + dy, 0) : bottom + dy, max(left + dx, 0) : right + dx]
                leaked, chance = (same(picture, safe.planes)[where] for picture in (planes, control))
                assert leaked.sum() <= 2 * chance.sum() + 0.15 * leaked.size + 20
        if moment.ends and jobs:
            job, of = jobs.pop()
            job()
            if moment.boxes is not None:
                looked.append((moment, of))
