"""Puts together what lies between a call's events and those who are told: desk, outbox, pump and sinks."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence

from guardian.case_keeper import CaseKeeper
from guardian.core.clock import SteadyClock
from guardian.core.errors import StoreFault, Unavailable
from guardian.core.ports import Sink
from guardian.desk import Desk, Surroundings
from guardian.event_desk import StoreEvents
from guardian.events.delivery import Schedule
from guardian.events.envelope import Envelope, Issuer
from guardian.events.jetstream import JetStreamSink, JetStreamTarget
from guardian.events.pump import Pace, Pump
from guardian.events.sinks import FileSink, WebhookSink, WebhookTarget
from guardian.setting_tables import SecretSource
from guardian.setting_tables_events import NatsSettings, WebhookSettings
from guardian.settings import Settings
from guardian.store.database import Database
from guardian.store.outbox import Outbox
from guardian.telemetry.log import logger
from guardian.telemetry.metrics import Metrics
from guardian.tenure import Tenure

WATCH_EVERY_S = 5.0
_CLEAN_EVERY_S = 3600.0
_CLOSE_S = 2.0


class EventRelay:
    """One server's events, from the call that raises one to whoever is told."""

    def __init__(self, settings: Settings, database: Database, metrics: Metrics, issuer: Issuer) -> None:
        self._settings = settings
        self._database = database
        self._metrics = metrics
        self._log = logger("guardian.events")
        self._loop = asyncio.get_running_loop()
        self._now = SteadyClock()
        self._full: str | None = None
        self.sinks = _sinks(settings)
        routes = settings.events.routes
        self.outbox = Outbox(database, routes)
        self.events = StoreEvents(database, routes, self._now)
        self.events.wake = self._wake
        self._delivers = False
        self._pump: Pump | None = None
        cases = CaseKeeper(settings.review.read(), settings.retention.read(), self._now)
        around = Surroundings(
            metrics, self._wake, self._now, lambda: self._full is not None, beside=cases.beside
        )
        self.desk = Desk(self.outbox, Envelope(issuer), around)

    async def deliver(self, tenure: Tenure) -> None:
        """Delivers what all servers of the store have kept, and cleans up, until cancelled."""
        self._delivers = True
        try:
            while True:
                # Without it, waits that the clock was set back under would last.
                if await self._lives(self._resume):
                    break
                await asyncio.sleep(WATCH_EVERY_S)
            await self._pumped(tenure)
        finally:
            self._delivers = False

    async def _pumped(self, tenure: Tenure) -> None:
        schedule = Schedule(self._settings.events.retry_s)
        pump = Pump(
            self.outbox, self.sinks, self._told, Pace(self._now, schedule, tenure.look_s, tenure.leads)
        )
        self._pump = pump
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(pump.run(), name="pump")
                tasks.create_task(self._clean(), name="store-clean")
        finally:
            self._pump = None

    async def drain(self, until: float) -> None:
        """Gives what can leave at once the time to leave, until `until` (monotonic seconds).

        What another server delivers has left once it is on the disk.
        """
        newest = self.desk.newest
        if newest is not None:
            # What is being written waits no more, and is not yet to be seen.
            await asyncio.wait([asyncio.wrap_future(newest)], timeout=max(0.0, until - time.monotonic()))
        while time.monotonic() < until:
            pump = self._pump
            if not self._delivers and not self.desk.waiting:
                return
            try:
                looks = [
                    await asyncio.to_thread(self.outbox.look, sink.name, self._now(), 1)
                    for sink in self.sinks
                ]
            except Unavailable:
                return
            if not self.desk.waiting and pump is not None and pump.idle and not any(x.due for x in looks):
                return
            await asyncio.sleep(0.05)

    async def close_sinks(self) -> None:
        """Ends connections; nothing is delivered after that."""
        for sink in self.sinks:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await sink.close()

    def trouble(self) -> str | None:
        """Why no more events can be expected to be kept, in a sentence; None when all is well."""
        return self.desk.late or self._full

    def pending(self) -> Mapping[tuple[str, str], int]:
        """(sink, state) -> count of deliveries; empty when the store cannot be read."""
        try:
            return self.outbox.pending()
        except Unavailable:
            # The other metrics are wanted most when the disk is gone.
            return {}

    def _wake(self) -> None:
        # Comes from other threads, also while the loop is being closed.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake_pump)

    def _wake_pump(self) -> None:
        if self._pump is not None:
            self._pump.wake()

    def _told(self, sink: str, outcome: str) -> None:
        self._metrics.deliveries.labels(sink, outcome).inc()
        if outcome == "disabled":
            self._log.error("an endpoint wants no more events and is disabled until it is enabled", sink=sink)
        elif outcome != "delivered":
            self._log.warning("an event was not delivered", sink=sink, outcome=outcome)

    async def watch(self) -> None:
        """Measures the store until cancelled; says when it has hardly any room left, and when it has again.

        Unavailable when another server has it meanwhile: both would deliver every event.
        """
        while True:
            before = self._full
            if await self._lives(self._database.stay_alone) is False:
                raise Unavailable("Another Guardian took the store while it could not be reached; end one.")
            await self._lives(self._measure)
            if (self._full is None) != (before is None):
                tell = self._log.error if self._full else self._log.info
                tell("the store is short of room" if self._full else "the store has room again")
            await asyncio.sleep(WATCH_EVERY_S)

    def _measure(self) -> None:
        """Sets the metrics, and the sentence when no more should come in."""
        self._database.checkpoint()
        size, limits = self._database.size(), self._settings.store
        self._metrics.store_bytes.set(size)
        oldest, now = self.outbox.oldest(), self._now()
        for sink in self.sinks:
            waited = now - oldest.get(sink.name, now)
            self._metrics.outbox_oldest.labels(sink.name).set(max(0.0, waited))
        for state in self.events.endpoints(None):
            self._metrics.endpoint_disabled.labels(state.name).set(state.disabled_at is not None)
        full = None
        if size > limits.max_bytes:
            full = (
                f"The store has {size >> 20} MB, more than `store.max_bytes`: an endpoint does not take its "
                "events; see GET /v1/events/endpoints."
            )
        elif self._database.embedded:
            free = shutil.disk_usage(self._settings.data_path).free
            if free < limits.min_free_bytes:
                full = f"The disk of the store has {free >> 20} MB left; free some space on it."
        self._metrics.store_full.set(full is not None)
        self._full = full

    async def _clean(self) -> None:
        while True:
            while await self._lives(self._end):
                pass
            while await self._lives(self._forget):
                pass
            await asyncio.sleep(_CLEAN_EVERY_S)

    def _resume(self) -> bool:
        self.outbox.resume(self._now())
        return True

    def _end(self) -> int:
        return self.events.end(self._now() - self._settings.events.dead_keep_s)

    def _forget(self) -> int:
        return self.outbox.forget(self._now() - self._settings.events.keep_s)

    async def _lives(self, work: Callable[[], object]) -> object:
        """Does work that waits for the store; None when it failed: one odd row must not end the server."""
        try:
            return await asyncio.to_thread(work)
        except Exception as error:  # noqa: BLE001 - whatever the store raises: the next look goes on
            if isinstance(error, StoreFault) or not isinstance(error, Unavailable | OSError):
                self._log.error("the store was of no use", error=type(error).__name__)
            return None


def _sinks(settings: Settings) -> Sequence[Sink]:
    events = settings.events
    file = [FileSink(settings.events_path)] if settings.events_path is not None else []
    return [
        *file,
        *(WebhookSink(_webhook(hook)) for hook in events.webhooks),
        *(JetStreamSink(_stream(one)) for one in events.nats),
    ]


def _webhook(hook: WebhookSettings) -> WebhookTarget:
    secrets = [_read(source) for source in (hook.secret, hook.previous_secret) if source is not None]
    return WebhookTarget(hook.name, hook.url, secrets, hook.allow_private)


def _stream(one: NatsSettings) -> JetStreamTarget:
    return JetStreamTarget(
        name=one.name,
        url=one.url,
        subject=one.subject,
        stream=one.stream,
        dedupe_s=one.dedupe_s,
        username=one.username,
        password=_read(one.password),
        token=_read(one.token),
        allow_private=one.allow_private,
    )


def _read(source: SecretSource | None) -> str:
    return source.read().get_secret_value() if source is not None else ""
