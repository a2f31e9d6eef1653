"""Tells speech from silence, so that silence costs nothing and utterances end soon."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from guardian.core.frames import I16, SPEECH_RATE

WINDOW = 512
"""Samples per judgement (32 ms)."""
_CONTEXT = 64
_OPEN, _STAY = 0.45, 0.25
_QUIET_RMS = 120.0
"""Root mean square (int16) below which there is no speech for the fallback."""


class Vad(Protocol):
    """Judges windows one after the other."""

    name: str

    def speech(self, window: I16) -> float:
        """Probability (0..1) of speech in the next `WINDOW` samples."""
        ...

    def reset(self) -> None:
        """Forgets what was heard."""
        ...


class SileroVad:
    """Silero's network for 16 kHz, one thread (inputs: window with 64 samples of context, state, rate)."""

    name = "silero-vad"

    def __init__(self, model: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._rate = np.array(SPEECH_RATE, np.int64)
        self.reset()

    def reset(self) -> None:
        """Forgets what was heard."""
        self._state: npt.NDArray[np.float32] = np.zeros((2, 1, 128), np.float32)
        self._context: npt.NDArray[np.float32] = np.zeros(_CONTEXT, np.float32)

    def speech(self, window: I16) -> float:
        """Probability (0..1) of speech in the next `WINDOW` samples."""
        samples = window.astype(np.float32) / 32768.0
        both = np.concatenate((self._context, samples))[None, :]
        output, self._state = self._session.run(None, {"input": both, "state": self._state, "sr": self._rate})
        self._context = samples[-_CONTEXT:]
        return float(output[0, 0])


class LoudnessVad:
    """What is left where Silero's weights are not: anything well above the noise floor is speech."""

    name = "loudness"

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets the noise floor."""
        self._floor = _QUIET_RMS

    def speech(self, window: I16) -> float:
        """1.0 or 0.0 for the next `WINDOW` samples."""
        rms = float(np.sqrt(np.mean(np.square(window.astype(np.float32)))))
        self._floor = min(max(rms, 1.0), self._floor * 1.01 + 0.1)
        return 1.0 if rms > max(_QUIET_RMS, 3.0 * self._floor) else 0.0


class Gate:
    """Open while somebody speaks; closes after `silence_s` without speech."""

    def __init__(self, vad: Vad, silence_s: float) -> None:
        self._vad = vad
        self._silence_s = silence_s
        self._waiting: I16 = np.zeros(0, np.int16)
        self._quiet_s = 0.0
        self.open = False

    def hear(self, samples: I16) -> None:
        """Takes any number of samples and sets `open`."""
        self._waiting = np.concatenate((self._waiting, samples))
        while len(self._waiting) >= WINDOW:
            window, self._waiting = self._waiting[:WINDOW], self._waiting[WINDOW:]
            probability = self._vad.speech(window)
            if probability >= (_STAY if self.open else _OPEN):
                self.open = True
                self._quiet_s = 0.0
            elif self.open:
                self._quiet_s += WINDOW / SPEECH_RATE
                self.open = self._quiet_s < self._silence_s

    def reset(self) -> None:
        """Begins anew after a gap."""
        self._vad.reset()
        self._waiting = self._waiting[:0]
        self._quiet_s = 0.0
        self.open = False
