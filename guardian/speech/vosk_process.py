"""The process Vosk runs in: an assertion of Kaldi aborts whoever it happens to, and a decoder that hangs
cannot be stopped, so neither may happen where the media are.

Started by `guardian.speech.vosk_host`. The control socket brings a session's socket and the folder of its
model; a model is loaded once for all sessions. A session has a thread and a recogniser of its own, and an
answer to every request. It ends with its socket, the process with its control socket.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from typing import Any

import vosk

from guardian.core.frames import SPEECH_RATE
from guardian.speech.vosk_host import ANEW, END, LARGEST, SOUND


class Models:
    """Each model once, however many sessions there are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: dict[str, Any] = {}

    def get(self, folder: str) -> Any:
        """The model in a folder. Raises what the library raises."""
        with self._lock:
            if folder not in self._loaded:
                # Always with a path: without one the library downloads a model.
                self._loaded[folder] = vosk.Model(model_path=folder)
            return self._loaded[folder]


def serve(link: socket.socket, models: Models, folder: str) -> None:
    """One session, until its socket is closed."""
    with link:
        try:
            model = models.get(folder)
            recogniser = _recogniser(model)
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            link.send(json.dumps({"error": str(error)}).encode())
            return
        link.send(b"{}")
        while request := link.recv(LARGEST):
            kind, sound = request[:1], request[1:]
            if kind == SOUND:
                # Whether the library takes this for the end of an utterance does not matter: the gate says.
                recogniser.AcceptWaveform(sound)
                link.send(recogniser.PartialResult().encode())
            elif kind == END:
                link.send(recogniser.Result().encode())
            elif kind == ANEW:
                recogniser = _recogniser(model)
                link.send(b"{}")


def _recogniser(model: Any) -> Any:
    recogniser = vosk.KaldiRecognizer(model, SPEECH_RATE)
    recogniser.SetWords(True)
    return recogniser


def main() -> None:
    """The process: opens sessions until nobody wants any more."""
    vosk.SetLogLevel(-1)
    control = socket.socket(fileno=int(sys.argv[1]))
    models = Models()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, LARGEST, 1)
        if not message:
            break
        link = socket.socket(fileno=descriptors[0])
        arguments = (link, models, message.decode())
        threading.Thread(target=serve, args=arguments, daemon=True).start()
    # Without waiting for sessions: one of them may hang.
    os._exit(0)


if __name__ == "__main__":
    main()
