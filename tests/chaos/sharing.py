"""What a server of a fleet does with its store, for calls that only raise violations: `… CONFIG NAME`.

It raises them until there is a file `enough` in its data folder, and runs until it is killed. The chain is
told of each, in the same transaction. It says on stdout when it begins to deliver for all.
"""

import asyncio
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from guardian.bench.events import violation
from guardian.core.audit import CLOCK, Act, Entry
from guardian.core.calls import CallSpec, Scope
from guardian.core.errors import Unavailable
from guardian.core.violations import Role
from guardian.event_relay import EventRelay
from guardian.events.envelope import Issuer
from guardian.settings import load
from guardian.store import audit
from guardian.store.upgrade import open_store
from guardian.telemetry import log
from guardian.telemetry.metrics import Metrics
from guardian.tenure import elected

CALLS = 3
EVERY_S = 1.0
"""Seldom, so that nothing piles up on a machine that others use too."""


def spec(call_id):
    people = {Role.SHOPPER: "u_1", Role.MERCHANT: "m_1"}
    return CallSpec(call_id, "acme", people, frozenset(Scope), started_at="2026-11-23T09:00:00.000Z")


async def raise_all(relay, name, enough):
    number = 0
    while not enough.exists():
        number += 1
        told = Entry(Act.REVIEWED, f"{name}-{number}", CLOCK.text, "2026-11-23T09:00:00.000Z")
        for call in range(CALLS):
            one = spec(f"{name}-{call}")
            # Memory is full of what waits for the store.
            with suppress(Unavailable):
                relay.desk.keep(one, violation(one.call_id, number), partial(audit.append, entry=told))
        await asyncio.sleep(EVERY_S)


async def deliver(relay, tenure):
    sys.stdout.write("leads\n")
    sys.stdout.flush()
    await relay.deliver(tenure)


async def main(config, name):
    settings = load(config)
    database = open_store(settings.store_config())
    relay = EventRelay(settings, database, Metrics(), Issuer("", "guardian", "1", name))
    with elected(database) as tenure:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(relay.watch())
            tasks.create_task(tenure.run(partial(deliver, relay, tenure)))
            tasks.create_task(raise_all(relay, name, settings.data_path / "enough"))


if __name__ == "__main__":
    log.configure()
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
