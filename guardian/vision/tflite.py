"""TFLite networks on one thread, run without MediaPipe's graphs, which cost more than the networks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

F32 = npt.NDArray[np.float32]


class Network:
    """One input, float32 (1, h, w, c); outputs in the order of the file. One thread only."""

    def __init__(self, model: Path) -> None:
        with _hushed():
            self._net = Interpreter(str(model), num_threads=1)
            self._net.allocate_tensors()
        details = self._net.get_input_details()[0]
        self._input = details["index"]
        self._outputs = [output["index"] for output in self._net.get_output_details()]
        self.size = (int(details["shape"][2]), int(details["shape"][1]))
        """(w, h) of the picture it takes."""

    def run(self, blob: F32) -> list[F32]:
        """The outputs for one input, as copies."""
        self._net.set_tensor(self._input, blob)
        self._net.invoke()
        return [np.asarray(self._net.get_tensor(index), np.float32) for index in self._outputs]


@contextmanager
def _hushed() -> Iterator[None]:
    """Keeps the library's greeting off stderr; it has no setting for that."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
