"""Numpy begins no threads of its own: they would spin on the cores that calls are made of."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MULTIPLY = """
import guardian
import os
import numpy as np
a = np.ones((900, 900), np.float32)
for _ in range(3):
    a = a @ a / 900
print(len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in Linux' /proc")
def test_a_product_of_matrices_has_one_thread():
    plain = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", MULTIPLY], env=plain, capture_output=True, timeout=60, check=True
    )
    assert done.stdout.strip() == b"1"
