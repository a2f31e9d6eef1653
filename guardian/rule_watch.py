"""Notices edits of the rules and hands them to running calls, so that they hold within seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from guardian.core.calls import CallSpec
from guardian.core.errors import NoSuchCall
from guardian.core.ports import CallHost
from guardian.core.rulebook import label_of
from guardian.rule_keeper import Caller, Edit, RuleKeeper, caller_of
from guardian.telemetry.log import logger
from guardian.telemetry.metrics import Metrics

LOOK_EVERY_S = 1.0
AGAIN_S = 10.0
"""A call that does not say that it has taken its rules is given them again after this long."""


@dataclass(frozen=True, slots=True)
class _Given:
    label: str
    at: float


class RuleWatch:
    """Keeps the calls of one server at the rules of its keeper. live: the specifications of its calls."""

    def __init__(self, keeper: RuleKeeper, live: Callable[[], Iterable[CallSpec]], metrics: Metrics) -> None:
        self._keeper = keeper
        self._live = live
        self._metrics = metrics
        self._log = logger("guardian.rules")
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._given: dict[str, _Given] = {}

    def wake(self) -> None:
        """The rules have been changed here: hand them out at once. From any thread."""
        # A server that is being stopped has no loop any more.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake.set)

    async def begin(self, host: CallHost, tasks: asyncio.TaskGroup) -> asyncio.Task[None]:
        """Tells what most calls will begin with, then looks and hands out beside others.

        To be waited for before anybody may ask for calls: packing rules keeps all others waiting.
        """
        await self._foretell(host)
        return tasks.create_task(self.run(host), name="rules")

    async def run(self, host: CallHost) -> None:
        """Looks and hands out until cancelled; the event loop only waits."""
        async with asyncio.TaskGroup() as giving:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._wake.wait()
                self._wake.clear()
                try:
                    edit = await asyncio.to_thread(self._keeper.look)
                    self._note(edit)
                    if edit is Edit.TAKEN:
                        await self._foretell(host)
                    await self._hand_out(host, giving)
                except Exception as error:  # noqa: BLE001 - the server must not end by this; old rules hold
                    self._log.error("the rules could not be looked after", cause=type(error).__name__)

    async def _foretell(self, host: CallHost) -> None:
        """Tells what most calls will begin with."""
        host.expect(await asyncio.to_thread(self._keeper.packed, Caller("")))

    def _note(self, edit: Edit) -> None:
        refusal = self._keeper.refusal
        self._metrics.rules_refused.set(0 if refusal is None else 1)
        if edit is Edit.NONE:
            return
        self._metrics.rule_edits.labels(edit.value).inc()
        if edit is Edit.TAKEN:
            self._log.info("the rules have changed", ruleset=self._keeper.books.fingerprint(()))
        elif refusal is not None:
            # The sentence may quote a phrase; file and line say enough where there are any.
            places = [f"{fault.file} line {fault.line}" for fault in refusal.faults[:5]]
            self._log.error(
                "an edit of the rules was refused; the old ones stay, see GET /v1/rules",
                places=", ".join(places) or "the folder",
            )

    async def _hand_out(self, host: CallHost, giving: asyncio.TaskGroup) -> None:
        """Gives every call its rules that says it has others; none waits for another."""
        running = {spec.call_id: spec for spec in self._live()}
        self._given = {call_id: given for call_id, given in self._given.items() if call_id in running}
        wanted = await asyncio.to_thread(self._wanted, running)
        now = time.monotonic()
        for call_id, packed in wanted.items():
            label = label_of(packed)
            given = self._given.get(call_id)
            if _in_force(host, call_id) in (label, None):
                continue
            if given is None or given.label != label or now - given.at > AGAIN_S:
                self._given[call_id] = _Given(label, now)
                giving.create_task(self._give(host, call_id, packed))

    def _wanted(self, running: dict[str, CallSpec]) -> dict[str, str]:
        return {call_id: self._keeper.packed(caller_of(spec)) for call_id, spec in running.items()}

    async def _give(self, host: CallHost, call_id: str, packed: str) -> None:
        try:
            await host.use_rules(call_id, packed)
        except NoSuchCall:
            return
        except Exception as error:  # noqa: BLE001 - one call's trouble is its own
            self._log.warning("a call could not be given its rules yet", cause=type(error).__name__)


def _in_force(host: CallHost, call_id: str) -> str | None:
    """The label of the rules a call says it has; None when it does not say."""
    try:
        rules = host.status(call_id).get("rules")
    except NoSuchCall:
        return None
    return str(rules["ruleset"]) if isinstance(rules, dict) and "ruleset" in rules else None
