"""Threads that end leave no pools of memory behind, and what is free goes back."""

from __future__ import annotations

import os
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

FREED = """
from guardian.arenas import give_back_freed
from guardian.bench.memory import memory_pages, own_kb

held = [bytearray(b"x" * 60_000) for _ in range(1_000)]
last = held[-1]
del held
before = own_kb(memory_pages("self"))
give_back_freed()
print(before - own_kb(memory_pages("self")))
"""


def arenas(kind):
    done = subprocess.run([sys.executable, "-c", PROGRAM, kind], capture_output=True, text=True, timeout=60)
    return len(re.findall(r"^Arena \d+:", done.stderr, re.M))


@pytest.mark.skipif(sys.platform != "linux", reason="arenas are glibc's")
def test_threads_share_the_arenas_that_are_allowed():
    assert arenas("many") > arenas("few") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="malloc_trim is glibc's")
def test_what_is_free_below_what_is_held_goes_back():
    keeping = {**os.environ, "MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
    done = subprocess.run(
        [sys.executable, "-c", FREED], capture_output=True, text=True, timeout=60, env=keeping, check=True
    )
    assert int(done.stdout) > 40_000
