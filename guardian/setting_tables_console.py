"""The table of the settings file about the console: whether it is there, and how long a session lasts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from guardian.setting_tables import Section


class ConsoleSettings(Section):
    """How people sign in; times in seconds."""

    enabled: bool = True
    idle_s: float = Field(default=1800.0, ge=60, le=86_400)
    longest_s: float = Field(default=43_200.0, ge=60, le=604_800)
    secure_cookie: Literal["auto", "always"] = "auto"

    @model_validator(mode="after")
    def _fits(self) -> ConsoleSettings:
        if self.idle_s > self.longest_s:
            raise ValueError("`idle_s` cannot be more than a session lasts, `longest_s`")
        return self
