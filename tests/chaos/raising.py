"""`guardian serve` whose calls have no media and raise violations all the time: `… CONFIG`."""

import asyncio
import os
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from guardian import server
from guardian.bench.events import violation
from guardian.core.errors import Unavailable
from guardian.settings import load
from tests.fakes.host import FakeHost

EVERY_S = 0.02


@asynccontextmanager
async def host(_, publish):
    fake = FakeHost(slots=1000)

    async def raise_all():
        number = 0
        while True:
            await asyncio.sleep(EVERY_S)
            number += 1
            for spec in list(fake.calls.values()):
                # The store may be gone for the moment, and memory full of what waits for it.
                with suppress(Unavailable):
                    publish(spec, violation(spec.call_id, number))

    async with asyncio.TaskGroup() as tasks:
        raising = tasks.create_task(raise_all())
        try:
            yield fake
        finally:
            raising.cancel()


def ready(url):
    sys.stdout.write(f"guardian is listening on {url}\n")
    sys.stdout.flush()


def main():
    server.run(load(Path(sys.argv[1])), ready, host)


def forked(config, log, up):
    """The same in a process that was forked: up is a connection that hears the url."""
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 2)
    for name in [name for name in os.environ if name.startswith("GUARDIAN_")]:
        del os.environ[name]
    server.run(load(config), up.send, host)


if __name__ == "__main__":
    main()
