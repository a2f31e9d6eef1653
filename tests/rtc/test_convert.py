"""Pictures keep their content on the way between PyAV and the core."""

from __future__ import annotations

import av
import numpy as np
import pytest

from guardian.rtc.convert import planes_of, writable_rows


def picture(width, height, fmt="yuv420p"):
    return av.VideoFrame.from_ndarray(np.full((height, width, 3), (10, 200, 90), np.uint8), "rgb24").reformat(
        format=fmt
    )


@pytest.mark.parametrize("size", [(640, 480), (322, 242), (321, 241), (16, 16)])
@pytest.mark.parametrize("fmt", ["yuv420p", "rgb24", "yuv444p"])
def test_planes_have_even_sizes_and_the_right_colour(size, fmt):
    planes = planes_of(picture(*size, fmt))
    assert planes.size == (size[0] & ~1, size[1] & ~1)
    assert planes.u.shape == planes.v.shape == (planes.y.shape[0] // 2, planes.y.shape[1] // 2)
    assert abs(int(planes.y[2, 2]) - 119) < 12


def test_planes_are_views_that_outlive_the_frame():
    frame = picture(64, 48)
    writable_rows(frame, 0)[:] = 77
    planes = planes_of(frame)
    del frame
    assert int(planes.y[0, 0]) == 77
