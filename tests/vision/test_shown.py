"""Codes and written contacts are found in pictures, and benign ones told from them."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest

from guardian.bench.placards import code_card, held, text_card
from guardian.core.contacts import NOTHING_ALLOWED, Contact, ContactKind
from guardian.core.frames import Planes
from guardian.core.notes import PrintKind
from guardian.core.violations import Level
from guardian.vision.codes import Care, read_codes
from guardian.vision.shown import CLOSE, LIVE, Judge, ShownFinder, TextSense
from guardian.vision.text_lines import TextLines
from guardian.vision.text_reader import TextReader
from guardian.vision.text_rows import Piece, rows
from tests.vision.test_prints import room

LINK = "https://example.com/join?from=call"


def silent(_text: str) -> Contact | None:
    """No rule matches."""
    return None


def finder(sense=None, looking=LIVE, words=silent):
    return ShownFinder(sense, Judge(NOTHING_ALLOWED, words), looking)


@pytest.fixture(scope="module")
def sense(weights):
    return TextSense(TextLines(weights("text").files["model"]), TextReader(weights("reading").files["model"]))


def seen(one, planes, kind):
    return [found for found in one.find(planes, kind) if found is not None][-1]


def wall(card, at=(200, 140), size=(640, 480)):
    return held(room(5, size), card, at)


@dataclass
class Lines:
    """Finds the same boxes each time and counts."""

    boxes: np.ndarray
    asked: int = 0
    name: str = "lines"
    multiple: int = 32

    def detect(self, bgr):
        self.asked += 1
        scale = np.array((bgr.shape[1] / 640, bgr.shape[0] / 480), np.float32)
        return self.boxes * scale


@dataclass
class Reads:
    """Reads its texts one after the other, by the place of the line."""

    texts: dict = field(default_factory=dict)
    sure: float = 0.95

    def read(self, bgr, corners):
        return self.texts.get(round(float(corners[:, 1].min())), ""), self.sure


def box(left, top, right, bottom):
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def scripted(*lines):
    """Finds and reads (box, text)."""
    boxes = np.array([corners for corners, _ in lines], np.float32).reshape(-1, 4, 2)
    texts = {corners[0][1]: text for corners, text in lines}
    return TextSense(Lines(boxes), Reads(texts))


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (1280, 720)])
def test_a_code_is_read_and_placed(size):
    planes = wall(code_card(LINK, size[1] // 3), (size[0] // 2, size[1] // 2), size)
    found = seen(finder(), planes, PrintKind.CODE)
    assert [(one.contact.kind, one.contact.text, one.contact.level) for one in found] == [
        (ContactKind.QR, LINK, Level.REVIEW)
    ]
    xs, ys = zip(*found[0].place.corners, strict=True)
    assert size[0] / 2 - 12 <= min(xs)
    assert max(xs) <= size[0] / 2 + size[1] / 3 + 12
    assert size[1] / 2 - 12 <= min(ys)
    assert max(ys) <= size[1] * 5 / 6 + 12


def test_two_codes_are_two_and_one_read_twice_is_one():
    planes = held(wall(code_card(LINK, 160), (60, 60)), code_card("https://example.com/b", 160), (360, 200))
    texts = sorted(code.text for code in read_codes(planes.y, Care.THOROUGH))
    assert texts == ["https://example.com/b", LINK]


def test_a_code_of_the_network_at_home_passes():
    found = seen(finder(), wall(code_card("WIFI:T:WPA;S:home;P:secret123;;", 160)), PrintKind.CODE)
    assert [one.contact.level for one in found] == [Level.PASS]
    assert not any(one.raised for one in found)


def test_bars_of_a_product_pass():
    planes = wall(np.kron(code_card("6901234567892", 190, "EAN13"), np.ones((60, 1), np.uint8))[:200])
    found = seen(finder(), planes, PrintKind.CODE)
    assert [(one.contact.text, one.contact.level) for one in found] == [("6901234567892", Level.PASS)]


@pytest.mark.parametrize("turned", [90, 180, 270, 45])
def test_a_turned_code_is_read(turned):
    card = code_card(LINK, 170)
    h, w = card.shape
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), turned, 0.7)
    planes = wall(cv2.warpAffine(card, matrix, (w, h), borderValue=(235,)))
    assert [code.text for code in read_codes(planes.y, Care.QUICK)] == [LINK]


def test_a_light_code_on_dark_is_read():
    assert [code.text for code in read_codes(wall(255 - code_card(LINK, 190)).y, Care.QUICK)] == [LINK]


def test_a_written_number_is_read_and_placed(sense):
    planes = wall(text_card(["138 0013 8000"], 24), (220, 200))
    found = [one for one in seen(finder(sense), planes, PrintKind.TEXT) if one.raised]
    assert [one.contact.kind for one in found] == [ContactKind.PHONE]
    assert "".join(c for c in found[0].contact.text if c.isdigit()) == "13800138000"
    xs, ys = zip(*found[0].place.corners, strict=True)
    assert 200 <= min(xs) <= 260
    assert 180 <= min(ys) <= max(ys) <= 280


@pytest.mark.parametrize("turned", [cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE])
def test_a_turned_number_is_read(sense, turned):
    planes = wall(cv2.rotate(text_card(["138 0013 8000"], 30), turned), (240, 60))
    found = [one for one in seen(finder(sense, CLOSE), planes, PrintKind.TEXT) if one.raised]
    assert [one.contact.kind for one in found] == [ContactKind.PHONE]


def test_a_name_upside_down_is_read(sense):
    planes = wall(cv2.rotate(text_card(["WeChat: shop_25"], 30), cv2.ROTATE_180), (140, 160))
    found = [one for one in seen(finder(sense), planes, PrintKind.TEXT) if one.raised]
    assert [one.contact.kind for one in found] == [ContactKind.WECHAT]


def test_the_words_on_a_box_pass(sense):
    planes = wall(text_card(["Cordless drill 18 V", "Order 20481", "400-800-8888"], 24), (120, 120))
    found = seen(finder(sense, CLOSE), planes, PrintKind.TEXT)
    assert found
    assert not any(one.raised for one in found)


def test_an_empty_room_has_no_contacts(sense):
    assert not any(one.raised for one in seen(finder(sense, CLOSE), room(3, (640, 480)), PrintKind.TEXT))
    assert seen(finder(sense, CLOSE), room(3, (640, 480)), PrintKind.CODE) == ()


def test_pieces_of_one_row_are_read_together():
    sense = scripted((box(100, 104, 150, 128), "138"), (box(165, 96, 230, 120), "0013 8000"))
    found = [one for one in seen(finder(sense), room(1, (640, 480)), PrintKind.TEXT) if one.raised]
    assert [one.contact.text for one in found] == ["138 0013 8000"]


def test_a_name_under_its_label_is_found():
    sense = scripted((box(100, 100, 200, 130), "微信号"), (box(100, 140, 260, 170), "shop88abc"))
    found = [one for one in seen(finder(sense), room(1, (640, 480)), PrintKind.TEXT) if one.raised]
    assert [one.contact.kind for one in found] == [ContactKind.WECHAT]
    ys = [y for _, y in found[0].place.corners]
    assert min(ys) <= 102
    assert max(ys) >= 168


def test_words_are_judged_by_rules():
    paid = Contact(ContactKind.TEXT, "pay me", Level.BLOCK, "payment.direct", "offplatform_payment", 0.8)
    sense = scripted((box(100, 100, 300, 130), "pay me directly"))
    found = seen(finder(sense, words=lambda text: paid), room(1, (640, 480)), PrintKind.TEXT)
    assert [one.contact for one in found] == [paid]


def test_what_is_hardly_read_is_not_text():
    sense = scripted((box(100, 100, 300, 130), "13800138000"))
    sense.reader.sure = 0.4
    assert seen(finder(sense), room(1, (640, 480)), PrintKind.TEXT) == ()


def test_an_unchanged_scene_is_not_looked_at_all_the_time_and_a_changed_one_at_once():
    sense = scripted((box(100, 100, 300, 130), "13800138000"))
    one, planes = finder(sense), room(1, (640, 480))
    answers = [seen(one, planes, PrintKind.TEXT) for _ in range(12)]
    assert all(answer == answers[0] for answer in answers)
    looks = sense.lines.asked
    assert looks < 12 * len(LIVE.areas) / 2
    seen(one, room(2, (640, 480)), PrintKind.TEXT)
    assert sense.lines.asked == looks + len(LIVE.areas)


def test_without_weights_codes_are_found_and_text_is_not():
    planes = wall(code_card(LINK, 160))
    assert seen(finder(), planes, PrintKind.TEXT) == ()
    assert len(seen(finder(), planes, PrintKind.CODE)) == 1


def test_rows_of_other_sizes_stay_apart():
    large = Piece("SALE", np.array(box(0, 0, 200, 80), np.float32), 0.9)
    small = Piece("since 1999", np.array(box(220, 30, 300, 45), np.float32), 0.8)
    assert [row.text for row in rows([small, large])] == ["SALE", "since 1999"]


def test_odd_planes_are_looked_at():
    tiny = Planes(np.zeros((34, 50), np.uint8), *(np.full((17, 25), 128, np.uint8) for _ in range(2)))
    sense = TextSense(Lines(np.zeros((0, 4, 2), np.float32)), Reads())
    for kind in PrintKind:
        assert seen(finder(sense), tiny, kind) == ()
