"""`guardian protect` on small clips made on the spot."""

import json
import os
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from guardian.cli import app
from guardian.core.errors import GuardianError

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def _weights(weights):
    weights("face")
    weights("person")


def pictures(n, size=(160, 120)):
    """A square moving over stripes, uint8 BGR."""
    w, h = size
    for i in range(n):
        picture = np.zeros((h, w, 3), np.uint8)
        picture[:, :: max(w // 16, 1)] = (40, 160, 220)
        x = int((w - 30) * i / max(n - 1, 1))
        picture[h // 3 : h // 3 + 30, x : x + 30] = (60, 90, 240)
        yield picture


def slopes(n, size):
    """A slope of brightness that moves, uint8 BGR: nothing that any network takes for a face."""
    w, h = size
    for i in range(n):
        slope = np.linspace(60, 180, w).astype(np.uint8)[np.newaxis, :, np.newaxis] + np.uint8(2 * i)
        yield np.ascontiguousarray(np.broadcast_to(slope, (h, w, 3)))


def film(
    path,
    n=12,
    size=(160, 120),
    *,
    codec="libx264",
    pix_fmt="yuv420p",
    pts=None,
    rotation=0,
    sound=False,
    draw=pictures,
):
    """Writes a clip and returns its path."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        audio = container.add_stream("aac", rate=16_000) if sound else None
        for i, picture in enumerate(draw(n, size)):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = (pts[i] if pts else i * 40), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            quiet = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            quiet.sample_rate, quiet.pts = 16_000, 0
            container.mux(audio.encode(quiet))
            container.mux(audio.encode(None))
    return path


def look(path):
    """(stored size, rotation, times in ms, pixel format, number of streams)."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        stream = container.streams.video[0]
        times = [round(frame.time * 1000) for frame in frames]
        return (
            (stream.width, stream.height),
            int(frames[0].rotation),
            times,
            stream.pix_fmt,
            len(container.streams),
        )


def run(*arguments):
    """Runs the command; the sentence of its error, or None."""
    result = RUNNER.invoke(app, ["protect", *map(str, arguments)])
    if isinstance(result.exception, GuardianError):
        return str(result.exception)
    assert result.exit_code == 0, (result.output, result.exception)
    return None


def test_a_clip_keeps_size_count_and_times_and_gets_a_report_and_a_trace(tmp_path):
    source = film(tmp_path / "in.mp4", 12, sound=True)
    report, trace = tmp_path / "r.json", tmp_path / "t.jsonl"
    assert run(source, tmp_path / "out.mp4", "--report", report, "--trace", trace) is None
    size, _, times, pix_fmt, streams = look(tmp_path / "out.mp4")
    assert (size, len(times), pix_fmt, streams) == ((160, 120), 12, "yuv420p", 1)
    assert times == [i * 40 for i in range(12)]
    said = json.loads(report.read_text())
    assert said["frames"] == 12
    assert said["size"] == [160, 120]
    assert said["mode"] == "selfie"
    assert sum(said["states"].values()) == 12
    assert said["showing"]["curtain"] == 3
    assert set(said["protect_ms"]) == {"p50", "p95", "p99", "max"}
    assert {"faces", "people", "cover"} <= set(said["stages_ms"])
    assert {"face", "person"} <= set(said["models"]) <= {"face", "person", "hands", "text"}
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    assert [line["i"] for line in lines] == list(range(12))
    assert set(lines[0]) == {"i", "t", "state", "faces", "mask_age", "protect_ms"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "out.mp4", "r.json", "t.jsonl"]


def test_in_product_the_report_and_the_trace_say_the_hands(tmp_path):
    source = film(tmp_path / "in.mp4", 8, draw=slopes)
    report, trace = tmp_path / "r.json", tmp_path / "t.jsonl"
    outputs = (tmp_path / "out.mp4", "--report", report, "--trace", trace)
    assert run(source, *outputs, "--mode", "product") is None
    said = json.loads(report.read_text())
    assert said["hands"] == 0
    assert "hands" in said["stages_ms"]
    assert [json.loads(line)["hands"] for line in trace.read_text().splitlines()] == [[]] * 8


@pytest.mark.parametrize("size", [(161, 120), (160, 121), (161, 121)])
def test_odd_sizes_stay_odd(tmp_path, size):
    source = film(tmp_path / "in.mkv", 6, size, codec="ffv1", pix_fmt="yuv420p")
    assert run(source, tmp_path / "out.mp4") is None
    assert look(tmp_path / "out.mp4")[0] == size
    assert len(look(tmp_path / "out.mp4")[2]) == 6


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_turned_film_stays_turned(tmp_path, rotation):
    source = film(tmp_path / "in.mp4", 6, rotation=rotation)
    assert run(source, tmp_path / "out.mp4", "--mode", "install") is None
    assert look(tmp_path / "out.mp4")[:2] == look(source)[:2]


def test_faces_are_looked_for_the_right_way_up(tmp_path):
    from guardian.vision.film import FilmReader

    source = film(tmp_path / "in.mp4", 2, rotation=90)
    with FilmReader(source) as reader:
        planes = next(iter(reader)).planes
    player = cv2.VideoCapture(str(source))
    player.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    shown = cv2.cvtColor(player.read()[1], cv2.COLOR_BGR2GRAY)
    player.release()
    assert planes.size == shown.shape[::-1]
    assert abs(planes.y.astype(float) - shown).mean() < 20


def test_uneven_times_are_kept(tmp_path):
    pts = [0, 40, 50, 200, 210, 600, 1000, 1001]
    source = film(tmp_path / "in.mp4", 8, pts=pts)
    assert run(source, tmp_path / "out.mp4") is None
    assert look(tmp_path / "out.mp4")[2] == look(source)[2]


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "name"),
    [
        ("ffv1", "yuv420p10le", "ten.mkv"),
        ("ffv1", "bgra", "rgb.mkv"),
        ("mjpeg", "yuvj420p", "full.avi"),
        ("ffv1", "gray", "grey.mkv"),
        ("ffv1", "yuv444p", "full_chroma.mkv"),
        ("libvpx", "yuv420p", "web.webm"),
    ],
)
def test_other_formats_come_out_alike(tmp_path, codec, pix_fmt, name):
    source = film(tmp_path / name, 8, codec=codec, pix_fmt=pix_fmt, draw=slopes)
    assert run(source, tmp_path / "out.mp4", "--mode", "install") is None
    size, _, times, out_format, _ = look(tmp_path / "out.mp4")
    assert (size, len(times), out_format) == ((160, 120), 8, "yuv420p")
    grey = [_grey(path) for path in (source, tmp_path / "out.mp4")]
    assert abs(grey[0] - grey[1]).mean() < 12, "the picture changed its brightness"


def _grey(path):
    """The last picture as a viewer sees it, 0..255."""
    with av.open(str(path)) as container:
        frame = list(container.decode(video=0))[-1]
    return frame.to_ndarray(format="gray").astype(float)


@pytest.mark.parametrize(
    "what", ["missing", "folder", "text", "empty", "sound only", "cut off", "header cut off"]
)
def test_a_bad_input_is_one_sentence_and_leaves_nothing(tmp_path, what):
    source = tmp_path / "in.mp4"
    if what == "folder":
        source.mkdir()
    elif what == "text":
        source.write_text("this is no film")
    elif what == "empty":
        source.write_bytes(b"")
    elif what == "sound only":
        _sound(source)
    elif what != "missing":
        whole = film(tmp_path / ("whole.mp4" if "header" in what else "whole.mkv"), 100)
        if what != "header cut off":
            _remux_header_first(whole, source, "mp4" if what == "cut off" else "matroska")
            whole.unlink()
            source.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
        else:
            source.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
            whole.unlink()
    sentence = run(source, tmp_path / "out.mp4", "--report", tmp_path / "r.json")
    assert sentence is not None
    assert str(source) in sentence
    assert sentence.count("\n") == 0
    assert [p.name for p in tmp_path.iterdir() if p != source] == []


def _sound(path):
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=16_000)
        quiet = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        quiet.sample_rate, quiet.pts = 16_000, 0
        container.mux(audio.encode(quiet))
        container.mux(audio.encode(None))


