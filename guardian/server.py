"""Puts `guardian serve` together and runs it: one process, one task group, one way out."""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

from starlette.types import ASGIApp

from guardian import __version__
from guardian.aftermath import settle
from guardian.arenas import keep_arenas
from guardian.audit_desk import ServerAudit
from guardian.capacity import capacity
from guardian.core.calls import CallEvent, CallEventType, CallSpec
from guardian.core.capacity import FULL, Slots
from guardian.core.config import IceServer, WorkConfig
from guardian.core.errors import ConfigError, NoSuchCall
from guardian.core.ports import CallHost
from guardian.core.readiness import Readiness, Status
from guardian.core.turn import with_credentials
from guardian.departure import Departure
from guardian.ending import Ending
from guardian.event_relay import EventRelay
from guardian.events.envelope import Issuer
from guardian.evidence_service import EvidenceService
from guardian.fleet_service import Around, FleetService, fleet_service
from guardian.listening import Door, answering, listen, plain, url_of
from guardian.people_service import PeopleService
from guardian.resources import resource, rules_folder
from guardian.review_service import ReviewService
from guardian.review_work import ReviewParts
from guardian.rule_desk import ServerRules, Surroundings
from guardian.rule_history import RuleHistory
from guardian.rule_keeper import RuleKeeper
from guardian.rule_watch import RuleWatch
from guardian.settings import Settings
from guardian.store.audit import AuditLog
from guardian.store.audit_views import TenantAudit
from guardian.store.database import Database
from guardian.store.lock import DataLock
from guardian.store.upgrade import open_store
from guardian.telemetry import log
from guardian.telemetry.call_lines import told_as_over
from guardian.telemetry.calls import CallCollector
from guardian.telemetry.lag import watch_loop
from guardian.telemetry.metrics import Metrics
from guardian.telemetry.processes import ProcessCollector, Processes
from guardian.tenure import Tenure, alone, elected
from guardian.web.admission import Register
from guardian.web.app import create_app
from guardian.web.keyfile import KeyFile
from guardian.web.parts import DemoPage, Parts, WebConfig

Publish = Callable[[CallSpec, CallEvent], None]
HostMaker = Callable[[WorkConfig, Publish], AbstractAsyncContextManager[CallHost]]
Ready = Callable[[str], None]

_VOICE = Path(__file__).parent / "demo" / "clips" / "merchant_solicitation.ogg"
_DRAIN_S = 3.0
_LOOK_S = 0.2
_DRAINING = "draining"
_RETRY_MOST_S = 30
_LEFT_S = 3.0
"""Everything has ended: how long threads may still wait for a disk."""


def run(settings: Settings, ready: Ready, make_host: HostMaker | None = None) -> None:
    """Serves until SIGTERM or SIGINT; returns when everything has ended. The process ends soon after that.

    ready: hears the base url once requests are taken. GuardianError: a port, key or folder is not to be had.
    """
    log.configure()
    # Threads of the store, of passwords and of files would keep a pool each.
    keep_arenas(1)
    ending = Ending()
    try:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(_main(settings, ready, make_host, ending))
        ending.code = 0
    finally:
        ending.within(_LEFT_S)


async def _main(settings: Settings, ready: Ready, make_host: HostMaker | None, ending: Ending) -> None:
    departure = Departure(settings.server.drain_s, settings.server.stop_s, ending)
    loop = asyncio.get_running_loop()
    # Whoever sits at a terminal wants it to end; whoever sends SIGTERM has calls to think of.
    for number, told in ((signal.SIGTERM, departure.gently), (signal.SIGINT, departure.at_once)):
        # Only the main thread hears signals; a server in another thread is ended by its task.
        with contextlib.suppress(ValueError, RuntimeError):
            loop.add_signal_handler(number, told)
    async with serving(settings, make_host, departure) as url:
        ready(url)
        try:
            await departure.asked.wait()
        except BaseException:
            departure.at_once()
            raise


