"""The life of clips: kept, expired, erased, forgotten; and when disk or clock do not play along."""

import errno
import os
import time
from concurrent.futures import Future

import pytest
import sqlalchemy as sa

from guardian.core.audit import Principal
from guardian.core.errors import EvidenceGone, EvidenceKept, NoSuchEvidence, Unavailable
from guardian.core.evidence import ReviewState, file_name
from guardian.core.evidence_desk import ClipSearch, HoldWish
from guardian.core.retention import Retention, SeenClock, may_follow
from guardian.evidence.keys import new_key_text, ring_of
from guardian.evidence.sealing import Sealer
from guardian.evidence_desk import DeskParts, ServerEvidence
from guardian.store import evidence_changes as changes
from guardian.store.case_forgetting import CaseForgetting
from guardian.store.database import StoreConfig
from guardian.store.evidence_links import EvidenceLinks
from guardian.store.evidence_tables import evidence
from guardian.store.participants import NamedEvents
from guardian.store.upgrade import open_store
from tests.evidence.estate import DAY_S, House, ready, write_clip

WHO = Principal("acme", "person", "mo")
OTHER = Principal("acme", "person", "jo")
RIVAL = Principal("rival", "person", "mo")


@pytest.fixture
def house(tmp_path):
    database = open_store(StoreConfig(tmp_path / "guardian.db"))
    yield House(database, tmp_path / "evidence")
    database.close()


@pytest.fixture
def desk(house):
    return desk_of(house)


def desk_of(house):
    links = EvidenceLinks(house.database)
    return ServerEvidence(
        DeskParts(
            keeper=house.keeper,
            links=links,
            audit=house.audit,
            events=NamedEvents(house.database),
            keys=lambda: house.ring,
            link_s=60.0,
            cases=CaseForgetting(house.database),
        )
    )


@pytest.fixture
def wall(monkeypatch):
    """The wall clock: moved by hand."""
    now = [time.time()]
    monkeypatch.setattr(time, "time", lambda: now[0])

    def move(seconds):
        now[0] += seconds

    return move


def play(desk, evidence_id, who=WHO, part="media"):
    ticket, _ = desk.link(who, evidence_id, part)
    opened = desk.open(who, ticket, "")
    try:
        return b"".join(opened.media.read(0, opened.media.size))
    finally:
        opened.media.close()


def files(house):
    return sorted(path.name for path in house.folder.iterdir())


def test_a_clip_is_played_by_whom_its_link_was_made_for(house, desk):
    one = house.keep(b"the clip")
    assert play(desk, one) == b"the clip"
    ticket, _ = desk.link(WHO, one, "media")
    for stranger in (OTHER, RIVAL):
        with pytest.raises(NoSuchEvidence):
            desk.open(stranger, ticket, "")
    desk.open(WHO, ticket, "").media.close()
    acts = [link["act"] for link in desk.show(WHO, one)["history"]]
    assert acts == ["evidence.kept", "evidence.played", "evidence.played"]


def test_a_link_is_opened_by_one_session_within_its_time(house, desk, wall):
    one = house.keep()
    ticket, _ = desk.link(WHO, one, "media")
    first = desk.open(WHO, ticket, "")
    again = desk.open(WHO, ticket, first.session)
    assert again.session == first.session
    for session in ("", "guess"):
        with pytest.raises(EvidenceGone):
            desk.open(WHO, ticket, session)
    wall(61)
    with pytest.raises(EvidenceGone):
        desk.open(WHO, ticket, first.session)
    late, _ = desk.link(WHO, one, "media")
    wall(61)
    with pytest.raises(EvidenceGone):
        desk.open(WHO, late, "")
    first.media.close()
    again.media.close()


def test_nothing_is_shown_that_cannot_be_told(house, desk, monkeypatch):
    one = house.keep()
    ticket, _ = desk.link(WHO, one, "media")

    def full(*_):
        raise Unavailable("The store is full.")

    monkeypatch.setattr(EvidenceLinks, "open", full)
    with pytest.raises(Unavailable):
        desk.open(WHO, ticket, "")


