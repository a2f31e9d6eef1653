"""The demo does Guardian's whole job and says so truthfully."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from guardian.core.canary import BLOCK
from guardian.core.notes import Seen
from guardian.core.violations import Role
from guardian.demo.scene import CANARY_FRAMES, HEIGHT, WIDTH, Scene
from guardian.demo.sources import FileSource
from guardian.demo.voices import RATE, english_lines, length_s, mandarin_lines, script
from tests.conftest import ROOT

skimage = pytest.importorskip("skimage", reason="scikit-image, which brings the portrait, is not installed")


def run_demo(out: Path, shared: Path | None, *options: str):
    environment = {**os.environ, "GUARDIAN_SHARED": str(shared or out / "nowhere")}
    return subprocess.run(
        [sys.executable, "-m", "guardian", "demo", "--headless", "--seconds=1", f"--out={out}", *options],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip


def check_outcome(out: Path):
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert summary["ok"], summary["failures"]
    assert summary["canary"]["searched_blocks"] > 1000
    assert summary["canary"]["seen_blocks"] == 0
    assert summary["frames"]["covered"] > 50
    assert {"protect", "encode", "decode", "total"} <= set(summary["latency_ms"])
    assert all({"p50", "p95", "p99"} <= set(stage) for stage in summary["latency_ms"].values())
    by_line = {line["name"]: line["violations"] for line in summary["said"]}
    assert all(bool(line["violations"]) == line["solicits"] for line in summary["said"]), by_line
    events = [json.loads(line) for line in (out / "events.jsonl").read_text("utf-8").splitlines()]
    violation = next(e for e in events if ".violation.detected." in e["type"])
    assert violation["data"]["actor"]["role"] == "merchant"
    assert {"mode", "state", "budget_ms", "protect_ms"} <= set(violation["data"]["video"])
    words = violation["data"]["transcript"]["words"]
    assert words
    assert all(word["start_ms"] <= word["end_ms"] for word in words)
    with av.open(str(out / "protected.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) > 50
    assert (out / "before_after.png").stat().st_size > 10_000
    return summary


@pytest.mark.live
def test_the_demo_works_without_anything_shared(tmp_path, weights):
    weights("face")
    weights("person")
    done = run_demo(tmp_path, None)
    assert done.returncode == 0, done.stderr
    summary = check_outcome(tmp_path)
    assert [line["language"] for line in summary["said"]] == ["en"] * 3
    assert f"Cases to review: {len(summary['violations'])}." in done.stdout
    assert list((tmp_path / "data" / "evidence").iterdir()), "clips of them"


@pytest.mark.live
def test_the_demo_hears_mandarin_where_recordings_are_shared(tmp_path, shared_media, weights):
    weights("syllables-zh")
    done = run_demo(tmp_path, shared_media.parent)
    assert done.returncode == 0, done.stderr
    summary = check_outcome(tmp_path)
    assert {"zh", "en"} == {line["language"] for line in summary["said"]}


@pytest.mark.live
def test_ones_own_innocent_sound_and_film_are_no_failure(tmp_path, weights):
    weights("face")
    film, sound = tmp_path / "my film.mp4", ROOT / "guardian" / "demo" / "clips" / "shopper_innocent.ogg"
    with av.open(str(film), "w") as container:
        stream = container.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for shade in range(30):
            picture = np.full((240, 320, 3), 60 + shade, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    done = run_demo(tmp_path / "out", None, "--video", str(film), "--audio", str(sound))
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert summary["violations"] == []
    assert summary["said"][0]["solicits"] is None


@pytest.mark.parametrize("option", ["--video", "--audio"])
def test_a_file_that_is_not_there_is_a_sentence(tmp_path, option):
    done = run_demo(tmp_path, None, option, str(tmp_path / "missing.mp4"))
    assert done.returncode == 1
    assert "missing.mp4" in done.stderr
    assert "Traceback" not in done.stderr


class HalfPeople:
    name = "half"

    def find(self, planes):
        mask = np.zeros((144, 256), np.float32)
        mask[:, 96:160] = 1
        return Seen(mask)


def test_the_scene_begins_with_the_canary_and_hides_it_nowhere():
    scene = Scene(HalfPeople())
    pictures = scene.pictures()
    for _ in range(CANARY_FRAMES):
        picture = next(pictures)
        assert scene.canary.blocks_seen(picture.planes.y) == picture.searchable.size
    for _ in range(3):
        picture = next(pictures)
        assert picture.planes.size == (WIDTH, HEIGHT)
        assert scene.canary.blocks_seen(picture.planes.y, picture.searchable) > 0.8 * picture.searchable.sum()
        assert not picture.searchable.all()


def test_a_film_has_the_canary_painted_away_from_people(tmp_path):
    film = tmp_path / "film.mp4"
    with av.open(str(film), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 640, 352, "yuv420p"
        container.mux(
            stream.encode(av.VideoFrame.from_ndarray(np.full((352, 640, 3), 90, np.uint8), "rgb24"))
        )
        container.mux(stream.encode())
    source = FileSource(film, HalfPeople())
    pictures = source.pictures()
    for _ in range(CANARY_FRAMES + 2):
        picture = next(pictures)
    assert picture.searchable.shape == (352 // BLOCK, 640 // BLOCK)
    assert 0 < picture.searchable.sum() < picture.searchable.size
    assert source.canary.blocks_seen(picture.planes.y) == picture.searchable.sum()


def test_lines_of_one_role_do_not_overlap():
    lines = script(None, None)
    for role in Role:
        mine = [line for line in lines if line.role is role]
        assert all(a.t_end < b.t_start for a, b in pairwise(mine))
    assert length_s(lines) > max(line.t_end for line in lines)
    assert all(len(line.samples) > RATE for line in english_lines())


def test_recorded_mandarin_has_both_kinds_of_lines(shared_media):
    assert {line.solicits for line in mandarin_lines(shared_media)} == {True, False}
