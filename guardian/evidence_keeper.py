"""Takes clips of calls in and forgets them in time. Everything here waits for a disk but `take`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from guardian.core.audit import CLOCK, Link
from guardian.core.calls import CallEvent, CallEventType, CallSpec
from guardian.core.errors import EvidenceGone, EvidenceKept, GuardianError, NoSuchEvidence, Unavailable
from guardian.core.evidence import EVIDENCE_ID, ClipRecord, ReviewState, SealedClip, clip_from_json, file_name
from guardian.core.evidence_facts import ALGORITHM, call_of, facts_of
from guardian.core.evidence_ports import ClipStore
from guardian.core.retention import Retention, SeenClock
from guardian.core.times import rfc3339
from guardian.desk import Also
from guardian.store import evidence_changes as changes
from guardian.store.evidence import EvidenceStore
from guardian.store.evidence_changes import Doing, NewClip
from guardian.telemetry.log import logger

Tell = Callable[[CallSpec, CallEvent, Also], Future[Any]]
"""Accepts an event and what is written with it; done when both are on the disk."""

T = TypeVar("T")

_BATCH = 50
_DRAFT_S = 600.0
"""A clip is written within seconds; a draft that nobody has touched for so long was left behind."""
_ANSWER_S = 10.0


@dataclass(slots=True)
class Expired:
    """What was done in a time. late: more is due than there was time for, or could be."""

    erased: int = 0
    forgotten: int = 0
    late: bool = False


class EvidenceKeeper:
    """The life of clips, from the moment they are whole to the moment nobody knows of them."""

    def __init__(self, store: EvidenceStore, clips: ClipStore, retention: Retention, tell: Tell) -> None:
        self.store = store
        self.clips = clips
        self.retention = retention
        self._tell = tell
        self._clock = SeenClock()
        self._log = logger("guardian.evidence")
        self.refused: list[str] = []
        """Files of clips that might not be kept, still there."""
        self._hurried = False
        self.head: Link | None = None
        """The last link of the chain that was written here."""

    def now(self) -> float:
        """Wall clock seconds that never go back, not even over a restart once a sweep has begun."""
        return self._clock.at(time.time(), time.monotonic())

    def begin(self) -> None:
        """At the start, before any call: what a killed server left half-written is removed."""
        self.join()
        # Not what is written from now on: a folder that hangs answers when calls go on.
        swept = self.clips.sweep(self.now())
        if swept:
            self._log.warning("half-written clips of the last run were removed", files=swept)

    def join(self) -> None:
        """At the start, where other servers write clips: no earlier time than they have seen comes back."""
        self._clock.at(self.store.last_seen(), time.monotonic())

    def take(self, spec: CallSpec, event: CallEvent) -> Future[Any]:
        """Keeps a clip that a call process has written, and tells of it. Does not wait.

        event: `evidence.ready` as the call process sends it, with the sealed keys. Unavailable when there is
        no more room to wait for the disk; ValueError, KeyError, TypeError when it is none.
        """
        clip = clip_from_json(event.data["clip"])
        now = self.now()
        new = NewClip(
            id=clip.evidence_id,
            tenant=spec.tenant,
            call_id=spec.call_id,
            participants={role.value: name for role, name in spec.participants.items()},
            facts=changes.facts_text(facts_of(spec, clip), secrets.token_hex(16)),
            parts=clip.parts,
            made_at=now,
            retain_until=self.retention.until(ReviewState.UNREVIEWED, now),
        )
        doing = Doing(CLOCK.text, now)
        ready = CallEvent(event.call_id, event.type, event.at, event.media_t, self._ready(clip, new))
        return self._link(spec, ready, lambda db: changes.keep(db, new, doing))

    def refuse(self, event: CallEvent) -> None:
        """A clip that may not be kept: its sealed keys are dropped here, its files with `remove_refused`."""
        clip = clip_from_json(event.data["clip"])
        self.refused += [file_name(clip.evidence_id, part.name) for part in clip.parts]

    def _ready(self, clip: SealedClip, new: NewClip) -> dict[str, Any]:
        """What `evidence.ready` tells."""
        until = rfc3339(new.retain_until)
        return {
            "evidence_id": clip.evidence_id,
            "cause": clip.cause,
            "causes": list(clip.causes),
            "start_ms": round(clip.t_start * 1000),
            "end_ms": round(clip.t_end * 1000),
            **clip.about,
            "parts": [
                {
                    "kind": part.name,
                    "media_type": part.media_type,
                    "bytes": part.stored,
                    "sha256": part.sha256,
                    "encryption": {"alg": ALGORITHM, "key_id": part.key_id, "wrapped": True},
                }
                for part in clip.parts
            ],
            "retain_until": until,
            "legal_hold": False,
            "audit": self.anchor(),
        }

    def erase(self, record: ClipRecord, why: str, doing: Doing, *more: Also) -> Future[Any]:
        """Destroys the keys of a clip and tells of it; the files go with the next sweep, or `remove_files`.

        more: what is written in the same transaction. The future raises EvidenceGone if somebody was quicker,
        and EvidenceKept under a legal hold.
        """

        def also(db: sa.Connection) -> Link:
            link = changes.erase(db, record.id, why, doing)
            for one in more:
                one(db)
            return link

        data = {
            "evidence_id": record.id,
            "reason": why,
            "causes": list(record.facts.get("causes", ())),
            "erased_at": rfc3339(doing.now),
            "audit": self.anchor(),
        }
        kind = CallEventType.EVIDENCE_DELETED
        event = CallEvent(record.call_id, kind, rfc3339(doing.now), 0.0, data)
        return self._link(call_of(record), event, also)

    def expire(self, budget_s: float) -> Expired:
        """Erases what has expired and forgets what is old, the oldest first, in a time.

        Needs the store alone: whatever becomes of the files, nobody reads them after this.
        """
        until = time.monotonic() + budget_s
        now = self._clock.at(self.store.seen(self.now()), time.monotonic())
        doing = Doing(CLOCK.text, now)
        done = Expired()
        for batch in _batches(lambda limit: self.store.expired(now, limit), lambda record: record.id):
            for record, erased in [(record, self._begun(record, doing)) for record in batch]:
                try:
                    done.erased += _came_true(erased)
                except Unavailable:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever a row or an engine raises: the others go on
                    self._log.error("a clip could not be erased", clip=record.id, cause=type(error).__name__)
            if self._over(until):
                break
        done.late = bool(self.store.expired(now, 1))
        if done.erased:
            self.store.overwrite_keys()
        old = now - self.retention.records_s
        for ids in _batches(lambda limit: self.store.outlived(old, limit), str):
            if self._over(until):
                done.late = True
                break
            self.store.forget(ids, doing)
            done.forgotten += len(ids)
        return done

    def clear(self, budget_s: float) -> int:
        """Removes files of erased clips, for so long, and drafts that were left; returns of how many clips.

        Unavailable when the folder refuses.
        """
        gone = self.remove_files(time.monotonic() + budget_s)
        self.clips.sweep(time.time() - _DRAFT_S)
        return gone

    def remove_refused(self) -> None:
        """Removes files of clips that might not be kept. Unavailable when the folder refuses."""
        while self.refused:
            name = self.refused.pop()  # First: others are put behind it from the event loop.
            try:
                self.clips.remove(name)
            except Unavailable:
                self.refused.append(name)
                raise

    def _begun(self, record: ClipRecord, doing: Doing) -> Future[Any]:
        try:
            return self.erase(record, changes.EXPIRED, doing)
        except Exception as error:  # noqa: BLE001 - as if the store had said so
            refused: Future[Any] = Future()
            refused.set_exception(error)
            return refused

    def hurry(self) -> None:
        """The server ends: a sweep that is going on ends soon, and goes on after the next start."""
        self._hurried = True

    def remove_files(self, until: float) -> int:
        """Removes the files of erased clips, until a monotonic time; returns of how many clips.

        Unavailable when some of them cannot be; the others are gone then.
        """
        gone = 0
        failure: Unavailable | None = None
        for batch in _batches(self.store.with_files, lambda one: one[0]):
            done = []
            for evidence_id, parts in batch:
                try:
                    for part in parts:
                        with suppress(NoSuchEvidence):  # No file can have such a name.
                            self.clips.remove(file_name(evidence_id, part))
                    done.append(evidence_id)
                except Unavailable as error:
                    failure = error
            self.store.files_gone(done)
            gone += len(done)
            if failure is not None or self._over(until):
                break
        if gone:
            self.store.overwrite_keys()
        if failure is not None:
            raise failure
        return gone

    def _over(self, until: float) -> bool:
        return self._hurried or time.monotonic() > until

    def clear_strays(self) -> int:
        """Removes old files that no row tells of: their clips were never told, and have no key."""
        before = time.time() - self.retention.unreviewed_s
        of = {
            name: name.partition(".")[0]
            for name, written in self.clips.files()
            if written < before and EVIDENCE_ID.fullmatch(name.partition(".")[0])
        }
        known = self.store.known(of.values())
        gone = 0
        for name in [name for name, evidence_id in of.items() if evidence_id not in known]:
            try:
                self.clips.remove(name)
                gone += 1
            except GuardianError as error:
                self._log.error("a file that no row tells of stays", why=str(error))
        return gone

    def anchor(self) -> dict[str, Any] | None:
        """The last known link, for whoever wants to hold us to it."""
        head = self.head
        return None if head is None else {"sequence": head.sequence, "digest": head.digest}

    def linked(self, link: Link) -> None:
        """The chain has grown by this link, and it is on the disk."""
        if self.head is None or link.sequence > self.head.sequence:
            self.head = link

    def _link(self, spec: CallSpec, event: CallEvent, write: Callable[[sa.Connection], Link]) -> Future[Any]:
        """Has an event and a link written together. What was not committed is never told as an anchor."""
        made: list[Link] = []

        def also(db: sa.Connection) -> None:
            made[:] = [write(db)]

        def done(future: Future[Any]) -> None:
            if future.exception() is None:
                self.linked(made[0])

        future = self._tell(spec, event, also)
        future.add_done_callback(done)
        return future


def _batches(find: Callable[[int], Sequence[T]], name: Callable[[T], str]) -> Iterator[list[T]]:
    """What is found, some at a time; what stays though it was dealt with comes no second time.

    find: the first so many of those that are left.
    """
    tried, room = set[str](), _BATCH
    while True:
        found = find(room)
        if fresh := [one for one in found if name(one) not in tried]:
            tried.update(map(name, fresh))
            yield fresh
        elif len(found) < room:
            return
        else:
            room += _BATCH


def _came_true(done: Future[Any]) -> bool:
    try:
        done.result(_ANSWER_S)
    except TimeoutError:
        raise Unavailable("The store does not answer; evidence is erased with the next sweep.") from None
    except (EvidenceGone, EvidenceKept):
        return False  # Somebody was quicker: it is erased, has more time, or is held.
    return True
