"""Signals to children leave their exit status to whoever waits for them."""

import os
import signal
import subprocess
import sys

import pytest

from guardian.fleet.signals import Handle


def test_a_child_that_has_ended_keeps_its_exit_status():
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    handle = Handle(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    handle.send(signal.SIGKILL)
    _, status = os.waitpid(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 3
    handle.send(signal.SIGKILL)
    handle.close()
    handle.send(signal.SIGKILL)


@pytest.mark.parametrize("pidfd", ["with a handle of the kernel", "without"])
def test_a_child_that_runs_is_killed(monkeypatch, pidfd):
    if pidfd == "without":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        handle = Handle(child.pid)
        handle.send(signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
        handle.close()
