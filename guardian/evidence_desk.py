"""Gives evidence out and takes orders about it: who may, what is written of it, and what comes of it."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa

from guardian.core.audit import Act, Entry, Principal
from guardian.core.errors import EvidenceDamaged, EvidenceGone, EvidenceKept, NoSuchEvidence, Unavailable
from guardian.core.evidence import ClipRecord, Hold, KeptLink, ReviewState, file_name
from guardian.core.evidence_desk import ClipSearch, HoldWish, Opened
from guardian.core.evidence_facts import told
from guardian.core.evidence_ports import KeyOpener
from guardian.core.retention import may_follow
from guardian.core.times import rfc3339
from guardian.events.ulid import ulid
from guardian.evidence.reading import ClipReader
from guardian.evidence_keeper import EvidenceKeeper
from guardian.store import evidence_changes as changes
from guardian.store.audit import AuditLog
from guardian.store.case_forgetting import CaseForgetting
from guardian.store.evidence import Search
from guardian.store.evidence_changes import Doing
from guardian.store.evidence_links import EvidenceLinks
from guardian.store.participants import Named, NamedEvents

_WAIT_S = 10.0
_FILES_S = 5.0
_PAGE = 200
_AT_ONCE = 50
"""Clips that are waited for together; the server's clock erases as many."""
_NOTES = "notes"


@dataclass(frozen=True, slots=True)
class DeskParts:
    """What the desk works with. keys: what opens clips now, ConfigError while there is none."""

    keeper: EvidenceKeeper
    links: EvidenceLinks
    audit: AuditLog
    events: NamedEvents
    keys: Callable[[], KeyOpener]
    link_s: float
    cases: CaseForgetting


