"""What others do with the same pictures: plain MediaPipe with a Gaussian, and deface."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import (
    FaceDetector,
    FaceDetectorOptions,
    ImageSegmenter,
    ImageSegmenterOptions,
)

from guardian.bench.deface import HOW_TO_GET, deface_python
from guardian.bench.scene import bgr, scene
from guardian.core.frames import U8, Planes
from guardian.models import ModelStore

DEFACE_TIMEOUT_S = 60

_DEFACE = """
import json, sys, time
import cv2, numpy as np
cv2.setNumThreads(1)
from deface.centerface import CenterFace
from deface.deface import anonymize_frame
frames = np.load(sys.argv[1])
net = CenterFace(in_shape=None, backend="auto")
times = []
for frame in frames:
    began = time.perf_counter()
    frame = frame.copy()
    faces, _ = net(frame, threshold=0.2)
    anonymize_frame(faces, frame, mask_scale=1.3, replacewith="blur", ellipse=True,
                    draw_scores=False, replaceimg=None, mosaicsize=20)
    times.append((time.perf_counter() - began) * 1000)
print(json.dumps(times[2:]))
"""


@contextmanager
def _hushed() -> Iterator[None]:
    """Keeps what native code writes to standard error off the terminal, unless it ends in an exception."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


class PlainMediaPipe:
    """The usual recipe: both graphs on the whole picture, a Gaussian on all of it, then a mix."""

    def __init__(self, store: ModelStore) -> None:
        with _hushed():
            self._open(store)
            if self.usable:
                self.protect(scene((64, 64), 1)[0])  # its graphs speak when they first run

    def _open(self, store: ModelStore) -> None:
        face = store.manifest.role("face")
        files = next(
            filter(None, (store.files_of(m) for m in face.models if m.id == "blazeface-short")), None
        )
        self._faces = None
        if files is not None:
            self._faces = FaceDetector.create_from_options(
                FaceDetectorOptions(BaseOptions(model_asset_buffer=files["model"].read_bytes()))
            )
        person = store.find("person").files["model"]
        self._people = ImageSegmenter.create_from_options(
            ImageSegmenterOptions(
                BaseOptions(model_asset_buffer=person.read_bytes()), output_confidence_masks=True
            )
        )

    @property
    def usable(self) -> bool:
        """Whether the weights it needs are here."""
        return self._faces is not None

    def close(self) -> None:
        """Ends the graphs; left to the interpreter's end they complain."""
        self._people.close()
        if self._faces is not None:
            self._faces.close()

    def protect(self, planes: Planes) -> U8:
        """The picture as such a service would send it, I420."""
        assert self._faces is not None
        picture = bgr(planes)
        rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
        mask = self._people.segment(image).confidence_masks[0].numpy_view()
        kernel = max(picture.shape[0] // 10, 3) | 1
        blurred = cv2.GaussianBlur(picture, (kernel, kernel), 0)
        mask = mask.reshape(picture.shape[:2])[:, :, np.newaxis]
        mixed = np.where(mask > 0.5, picture, blurred)
        for found in self._faces.detect(image).detections:
            box = found.bounding_box
            x, y = max(box.origin_x, 0), max(box.origin_y, 0)
            area = np.s_[y : y + box.height, x : x + box.width]
            mixed[area] = blurred[area]
        return np.asarray(cv2.cvtColor(mixed, cv2.COLOR_BGR2YUV_I420), np.uint8)


def deface_ms(pictures: list[Planes]) -> tuple[float | None, str]:
    """Median milliseconds per picture of deface, or None; and a sentence on what was done."""
    python = deface_python()
    if python is None:
        return None, f"deface was not measured: {HOW_TO_GET}."
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder) / "frames.npy"
        np.save(frames, np.stack([bgr(planes) for planes in pictures]))
        try:
            done = subprocess.run(
                [python, "-c", _DEFACE, str(frames)],
                capture_output=True,
                text=True,
                timeout=DEFACE_TIMEOUT_S,
                check=True,
                env=environment,
            )
            times = json.loads(done.stdout.splitlines()[-1])
        except (OSError, subprocess.SubprocessError, ValueError, IndexError):
            return None, f"deface was not measured: {python} does not run it."
    return float(np.median(times)), "deface was measured on the same pictures in its own environment."
