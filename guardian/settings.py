"""Settings: configs/guardian.toml < the file given < GUARDIAN_* environment < the command line.

Unknown keys are refused. Secrets are named by file or environment variable, never written here.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsError

from guardian.core.config import SpeechConfig, VisionConfig, WorkConfig
from guardian.core.errors import ConfigError
from guardian.core.frames import Mode
from guardian.resources import resource
from guardian.setting_tables import (
    AccessSettings,
    ContactSettings,
    LimitSettings,
    MediaSettings,
    ServerSettings,
    SpeechSettings,
    VisionSettings,
)
from guardian.setting_tables_console import ConsoleSettings
from guardian.setting_tables_events import EventSettings, StoreSettings
from guardian.setting_tables_evidence import EvidenceSettings, RetentionSettings
from guardian.setting_tables_fleet import FleetSettings
from guardian.setting_tables_review import ReviewSettings

if TYPE_CHECKING:
    from guardian.store.database import StoreConfig

_PREFIX = "GUARDIAN_"


class Settings(BaseSettings):
    """Everything `guardian serve` can be told."""

    model_config = {"extra": "forbid", "frozen": True}

    data_dir: str = "guardian-data"
    default_mode: Mode = Mode.PRIVATE
    server: ServerSettings = ServerSettings()
    limits: LimitSettings = LimitSettings()
    media: MediaSettings = MediaSettings()
    vision: VisionSettings = VisionSettings()
    speech: SpeechSettings = SpeechSettings()
    contacts: ContactSettings = ContactSettings()
    events: EventSettings = EventSettings()
    store: StoreSettings = StoreSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    retention: RetentionSettings = RetentionSettings()
    review: ReviewSettings = ReviewSettings()
    console: ConsoleSettings = ConsoleSettings()
    access: AccessSettings = AccessSettings()
    fleet: FleetSettings = FleetSettings()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`load` merges the sources itself, so that a file can stand below the environment."""
        return (init_settings,)

    @property
    def data_path(self) -> Path:
        """The data folder."""
        return Path(self.data_dir).expanduser()

    @property
    def api_keys_path(self) -> Path:
        """The key file: the one configured, else `api_keys.json` in the data folder."""
        return Path(self.access.api_keys_file or Path(self.data_dir) / "api_keys.json").expanduser()

    @property
    def events_path(self) -> Path | None:
        """The event file, relative names inside the data folder; None when there is none."""
        return self.data_path / Path(self.events.file).expanduser() if self.events.file else None

    @property
    def evidence_path(self) -> Path:
        """The folder of clips, relative names inside the data folder."""
        return self.data_path / Path(self.evidence.folder).expanduser()

    @property
    def evidence_key_path(self) -> Path:
        """Where the key for evidence lies unless the settings name another place."""
        return self.data_path / "evidence.key"

    def store_config(self) -> StoreConfig:
        """Where the store is. ConfigError when its password cannot be read."""
        from guardian.store.database import StoreConfig

        password = self.store.password.read().get_secret_value() if self.store.password else ""
        return StoreConfig(self.data_path / "guardian.db", self.store.url, password)

    def fingerprint(self) -> str:
        """A hash of all settings; of secrets only where they lie is part of them."""
        return f"sha256:{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]}"

    def speech_config(self) -> SpeechConfig:
        """How voices are heard."""
        return SpeechConfig(**self.speech.model_dump())

    def work_config(self) -> WorkConfig:
        """What a call process needs to know. ConfigError when a credential cannot be read."""
        return WorkConfig(
            vision=VisionConfig(**self.vision.model_dump()),
            speech=self.speech_config(),
            contacts=self.contacts.read(),
            media=self.media.read(),
            limits=self.limits.read(),
            default_mode=self.default_mode,
        )


def load(config: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Reads all sources. ConfigError names the key that is wrong.

    overrides: nested as in the file, from the command line.
    """
    merged = _read(resource("configs", "guardian.toml"))
    if config is not None:
        merged = _merge(merged, _read(config))
    merged = _merge(merged, _environment())
    return _checked(_merge(merged, overrides or {}), config)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The settings file {path} cannot be read; check name and rights.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The settings file {path} is not TOML: {error}.") from error


def _environment() -> dict[str, Any]:
    for name in os.environ:
        section, _, key = name.removeprefix(_PREFIX).lower().partition("__")
        if name.startswith(_PREFIX) and key and section not in Settings.model_fields:
            raise ConfigError(f"The environment variable {name} names no section of the settings; remove it.")
    try:
        return EnvSettingsSource(
            Settings, env_prefix=_PREFIX, env_nested_delimiter="__", case_sensitive=False
        )()
    except SettingsError as error:
        raise ConfigError(f"A {_PREFIX}* environment variable cannot be read: {error}.") from error


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _checked(values: dict[str, Any], config: Path | None) -> Settings:
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        place = f" (read with {config})" if config else ""
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"The settings know no key `{key}`{place}; remove or correct it.") from None
        reason = first["msg"].removeprefix("Value error, ")
        raise ConfigError(
            f"The setting `{key}` cannot be used{place}: {reason[0].lower()}{reason[1:]}."
        ) from None


def defaults() -> dict[str, Any]:
    """The values of `Settings` when nothing is configured, as a file would have them."""
    return Settings().model_dump(mode="json")
