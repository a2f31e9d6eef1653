"""Threads that end leave no pools of memory behind."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys, threading
from guardian.arenas import keep_arenas
if sys.argv[1] == "few":
    keep_arenas(1)
together = threading.Barrier(6)
def work():
    together.wait()
    kept = [bytes(2000) for _ in range(1000)]
    together.wait()
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
ctypes.CDLL(None).malloc_stats()
"""


def arenas(kind):
    done = subprocess.run([sys.executable, "-c", PROGRAM, kind], capture_output=True, text=True, timeout=60)
    return len(re.findall(r"^Arena \d+:", done.stderr, re.M))


@pytest.mark.skipif(sys.platform != "linux", reason="arenas are glibc's")
def test_threads_share_the_arenas_that_are_allowed():
    assert arenas("many") > arenas("few") == 1
