"""Eyes: a video chain put together from the weights that are there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from guardian.core.config import VisionConfig
from guardian.core.frames import Mode
from guardian.core.ports import FaceFinder
from guardian.models import Found, ModelStore
from guardian.vision.blazeface import BlazeFace
from guardian.vision.chain import VideoChain
from guardian.vision.faces import SHORT_SIGHTED, TurningFaceFinder, YuNet
from guardian.vision.people import SelfieSegmenter


@dataclass(frozen=True, slots=True)
class EyeModels:
    """The weights a chain works with, by model id, and what would be better, in plain sentences."""

    face: str
    person: str
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, str]:
        """Role -> model id, for summaries."""
        return {"face": self.face, "person": self.person}


def open_eyes(store: ModelStore, config: VisionConfig, mode: Mode) -> VideoChain:
    """A warmed-up chain. ModelMissing when a role has no weights."""
    face, person = store.find("face"), store.find("person")
    chain = VideoChain(_face_finder(face, config), SelfieSegmenter(person.files["model"]), config, mode)
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
    return TurningFaceFinder(BlazeFace(model, config.face_threshold), SHORT_SIGHTED)