STATES = [
    (None, 30 * DAY_S),
    (ReviewState.DISMISSED, DAY_S),
    (ReviewState.CONFIRMED, 183 * DAY_S),
]


@pytest.mark.parametrize(("state", "lasts"), STATES)
def test_each_state_has_its_time(house, desk, wall, state, lasts):
    one = house.keep()
    if state is not None:
        desk.review(WHO, one, state, "seen")
    wall(lasts - 1)
    assert house.sweep().erased == 0
    assert play(desk, one) == b"a clip"
    wall(2)
    with pytest.raises(EvidenceGone):
        desk.link(WHO, one, "media")
    assert house.sweep().erased == 1
    assert files(house) == []
    assert house.verify().ok
    told = desk.show(WHO, one)
    assert (told["state"], told["erased_why"], told["participants"]) == (
        "erased", "expired", {"shopper": "u_1", "merchant": "m_1"},
    )  # fmt: skip
    assert [event.data["reason"] for _, event in house.told if "deleted" in event.type.value] == ["expired"]


def test_an_appeal_begins_a_new_clock_and_its_end_another(house, desk, wall):
    one = house.keep()
    desk.review(WHO, one, ReviewState.CONFIRMED, "off_platform")
    wall(180 * DAY_S)
    desk.review(WHO, one, ReviewState.APPEALED, "by_merchant")
    wall(180 * DAY_S)
    assert play(desk, one) == b"a clip"
    desk.review(OTHER, one, ReviewState.DISMISSED, "overturned")
    wall(DAY_S + 1)
    assert house.sweep().erased == 1


def test_states_follow_one_another_in_order(house, desk):
    one = house.keep()
    with pytest.raises(EvidenceKept):
        desk.review(WHO, one, ReviewState.APPEALED, "too_soon")
    desk.review(WHO, one, ReviewState.CONFIRMED, "off_platform")
    with pytest.raises(EvidenceKept):
        desk.review(WHO, one, ReviewState.UNREVIEWED, "undo")
    assert not any(may_follow(state, ReviewState.UNREVIEWED) for state in ReviewState)


def test_a_legal_hold_outlasts_the_clock_and_has_an_end(house, desk, wall):
    one = house.keep()
    now = house.keeper.now()
    desk.hold(WHO, one, HoldWish("legal", "case 7", now + 40 * DAY_S))
    for until in (now - 1, now + 400 * DAY_S):
        with pytest.raises(EvidenceKept):
            desk.hold(WHO, one, HoldWish("legal", "for ever", until))
    with pytest.raises(EvidenceKept):
        desk.erase(WHO, one)
    wall(35 * DAY_S)
    assert house.sweep().erased == 0
    assert play(desk, one) == b"a clip"
    assert house.verify().ok
    wall(6 * DAY_S)
    assert house.sweep().erased == 1


def test_erasing_before_time_is_told_with_who_did_it(house, desk):
    one = house.keep()
    desk.erase(WHO, one)
    assert files(house) == []
    last = desk.show(WHO, one)["history"][-1]
    assert (last["act"], last["actor"]) == ("evidence.erased", "person:acme/mo")
    with pytest.raises(EvidenceGone):
        desk.erase(WHO, one)


def test_a_key_that_was_destroyed_is_nowhere_in_the_store(house, desk):
    one = house.keep()
    wrapped = house.store.key(one, "media").wrapped.encode()
    assert any(wrapped in path.read_bytes() for path in house.folder.parent.glob("guardian.db*"))
    desk.erase(WHO, one)
    assert not any(wrapped in path.read_bytes() for path in house.folder.parent.glob("guardian.db*"))


