"""`guardian serve` with call processes that break: `python -m tests.fakes.broken_server CONFIG`."""

from __future__ import annotations

import sys
from pathlib import Path

from guardian import server
from guardian.fleet.supervisor import Supervisor
from guardian.settings import load

COMMAND = (sys.executable, "-m", "tests.fakes.broken_callproc")


def ready(url):
    sys.stdout.write(f"guardian is listening on {url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    settings = load(Path(sys.argv[1]), {"server": {"port": 0}})
    server.run(settings, ready, lambda work, publish: Supervisor(work, publish, COMMAND))
