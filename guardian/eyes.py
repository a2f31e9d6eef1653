"""Eyes: a video chain put together from the weights that are there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from guardian.core.config import VisionConfig
from guardian.core.frames import Mode
from guardian.core.ports import FaceFinder, PersonFinder
from guardian.models import Found, ModelStore
from guardian.vision.blazeface import BlazeFace
from guardian.vision.chain import VideoChain
from guardian.vision.faces import TurningFaceFinder
from guardian.vision.looks import short_sighted
from guardian.vision.people import SelfieSegmenter
from guardian.vision.yunet import YuNet


@dataclass(frozen=True, slots=True)
class EyeModels:
    """The weights a chain works with, by model id, and what would be better, in plain sentences."""

    face: str
    person: str
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, str]:
        """Role -> model id, for summaries."""
        return {"face": self.face, "person": self.person}


@dataclass(frozen=True, slots=True)
class Finders:
    """What a chain finds with."""

    faces: FaceFinder
    people: PersonFinder


def open_finders(store: ModelStore, config: VisionConfig) -> Finders:
    """Finders with the weights that are there. ModelMissing when a role has none."""
    face, person = store.find("face"), store.find("person")
    return Finders(_face_finder(face, config), SelfieSegmenter(person.files["model"]))


def open_eyes(
    store: ModelStore, config: VisionConfig, mode: Mode, finders: Finders | None = None
) -> VideoChain:
    """A warmed-up chain; without finders it gets its own. ModelMissing when a role has no weights."""
    finders = finders or open_finders(store, config)
    chain = VideoChain(finders.faces, finders.people, config, mode)
    chain.warm_up()
    return chain


def eye_models(store: ModelStore) -> EyeModels:
    """The weights `open_eyes` uses. ModelMissing when a role has none."""
    found = [store.find("face"), store.find("person")]
    notes = tuple(one.note for one in found if one.note)
    return EyeModels(found[0].model_id, found[1].model_id, notes)


def _face_finder(found: Found, config: VisionConfig) -> FaceFinder:
    model: Path = found.files["model"]
    if found.model_id == "yunet":
        return TurningFaceFinder(YuNet(model, config.face_threshold))
    return TurningFaceFinder(BlazeFace(model, config.face_threshold), short_sighted)
