"""The benchmark of what is printed knows where it wrote, and tells what can still be read."""

from __future__ import annotations

import numpy as np

from guardian.bench.privacy import prints
from guardian.bench.privacy.prints import HEIGHTS, drawing, misses, written


def row(what, **figures):
    none = {"p50": None, "p95": None}
    usual = {"found": None, "read_before": 0, "read_after": 0, "hidden_share": None}
    return {"what": what, "pictures": 1, "there": 1, "text_ms": none, "codes_ms": none, **usual, **figures}


def test_lines_stand_where_it_says_and_apart():
    for height in HEIGHTS:
        plain = np.full((480, 640, 3), 120, np.uint8)
        drawn, boxes = written(plain, height, np.random.default_rng(height))
        assert boxes
        changed = (drawn != plain).any(axis=2)
        for box in boxes:
            assert changed[box].any()
            changed[
                max(box[0].start - 12, 0) : box[0].stop + 12, max(box[1].start - 12, 0) : box[1].stop + 12
            ] = False
        assert not changed.any()


def test_what_is_missed_is_said():
    rows = [row("letters of 24 px", found=0.5), row("letters of 8 px", found=0.1)]
    rows.append(row("photos of codes", found=1.0, read_before=9, read_after=1))
    assert [said.split()[0] for said in misses(rows)] == ["Of", "1"]
    assert not misses([row("letters of 24 px", found=0.95), row("people, nothing drawn", hidden_share=0.3)])


def test_the_figures_can_be_shown():
    rows = [row("letters of 24 px", found=0.5), row("photos of codes", found=1.0)]
    assert drawing(rows).startswith("<svg")
    assert all(len(prints.SCRIPT.cells(one)) == len(prints.SCRIPT.columns) for one in rows)