def test_a_participant_gets_all_and_can_have_all_erased(house, desk):
    mine, held, others = house.keep(), house.keep(call_id="d"), house.keep(call_id="e", shopper="u_2")
    desk.hold(WHO, held, HoldWish("legal", "case 7", house.keeper.now() + DAY_S))
    export = desk.export(WHO, "u_1")
    assert [clip["evidence_id"] for clip in export["evidence"]] == [mine, held]
    assert desk.export(RIVAL, "u_1")["evidence"] == []
    assert desk.delete(RIVAL, "u_1")["erased"] == []
    answer = desk.delete(WHO, "u_1")
    assert answer["erased"] == [mine]
    assert [clip["evidence_id"] for clip in answer["held"]] == [held]
    assert [clip["evidence_id"] for clip in desk.export(WHO, "u_1")["evidence"]] == [held]
    assert not any(mine in name for name in files(house))
    assert play(desk, others) == b"a clip"
    assert house.verify().ok
    assert desk.show(WHO, mine)["participants"] == {}
    assert "u_1" not in str([link.body + link.subject for link in house.audit.links()])


def test_a_clip_whose_consent_was_withdrawn_meanwhile_is_not_kept(house):
    clip = write_clip(Sealer(house.clips, house.ring.sealing), {"media": b"too late"})
    house.keeper.refuse(ready(clip))
    house.sweep()
    assert files(house) == []
    assert list(house.store.all()) == []


def test_a_clip_refused_while_others_are_removed_is_removed_too(house, monkeypatch):
    clips = [write_clip(Sealer(house.clips, house.ring.sealing), {"media": b"late"}) for _ in range(2)]
    remove = house.clips.remove

    def meanwhile(name):
        remove(name)
        if len(clips) > 1:
            house.keeper.refuse(ready(clips.pop()))

    monkeypatch.setattr(house.clips, "remove", meanwhile)
    house.keeper.refuse(ready(clips[0]))
    house.sweep()
    assert files(house) == []


def test_records_are_forgotten_years_after_their_clip(house, desk, wall):
    one = house.keep()
    wall(31 * DAY_S)
    house.sweep()
    wall(3 * 365 * DAY_S + 1)
    assert house.sweep().forgotten == 1
    assert desk.show(WHO, one)["participants"] == {}
    assert house.verify().ok


def test_a_clock_that_is_set_back_brings_nothing_back(house, desk, wall, tmp_path):
    one = house.keep()
    wall(31 * DAY_S)
    # Seen by a sweep that could erase nothing, then the machine comes up with a clock of last month.
    house.store.seen(house.keeper.now())
    wall(-31 * DAY_S)
    later = house.keeper_again()
    later.begin()
    house.keeper = later
    with pytest.raises(EvidenceGone):
        desk_of(house).link(WHO, one, "media")
    assert later.expire(5).erased == 1


def test_a_clock_goes_on_at_its_pace_while_the_machines_is_set_back():
    clock = SeenClock()
    told = [(1000.0, 1.0), (1005.0, 6.0), (3.0, 8.0), (5.0, 10.0), (2000.0, 11.0)]
    assert [clock.at(*now) for now in told] == [1000.0, 1005.0, 1007.0, 1009.0, 2000.0]


def test_files_that_cannot_be_removed_are_unreadable_and_removed_later(house, desk, wall, monkeypatch):
    one = house.keep()
    wall(31 * DAY_S)
    unlink = os.unlink

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as readonly:
        for name in ("unlink", "remove"):
            readonly.setattr(os, name, refuse)
        with pytest.raises(Unavailable, match="read-only"):
            house.sweep()
    assert unlink is os.unlink
    assert len(files(house)) == 2
    report = house.verify()
    assert report.ok
    assert {finding.about for finding in report.findings} == {one}
    with pytest.raises(EvidenceGone):
        desk.link(WHO, one, "media")
    assert house.keeper.clear(5) == 1
    assert files(house) == []


def test_one_file_that_cannot_be_removed_keeps_no_other(house, wall):
    one, two = house.keep(), house.keep(call_id="d")
    wall(31 * DAY_S)
    stuck = house.folder / f"{file_name(one, 'media')}.clip"
    stuck.unlink()
    stuck.mkdir()  # As a file that the system does not let go.
    with pytest.raises(Unavailable):
        house.sweep()
    assert not any(two in name for name in files(house))
    stuck.rmdir()
    house.sweep()
    assert files(house) == []
    assert house.verify().ok


