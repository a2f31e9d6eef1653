"""`guardian watch` on pictures and clips made on the spot."""

from __future__ import annotations

import json

import av
import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from guardian.bench.placards import code_card, text_card
from guardian.cli import app
from guardian.core.errors import GuardianError

RUNNER = CliRunner()
LINK = "https://example.com/join"
KEYS = ["file", "t", "kind", "text", "box", "level"]


def scene(card=None, at=(200, 150), size=(640, 480)):
    """A grey wall with a slope, uint8 BGR, and what is held before it."""
    grey = np.linspace(90, 160, size[0]).astype(np.uint8)[np.newaxis].repeat(size[1], 0)
    if card is not None:
        x, y = at
        grey[y : y + card.shape[0], x : x + card.shape[1]] = card
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


def picture(path, card=None, **kwargs):
    assert cv2.imwrite(str(path), scene(card, **kwargs))
    return path


def clip(path, spans, fps=10):
    """spans: (pictures, card or None)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for count, card in spans:
            for _ in range(count):
                frame = av.VideoFrame.from_ndarray(scene(card), "bgr24")
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def watch(*args):
    """(exit code, rows, what was said)."""
    result = RUNNER.invoke(app, ["watch", *map(str, args), "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()], result.stderr


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.webp"])
def test_a_code_in_a_picture_is_a_row(tmp_path, name):
    path = picture(tmp_path / name, code_card(LINK, 180))
    code, rows, _ = watch(path, "--kinds", "qr")
    assert code == 0
    assert [list(row) for row in rows] == [KEYS]
    assert rows[0] | {"box": 0} == {
        "file": str(path), "t": 0.0, "kind": "qr", "text": LINK, "box": 0, "level": "REVIEW",
    }  # fmt: skip
    x, y, w, h = rows[0]["box"]
    assert 180 <= x <= 220
    assert 130 <= y <= 170
    assert 140 <= w <= 220
    assert 140 <= h <= 220


def test_benign_codes_are_listed_and_pass(tmp_path):
    path = picture(tmp_path / "a.png", code_card("WIFI:T:WPA;S:home;P:secret;;", 180))
    assert [(row["kind"], row["level"]) for row in watch(path, "--kinds", "qr")[1]] == [("qr", "PASS")]


def test_a_picture_without_anything_has_no_rows(tmp_path):
    assert watch(picture(tmp_path / "a.png"), "--kinds", "qr")[:2] == (0, [])


def test_a_written_number_is_a_row(tmp_path, weights):
    weights("text")
    weights("reading")
    path = picture(tmp_path / "a.png", text_card(["Lucy", "138 0013 8000"], 32))
    rows = watch(path)[1]
    raised = [row for row in rows if row["level"] != "PASS"]
    assert [row["kind"] for row in raised] == ["phone"]
    assert "".join(filter(str.isdigit, raised[0]["text"])) == "13800138000"
    assert [row["level"] for row in rows if "Lucy" in row["text"]] == ["PASS"]


def test_a_see_through_picture_stands_on_white(tmp_path):
    card = np.kron((code_card(LINK, 60) < 128).astype(np.uint8), np.ones((5, 5), np.uint8))
    bgra = np.zeros((*card.shape, 4), np.uint8)
    bgra[..., 3] = 255 * card
    path = tmp_path / "a.png"
    assert cv2.imwrite(str(path), np.pad(bgra, ((40, 40), (40, 40), (0, 0))))
    assert [row["text"] for row in watch(path, "--kinds", "qr")[1]] == [LINK]


def test_in_a_film_a_row_comes_when_it_comes_into_view(tmp_path):
    path = clip(tmp_path / "a.mp4", [(20, None), (20, code_card(LINK, 180)), (5, None)])
    code, rows, _ = watch(path, "--kinds", "qr")
    assert code == 0
    assert [row["text"] for row in rows] == [LINK]
    assert 1.9 <= rows[0]["t"] <= 2.5


def test_what_comes_back_after_a_while_is_another_row(tmp_path):
    card = code_card(LINK, 180)
    path = clip(tmp_path / "a.mp4", [(10, card), (70, None), (10, card)])
    assert len(watch(path, "--kinds", "qr")[1]) == 2


def test_several_files_are_told_apart(tmp_path):
    one = picture(tmp_path / "a.png", code_card(LINK, 180))
    other = picture(tmp_path / "b.png", code_card("https://example.com/b", 180))
    rows = watch(one, other, "--kinds", "qr")[1]
    assert [(row["file"], row["text"]) for row in rows] == [
        (str(one), LINK),
        (str(other), "https://example.com/b"),
    ]


def test_for_people_it_is_a_line(tmp_path):
    path = picture(tmp_path / "a.png", code_card(LINK, 180))
    said = RUNNER.invoke(app, ["watch", str(path), "--kinds", "qr"]).stdout
    assert "REVIEW" in said
    assert LINK in said


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\x00" * 20, None])
def test_a_bad_file_gets_one_sentence_before_any_is_searched(tmp_path, content):
    good, bad = picture(tmp_path / "a.png", code_card(LINK, 180)), tmp_path / "b.png"
    if content is not None:
        bad.write_bytes(content)
    with pytest.raises(GuardianError, match=str(bad)):
        watch(good, bad, "--kinds", "qr")
    with pytest.raises(GuardianError, match="folder"):
        watch(tmp_path, "--kinds", "qr")


@pytest.mark.parametrize("kinds", ["", "codes", "qr,faces"])
def test_kinds_that_are_none_are_wrong_usage(tmp_path, kinds):
    assert watch(picture(tmp_path / "a.png"), "--kinds", kinds)[0] == 2


def test_without_weights_text_is_missed_aloud_and_codes_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("GUARDIAN_MODELS", str(tmp_path / "none"))
    monkeypatch.setenv("GUARDIAN_MODEL_MIRROR", "none")
    path = picture(tmp_path / "a.png", code_card(LINK, 180))
    code, rows, said = watch(path)
    assert (code, [row["text"] for row in rows]) == (0, [LINK])
    assert "guardian models pull" in said
    with pytest.raises(GuardianError, match="guardian models pull"):
        watch(path, "--kinds", "text")