@asynccontextmanager
async def serving(
    settings: Settings, make_host: HostMaker | None = None, departure: Departure | None = None
) -> AsyncIterator[str]:
    """The server as a context: the base url inside, everything ended after it.

    make_host: None: calls have processes of their own. departure: how the end is told; None: by leaving.
    """
    keys = KeyFile(settings.api_keys_path)
    if not settings.server.loopback and keys.keyless():
        raise ConfigError(
            f"Without API keys Guardian listens on this machine only, not on {settings.server.host}: "
            "make a key with `guardian keys init`, or use --host 127.0.0.1."
        )
    settings.fleet.check(settings.store.url, not keys.all())
    listener = listen(settings.server.host, settings.server.port)
    with contextlib.ExitStack() as undo:
        undo.callback(listener.close)
        lock = DataLock(settings.data_path)
        undo.callback(lock.close)
        departure = departure or Departure(0.0, settings.server.stop_s, Ending())
        try:
            async with answering(listener, settings.server.trusted_proxies) as door:
                # A store that is brought up to date, or is far away, takes its time.
                database = await asyncio.to_thread(open_store, settings.store_config())
                undo.callback(database.close)
                share = elected if settings.fleet.url else alone
                tenure = undo.enter_context(share(database))
                server = _Server(settings, keys, listener, database)
                undo.callback(server.close)
                host = make_host or server.processes
                async with server.running(host, departure, door, tenure) as url:
                    yield url
        except ExceptionGroup as group:
            raise plain(group) from group