class ClipMedia:
    """One file of a clip, open. `guardian.core.evidence_desk.Media`."""

    def __init__(self, reader: ClipReader, media_type: str, etag: str) -> None:
        self._reader = reader
        self.media_type = media_type
        self.size = reader.size
        self.etag = etag

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Bytes from `start` up to `stop`, in pieces."""
        return self._reader.read(start, stop)

    def close(self) -> None:
        """Gives the file back."""
        self._reader.close()


class ServerEvidence:
    """`guardian.core.evidence_desk.EvidenceDesk`."""

    def __init__(self, parts: DeskParts) -> None:
        self._parts = parts
        self._keeper = parts.keeper
        self._store = parts.keeper.store

    def search(self, who: Principal, wanted: ClipSearch) -> list[dict[str, Any]]:
        """Clips, the oldest first, erased ones too."""
        now = self._keeper.now()
        found = self._store.search(
            Search(
                tenant=who.tenant,
                participant=wanted.participant,
                call_id=wanted.call_id,
                review=wanted.review,
                after=wanted.after,
                limit=wanted.limit,
            )
        )
        return [told(record, now) for record in found]

    def show(self, who: Principal, evidence_id: str) -> dict[str, Any]:
        """One clip with its history."""
        record = self._store.find(evidence_id, who.tenant)
        history = [
            {
                "sequence": one.sequence,
                "act": one.act,
                "actor": one.actor,
                "at": one.at,
                "detail": _read(one.body),
                "digest": one.digest,
            }
            for one in self._parts.audit.of(evidence_id)
        ]
        return {**told(record, self._keeper.now()), "history": history}

    def review(self, who: Principal, evidence_id: str, state: ReviewState, reason: str) -> dict[str, Any]:
        """Says what a clip is, which sets its clock."""
        record, doing = self._live(who, evidence_id), self._doing(who)
        if not may_follow(record.review, state):
            raise EvidenceKept(f"Evidence that is {record.review} cannot become {state.value}.")
        until = self._keeper.retention.until(state, doing.now)
        change = {"review": state.value, "until": until, "reason": reason}
        self._keeper.linked(self._store.review(record, change, doing))
        return self.show(who, evidence_id)

    def hold(self, who: Principal, evidence_id: str, wish: HoldWish | None) -> dict[str, Any]:
        """Sets a legal hold, or releases it."""
        record, doing = self._live(who, evidence_id), self._doing(who)
        hold = None
        if wish is not None:
            latest = doing.now + self._keeper.retention.hold_s
            if not doing.now < wish.until <= latest:
                raise EvidenceKept(f"A legal hold ends between now and {rfc3339(latest)}; it can be renewed.")
            hold = Hold(wish.owner, wish.reason, wish.until)
        self._keeper.linked(self._store.hold(record.id, hold, doing))
        return self.show(who, evidence_id)

    def erase(self, who: Principal, evidence_id: str) -> dict[str, Any]:
        """Erases a clip before its time."""
        record, doing = self._live(who, evidence_id), self._doing(who)
        _wait(self._keeper.erase(record, "asked for", doing))
        self._remove_files()
        return self.show(who, evidence_id)

    def link(self, who: Principal, evidence_id: str, part: str) -> tuple[str, float]:
        """A secret that opens one file of a clip once, for this principal, and until when."""
        record = self._live(who, evidence_id)
        if part not in record.parts:
            raise NoSuchEvidence("This evidence has no such part.")
        now = self._keeper.now()
        ticket = secrets.token_urlsafe(32)
        until = now + self._parts.link_s
        self._parts.links.make(_digest(ticket), KeptLink(evidence_id, part, who.text, until, ""), now)
        return ticket, until

    def open(self, who: Principal, ticket: str, session: str) -> Opened:
        """Opens what a link leads to; told in the chain before anything is read."""
        now = self._keeper.now()
        link = self._parts.links.find(_digest(ticket), who.text)
        if now >= link.until:
            raise EvidenceGone("The time of this link is over; ask for another one.")
        if link.opened and not secrets.compare_digest(link.opened, _digest(session)):
            raise EvidenceGone("This link has been used; ask for another one.")
        media = self._media(self._live(who, link.evidence_id), link.part)
        if link.opened:
            return Opened(media, session, link.until)
        session = secrets.token_urlsafe(32)
        try:
            self._keeper.linked(self._parts.links.open(_digest(ticket), _digest(session), now))
        except BaseException:
            media.close()
            raise
        return Opened(media, session, link.until)

    def record(self, who: Principal, evidence_id: str) -> ClipRecord:
        """One clip as the store knows it, erased ones too."""
        return self._store.find(evidence_id, who.tenant)

    def notes(self, who: Principal, evidence_id: str) -> Mapping[str, Any]:
        """What is told beside the media of a clip; told in the chain before anything is read."""
        record = self._live(who, evidence_id)
        if _NOTES not in record.parts:
            raise NoSuchEvidence("This evidence has no such part.")
        media = self._media(record, _NOTES)
        try:
            played = Entry(Act.PLAYED, evidence_id, who.text, rfc3339(self._keeper.now()), {"part": _NOTES})
            self._keeper.linked(self._parts.audit.append(played))
            notes = json.loads(b"".join(media.read(0, media.size)))
        except (ValueError, RecursionError):
            raise EvidenceDamaged("The notes of this evidence cannot be read.") from None
        finally:
            media.close()
        return notes if isinstance(notes, dict) else {}

    def export(self, who: Principal, participant: str) -> dict[str, Any]:
        """All that is known of a participant."""
        doing = self._doing(who)
        found = list(self._of(who, participant))
        request = f"request_{ulid()}"
        self._tell(Act.EXPORTED, request, doing, len(found))
        return {
            "request_id": request,
            "participant_id": participant,
            "evidence": [told(record, doing.now) for record in found],
            "cases": self._parts.cases.told(Named(who.tenant, participant)),
            "events": [_read(body) for body in self._parts.events.of(Named(who.tenant, participant))],
        }

    def delete(self, who: Principal, participant: str) -> dict[str, Any]:
        """Erases and forgets all that is known of a participant, but what a legal hold keeps."""
        doing = self._doing(who)
        held, gone = [], []
        records = self._of(who, participant)
        # Some at a time: calls that go on need the room in which events wait for the disk.
        while batch := list(islice(records, _AT_ONCE)):
            waiting = []
            for record in batch:
                if record.held(doing.now):
                    held.append(told(record, doing.now))
                elif record.erased_at is not None:
                    self._store.forget([record.id], doing)
                    gone.append(record.id)
                else:
                    waiting.append((record, self._erase_and_forget(record, doing)))
            for record, done in waiting:
                try:
                    _wait(done)
                    gone.append(record.id)
                except EvidenceKept:
                    held.append(told(record, doing.now))
        self._remove_files()
        links, cases_held = self._parts.cases.forget(Named(who.tenant, participant), doing)
        for link in links:
            self._keeper.linked(link)
        request = f"request_{ulid()}"
        self._tell(Act.DELETED, request, doing, len(gone))
        forgotten, owed = self._parts.events.forget(Named(who.tenant, participant))
        return {
            "request_id": request,
            "erased": gone,
            "held": held,
            "cases": {"forgotten": len(links), "held": cases_held},
            "events": {"forgotten": forgotten, "owed": owed},
        }

    def _erase_and_forget(self, record: ClipRecord, doing: Doing) -> Future[Any]:
        def also(db: sa.Connection) -> None:
            changes.forget(db, record.id, doing)

        return self._keeper.erase(record, "participant", doing, also)

    def _of(self, who: Principal, participant: str) -> Iterator[ClipRecord]:
        return self._store.every(Search(tenant=who.tenant, participant=participant, limit=_PAGE))

    def _live(self, who: Principal, evidence_id: str) -> ClipRecord:
        """A clip that may be read. EvidenceGone when its time is over, erased or not yet."""
        record = self._store.find(evidence_id, who.tenant)
        if record.expired(self._keeper.now()):
            raise EvidenceGone("This evidence has been erased.")
        return record

    def _media(self, record: ClipRecord, part: str) -> ClipMedia:
        facts = record.parts[part]
        name = file_name(record.id, part)
        sealed = self._store.key(record.id, part)
        key = self._parts.keys().unwrap(sealed.key_id, sealed.wrapped, name)
        stored = self._keeper.clips.open(name)
        try:
            return ClipMedia(ClipReader(stored, key, name), str(facts["media_type"]), str(facts["sha256"]))
        except BaseException:
            stored.close()
            raise

    def _remove_files(self) -> None:
        """What cannot be removed now goes with the next sweep: nobody can read it."""
        try:
            self._keeper.remove_files(time.monotonic() + _FILES_S)
        except Unavailable:
            return

    def _tell(self, act: Act, subject: str, doing: Doing, clips: int) -> None:
        entry = Entry(act, subject, doing.actor, rfc3339(doing.now), {"clips": clips})
        self._keeper.linked(self._parts.audit.append(entry))

    def _doing(self, who: Principal) -> Doing:
        return Doing(who.text, self._keeper.now())


def _read(text: str | bytes) -> Any:
    """What a link or an event tells; None when somebody has written into it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _wait(done: Future[Any]) -> None:
    try:
        done.result(_WAIT_S)
    except TimeoutError:
        raise Unavailable("The store does not answer; what was accepted is done when it does.") from None
    except EvidenceGone:
        return  # Somebody was quicker.


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
