import errno
import os
import re
import stat

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from guardian.core.errors import ConfigError, EvidenceDamaged, NoSuchEvidence, Unavailable
from guardian.core.evidence import file_name
from guardian.evidence import format
from guardian.evidence.folder import Folder
from guardian.evidence.keys import KeyRing, OpeningKey, SealingKey, new_key_text, ring_of
from guardian.evidence.reading import ClipReader, digest
from guardian.evidence.sealing import Sealer

EVIDENCE = "ev_01J9ZK3M8Q6T4V7X2B5N0C1D2E"
OTHER = "ev_01J9ZK3M8Q6T4V7X2B5N0C1D2F"
NAME = file_name(EVIDENCE, "media")
CHUNK = 1 << format.CHUNK_LOG2
RING = ring_of([new_key_text()])
KEY = os.urandom(32)


class Bytes:
    """A stored file in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, offset, size):
        return self.data[offset : offset + size]

    def close(self):
        pass


def sealed(plain: bytes, name: str = NAME) -> bytes:
    header, cipher = format.begin(KEY, name)
    pieces = [plain[at : at + CHUNK] for at in range(0, len(plain), CHUNK)] or [b""]
    flags = [format.MORE] * (len(pieces) - 1) + [format.LAST]
    chunks = map(cipher.seal, range(len(pieces)), pieces, flags)
    return header + b"".join(chunks)


def opened(stored: bytes, name: str = NAME) -> bytes:
    reader = ClipReader(Bytes(stored), KEY, name)
    return b"".join(reader.read(0, reader.size))


PLAIN = os.urandom(3 * CHUNK + 1234)
FILE = sealed(PLAIN)


@given(st.lists(st.integers(0, CHUNK + 3), max_size=6))
@settings(max_examples=30, deadline=None)
def test_what_is_written_in_any_pieces_is_read_again(sizes):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        store = Folder(Path(folder))
        writer = Sealer(store, RING.sealing).begin(EVIDENCE, "media", "video/webm")
        pieces = [os.urandom(size) for size in sizes]
        for piece in pieces:
            writer.write(piece)
        part = writer.seal()
        stored = store.open(NAME)
        key = RING.unwrap(part.key_id, part.wrapped_key, NAME)
        reader = ClipReader(stored, key, NAME)
        whole = b"".join(pieces)
        assert (part.size, reader.size, part.stored) == (len(whole), len(whole), stored.size)
        assert part.sha256 == digest(stored)
        assert b"".join(reader.read(0, reader.size)) == whole
        reader.close()


@given(st.integers(0, len(PLAIN)), st.integers(0, len(PLAIN)))
@settings(max_examples=100, deadline=None)
def test_any_range_can_be_read(start, stop):
    reader = ClipReader(Bytes(FILE), KEY, NAME)
    assert b"".join(reader.read(start, stop)) == PLAIN[start:stop]


@given(st.integers(0, len(FILE) - 1))
@settings(max_examples=200, deadline=None)
def test_a_file_that_is_cut_off_anywhere_does_not_open(size):
    with pytest.raises(EvidenceDamaged):
        opened(FILE[:size])


@pytest.mark.parametrize("chunks", [0, 1, 2, 3])
def test_a_file_that_ends_with_a_chunk_does_not_open(chunks):
    with pytest.raises(EvidenceDamaged):
        opened(FILE[: format.HEADER_BYTES + chunks * (CHUNK + format.TAG_BYTES)])


@given(st.integers(0, len(FILE) - 1), st.integers(0, 7))
@settings(max_examples=300, deadline=None)
def test_a_bit_that_is_turned_anywhere_is_found(offset, bit):
    damaged = bytearray(FILE)
    damaged[offset] ^= 1 << bit
    with pytest.raises(EvidenceDamaged):
        opened(bytes(damaged))


@given(st.permutations(range(4)))
@settings(deadline=None)
def test_chunks_in_another_order_are_found(order):
    assume(list(order) != [0, 1, 2, 3])
    size = CHUNK + format.TAG_BYTES
    body = FILE[format.HEADER_BYTES :]
    chunks = [body[index * size : (index + 1) * size] for index in range(4)]
    with pytest.raises(EvidenceDamaged):
        opened(FILE[: format.HEADER_BYTES] + b"".join(chunks[index] for index in order))


@given(st.integers(0, 3), st.integers(0, 3))
@settings(deadline=None)
def test_chunks_left_out_put_twice_or_added_are_found(index, place):
    size = CHUNK + format.TAG_BYTES
    header, body = FILE[: format.HEADER_BYTES], FILE[format.HEADER_BYTES :]
    chunks = [body[at * size : (at + 1) * size] for at in range(4)]
    without = chunks[:index] + chunks[index + 1 :]
    for changed in (without, [*chunks[:place], chunks[index], *chunks[place:]], [*chunks, b""]):
        if changed[-1]:
            with pytest.raises(EvidenceDamaged):
                opened(header + b"".join(changed))


@given(st.binary(min_size=1, max_size=CHUNK + 64))
@settings(max_examples=50, deadline=None)
def test_what_is_added_at_the_end_is_found(more):
    with pytest.raises(EvidenceDamaged):
        opened(FILE + more)


@given(st.binary(max_size=400))
def test_what_is_no_clip_does_not_open(noise):
    with pytest.raises(EvidenceDamaged):
        opened(noise)


def test_a_clip_of_nothing_is_whole_and_its_absence_is_not():
    empty = sealed(b"")
    assert opened(empty) == b""
    with pytest.raises(EvidenceDamaged):
        opened(empty[: -format.TAG_BYTES])


def test_one_clips_file_does_not_stand_in_for_anothers():
    with pytest.raises(EvidenceDamaged):
        opened(FILE, file_name(OTHER, "media"))
    with pytest.raises(EvidenceDamaged):
        opened(FILE, file_name(EVIDENCE, "notes"))


def test_chunks_of_two_files_with_one_key_do_not_mix():
    other = sealed(PLAIN)
    cut = format.HEADER_BYTES + CHUNK + format.TAG_BYTES
    with pytest.raises(EvidenceDamaged):
        opened(FILE[:cut] + other[cut:])


def test_whoever_seals_cannot_open():
    sealing = SealingKey.from_text(RING.sealing.text)
    wrapped = sealing.wrap(KEY, NAME)
    assert not hasattr(sealing, "unwrap")
    assert RING.unwrap(sealing.id, wrapped, NAME) == KEY
    with pytest.raises(Unavailable):
        ring_of([new_key_text()]).unwrap(sealing.id, wrapped, NAME)


def test_a_sealed_key_opens_its_own_file_only():
    wrapped = RING.sealing.wrap(KEY, NAME)
    with pytest.raises(EvidenceDamaged):
        RING.unwrap(RING.sealing.id, wrapped, file_name(OTHER, "media"))
    for changed in ("", "AAAA", wrapped[:-4], wrapped[::-1], "é"):
        with pytest.raises(EvidenceDamaged):
            RING.unwrap(RING.sealing.id, changed, NAME)


def test_keys_are_sealed_anew_to_the_first_key():
    old, new = new_key_text(), new_key_text()
    wrapped = ring_of([old]).sealing.wrap(KEY, NAME)
    both = ring_of([new, old])
    again = both.rewrap(ring_of([old]).sealing.id, wrapped, NAME)
    assert ring_of([new]).unwrap(both.sealing.id, again, NAME) == KEY


def test_private_keys_do_not_show():
    text = new_key_text()
    key = OpeningKey.from_text(text)
    assert text.removeprefix("gek_")[:12] not in repr((key, KeyRing([key]), key.sealing))


@pytest.mark.parametrize("text", ["", "gek_", "gek_AAAA", "gek_!!", "whsec_AAAA", "gek_é"])
def test_what_is_no_key_is_refused_in_a_sentence(text):
    with pytest.raises(ConfigError):
        ring_of([text])


def begin(path, part="media"):
    return Sealer(Folder(path), RING.sealing).begin(EVIDENCE, part, "video/webm")


def test_a_clip_is_not_there_until_it_is_whole(tmp_path):
    folder = tmp_path / "evidence"
    writer = begin(folder)
    writer.write(PLAIN)
    assert list(Folder(folder).files()) == []
    with pytest.raises(NoSuchEvidence):
        Folder(folder).open(NAME)
    writer.seal()
    assert [name for name, _ in Folder(folder).files()] == [NAME]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())] == [0o700, 0o600]
    with pytest.raises(Unavailable):
        writer.write(b"more")
    assert [name for name, _ in Folder(folder).files()] == [NAME]
    writer.abandon()
    assert list(folder.iterdir()) == []


def test_an_abandoned_clip_leaves_nothing(tmp_path):
    writer = begin(tmp_path)
    writer.write(PLAIN)
    writer.abandon()
    writer.abandon()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Unavailable):
        writer.seal()


def test_what_a_killed_process_left_is_swept_and_whole_clips_stay(tmp_path):
    begin(tmp_path).write(PLAIN)
    begin(tmp_path, "notes").seal()
    folder = Folder(tmp_path)
    assert folder.sweep(before=0.0) == 0
    assert folder.sweep(before=float("inf")) == 1
    assert [path.name for path in tmp_path.iterdir()] == [f"{EVIDENCE}.notes.clip"]


def test_one_id_is_written_once(tmp_path):
    begin(tmp_path).seal()
    with pytest.raises(Unavailable):
        begin(tmp_path)


def test_nothing_readable_is_on_the_disk_at_any_time(tmp_path):
    """Marks of Matroska, WebM, MP4 and Opus, as a search of the disk would look for them."""
    writer = begin(tmp_path)
    plain = b"\x1aE\xdf\xa3 webm matroska OpusHead OpusTags ftyp moov moof mdat V_VP8 A_OPUS" * 2000
    for at in range(0, len(plain), 1000):
        writer.write(plain[at : at + 1000])
    (draft,) = tmp_path.iterdir()
    half = draft.read_bytes()
    writer.seal()
    whole = (tmp_path / f"{NAME}.clip").read_bytes()
    assert len(half) > CHUNK
    for found in (half, whole):
        assert not re.search(rb"webm|matroska|Opus|ftyp|moov|moof|mdat|V_VP8|A_OPUS|\x1aE\xdf\xa3", found)


@pytest.fixture
def full(monkeypatch):
    """A disk that takes so many more bytes."""
    room = [0]
    write = os.write

    def limited(handle, data):
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(handle, data[: room[0]])
        room[0] -= written
        return written

    def fill(left):
        room[0] = left
        monkeypatch.setattr(os, "write", limited)

    return fill


def write_to_the_end(writer):
    for _ in range(8):
        writer.write(os.urandom(CHUNK))
    writer.seal()


@pytest.mark.parametrize("left", [0, 10, format.HEADER_BYTES + 5, CHUNK, 2 * CHUNK])
def test_on_a_full_disk_nothing_half_written_stays(tmp_path, full, left):
    writer = begin(tmp_path)
    full(left)
    with pytest.raises(Unavailable, match="no space left"):
        write_to_the_end(writer)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Unavailable):
        writer.write(b"more")


def test_the_last_room_on_a_disk_is_left_to_others(tmp_path):
    store = Folder(tmp_path, spare_bytes=1 << 60)
    with pytest.raises(Unavailable, match="hardly any space"):
        Sealer(store, RING.sealing).begin(EVIDENCE, "media", "video/webm")
    assert list(tmp_path.iterdir()) == []


def test_a_sync_that_fails_shows_nothing(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    writer = begin(tmp_path)
    writer.write(PLAIN)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(Unavailable):
        writer.seal()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../x.media", "a/b.media", "ev_1", ".x", "", "ev_1.media.clip"])
def test_a_name_leads_nowhere_else(tmp_path, name):
    with pytest.raises(NoSuchEvidence):
        Folder(tmp_path).open(name)


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be written"):
        begin(tmp_path / "file" / "evidence")