class _Server:
    """Everything one server is made of."""

    def __init__(
        self, settings: Settings, keys: KeyFile, listener: socket.socket, database: Database
    ) -> None:
        self.settings = settings
        self.keys = keys
        self.listener = listener
        self.database = database
        self.log = log.logger("guardian.server")
        self.metrics = Metrics()
        self.metrics.build.labels(__version__).set(1)
        self.metrics.budget.set(settings.media.budget_ms / 1000)
        self.register = Register()
        issuer = Issuer(
            settings.server.region,
            settings.server.event_type_prefix,
            __version__,
            socket.gethostname(),
            settings.fingerprint(),
            settings.events.schemas_url,
        )
        self.relay = EventRelay(settings, database, self.metrics, issuer)
        self.desk = self.relay.desk
        self.evidence = EvidenceService(settings, database, self.metrics, self.desk.keep)
        self.people = PeopleService(settings, database, self.metrics) if settings.console.enabled else None
        views = TenantAudit(database)
        self.audit = ServerAudit(views)
        found = capacity(settings)
        self.slots = Slots(found.budget, time.monotonic)
        self.work = self.evidence.equipped(settings.work_config())
        self.keeper = RuleKeeper(rules_folder(self.work.speech.rules_dir))
        self.rules = RuleWatch(self.keeper, self._live, self.metrics)
        history = RuleHistory(AuditLog(database), views, self.evidence.linked)
        around = Surroundings(resource("configs", "rules"), self._tenants, self._rules_changed, history)
        self.rule_desk = ServerRules(self.keeper, around)
        self.review = ReviewService(
            ReviewParts(
                database=database,
                tell=self.desk.keep,
                clips=self.evidence.desk,
                rule_of=self.rule_desk.rule,
                terms=settings.review.read(),
                retention=settings.retention.read(),
                now=self.evidence.now,
                linked=self.evidence.linked,
            )
        )
        self.host: CallHost | None = None
        self.fleet: FleetService | None = None
        self.calls: CallCollector | None = None
        self.departure: Departure | None = None
        self.stopping = False
        self.stop_by = float("inf")

    def close(self) -> None:
        """Writes what waits."""
        if self.people is not None:
            self.people.close()
        self.desk.close(2.0)

    @asynccontextmanager
    async def running(
        self, make_host: HostMaker, departure: Departure, door: Door, tenure: Tenure
    ) -> AsyncIterator[str]:
        """Serves while inside; leaving stops accepting, ends the calls and lets events leave."""
        self.departure = departure
        if not tenure.shared:
            await self._settle()
        await self.evidence.start(tenure)
        async with asyncio.TaskGroup() as tasks:
            side = [
                tasks.create_task(self.relay.watch(), name="store-watch"),
                tasks.create_task(tenure.run(partial(self.relay.deliver, tenure)), name="events"),
                tasks.create_task(watch_loop(self.metrics), name="loop-lag"),
                tasks.create_task(self.evidence.run(tenure), name="evidence"),
                tasks.create_task(self.review.run(tenure), name="review"),
            ]
            try:
                async with make_host(self.work, self.publish) as host:
                    self.host = host
                    side.append(await self.rules.begin(host, tasks))
                    if self.settings.fleet.url:
                        self.fleet = fleet_service(self.settings, host, self._around_fleet())
                    door.app = self._app(host)
                    if self.fleet is not None:
                        self.fleet.use(door.app)
                        side.append(tasks.create_task(self.fleet.run(), name="fleet"))
                    try:
                        url = url_of(self.listener)
                        self.log.info("listening", url=url, slots=host.capacity()[1])
                        yield url
                    finally:
                        await self._drain(host, departure)
                        self.stopping = True
                        self.log.info("stopping", calls=len(self.register.live()))
                        await door.shut()
                if self.fleet is not None:
                    await self.fleet.leave()
                await self.relay.drain(min(self.stop_by, time.monotonic() + _DRAIN_S))
            finally:
                for task in side:
                    task.cancel()
                await self.relay.close_sinks()

    @asynccontextmanager
    async def processes(self, work: WorkConfig, publish: Publish) -> AsyncIterator[CallHost]:
        """Calls in processes of their own, on as many slots as this machine carries."""
        from guardian.fleet.supervisor import Supervisor

        async with Supervisor(work, publish, slots=self.slots) as host:
            yield host

    async def _drain(self, host: CallHost, departure: Departure) -> None:
        """Calls go on, and are answered to, for the time they are given; then they are ended."""
        if departure.left_s:
            self.log.info("draining", calls=len(self.register.live()), seconds=round(departure.left_s, 1))
        while departure.left_s and self.register.live():
            await departure.pause(min(_LOOK_S, departure.left_s))
        self.stop_by = time.monotonic() + self.settings.server.stop_s
        if departure.asked.is_set() and not departure.hurried.is_set():
            async with asyncio.TaskGroup() as tasks:
                for call_id in self.register.live():
                    tasks.create_task(host.hang_up(call_id, None, _DRAINING), name="drain")

    async def _settle(self) -> None:
        unfinished = await asyncio.to_thread(settle, self.relay.outbox, self.desk)
        if unfinished:
            self.log.warning("calls of the last run had not ended; they are told as failed", calls=unfinished)

    def publish(self, spec: CallSpec, event: CallEvent) -> None:
        """The desk the host knows; the register learns of calls that have ended."""
        if self.fleet is not None and self.fleet.holds_back(spec, event):
            return
        try:
            last = dict(self.host.status(event.call_id)) if self.host is not None else {}
        except NoSuchCall:
            last = {}
        known = self.register.any_tenant(event.call_id)
        if self.register.hear(event, last):
            reason = str(event.data.get("reason"))
            told_as_over(spec, reason, last)
            if self.calls is not None:
                self.calls.retire(last, reason)
        # Mode and consent may have changed since the host was given its copy.
        spec = known.spec if known is not None else spec
        if event.type is CallEventType.EVIDENCE_READY:
            self.evidence.take(spec, event)
        else:
            self.evidence.hear(event)
            self.desk.publish(spec, event)
        if self.fleet is not None:
            self.fleet.hear(event)

    def _app(self, host: CallHost) -> ASGIApp:
        self.calls = CallCollector(self._statuses, host.capacity, self._own, self.relay.pending)
        self.metrics.watch(self.calls)
        if isinstance(host, Processes):
            self.metrics.watch(ProcessCollector(host))
        parts = Parts(
            config=self._web_config(),
            host=self.fleet.host if self.fleet is not None else host,
            register=self.register,
            keys=self.keys,
            publish=self.desk.keep,
            newest=lambda: self.desk.newest,
            ready=self._ready,
            stopping=lambda: self.stopping,
            events_of=lambda call_id, after: [k.body for k in self.relay.outbox.of_call(call_id, after, 200)],
            metrics=self.metrics.render,
            ice_servers=self._ice_servers,
            count=lambda method, status: self.metrics.requests.labels(method, str(status)).inc(),
            events=self.relay.events,
            evidence=self.evidence.desk,
            audit=self.audit,
            console=self.people.console if self.people is not None else None,
            review=self.review.desk,
            appeals=self.review.appeals,
            rules=self.rule_desk,
            dispatcher=self.fleet.dispatcher if self.fleet is not None else None,
        )
        return create_app(parts)

    def _web_config(self) -> WebConfig:
        server = self.settings.server
        sample = Path(server.demo_sample).expanduser() if server.demo_sample else None
        demo = server.demo_page and server.loopback and self.keys.keyless()
        return WebConfig(
            version=__version__,
            public_url=server.public_url,
            allowed_origins=server.allowed_origins,
            max_body_bytes=server.max_body_bytes,
            body_timeout_s=server.body_timeout_s,
            requests_per_s=server.requests_per_s,
            requests_burst=server.requests_burst,
            client_calls=self.settings.limits.client_calls,
            client_calls_per_min=self.settings.limits.client_calls_per_min,
            token_s=self.settings.limits.token_s,
            default_mode=self.settings.default_mode,
            sfu_origins=self.work.media.sfu_origins,
            demo=DemoPage(_VOICE, sample) if demo else None,
        )

    def _ice_servers(self) -> Sequence[IceServer]:
        work = self.work
        return with_credentials(work.media, work.limits, time.time(), secrets.token_hex(8)).ice_servers

    def _tenants(self) -> frozenset[str]:
        return frozenset(key.tenant for key in self.keys.known() if key.revoked_at is None)

    def _rules_changed(self, tenant: str, file: str) -> None:
        self.log.info("a rule file was changed by the API", tenant=tenant, file=file)
        self.metrics.rule_edits.labels("taken").inc()
        self.rules.wake()

    def _live(self) -> Iterator[CallSpec]:
        for call_id in self.register.live():
            call = self.register.any_tenant(call_id)
            if call is not None:
                yield call.spec

    def _statuses(self) -> Iterator[dict[str, object]]:
        for call_id in self.register.live():
            if self.host is not None:
                with contextlib.suppress(NoSuchCall):
                    yield dict(self.host.status(call_id))

    def _around_fleet(self) -> Around:
        draining = Status.DRAINING
        return Around(
            self.register, lambda: self._own().able, lambda: self._own().status is draining,
            self.rule_desk.packed, self.publish, self.relay, self.database, self.metrics,
        )  # fmt: skip

    def _ready(self) -> Readiness:
        own = self._own()
        trouble = self.fleet.trouble() if self.fleet is not None else None
        return Readiness(Status.FAILING, trouble) if own.able and trouble is not None else own

    def _own(self) -> Readiness:
        departure = self.departure
        if departure is not None and (self.stopping or departure.asked.is_set()):
            wait_s = max(1, min(_RETRY_MOST_S, math.ceil(departure.left_s)))
            return Readiness(Status.DRAINING, "Guardian is stopping; use another instance.", wait_s)
        trouble = self.relay.trouble() or (self.host.trouble() if self.host is not None else None)
        if trouble is not None:
            return Readiness(Status.FAILING, trouble)
        if self.host is not None:
            taken, slots = self.host.capacity()
            if taken >= slots:
                return Readiness(Status.FULL, FULL, self.slots.retry_after())
        return Readiness(Status.READY)
