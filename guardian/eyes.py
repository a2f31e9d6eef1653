"""Eyes: a video chain put together from the weights that are there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from guardian.call.lane import stand_back
from guardian.core.config import VisionConfig
from guardian.core.errors import ModelMissing
from guardian.core.frames import Mode, Planes
from guardian.core.hands import AGAIN
from guardian.core.notes import Print, PrintKind, Seen
from guardian.core.ports import Clock, FaceFinder, HandFinder, PersonFinder
from guardian.models import Found, ModelStore
from guardian.vision.blazeface import BlazeFace
from guardian.vision.chain import VideoChain
from guardian.vision.faces import TurningFaceFinder
from guardian.vision.hands import PalmFinder
from guardian.vision.looks import short_sighted
from guardian.vision.people import SelfieSegmenter
from guardian.vision.print_watch import Job, Reading, at_once
from guardian.vision.prints import PrintFinder
from guardian.vision.rough_text import RoughText
from guardian.vision.text_lines import TextLines
from guardian.vision.yunet import YuNet

READING_NICENESS = 2
"""How far looks for what is printed stand back behind pictures."""


@dataclass(frozen=True, slots=True)
class EyeModels:
    """The weights a chain works with, by model id, and what would be better, in plain sentences.

    hands, text: "" where there are none; only *product* uses the one and *install* the other.
    """

    face: str
    person: str
    hands: str
    text: str
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, str]:
        """Role -> model id, for summaries."""
        used = {"face": self.face, "person": self.person, "hands": self.hands, "text": self.text}
        return {role: model_id for role, model_id in used.items() if model_id}


@dataclass(frozen=True, slots=True)
class Finders:
    """What a chain finds with."""

    faces: FaceFinder
    people: PersonFinder
    hands: HandFinder | None = None
    prints: Reading | None = None


class _PrintsOnRequest:
    """Loads its weights with the first look, in the thread of looks: only *install* needs them.

    Without weights text is looked for roughly, and more is hidden.
    """

    name = "prints"

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._finder: PrintFinder | None = None

    def find(self, planes: Planes, kind: PrintKind) -> Seen[tuple[Print, ...]]:
        """As `PrintFinder`."""
        if self._finder is None:
            text = _besides(self._store, "text")
            self._finder = PrintFinder(TextLines(text.files["model"]) if text else RoughText())
        return self._finder.find(planes, kind)


def aside(job: Job) -> None:
    """Runs a look beside the pictures' way, in a thread that ends with it."""

    def look() -> None:
        stand_back(READING_NICENESS)
        job()

    threading.Thread(target=look, name="prints", daemon=True).start()


def open_finders(store: ModelStore, config: VisionConfig, run: Callable[[Job], None] = at_once) -> Finders:
    """Finders with the weights that are there. ModelMissing when faces or people have none.

    run: how looks for what is printed are run; `aside` where pictures must not wait.
    """
    face, person, hands = store.find("face"), store.find("person"), _besides(store, "hands")
    return Finders(
        _face_finder(face, config),
        SelfieSegmenter(person.files["model"]),
        PalmFinder.open(hands.files["palm"], AGAIN * config.hand_threshold) if hands else None,
        Reading(_PrintsOnRequest(store), run),
    )


def open_eyes(
    store: ModelStore,
    config: VisionConfig,
    mode: Mode,
    finders: Finders | None = None,
    clock: Clock = time.perf_counter,
) -> VideoChain:
    """A warmed-up chain; without finders it gets its own. ModelMissing when faces or people have none."""
    finders = finders or open_finders(store, config)
    chain = VideoChain(
        finders.faces, finders.people, config, mode, clock, hands=finders.hands, prints=finders.prints
    )
    chain.warm_up()
    return chain


def eye_models(store: ModelStore) -> EyeModels:
    """The weights `open_eyes` uses. ModelMissing when faces or people have none."""
    found = [store.find("face"), store.find("person")]
    hands, text = (_besides(store, role) for role in ("hands", "text"))
    notes = [one.note for one in [*found, hands, text] if one is not None and one.note]
    return EyeModels(
        found[0].model_id,
        found[1].model_id,
        hands.model_id if hands else "",
        text.model_id if text else "",
        tuple(notes),
    )


def _besides(store: ModelStore, role: str) -> Found | None:
    """What only some modes use: without it they show less, which is lawful."""
    try:
        return store.find(role)
    except ModelMissing:
        return None


def _face_finder(found: Found, config: VisionConfig) -> FaceFinder:
    model: Path = found.files["model"]
    if found.model_id == "yunet":
        return TurningFaceFinder(YuNet(model, config.face_threshold))
    return TurningFaceFinder(BlazeFace(model, config.face_threshold), short_sighted)
