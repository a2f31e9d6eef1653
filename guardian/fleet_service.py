"""A server as a node of a fleet: puts broker, registry, placement, records and its own calls together."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from starlette.types import ASGIApp

from guardian import __version__
from guardian.aftermath import tell_failed
from guardian.core.calls import CallEvent, CallEventType, CallSpec
from guardian.core.dispatch import Answered, Asked
from guardian.core.errors import Unavailable
from guardian.core.lease import lease_clock
from guardian.core.nodes import Node, NodeState
from guardian.core.ports import CallHost
from guardian.event_relay import EventRelay
from guardian.fleet.broker import Again, Broker, BrokerTarget, Session, Terms
from guardian.fleet.call_book import CallBook
from guardian.fleet.placement import Host, Placement
from guardian.fleet.registry import Hooks, Registry
from guardian.fleet.tasks import ended, until_one_ends
from guardian.fleet_dispatch import FleetDispatcher, NodeSlots, refusal
from guardian.fleet_host import FleetHost
from guardian.fleet_sweep import Sweep
from guardian.settings import Settings
from guardian.store.database import Database
from guardian.store.leases import NodeLeases
from guardian.store.outbox import Kept
from guardian.telemetry.fleet import FleetCollector, FleetFigures
from guardian.telemetry.log import logger
from guardian.telemetry.metrics import Metrics
from guardian.web.admission import Register
from guardian.web.forwarding import answer_here

_LEAVE_S = 3.0
_HELD = 10_000
_NOTICE_S = 0.02
_RECORDS_S = 3600.0
"""How much longer than the longest call a record stays after its last change."""
Tell = Callable[[CallSpec, CallEvent], None]


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """node: its name. open_s: how long a call may take to open. token_s: of the tokens of legs."""

    node: str
    target: BrokerTarget
    terms: Terms
    version: str
    open_s: float
    token_s: float


@dataclass(frozen=True, slots=True)
class Around:
    """What a node has besides. ready: whether it takes calls. stopping: whether it ends. rules: of a
    call, packed; waits for a disk. tell: keeps an event. database: where leases are kept besides."""

    register: Register
    ready: Callable[[], bool]
    stopping: Callable[[], bool]
    rules: Callable[[CallSpec], str]
    tell: Tell
    relay: EventRelay
    database: Database
    metrics: Metrics


class FleetService:
    """One node. host: what the application is given; dispatcher: what finds who answers."""

    def __init__(self, config: NodeConfig, calls: CallHost, around: Around) -> None:
        self._config = config
        self._around = around
        self._log = logger("guardian.fleet")
        self._broker = Broker(config.target, config.terms, self._broker_told)
        hooks = Hooks(self._about, self._hold, self._begin_anew, self._buried, self._complete)
        self._registry = Registry(self._broker, config.terms, hooks, NodeLeases(around.database))
        self._book = CallBook(self._broker)
        tell = partial(tell_failed, around.relay.outbox, around.relay.desk)
        self.host = FleetHost(calls, self._book, around.register, self._holder, config.token_s, tell)
        self._sweep = Sweep(self._registry, self._book, tell, config.token_s)
        around.metrics.watch(FleetCollector(self._figures))
        self._slots = NodeSlots(self.host, self._takes)
        self.dispatcher = FleetDispatcher(
            self._broker, self._registry, self._book, self.host, self._slots, around.register,
            self._holder, around.rules, self._here,
        )  # fmt: skip
        place = Host(
            config.node, self._slots.room, self._slots.reserve, self._slots.give_back,
            self.dispatcher.answer_placed, refusal,
        )  # fmt: skip
        self._placement = Placement(self._broker, self._registry, place, config.terms.place_s, config.open_s)
        self.dispatcher.placement = self._placement
        self._app: ASGIApp | None = None
        self._held: deque[tuple[CallSpec, CallEvent]] = deque()
        self._told: Node | None = None

    def use(self, app: ASGIApp) -> None:
        """What answers here, with its gate."""
        self._app = app

    async def run(self) -> None:
        """Is a node of the fleet until cancelled."""
        async with asyncio.TaskGroup() as tasks:

            async def serve(session: Session) -> None:
                await until_one_ends(self._registry.watch(session), self._serve(session, tasks))

            running = [
                tasks.create_task(self._broker.run(serve), name="fleet-broker"),
                tasks.create_task(self._registry.keep(), name="fleet-lease"),
                tasks.create_task(self._registry.look(), name="fleet-look"),
                tasks.create_task(self.host.write(), name="fleet-records"),
                tasks.create_task(self._sweep.run(), name="fleet-sweep"),
                tasks.create_task(self._noticing(), name="fleet-notice"),
            ]
            try:
                await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
            finally:
                await ended(running)

    async def _serve(self, session: Session, tasks: asyncio.TaskGroup) -> None:
        await self.dispatcher.serve(session, tasks)
        await self._placement.serve(session, tasks)
        # The node has begun anew: what it listened to was its former start's.
        raise Again

    async def leave(self) -> None:
        """To be called when no call goes on any more; never raises."""
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await self.host.flush()
                await self._registry.leave()

    def trouble(self) -> str | None:
        """Why no calls can be placed, in a sentence."""
        try:
            _ = self._broker.session
        except Unavailable as error:
            return str(error)
        return None if self._registry.joined else "This node is joining its fleet."

    def hear(self, event: CallEvent) -> None:
        """Something happened to a call of this node and was told: its record may have to say so."""
        if event.type is not CallEventType.CALL_LEFT:
            return
        kept, loop = self._around.relay.desk.newest, asyncio.get_running_loop()
        if kept is None or event.data.get("reason") != "failed":
            self.host.mark(event.call_id)
            return

        def told(_: Future[Kept]) -> None:
            # A loop that has ended has no node any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self.host.told, event.call_id)

        self.host.telling(event.call_id)
        kept.add_done_callback(told)

    def holds_back(self, spec: CallSpec, event: CallEvent) -> bool:
        """Whether an event waits for the lease, which is over: others may have the call by now."""
        if not self._registry.joined or self.host.leased:
            return False
        if len(self._held) >= _HELD:
            self._log.error("an event was lost", type=event.type.value, cause="the lease is over for long")
            return True
        self._held.append((spec, event))
        return True

    # --- what the node is ---------------------------------------------------------------------

    def _holder(self) -> tuple[str, str]:
        return self._config.node, self._registry.incarnation

    def _takes(self) -> bool:
        return self.host.leased and self._around.ready()

    def _about(self) -> Node:
        taken, slots = self.host.capacity()
        if self._around.stopping():
            state = NodeState.DRAINING
        else:
            state = NodeState.READY if self._around.ready() else NodeState.UNREADY
        name, incarnation = self._holder()
        return Node(name, incarnation, state, slots, min(taken, slots), self._config.version)

    def _figures(self) -> FleetFigures:
        return FleetFigures(
            lease_s=max(0.0, min(self.host.until - lease_clock(), self._config.terms.lease_s)),
            connected=self._broker.there,
            nodes=Counter(node.state.value for node in self._registry.sightings.nodes()),
            placements=dict(self._placement.outcomes),
            taken_again=self.host.taken_again,
            fenced=self._registry.fenced,
        )

    async def _noticing(self) -> None:
        """What has changed of this node is told at once, as others wait for a slot."""
        while True:
            about = self._about()
            if about != self._told:
                self._told = about
                self._registry.poke()
            await asyncio.sleep(_NOTICE_S)

    def _hold(self, until: float) -> None:
        self.host.extend(until)
        while self._held:
            try:
                self._around.tell(*self._held[0])
            except Unavailable:
                # The desk has alarmed; the next renewal comes soon.
                return
            self._held.popleft()

    async def _begin_anew(self) -> None:
        self._log.error(
            "this node lost its lease: its calls are others' now, and end here", node=self._config.node
        )
        self._held.clear()
        await self.host.abandon()
        self._held.clear()

    def _broker_told(self, there: bool) -> None:
        if there:
            self._registry.poke()
            self.host.mark_all()
            self._log.info("the broker of the fleet is there", node=self._config.node)
        else:
            self._log.warning("the broker of the fleet cannot be reached", node=self._config.node)

    def _complete(self) -> None:
        self._sweep.poke()

    async def _here(self, asked: Asked) -> Answered:
        assert self._app is not None
        return await answer_here(self._app, asked)

    def _buried(self, node: Node) -> None:
        if node.state is NodeState.LOST and node.name != self._config.node:
            self._log.warning("a node of the fleet was lost", node=node.name)
        self._sweep.poke()


def fleet_service(settings: Settings, calls: CallHost, around: Around) -> FleetService:
    """The node that the settings describe. ConfigError when a secret cannot be read."""
    fleet, limits = settings.fleet, settings.limits
    terms = Terms(fleet.lease_s, fleet.renew_s, fleet.place_s, limits.max_call_s + _RECORDS_S)
    open_s = limits.start_s + limits.answer_s
    config = NodeConfig(fleet.node_name, fleet.target(), terms, __version__, open_s, limits.token_s)
    return FleetService(config, calls, around)
