"""Puts together what one server does with evidence: keys, clips, their rows, and the clock."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from guardian.core.audit import CLOCK
from guardian.core.calls import CallEvent, CallEventType, CallSpec, Scope
from guardian.core.config import WorkConfig
from guardian.core.errors import GuardianError, Unavailable
from guardian.core.notes import Part
from guardian.evidence.folder import Folder
from guardian.evidence.keys import KeyRing
from guardian.evidence_desk import DeskParts, ServerEvidence
from guardian.evidence_keeper import EvidenceKeeper, Tell
from guardian.evidence_keys import EvidenceKeys, seal_anew
from guardian.settings import Settings
from guardian.store.audit import AuditLog
from guardian.store.case_forgetting import CaseForgetting
from guardian.store.database import Database
from guardian.store.evidence import EvidenceStore
from guardian.store.evidence_changes import Doing
from guardian.store.evidence_links import EvidenceLinks
from guardian.store.participants import NamedEvents
from guardian.telemetry.log import logger
from guardian.telemetry.metrics import Metrics
from guardian.tenure import Tenure

T = TypeVar("T")

_SWEEP_S = 30.0
_LONGEST_S = 120.0
"""A sweep that takes longer waits for a folder that hangs."""
_BEGIN_S = 5.0
_KEYS_S = 2.0
"""How long a start waits for whoever changes keys; the next one ends what is old then."""
_STRAYS_EVERY_S = 6 * 3600.0


class EvidenceService:
    """One server's evidence. ConfigError when its key cannot be read."""

    def __init__(self, settings: Settings, database: Database, metrics: Metrics, tell: Tell) -> None:
        self._settings = settings
        self._metrics = metrics
        self._log = logger("guardian.evidence")
        self._keys = EvidenceKeys(settings.evidence, settings.evidence_key_path)
        self._store = EvidenceStore(database)
        self._thread = ThreadPoolExecutor(1, "evidence-sweep")
        self._at_work: Future[Any] | None = None
        clips = Folder(settings.evidence_path)
        self._keeper = EvidenceKeeper(self._store, clips, settings.retention.read(), tell)
        ring = self._keys.present()
        self._public_key = ring.sealing.text if ring is not None else ""
        parts = DeskParts(
            keeper=self._keeper,
            links=EvidenceLinks(database),
            audit=AuditLog(database),
            events=NamedEvents(database),
            keys=self._keys.ring,
            link_s=settings.evidence.link_s,
            cases=CaseForgetting(database),
        )
        self.desk = ServerEvidence(parts)
        self.now, self.linked = self._keeper.now, self._keeper.linked

    def equipped(self, work: WorkConfig) -> WorkConfig:
        """With what calls need to keep evidence; as it is where nobody has made a key."""
        if not self._public_key:
            return work
        evidence = self._settings.evidence.read(self._settings.evidence_path, self._public_key)
        return replace(work, evidence=evidence)

    async def start(self, tenure: Tenure) -> None:
        """`begin` or `join`, before any call: a folder that hangs holds up neither start nor calls."""
        try:
            await self._beside(self.join if tenure.shared else self.begin, _BEGIN_S)
        except Unavailable as error:
            self._failed("evidence cannot be looked after", error)

    def begin(self) -> None:
        """At the start. Waits for the disk."""
        self._start(self._keeper.begin, self._end_old_keys)

    def join(self) -> None:
        """The same where calls of other servers go on: what those write, and seal to, is left alone."""
        self._start(self._keeper.join)

    def _start(self, *steps: Callable[[], None]) -> None:
        if not self._public_key:
            self._log.warning("no evidence is kept of any call: `guardian keys init` makes a key for it")
        try:
            for step in steps:
                step()
        except Exception as error:  # noqa: BLE001 - calls are protected without evidence too
            self._failed("evidence cannot be looked after", error)

    def take(self, spec: CallSpec, event: CallEvent) -> None:
        """A call process has written a clip. Never raises: the call goes on without."""
        try:
            if Scope.KEEP not in spec.scopes:
                self._keeper.refuse(event)
                return
            self._keeper.take(spec, event).add_done_callback(self._kept)
        except Exception as error:  # noqa: BLE001 - whatever the call process has sent
            self._lost(error)

    def hear(self, event: CallEvent) -> None:
        """Counts the clips that call processes have lost."""
        if event.type is CallEventType.HEARING_LAPSED and event.data.get("part") == Part.EVIDENCE:
            self._metrics.clips.labels("lost").inc()

    async def run(self, tenure: Tenure) -> None:
        """Removes what was refused here and, while this server leads, what has expired, until cancelled."""
        strays_at = 0.0
        try:
            while True:
                overdue = tenure.leads() and await self._swept()
                await self._drop_refused()
                if tenure.leads() and time.monotonic() >= strays_at:
                    await self._clear_strays()
                    strays_at = time.monotonic() + _STRAYS_EVERY_S
                self._metrics.clips_overdue.set(overdue)
                await asyncio.sleep(self._settings.evidence.sweep_s)
        finally:
            self._keeper.hurry()
            self._thread.shutdown(wait=False)

    async def _beside(self, work: Callable[[], T], limit_s: float = _LONGEST_S) -> T:
        """In a thread of its own: a folder that hangs holds up nothing else. Unavailable while it does."""
        if self._at_work is None or self._at_work.done():
            at_work = self._at_work = self._thread.submit(work)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    return await asyncio.wrap_future(at_work)
        raise Unavailable("The folder of evidence does not answer.")

    async def _swept(self) -> bool:
        """One sweep; whether something is overdue after it."""
        try:
            # Not where a folder that hangs would hold it up.
            done = await asyncio.to_thread(self._keeper.expire, _SWEEP_S)
            self._metrics.clips.labels("erased").inc(done.erased)
            self._metrics.clips.labels("forgotten").inc(done.forgotten)
            await self._beside(partial(self._keeper.clear, _SWEEP_S))
        except Exception as error:  # noqa: BLE001 - whatever stands in a row: the server and its calls go on
            self._failed("what has expired could not be erased; nobody can read it", error)
            return True
        return done.late

    async def _drop_refused(self) -> None:
        if not self._keeper.refused:
            return
        try:
            await self._beside(self._keeper.remove_refused)
        except Exception as error:  # noqa: BLE001 - whatever a folder does: as for a sweep
            self._failed("files of clips that were refused stay for now; nobody can read them", error)

    async def _clear_strays(self) -> None:
        try:
            await self._beside(self._keeper.clear_strays)
        except Exception as error:  # noqa: BLE001 - whatever stands in a row or a folder: as for a sweep
            self._failed("files that no row tells of stay", error)

    def _failed(self, what: str, error: Exception) -> None:
        """Messages that are not our own may quote what stands in rows."""
        why = str(error) if isinstance(error, GuardianError) else type(error).__name__
        self._log.error(what, why=why)

    def _end_old_keys(self) -> None:
        """Calls that sealed to an old key have ended with the server that ran them."""
        ring = self._keys.present()
        if ring is None or len(ring.ids) == 1:
            return
        with self._keys.changing(_KEYS_S):
            self._end_keys_before(self._keys.ring())

    def _end_keys_before(self, ring: KeyRing) -> None:
        sealed = seal_anew(self._store, ring, Doing(CLOCK.text, self._keeper.now()))
        for name in sealed.closed:
            self._log.error("the key of a clip cannot be opened; see `guardian audit verify`", file=name)
        # Somebody may have made a key since this run began: its calls seal to what is an old one then.
        ours = not self._keys.configured and ring.sealing.text == self._public_key
        gone = self._keys.file.drop(float("inf")) if ours and not sealed.closed else ()
        self._log.info("clips were sealed to the current key", files=sealed.done, keys_destroyed=len(gone))

    def _kept(self, done: Future[Any]) -> None:
        error = done.exception()
        if error is None:
            self._metrics.clips.labels("kept").inc()
        else:
            self._lost(error)

    def _lost(self, error: BaseException) -> None:
        self._metrics.clips.labels("lost").inc()
        self._log.error("a clip was lost", cause=type(error).__name__)
