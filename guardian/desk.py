"""Where events of calls go: enveloped, kept in the outbox and queued for every sink in one step."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future

from guardian.core.calls import CallEvent, CallEventType, CallSpec
from guardian.core.errors import Unavailable
from guardian.events.envelope import Envelope
from guardian.events.ulid import ulid
from guardian.store.outbox import Entry, Kept, Outbox
from guardian.store.writer import Writer
from guardian.telemetry.log import logger
from guardian.telemetry.metrics import Metrics


class Desk:
    """Where events of calls go: short and synchronous; a thread of its own waits for the disk.

    on_kept: called from that thread after each commit.
    """

    def __init__(
        self, outbox: Outbox, envelope: Envelope, metrics: Metrics, on_kept: Callable[[], None]
    ) -> None:
        self._envelope = envelope
        self._metrics = metrics
        self._writer = Writer(outbox, lambda _: on_kept())
        self.newest: Future[Kept] | None = None
        """Done when everything published so far is on the disk: one thread writes, in order."""

    def publish(self, spec: CallSpec, event: CallEvent) -> None:
        """Accepts the event for good. Unavailable when there is no more room to wait for the disk."""
        if event.type is CallEventType.CALL_COVERAGE and self._writer.crowded:
            # Violations matter more than counters when the disk does not keep up.
            self._metrics.events.labels(event.type.value, "shed").inc()
            return
        self.keep(spec, event)

    def keep(self, spec: CallSpec, event: CallEvent) -> Future[Kept]:
        """As `publish`; the future is done when the event is on the disk."""
        seal = self._envelope.sealer(spec, event, ulid())
        try:
            future = self._writer.submit(Entry(event.call_id, time.time(), seal))
        except Unavailable:
            self._metrics.events.labels(event.type.value, "refused").inc()
            logger("guardian.desk").error("an event could not be kept", type=event.type.value)
            raise
        self.newest = future
        self._metrics.events.labels(event.type.value, "accepted").inc()
        future.add_done_callback(lambda done: self._check(event.type, done))
        return future

    def _check(self, kind: CallEventType, done: Future[Kept]) -> None:
        error = done.exception()
        if error is not None:
            self._metrics.events.labels(kind.value, "lost").inc()
            logger("guardian.desk").error("an event was lost", type=kind.value, cause=type(error).__name__)

    @property
    def waiting(self) -> int:
        """Events not yet on the disk."""
        return self._writer.waiting

    @property
    def late(self) -> bool:
        """True when the disk does not keep up, or takes nothing."""
        return self._writer.crowded or self._writer.stalled

    def close(self, timeout_s: float) -> None:
        """Writes what waits."""
        lost = self._writer.close(timeout_s)
        if lost:
            logger("guardian.desk").error("events were lost at the end", count=lost)
