"""Puts `guardian serve` together and runs it: one process, one task group, one way out."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import uvicorn

from guardian import __version__
from guardian.aftermath import settle
from guardian.core.calls import CallEvent, CallSpec
from guardian.core.config import IceServer, WorkConfig
from guardian.core.errors import ConfigError, GuardianError, NoSuchCall, Unavailable
from guardian.core.ports import CallHost, Sink
from guardian.core.turn import with_credentials
from guardian.desk import Desk
from guardian.events.envelope import Envelope, Issuer
from guardian.events.pump import Pump
from guardian.events.sinks import FileSink, WebhookSink, WebhookTarget
from guardian.resources import resource, rules_folder
from guardian.rule_desk import ServerRules, Surroundings
from guardian.rule_keeper import RuleKeeper
from guardian.rule_watch import RuleWatch
from guardian.setting_tables import WebhookSettings
from guardian.settings import Settings
from guardian.store.lock import DataLock
from guardian.store.outbox import Outbox
from guardian.telemetry import log
from guardian.telemetry.lag import watch_loop
from guardian.telemetry.metrics import CallCollector, Metrics
from guardian.web.admission import Register
from guardian.web.app import create_app
from guardian.web.keyfile import KeyFile
from guardian.web.parts import DemoPage, Parts, WebConfig
from guardian.web.protocol import PlainProtocol

Publish = Callable[[CallSpec, CallEvent], None]
HostMaker = Callable[[WorkConfig, Publish], AbstractAsyncContextManager[CallHost]]
Ready = Callable[[str], None]

_DRAIN_S = 3.0
_CLEAN_EVERY_S = 3600.0


def run(settings: Settings, ready: Ready, make_host: HostMaker | None = None) -> None:
    """Serves until SIGTERM or SIGINT; returns when everything has ended.

    ready: hears the base url once requests are taken. GuardianError: a port, key or folder is not to be had.
    """
    log.configure()
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_main(settings, ready, make_host or _supervisor))


async def _main(settings: Settings, ready: Ready, make_host: HostMaker) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Only the main thread hears signals; a server in another thread is ended by its task.
        with contextlib.suppress(ValueError, RuntimeError):
            loop.add_signal_handler(number, stop.set)
    async with serving(settings, make_host) as url:
        ready(url)
        await stop.wait()


@asynccontextmanager
async def serving(settings: Settings, make_host: HostMaker) -> AsyncIterator[str]:
    """The server as a context: the base url inside, everything ended after it."""
    keys = KeyFile(settings.api_keys_path)
    if not settings.server.loopback and keys.keyless():
        raise ConfigError(
            f"Without API keys Guardian listens on this machine only, not on {settings.server.host}: "
            "make a key with `guardian keys init`, or use --host 127.0.0.1."
        )
    listener = _listen(settings.server.host, settings.server.port)
    with contextlib.ExitStack() as undo:
        undo.callback(listener.close)
        server = _Server(settings, keys, listener)
        undo.callback(server.close)
        try:
            async with server.running(make_host) as url:
                yield url
        except ExceptionGroup as group:
            raise _plain(group) from group


class _Server:
    """Everything one server is made of."""

    def __init__(self, settings: Settings, keys: KeyFile, listener: socket.socket) -> None:
        self.settings = settings
        self.keys = keys
        self.listener = listener
        self.log = log.logger("guardian.server")
        self.metrics = Metrics()
        self.register = Register()
        self.work = settings.work_config()
        self.keeper = RuleKeeper(rules_folder(self.work.speech.rules_dir))
        self.sinks = _sinks(settings)
        data = Path(settings.data_dir).expanduser()
        self.lock = DataLock(data)
        self.outbox = Outbox(data / "guardian.db", [sink.name for sink in self.sinks])
        issuer = Issuer(
            settings.server.region, settings.server.event_type_prefix, __version__, socket.gethostname()
        )
        self.loop = asyncio.get_running_loop()
        self.pump = Pump(self.outbox, self.sinks, self._told)
        self.desk = Desk(self.outbox, Envelope(issuer), self.metrics, self._kept)
        self.rules = RuleWatch(self.keeper, self._live, self.metrics)
        self.host: CallHost | None = None
        self.calls: CallCollector | None = None
        self.stopping = False
        self.stop_by = float("inf")

    def close(self) -> None:
        """Writes what waits and gives the store back."""
        self.desk.close(2.0)
        self.outbox.close()
        self.lock.close()

    @asynccontextmanager
    async def running(self, make_host: HostMaker) -> AsyncIterator[str]:
        """Serves while inside; leaving stops accepting, ends the calls and lets events leave."""
        unfinished = await asyncio.to_thread(settle, self.outbox, self.desk)
        if unfinished:
            self.log.warning("calls of the last run had not ended; they are told as failed", calls=unfinished)
        async with asyncio.TaskGroup() as tasks:
            side = [
                tasks.create_task(self.pump.run(), name="pump"),
                tasks.create_task(watch_loop(self.metrics), name="loop-lag"),
                tasks.create_task(self._clean(), name="clean"),
            ]
            try:
                async with make_host(self.work, self.publish) as host:
                    self.host = host
                    side.append(tasks.create_task(self.rules.run(host), name="rules"))
                    web = self._web(host)
                    serving = tasks.create_task(web.serve(sockets=[self.listener]), name="http")
                    try:
                        async with asyncio.timeout(10):
                            await web.up.wait()
                        url = self._url()
                        self.log.info("listening", url=url)
                        yield url
                    finally:
                        self.stopping = True
                        self.stop_by = time.monotonic() + self.settings.server.stop_s
                        web.should_exit = True
                        self.log.info("stopping", calls=len(self.register.live()))
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(4):
                                await asyncio.shield(serving)
                        serving.cancel()
                await self._drain()
            finally:
                for task in side:
                    task.cancel()
                for sink in self.sinks:
                    if isinstance(sink, WebhookSink):
                        await sink.close()

    def publish(self, spec: CallSpec, event: CallEvent) -> None:
        """The desk the host knows; the register learns of calls that have ended."""
        try:
            last = dict(self.host.status(event.call_id)) if self.host is not None else {}
        except NoSuchCall:
            last = {}
        known = self.register.any_tenant(event.call_id)
        if self.register.hear(event, last) and self.calls is not None:
            self.calls.retire(last)
        # Mode and consent may have changed since the host was given its copy.
        self.desk.publish(known.spec if known is not None else spec, event)

    def _web(self, host: CallHost) -> _Web:
        self.calls = CallCollector(self._statuses, host.capacity, self._pending)
        self.metrics.watch(self.calls)
        parts = Parts(
            config=self._web_config(),
            host=host,
            register=self.register,
            keys=self.keys,
            publish=self.desk.keep,
            newest=lambda: self.desk.newest,
            ready=self._ready,
            events_of=lambda call_id, after: [k.body for k in self.outbox.of_call(call_id, after, 200)],
            metrics=self.metrics.render,
            ice_servers=self._ice_servers,
            count=lambda method, status: self.metrics.requests.labels(method, str(status)).inc(),
            rules=ServerRules(
                self.keeper, Surroundings(resource("configs", "rules"), self._tenants, self._rules_changed)
            ),
        )
        config = uvicorn.Config(
            create_app(parts),
            http=PlainProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
            timeout_keep_alive=10,
        )
        return _Web(config)

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
            token_s=self.settings.limits.token_s,
            default_mode=self.settings.default_mode,
            sfu_origins=self.work.media.sfu_origins,
            demo=DemoPage(sample) if demo else None,
        )

    def _ice_servers(self) -> Sequence[IceServer]:
        work = self.work
        return with_credentials(work.media, work.limits, time.time(), secrets.token_hex(8)).ice_servers

    def _tenants(self) -> frozenset[str]:
        return frozenset(key.tenant for key in self.keys.all() if key.revoked_at is None)

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

    def _pending(self) -> Mapping[tuple[str, str], int]:
        try:
            return self.outbox.pending()
        except Unavailable:
            # The other metrics are wanted most when the disk is gone.
            return {}

    def _ready(self) -> str | None:
        if self.stopping:
            return "Guardian is stopping."
        return "The event store does not keep up." if self.desk.late else None

    def _url(self) -> str:
        host, port = self.listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def _kept(self) -> None:
        # Comes from the writer's thread, also while the loop is being closed.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.pump.wake)

    def _told(self, sink: str, outcome: str) -> None:
        self.metrics.deliveries.labels(sink, outcome).inc()
        if outcome != "delivered":
            self.log.warning("an event was not delivered", sink=sink, outcome=outcome)

    async def _drain(self) -> None:
        """Gives what can leave at once the time to leave; the rest goes out after the next start."""
        until = min(self.stop_by, time.monotonic() + _DRAIN_S)
        while time.monotonic() < until:
            try:
                due = [await asyncio.to_thread(self.outbox.due, s.name, time.time(), 1) for s in self.sinks]
            except Unavailable:
                return
            if not self.desk.waiting and not any(due):
                return
            await asyncio.sleep(0.05)

    async def _clean(self) -> None:
        while True:
            with contextlib.suppress(Unavailable):
                before = time.time() - self.settings.events.keep_s
                while await asyncio.to_thread(self.outbox.forget, before):
                    pass
            await asyncio.sleep(_CLEAN_EVERY_S)


class _Web(uvicorn.Server):
    """Leaves signals to `_main`; says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Sets `up` once requests are taken."""
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket. Unavailable in one sentence when the address is not to be had."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = sorted(found, key=lambda f: f[0] != socket.AF_INET)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"The address {host} is not one of this machine; choose another --host.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        if isinstance(error, PermissionError):
            raise Unavailable(f"Port {port} needs rights this user lacks; choose one above 1023.") from error
        raise Unavailable(
            f"Port {port} on {host} is in use; end the other program or choose another --port."
        ) from error
    return listener


def _sinks(settings: Settings) -> Sequence[Sink]:
    sinks: list[Sink] = []
    if settings.events_path is not None:
        sinks.append(FileSink(settings.events_path))
    sinks.extend(WebhookSink(_target(hook)) for hook in settings.events.webhooks)
    return sinks


def _target(hook: WebhookSettings) -> WebhookTarget:
    sources = [hook.secret, *([hook.previous_secret] if hook.previous_secret else [])]
    secrets = [source.read().get_secret_value() for source in sources]
    return WebhookTarget(hook.name, hook.url, secrets, hook.allow_private)


@asynccontextmanager
async def _supervisor(work: WorkConfig, publish: Publish) -> AsyncIterator[CallHost]:
    from guardian.fleet.supervisor import Supervisor

    async with Supervisor(work, publish) as host:
        yield host


def _plain(group: ExceptionGroup[Exception]) -> Exception:
    """The error with a sentence inside a group, else the group."""
    for error in group.exceptions:
        inner = _plain(error) if isinstance(error, ExceptionGroup) else error
        if isinstance(inner, GuardianError):
            return inner
    return group
