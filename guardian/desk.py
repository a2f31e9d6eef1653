"""Where events of calls go: enveloped, kept in the outbox and queued for every sink in one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import sqlalchemy as sa

from guardian.core.calls import CallEvent, CallEventType, CallSpec
from guardian.core.delivery import About, Life
from guardian.core.errors import GuardianError, Unavailable
from guardian.core.ports import Clock
from guardian.core.violations import Level
from guardian.events.envelope import Envelope
from guardian.events.ulid import ulid
from guardian.store.outbox import Entry, Kept, Outbox
from guardian.store.writer import Writer
from guardian.telemetry.log import logger
from guardian.telemetry.metrics import Metrics

Also = Callable[[sa.Connection], object]
"""Writes what belongs to an event, in its transaction; a GuardianError withdraws both."""

_LIVES = {CallEventType.CALL_JOINED: Life.BEGUN}
_LATER = frozenset(
    {
        CallEventType.EVIDENCE_READY,
        CallEventType.EVIDENCE_DELETED,
        CallEventType.REVIEW_CLAIMED,
        CallEventType.REVIEW_DECIDED,
        CallEventType.APPEAL_OPENED,
        CallEventType.APPEAL_DECIDED,
    }
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """on_kept: called from the desk's thread after each commit. now: wall clock seconds that do not jump.

    scarce: True while the store has hardly any room left. beside: what is written with an event (given with
    its id) besides what whoever raises it writes.
    """

    metrics: Metrics
    on_kept: Callable[[], None]
    now: Clock
    scarce: Callable[[], bool] = lambda: False
    beside: Callable[[CallSpec, CallEvent, str], Also | None] = lambda *_: None


class Desk:
    """Where events of calls go: short and synchronous; a thread of its own waits for the disk."""

    def __init__(self, outbox: Outbox, envelope: Envelope, around: Surroundings) -> None:
        self._envelope = envelope
        self._around = around
        self._writer = Writer(outbox, lambda _: around.on_kept())
        self.newest: Future[Kept] | None = None
        """Done when everything published so far is on the disk: one thread writes, in order."""

    def publish(self, spec: CallSpec, event: CallEvent) -> None:
        """Accepts the event for good. Unavailable when there is no more room to wait for the disk."""
        tight = self._writer.crowded or self._around.scarce()
        if event.type is CallEventType.CALL_COVERAGE and tight:
            # Violations matter more than counters when the disk does not keep up.
            self._around.metrics.events.labels(event.type.value, "shed").inc()
            return
        self.keep(spec, event)

    def keep(
        self,
        spec: CallSpec,
        event: CallEvent,
        also: Also | None = None,
        event_id: str = "",
        *more: CallEvent,
    ) -> Future[Kept]:
        """As `publish`; the future is done when the event is on the disk, with what `also` wrote.

        event_id: a ULID, where it had to be known before. more: events that are kept with it, or not at all.
        """
        entries = [self._entry(spec, event, event_id or ulid(), also)]
        entries += [self._entry(spec, one, ulid(), None) for one in more]
        kinds = [one.type.value for one in (event, *more)]
        try:
            future = self._writer.submit(*entries)
        except Unavailable:
            for kind in kinds:
                self._around.metrics.events.labels(kind, "refused").inc()
                logger("guardian.desk").error("an event could not be kept", type=kind)
            raise
        self.newest = future
        for kind in kinds:
            self._around.metrics.events.labels(kind, "accepted").inc()
        future.add_done_callback(lambda done: self._check(kinds, done))
        return future

    def _entry(self, spec: CallSpec, event: CallEvent, event_id: str, also: Also | None) -> Entry:
        seal = self._envelope.sealer(spec, event, event_id)
        both = _both(also, self._around.beside(spec, event, event_id))
        return Entry(event.call_id, self._around.now(), seal, _about(spec, event), both, event_id)

    def _check(self, kinds: Sequence[str], done: Future[Kept]) -> None:
        error = done.exception()
        for kind in kinds if error is not None else ():
            if isinstance(error, GuardianError) and not isinstance(error, Unavailable):
                self._around.metrics.events.labels(kind, "withdrawn").inc()
            else:
                self._around.metrics.events.labels(kind, "lost").inc()
                logger("guardian.desk").error("an event was lost", type=kind, cause=type(error).__name__)

    @property
    def waiting(self) -> int:
        """Events not yet on the disk."""
        return self._writer.waiting

    @property
    def late(self) -> str | None:
        """A sentence while the disk does not keep up, or takes nothing."""
        if not self._writer.crowded and not self._writer.stalled:
            return None
        return self._writer.trouble or "The event store does not keep up."

    def close(self, timeout_s: float) -> None:
        """Writes what waits."""
        lost = self._writer.close(timeout_s)
        if lost:
            logger("guardian.desk").error("events were lost at the end", count=lost)


def _both(first: Also | None, second: Also | None) -> Also | None:
    if first is None or second is None:
        return first or second

    def also(db: sa.Connection) -> None:
        first(db)
        second(db)

    return also


def _about(spec: CallSpec, event: CallEvent) -> About:
    violation = event.data.get("violation")
    level = Level(violation["level"]) if violation is not None else None
    over = event.type is CallEventType.CALL_LEFT and event.data.get("role") is None
    life = Life.ENDED if over else Life.LATER if event.type in _LATER else Life.GOING
    return About(event.type.value, spec.tenant, level, _LIVES.get(event.type, life))
