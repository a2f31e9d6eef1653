"""Eyes: a video chain put together from the weights that are there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from guardian.core.config import VisionConfig
from guardian.core.errors import ModelMissing
from guardian.core.frames import Mode
from guardian.core.hands import AGAIN
from guardian.core.ports import FaceFinder, HandFinder, PersonFinder
from guardian.models import Found, ModelStore
from guardian.vision.blazeface import BlazeFace
from guardian.vision.chain import VideoChain
from guardian.vision.faces import TurningFaceFinder
from guardian.vision.hands import PalmFinder
from guardian.vision.looks import short_sighted
from guardian.vision.people import SelfieSegmenter
from guardian.vision.yunet import YuNet


@dataclass(frozen=True, slots=True)
class EyeModels:
    """The weights a chain works with, by model id, and what would be better, in plain sentences.

    hands: "" where there are none; only *product* uses them.
    """

    face: str
    person: str
    hands: str
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, str]:
        """Role -> model id, for summaries."""
        used = {"face": self.face, "person": self.person, "hands": self.hands}
        return {role: model_id for role, model_id in used.items() if model_id}


@dataclass(frozen=True, slots=True)
class Finders:
    """What a chain finds with."""

    faces: FaceFinder
    people: PersonFinder
    hands: HandFinder | None = None


def open_finders(store: ModelStore, config: VisionConfig) -> Finders:
    """Finders with the weights that are there. ModelMissing when faces or people have none."""
    face, person, hands = store.find("face"), store.find("person"), _hands(store)
    return Finders(
        _face_finder(face, config),
        SelfieSegmenter(person.files["model"]),
        PalmFinder.open(hands.files["palm"], AGAIN * config.hand_threshold) if hands else None,
    )


def open_eyes(
    store: ModelStore, config: VisionConfig, mode: Mode, finders: Finders | None = None
) -> VideoChain:
    """A warmed-up chain; without finders it gets its own. ModelMissing when faces or people have none."""
    finders = finders or open_finders(store, config)
    chain = VideoChain(finders.faces, finders.people, config, mode, hands=finders.hands)
    chain.warm_up()
    return chain


def eye_models(store: ModelStore) -> EyeModels:
    """The weights `open_eyes` uses. ModelMissing when faces or people have none."""
    found = [store.find("face"), store.find("person")]
    hands = _hands(store)
    notes = [one.note for one in [*found, hands] if one is not None and one.note]
    return EyeModels(found[0].model_id, found[1].model_id, hands.model_id if hands else "", tuple(notes))


def _hands(store: ModelStore) -> Found | None:
    """Without them the centre alone shows, which is lawful."""
    try:
        return store.find("hands")
    except ModelMissing:
        return None


def _face_finder(found: Found, config: VisionConfig) -> FaceFinder:
    model: Path = found.files["model"]
    if found.model_id == "yunet":
        return TurningFaceFinder(YuNet(model, config.face_threshold))
    return TurningFaceFinder(BlazeFace(model, config.face_threshold), short_sighted)
