"""How far lanes and ending processes stand back when cores are short."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have no niceness of their own here")

_ENDING = """
import os, threading
from guardian.call.lane import process_stands_back
ready, done = threading.Event(), threading.Event()
def work():
    ready.set()
    done.wait(10)
thread = threading.Thread(target=work)
thread.start()
ready.wait(10)
process_stands_back(7)
print(sorted(os.getpriority(os.PRIO_PROCESS, int(one)) for one in os.listdir("/proc/self/task")))
done.set()
"""


def test_every_thread_of_an_ending_process_stands_back():
    before = os.getpriority(os.PRIO_PROCESS, 0)
    done = subprocess.run(
        [sys.executable, "-c", _ENDING], capture_output=True, text=True, timeout=60, check=True
    )
    nice = json.loads(done.stdout)
    assert len(nice) >= 2
    assert set(nice) == {7}
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
