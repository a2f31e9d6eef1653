"""A streaming zipformer transducer: its three networks on one thread, and their memory of an utterance.

The files are those that icefall exports for sherpa-onnx: an encoder that takes a window of filter banks and
hands its caches back, a stateless predictor of a few pieces of context, and a joiner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from guardian.speech.fbank import BINS, F32

BLANK, UNKNOWN = "<blk>", "<unk>"

Memory = Mapping[str, npt.NDArray[np.generic]]
"""What the encoder remembers of an utterance, by the name of its input."""


class Zipformer:
    """The networks of one model. Holds nothing of what is heard: shared by legs, from any thread.

    window: frames the encoder takes; step: frames it moves on by, each time. texts: its pieces.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._encoder, self._predictor, self._joiner = (
            _session(files[key]) for key in ("encoder", "decoder", "joiner")
        )
        sound, *caches = self._encoder.get_inputs()
        self._sound = sound.name
        self._blank_memory: Memory = {
            cache.name: np.zeros(
                [size if isinstance(size, int) else 1 for size in cache.shape],
                np.dtype(np.int64 if "int64" in cache.type else np.float32),
            )
            for cache in caches
        }
        self.window = int(sound.shape[1])
        self.step = int(self._encoder.get_modelmeta().custom_metadata_map["decode_chunk_len"])
        self._context = self._predictor.get_inputs()[0].name
        self._encoded, self._predicted = (one.name for one in self._joiner.get_inputs())
        lines = Path(files["tokens"]).read_text(encoding="utf-8").splitlines()
        self.texts = tuple(line.rpartition(" ")[0] for line in lines if line.strip())
        self.context = int(self._predictor.get_modelmeta().custom_metadata_map["context_size"])

    def begin(self) -> Memory:
        """The memory of an utterance that begins."""
        return self._blank_memory

    def encode(self, frames: F32, memory: Memory) -> tuple[F32, Memory]:
        """frames: `window` x 80. What they sound like (n x d, 40 ms each), and the memory after them."""
        assert frames.shape == (self.window, BINS)
        encoded, *caches = self._encoder.run(None, {self._sound: frames[None], **memory})
        return encoded[0], dict(zip(memory, caches, strict=True))

    def predict(self, context: Sequence[int]) -> F32:
        """What the last pieces lead to expect (1 x d)."""
        (predicted,) = self._predictor.run(None, {self._context: np.array([context], np.int64)})
        return np.asarray(predicted, np.float32).reshape(1, -1)

    def judge(self, encoded: F32, predicted: F32) -> F32:
        """How much speaks for each piece in each of n frames (n x pieces), as logits."""
        both = {self._encoded: encoded, self._predicted: np.repeat(predicted, len(encoded), axis=0)}
        (logits,) = self._joiner.run(None, both)
        return np.asarray(logits, np.float32)


@lru_cache(maxsize=4)
def _loaded(files: tuple[tuple[str, Path], ...]) -> Zipformer:
    return Zipformer(dict(files))


def zipformer(files: Mapping[str, Path]) -> Zipformer:
    """The networks of `tokens`, `encoder`, `decoder` and `joiner`, loaded once for all legs."""
    return _loaded(tuple(sorted(files.items())))


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