def test_a_server_that_ends_does_not_wait_for_a_long_sweep(house, wall):
    for number in range(60):
        house.keep(call_id=f"c{number}")
    wall(31 * DAY_S)
    house.keeper.hurry()
    assert house.sweep(60).erased < 60


def test_what_expired_and_can_still_be_read_is_a_failure(house, wall):
    one = house.keep()
    wall(30 * DAY_S + 10)
    assert house.verify(grace_s=60.0).ok
    assert house.faults() == [(one, house.faults()[0][1])]
    assert "can still be read" in house.faults()[0][1]
    house.sweep()
    assert house.faults() == []


@pytest.mark.parametrize("damage", ["bit", "cut", "gone", "swapped"])
def test_a_damaged_file_is_named_and_not_played(house, desk, damage):
    one, other = house.keep(os.urandom(200_000)), house.keep(os.urandom(200_000), call_id="d")
    path = house.folder / f"{file_name(one, 'media')}.clip"
    data = path.read_bytes()
    match damage:
        case "bit":
            path.write_bytes(data[:70_000] + bytes([data[70_000] ^ 4]) + data[70_001:])
        case "cut":
            path.write_bytes(data[:-70_000])
        case "gone":
            path.unlink()
        case "swapped":
            path.write_bytes((house.folder / f"{file_name(other, 'media')}.clip").read_bytes())
    assert [about for about, _ in house.faults()] == [one]
    with pytest.raises((NoSuchEvidence, Exception)) as refused:
        play(desk, one)
    assert type(refused.value).__name__ in ("EvidenceDamaged", "NoSuchEvidence")
    assert len(play(desk, other)) == 200_000


def test_what_a_killed_server_left_is_swept_at_the_start(house):
    house.keep()
    Sealer(house.clips, house.ring.sealing).begin(
        "ev_01J9ZK3M8Q6T4V7X2B5N0C1D2E", "media", "video/webm"
    ).write(os.urandom(100_000))
    assert len(files(house)) == 3
    house.keeper_again().begin()
    assert len(files(house)) == 2
    assert house.verify().ok


def test_a_clip_nobody_was_told_of_is_noted_and_goes_in_time(house, wall):
    clip = write_clip(Sealer(house.clips, house.ring.sealing), {"media": b"lost"})
    report = house.verify()
    assert report.ok
    assert [finding.about for finding in report.findings] == [file_name(clip.evidence_id, "media")]
    assert house.keeper.clear_strays() == 0
    wall(31 * DAY_S)
    assert house.keeper.clear_strays() == 1
    assert files(house) == []


def test_without_the_old_key_old_clips_are_refused_in_a_sentence(house, desk):
    one = house.keep()
    house.ring = ring_of([new_key_text()])
    ticket, _ = desk.link(WHO, one, "media")
    with pytest.raises(Unavailable, match="`evidence"):
        desk.open(WHO, ticket, "")


ODD = {
    "a state that is none": {"review": "odd"},
    "a scope that is none": {"facts": '{"call":{"scopes":["odd"]}}'},
    "one cause": {"facts": '{"causes":5}'},
    "a call that is none": {"facts": '{"call":7,"parts":{"media":1}}'},
    "no facts": {"facts": "[" * 100_000},
    "times long ago": {"retain_until": -1e300, "made_at": 1e300},
    "a name no file has": {"parts": "../x,media,notes", "review": "odd"},
}


@pytest.mark.parametrize("values", ODD.values(), ids=ODD)
def test_a_row_somebody_has_written_into_is_named_shown_and_erased_in_time(house, desk, wall, values):
    one, other = house.keep(), house.keep(call_id="d")
    with house.tampering() as db:
        db.execute(evidence.update().where(evidence.c.id == one).values(**values))
    assert {about for about, _ in house.faults(now=0.0)} == {one}
    assert len(desk.search(WHO, ClipSearch())) == 2
    wall(31 * DAY_S)
    assert house.sweep().erased == 2
    assert files(house) == []
    assert {event.data["evidence_id"] for _, event in house.told if "deleted" in event.type.value} == {
        one, other,
    }  # fmt: skip


