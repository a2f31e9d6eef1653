"""Whether the chain, the rows and the files of evidence fit together, and nothing expired can be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from guardian.core.audit import Act, Link, broken
from guardian.core.errors import GuardianError, NoSuchEvidence, Unavailable
from guardian.core.evidence import ClipRecord, ReviewState, file_name
from guardian.core.evidence_ports import ClipStore, KeyOpener, StoredClip
from guardian.core.times import rfc3339
from guardian.evidence.reading import ClipReader, digest


@dataclass(frozen=True, slots=True)
class Finding:
    """What does not fit. about: `link 7`, an evidence id or a file; fatal: false for a mere note."""

    about: str
    detail: str
    fatal: bool = True


@dataclass(frozen=True, slots=True)
class Anchor:
    """A link that somebody has seen before, as events carry it."""

    sequence: int
    digest: str


@dataclass(frozen=True, slots=True)
class Estate:
    """What is looked at. open_keys: (evidence id, part) -> key of the file; None: the keys are not at hand.

    now: the latest wall clock time that is known. grace_s: how long what expired may wait for the sweep.
    """

    links: Iterable[Link]
    records: Iterable[ClipRecord]
    clips: ClipStore
    now: float
    grace_s: float = 0.0
    open_key: Callable[[str, str], bytes] | None = None
    anchor: Anchor | None = None


@dataclass(slots=True)
class Report:
    """What was found. opened: files whose keys were tried, None when keys were not at hand."""

    links: int = 0
    head: str = ""
    clips: int = 0
    erased: int = 0
    files: int = 0
    opened: int | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """False when anything was tampered with, lost, or kept too long."""
        return not any(finding.fatal for finding in self.findings)


@dataclass(slots=True)
class _Expected:
    """What the chain says of one clip."""

    facts: str
    parts: Mapping[str, Mapping[str, Any]]
    made_at: str
    until: str
    review: str = ReviewState.UNREVIEWED.value
    hold: Mapping[str, Any] | None = None
    erased: bool = False
    forgotten: bool = False


def verify(estate: Estate, step: Callable[[], None] = lambda: None) -> Report:
    """Looks at everything. step: called after each clip. Unavailable when the store cannot be read."""
    report = Report(opened=None if estate.open_key is None else 0)
    expected: dict[str, _Expected] = {}
    for sequence, detail in broken(_read(estate, report, expected)):
        report.findings.append(Finding(f"link {sequence}", f"{detail}."))
    if estate.anchor is not None and report.links < estate.anchor.sequence:
        report.findings.append(
            Finding(f"link {estate.anchor.sequence}", "It was seen before, and the chain ends sooner now.")
        )
    known: set[str] = set()
    for record in estate.records:
        report.clips += 1
        told = expected.pop(record.id, None)
        known |= {file_name(record.id, part) for part in (told.parts if told else record.parts)}
        try:
            report.findings.extend(_record(estate, report, record, told))
        except (ValueError, KeyError, TypeError, AttributeError):
            report.findings.append(Finding(record.id, "What is told of it cannot be read."))
        step()
    for evidence_id in expected:
        report.findings.append(Finding(evidence_id, "Its row is gone; the chain tells of it."))
    for name, _ in estate.clips.files():
        if name not in known:
            note = "No row tells of this file; without its key nobody can read it."
            report.findings.append(Finding(name, note, fatal=False))
    return report


def _record(estate: Estate, report: Report, record: ClipRecord, told: _Expected | None) -> Iterator[Finding]:
    """What is wrong with one row and its files."""
    if told is None:
        yield Finding(record.id, "The chain knows nothing of this row.")
    else:
        for detail in _row(record, told):
            yield Finding(record.id, detail)
    for column in record.odd:
        yield Finding(record.id, f"Its row was changed: {column} holds no time.")
    yield from _files(estate, report, record, told)


def _read(estate: Estate, report: Report, expected: dict[str, _Expected]) -> Iterator[Link]:
    """Passes the links on and notes what they say."""
    anchor = estate.anchor
    for one in estate.links:
        report.links, report.head = one.sequence, one.digest
        if anchor is not None and one.sequence == anchor.sequence and one.digest != anchor.digest:
            detail = "It has another digest than the one that was seen before."
            report.findings.append(Finding(f"link {one.sequence}", detail))
        try:
            _note(one, expected)
        except (ValueError, KeyError, TypeError, RecursionError):
            report.findings.append(Finding(f"link {one.sequence}", "What it tells cannot be read."))
        yield one


def _note(one: Link, expected: dict[str, _Expected]) -> None:
    body = json.loads(one.body)
    if one.act == Act.KEPT:
        expected[one.subject] = _Expected(body["facts"], dict(body["parts"]), body["made_at"], body["until"])
    told = expected.get(one.subject)
    if told is None:
        return
    match one.act:
        case Act.REVIEWED:
            told.review, told.until = body["review"], body["until"]
        case Act.HELD:
            told.hold = body
        case Act.RELEASED:
            told.hold = None
        case Act.ERASED:
            told.erased, told.hold = True, None
        case Act.FORGOTTEN:
            told.forgotten = True


def _row(record: ClipRecord, told: _Expected) -> Iterator[str]:
    """How a row differs from what the chain says of it."""
    if not told.forgotten and record.digest != told.facts:
        yield "Its row was changed: the facts are not those that were kept."
    elif not told.forgotten and not _fits(record):
        yield "Its row was changed: call or participants are not those of its facts."
    if told.forgotten and (record.facts or record.participants):
        yield "Its row names what was forgotten."
    if record.review != told.review:
        yield f"Its row says {record.review}; people have said {told.review}."
    if rfc3339(record.made_at) != told.made_at:
        yield f"Its row was made at {rfc3339(record.made_at)}; the chain says {told.made_at}."
    if rfc3339(record.retain_until) != told.until:
        yield f"Its row is kept until {rfc3339(record.retain_until)}; the chain says {told.until}."
    if (record.erased_at is not None) != told.erased:
        yield "The chain says that it was erased." if told.erased else "The chain knows of no erasing."
    hold = record.hold
    held = hold and {"owner": hold.owner, "reason": hold.reason, "until": rfc3339(hold.until)}
    if held != (None if told.hold is None else dict(told.hold)):
        yield "Its legal hold is not the one that was set."
    if told.erased and record.part_keys:
        yield "It was erased, and its key is there."


def _fits(record: ClipRecord) -> bool:
    call = record.facts.get("call", {})
    return (
        call.get("call_id") == record.call_id
        and call.get("tenant") == record.tenant
        and {role: name for role, name in call.get("participants", {}).items() if name}
        == dict(record.participants)
    )


def _files(estate: Estate, report: Report, record: ClipRecord, told: _Expected | None) -> Iterator[Finding]:
    """What is wrong with the files of one clip."""
    parts = told.parts if told is not None else record.parts
    over = record.erased_at is not None or (told is not None and told.erased)
    report.erased += over
    files = report.files
    for part, facts in parts.items():
        name = file_name(record.id, part)
        try:
            stored = estate.clips.open(name)
        except NoSuchEvidence:
            if not over:
                yield Finding(record.id, f"The file {name} is gone.")
            continue
        except Unavailable as error:
            yield Finding(record.id, f"The file {name} cannot be read: {error}")
            continue
        report.files += 1
        try:
            if over:
                left = f"The file {name} is still to be removed; its key is destroyed."
                yield Finding(record.id, left, fatal=part in record.part_keys)
            else:
                yield from _file(estate, report, record, _File(part, facts["sha256"], stored))
        except GuardianError as error:
            yield Finding(record.id, f"The file {name} cannot be opened: {error}")
        finally:
            stored.close()
    readable = report.files > files and bool(record.part_keys) and not over
    if readable and record.expired(estate.now - estate.grace_s):
        until = rfc3339(record.retain_until)
        yield Finding(record.id, f"It expired at {until} and can still be read.")


@dataclass(frozen=True, slots=True)
class _File:
    part: str
    sha256: str
    stored: StoredClip


def _file(estate: Estate, report: Report, record: ClipRecord, file: _File) -> Iterator[Finding]:
    name = file_name(record.id, file.part)
    if digest(file.stored) != file.sha256:
        yield Finding(record.id, f"The file {name} was changed.")
    elif file.part not in record.part_keys:
        yield Finding(record.id, f"The key of {name} is gone, and nobody erased it.")
    elif estate.open_key is not None:
        report.opened = (report.opened or 0) + 1
        ClipReader(file.stored, estate.open_key(record.id, file.part), name)


def opener(keys: KeyOpener, sealed: Callable[[str, str], tuple[str, str]]) -> Callable[[str, str], bytes]:
    """What `Estate.open_key` wants. sealed: (evidence id, part) -> (key id, sealed key)."""

    def open_key(evidence_id: str, part: str) -> bytes:
        key_id, wrapped = sealed(evidence_id, part)
        return keys.unwrap(key_id, wrapped, file_name(evidence_id, part))

    return open_key
