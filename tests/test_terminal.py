"""The program as terminals, shells and service managers treat it."""

import os
import signal
import subprocess
import sys

import pytest

from guardian.commands.checks import Verdict
from guardian.commands.doctor import _engine

STOPPED_AT_THE_THIRD_FRAME = """
import signal
from guardian.vision.chain import VideoChain
protect, frames = VideoChain.protect, []
def stopped(self, raw):
    frames.append(raw)
    if len(frames) == 3:
        signal.raise_signal(signal.Signals[{name!r}])
    return protect(self, raw)
VideoChain.protect = stopped
from guardian.cli import main
main()
"""
INTERRUPTED_WHILE_LOADING = """
import sys
from guardian.speech import rules_folder
def check(*arguments, **options):
    raise ImportError("initialization failed") from KeyboardInterrupt()
rules_folder.read_folder = check
from guardian.cli import main
main()
"""


def guardian(*arguments, **options):
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, timeout=120, check=False, **options
    )


@pytest.fixture
def clip(tmp_path):
    import av
    import numpy as np

    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(6):
            picture = np.full((48, 64, 3), 40 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_a_stopped_protect_leaves_no_half_file(weights, clip, tmp_path, name, code):
    weights("face")
    weights("person")
    script = STOPPED_AT_THE_THIRD_FRAME.format(name=name)
    outputs = ["out.mp4", "--report", "report.json", "--trace", "trace.jsonl"]
    # A shell turns signals off for what it runs in the background, these tests perhaps among it.
    heard = signal.Signals[name]
    done = guardian(
        "-c", script, "protect", clip, *outputs,
        cwd=tmp_path, preexec_fn=lambda: signal.signal(heard, signal.SIG_DFL),
    )  # fmt: skip
    assert done.returncode == code, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert os.listdir(tmp_path) == [clip.name]


def test_an_interrupt_while_a_library_loads_is_no_traceback():
    done = guardian("-c", INTERRUPTED_WHILE_LOADING, "rules", "check")
    assert (done.returncode, done.stderr) == (130, b"")


def test_a_full_disk_behind_standard_output_is_one_sentence():
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "guardian", "rules", "check"],
            stdout=full, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        "guardian: The system refused something: no space left on device."
    ]


def test_closed_standard_input_is_one_sentence():
    done = guardian("-m", "guardian", "rules", "test", preexec_fn=lambda: os.close(0))
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        "guardian: Standard input is closed; give the lines to judge there."
    ]


def test_nothing_ignored_is_heard_again():
    # What nohup does: the program must not take back a signal its parent turned off.
    script = "import signal, sys\nfrom guardian.cli import main\nsys.argv = ['guardian', '--version']\n"
    script += "try:\n    main()\nexcept SystemExit:\n    pass\nassert signal.getsignal(1) is signal.SIG_IGN"
    done = guardian("-c", script, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert done.returncode == 0, done.stderr.decode()


def test_the_doctor_names_the_extra_that_brings_an_optional_module(monkeypatch):
    monkeypatch.setattr("guardian.commands.doctor.EXTRAS", {"no_such_module": "'guardian-sidecar[demo]'"})
    check = _engine("no_such_module", Verdict.WARN, "something is lacking")
    assert check.advice == "Without it something is lacking; run `pip install 'guardian-sidecar[demo]'`."