def test_a_time_that_is_none_is_named(house, desk):
    one = house.keep()
    for values in ({"retain_until": "odd"}, {"retain_until": 1e300}, {"retain_until": float("inf")}):
        with house.tampering() as db:
            db.execute(sa.text("UPDATE evidence SET retain_until = :retain_until"), values)
        assert {about for about, _ in house.faults()} == {one}
        assert len(desk.search(WHO, ClipSearch())) == 1


def test_one_clip_that_cannot_be_erased_keeps_no_other(house, wall, monkeypatch):
    bad, *others = (house.keep(call_id=f"c{number}") for number in range(3))
    wall(31 * DAY_S)
    erase = changes.erase

    def refuse(db, evidence_id, *more):
        if evidence_id == bad:
            raise ValueError("whatever")
        return erase(db, evidence_id, *more)

    monkeypatch.setattr(changes, "erase", refuse)
    swept = house.sweep()
    assert (swept.erased, swept.late) == (2, True)
    assert not any(name.startswith(one) for one in others for name in files(house))


def test_one_stray_that_cannot_be_removed_keeps_no_other(house, wall):
    sealer = Sealer(house.clips, house.ring.sealing)
    first, second = sorted(write_clip(sealer, {"media": b"x"}).evidence_id for _ in range(2))
    (house.folder / "what is that.clip").touch()
    stuck = house.folder / f"{file_name(first, 'media')}.clip"
    stuck.unlink()
    stuck.mkdir()
    wall(31 * DAY_S)
    assert house.keeper.clear_strays() == 1
    assert not any(second in name for name in files(house))


def test_a_sweep_keeps_to_its_time(house, wall):
    for number in range(60):
        house.keep(call_id=f"c{number}")
    wall(31 * DAY_S)
    swept = house.sweep(0.0)
    assert swept.late
    assert 0 < swept.erased < 60
    while house.sweep(0.0).late:
        pass
    house.sweep()
    assert files(house) == []
    assert house.verify().ok


def test_clips_are_searched_with_what_they_are(house, desk):
    one, two = house.keep(), house.keep(call_id="d")
    desk.review(WHO, one, ReviewState.DISMISSED, "false_positive")
    (found,) = desk.search(WHO, ClipSearch(review=ReviewState.UNREVIEWED))
    assert found["evidence_id"] == two
    assert desk.search(RIVAL, ClipSearch()) == []
    (found,) = desk.search(WHO, ClipSearch(call_id="c"))
    assert found["parts"][0]["encryption"] == {"alg": "AES-256-GCM", "wrapped": True}


def test_a_shorter_retention_is_configured():
    retention = Retention(unreviewed_s=10.0)
    assert retention.until(ReviewState.UNREVIEWED, 5.0) == 15.0


def test_deleting_much_leaves_events_of_calls_the_room_to_wait_for_the_disk(house, monkeypatch):
    """A merchant has thousands of clips; what does not fit into the queue of events is refused to calls."""
    kept = [house.keep(merchant="m_big") for _ in range(120)]
    answers: set[Future] = set()
    most = 0

    class Slow(Future):
        """The store does it when somebody waits."""

        def result(self, timeout=None):
            answers.discard(self)
            return super().result(timeout)

    erase = house.keeper.erase

    def begun(*args):
        nonlocal most
        done = Slow()
        done.set_result(erase(*args).result())
        answers.add(done)
        most = max(most, len(answers))
        return done

    monkeypatch.setattr(house.keeper, "erase", begun)
    answer = desk_of(house).delete(WHO, "m_big")
    assert sorted(answer["erased"]) == sorted(kept)
    assert most <= 50