def _remux_header_first(source, target, container):
    options = {"movflags": "faststart"} if container == "mp4" else {}
    with av.open(str(source)) as one, av.open(str(target), "w", format=container, options=options) as two:
        stream = two.add_stream_from_template(one.streams.video[0])
        for packet in one.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                two.mux(packet)


def test_the_input_is_never_overwritten(tmp_path):
    source = film(tmp_path / "in.mp4", 4)
    before = source.read_bytes()
    link = tmp_path / "link.mp4"
    link.symlink_to(source)
    for target in (source, link):
        assert "named twice" in run(source, target)
    assert "named twice" in run(source, tmp_path / "out.mp4", "--report", source)
    assert source.read_bytes() == before


def test_an_output_that_cannot_be_written_is_one_sentence(tmp_path):
    source = film(tmp_path / "in.mp4", 4)
    assert "is a folder" in run(source, tmp_path)
    assert "make it first" in run(source, tmp_path / "nowhere" / "out.mp4")


def test_a_wrong_mode_is_wrong_usage(tmp_path):
    result = RUNNER.invoke(app, ["protect", "a.mp4", "b.mp4", "--mode", "naked"])
    assert result.exit_code == 2


def test_an_output_that_is_no_file_stays_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "is a device or a pipe" in run(film(tmp_path / "a.mp4", 3), tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link.mp4").symlink_to("real.mp4")
    assert run(tmp_path / "a.mp4", tmp_path / "link.mp4") is None
    assert (tmp_path / "link.mp4").is_symlink()
    assert len(look(tmp_path / "real.mp4")[2]) == 3


def test_any_file_name_will_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "rec:12:30.mp4", 3)
    longest = "长" * 83 + ".mp4"
    assert run("rec:12:30.mp4", "out:1.mp4", "--report", longest) is None
    assert len(look(tmp_path / "out:1.mp4")[2]) == 3
    assert (tmp_path / longest).is_file()
