"""`guardian bench vision` answers its question in the agreed form."""

import json

import pytest

from guardian.bench.peers import PlainMediaPipe
from guardian.bench.report import busy, write
from guardian.bench.scene import scene
from guardian.bench.vision import Amount, measure
from guardian.core.errors import MediaError
from guardian.models import ModelStore


def test_a_row_has_the_agreed_figures_and_says_what_was_not_measured(weights, monkeypatch, tmp_path):
    weights("face")
    weights("person")
    monkeypatch.setattr("guardian.bench.peers.deface_python", lambda: None)
    said = []
    rows = measure(Amount(4, 2), said.append)
    assert [row["size"] for row in rows] == ["640x480", "1280x720"]
    for row in rows:
        assert set(row["protect_ms"]) == {"p50", "p95", "p99", "max"}
        assert {"faces", "people", "cover"} <= set(row["stages_ms"])
        assert row["deface_ms"] is None
        assert row["ratio_deface"] is None
        assert (row["plain_mediapipe_ms"] is None) == (row["ratio_plain"] is None)
    assert any("deface was not measured" in sentence for sentence in said)
    write(tmp_path / "f.json", rows)
    written = json.loads((tmp_path / "f.json").read_text())
    assert set(written) == {"machine", "versions", "results"}
    assert written["results"] == rows


def test_figures_that_cannot_be_written_are_one_sentence(tmp_path):
    with pytest.raises(MediaError, match="cannot be written"):
        write(tmp_path / "nowhere" / "f.json", [])


@pytest.mark.parametrize("size", [(640, 480), (320, 240), (480, 640)])
def test_the_scene_has_the_size_and_moves(size):
    one, two = scene(size, 8)[:2]
    assert one.size == size
    assert (one.y != two.y).any()


def test_the_peer_keeps_off_the_terminal(weights, capfd):
    weights("face", "blazeface-short")
    weights("person")
    PlainMediaPipe(ModelStore.default()).close()
    assert capfd.readouterr().err == ""


def test_a_busy_machine_is_told(monkeypatch):
    monkeypatch.setattr("os.getloadavg", lambda: (900.0, 0.0, 0.0))
    assert "busy with other work (load 900.0" in busy()
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    assert busy() is None
