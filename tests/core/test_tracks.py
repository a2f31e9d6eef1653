"""A face once seen stays covered, and its cover goes where the face goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.core.geometry import Box
from guardian.core.notes import Face
from guardian.core.tracks import MAX_TRACKS, Crowd, FaceTracks

FPS = 30
REVISIT = 18


def face(x=100.0, y=80.0, w=40.0, h=50.0, score=0.8):
    return Face(Box(x, y, w, h), score)


def covers(box, inner):
    return (
        box.x <= inner.x
        and box.y <= inner.y
        and box.x + box.w >= inner.x + inner.w
        and box.y + box.h >= inner.y + inner.h
    )


def crowd(n):
    return tuple(face(x=30.0 * (i % 20), y=30.0 * (i // 20), w=12.0, h=14.0) for i in range(n))


def test_in_a_crowd_nobody_is_forgotten():
    tracks = FaceTracks(0.7)
    for i in range(4):
        assert len(tracks.update(crowd(MAX_TRACKS), i / FPS, REVISIT)) == MAX_TRACKS
    assert len(tracks.update((), 5 / FPS, REVISIT)) == MAX_TRACKS


def test_more_faces_than_can_be_followed_are_no_answer():
    tracks = FaceTracks(0.7)
    with pytest.raises(Crowd):
        tracks.update(crowd(MAX_TRACKS + 1), 0.0, REVISIT)


def test_a_cover_does_not_stay_for_ever_when_time_begins_anew():
    tracks = FaceTracks(0.7)
    tracks.update((face(),), 1000.0, REVISIT)
    shown = [bool(tracks.update((), i / FPS, REVISIT)) for i in range(60)]
    assert all(shown[: int(0.6 * FPS)])
    assert not any(shown[int(0.8 * FPS) + 1 :])


def test_a_face_is_there_from_its_first_hit():
    assert FaceTracks(0.7).update((face(),), 0.0, REVISIT) == (face(),)


def test_a_lost_face_is_held_and_grows():
    tracks = FaceTracks(0.7)
    tracks.update((face(),), 0.0, REVISIT)
    areas = []
    for i in range(1, 21):
        (held,) = tracks.update((), i / FPS, REVISIT)
        assert held.held
        assert covers(held.box, face().box)
        areas.append(held.box.area)
    assert areas == sorted(areas)
    assert areas[-1] > 1.5 * face().box.area


def test_a_face_is_let_go_after_the_hold_time():
    tracks = FaceTracks(0.7)
    tracks.update((face(),), 0.0, REVISIT)
    lasted = max(i for i in range(1, 60) if tracks.update((), i / FPS, REVISIT))
    assert 0.7 <= lasted / FPS < 0.8


def test_a_face_outlasts_a_slow_picture_rate_until_everything_was_looked_at_again():
    tracks = FaceTracks(0.7)
    tracks.update((face(),), 0.0, REVISIT)
    lasted = max(i for i in range(1, 60) if tracks.update((), i / 5, REVISIT))
    assert lasted == REVISIT - 1


def test_a_moving_face_that_is_lost_is_covered_where_it_goes():
    tracks = FaceTracks(0.7)
    for i in range(10):
        tracks.update((face(x=100 + 6 * i),), i / FPS, REVISIT)
    for i in range(10, 16):
        (held,) = tracks.update((), i / FPS, REVISIT)
        assert covers(held.box, face(x=100 + 6 * i).box), i


def test_a_face_half_missed_never_has_an_uncovered_frame():
    tracks = FaceTracks(0.7)
    for i in range(200):
        x = 100 + 2 * i
        seen = (face(x=x),) if (i * 7919) % 10 > 4 or i == 0 else ()
        shown = tracks.update(seen, i / FPS, REVISIT)
        assert any(covers(one.box, face(x=x).box) for one in shown), i


def test_two_faces_that_cross_stay_two():
    tracks = FaceTracks(0.7)
    for i in range(30):
        shown = tracks.update((face(x=100 + 8 * i), face(x=340 - 8 * i)), i / FPS, REVISIT)
        assert len([one for one in shown if not one.held]) == 2


@pytest.mark.parametrize(
    ("other", "kept"),
    [
        (face(x=106, y=105, h=40), False),
        (face(x=92, y=72, w=70, h=80), True),
        (face(x=142), True),
        (face(y=135), True),
    ],
    ids=["a part of it", "much larger", "beside it", "below it"],
)
def test_a_box_that_can_only_be_of_a_face_seen_now_is_not_held(other, kept):
    tracks = FaceTracks(0.7)
    assert len(tracks.update((face(), other), 0.0, REVISIT)) == 2
    shown = [len(tracks.update((face(),), i / FPS, REVISIT)) for i in range(1, 6)]
    assert shown == [2, 2] + [1 + kept] * 3


def test_a_face_hardly_seen_lets_go_of_no_other():
    tracks = FaceTracks(0.7)
    for i in range(6):
        seen = (face(score=0.5),) if i else (face(score=0.5), face(x=106, y=105, h=40))
        assert len(tracks.update(seen, i / FPS, REVISIT)) == 2


def test_a_moving_face_is_expected_where_it_goes():
    tracks = FaceTracks(0.7)
    for i in range(10):
        tracks.update((face(x=100 + 6 * i),), i / FPS, REVISIT)
    (box,) = tracks.expected(10 / FPS)
    assert covers(box, face(x=160).box)


def test_no_answer_drops_nobody():
    tracks = FaceTracks(0.7)
    tracks.update((face(),), 0.0, REVISIT)
    for i in range(100):
        assert tracks.coast(i / 10)


def test_clearing_forgets():
    tracks = FaceTracks(0.7)
    tracks.update((face(),), 0.0, REVISIT)
    tracks.clear()
    assert tracks.update((), 0.1, REVISIT) == ()


boxes = st.builds(
    face,
    st.floats(-500, 2000),
    st.floats(-500, 2000),
    st.floats(1, 900),
    st.floats(1, 900),
    st.floats(0, 1),
)


@given(st.lists(st.tuples(st.lists(boxes, max_size=6), st.floats(-0.1, 1.0)), max_size=25))
def test_every_face_seen_is_covered_in_its_own_frame(frames):
    tracks, t = FaceTracks(0.7), 0.0
    for seen, step in frames:
        t += step
        shown = tracks.update(tuple(seen), t, REVISIT)
        assert len(shown) <= MAX_TRACKS
        for one in seen:
            grown = one.box.grown(0.999)
            assert any(covers(cover.box, grown) for cover in shown)
