"""What the command line does with evidence, beside a server or without one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from guardian.core.errors import GuardianError, Unavailable
from guardian.evidence.folder import Folder
from guardian.evidence.verify import Anchor, Estate, Report, opener, verify
from guardian.evidence_keys import EvidenceKeys, seal_anew
from guardian.settings import Settings
from guardian.store.audit import AuditLog
from guardian.store.database import Database
from guardian.store.evidence import EvidenceStore
from guardian.store.evidence_changes import Doing
from guardian.store.lock import DataLock
from guardian.store.upgrade import Standing, standing

_GRACE_SWEEPS = 3
"""A sweep comes at its times, and takes some."""
_LOCK_S = 60.0

Counted = Callable[[int], None]
"""Hears how many were done."""


@contextmanager
def opened_store(settings: Settings) -> Iterator[Database]:
    """The store as it is; nothing is made or brought up to date. Unavailable."""
    place = settings.store_config()
    if not place.url and not place.file.exists():
        raise Unavailable(f"There is no store {place.file}; name the data folder of a server with --data.")
    database = Database(place)
    try:
        if standing(database) is not Standing.CURRENT:
            raise Unavailable(f"The store {database.name} is not up to date; run `guardian migrate`.")
        yield database
    finally:
        database.close()


def clips_in(settings: Settings) -> int:
    """How many clips there ever were. Unavailable."""
    with opened_store(settings) as database:
        return EvidenceStore(database).count()


def looked_at(settings: Settings, anchor: Anchor | None, told: Counted) -> Report:
    """Whether everything fits. Unavailable, ConfigError.

    What does not fit is looked at once more: a server that runs may just have been writing it.
    """
    with opened_store(settings) as database:
        report = _look(settings, database, anchor, told)
        if report.ok:
            return report
        known = set(report.findings)
        again = _look(settings, database, anchor, lambda _: None)
        return replace(again, findings=[finding for finding in again.findings if finding in known])


def _look(settings: Settings, database: Database, anchor: Anchor | None, told: Counted) -> Report:
    store = EvidenceStore(database)
    ring = EvidenceKeys(settings.evidence, settings.evidence_key_path).present()

    def sealed(evidence_id: str, part: str) -> tuple[str, str]:
        key = store.key(evidence_id, part)
        return key.key_id, key.wrapped

    estate = Estate(
        links=AuditLog(database).links(),
        records=store.all(),
        clips=Folder(settings.evidence_path),
        now=max(time.time(), store.last_seen()),
        grace_s=_GRACE_SWEEPS * settings.evidence.sweep_s,
        open_key=None if ring is None else opener(ring, sealed),
        anchor=anchor,
    )
    return verify(estate, lambda: told(1))


@dataclass(frozen=True, slots=True)
class Rotated:
    """What became of a change of keys. files: sealed to the key anew; closed: whose keys cannot be opened.

    old_keys: those that are still kept, because something may be sealed to them.
    """

    key_id: str
    files: int
    closed: tuple[str, ...]
    old_keys: tuple[str, ...]


@contextmanager
def changing_keys(settings: Settings) -> Iterator[None]:
    """Nobody else makes or destroys keys, or seals clips to them, in here. Unavailable."""
    keys = EvidenceKeys(settings.evidence, settings.evidence_key_path)
    with keys.changing(_LOCK_S):
        yield


def make_key(settings: Settings) -> None:
    """A new key before those there are, unless the settings name the keys; within `changing_keys`.

    ConfigError, Unavailable.
    """
    keys = EvidenceKeys(settings.evidence, settings.evidence_key_path)
    if not keys.configured:
        keys.file.rotate(time.time())


def seal_all(settings: Settings, who: str, told: Counted) -> Rotated:
    """Seals every clip to the current key; within `changing_keys`. It may be interrupted, and goes on then.

    Old keys are destroyed when nothing needs them: not while any server of the store runs, whose calls seal
    to the key it began with. ConfigError, Unavailable.
    """
    keys = EvidenceKeys(settings.evidence, settings.evidence_key_path)
    ring = keys.ring()
    with ExitStack() as undo:
        database = undo.enter_context(opened_store(settings))
        alone = _alone(settings, database, undo)
        done = seal_anew(EvidenceStore(database), ring, Doing(f"person:-/{who}", time.time()), told)
        if alone and not done.closed and not keys.configured:
            keys.file.drop(float("inf"))
    return Rotated(ring.sealing.id, done.done, done.closed, keys.ring().ids[1:])


def _alone(settings: Settings, database: Database, undo: ExitStack) -> bool:
    try:
        undo.callback(DataLock(settings.data_path).close)
        undo.enter_context(database.alone())
    except GuardianError:
        return False
    return True
