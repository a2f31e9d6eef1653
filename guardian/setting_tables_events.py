"""The tables of the settings file about events: where they go, and the store they wait in."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from guardian.core.calls import CallEventType
from guardian.core.delivery import Route
from guardian.core.violations import Level
from guardian.events.delivery import QUICK_S, TAIL_S
from guardian.setting_tables import SecretSource, Section

_TYPES = frozenset(kind.value for kind in CallEventType)
_FAMILIES = frozenset(f"{name.partition('.')[0]}.*" for name in _TYPES)


class EndpointSettings(Section):
    """What an endpoint is called and what it wants; empty lists mean all."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    types: tuple[str, ...] = ()
    levels: tuple[Level, ...] = ()
    tenants: tuple[str, ...] = ()

    @field_validator("types")
    @classmethod
    def _known(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        for name in types:
            if name not in _TYPES | _FAMILIES:
                raise ValueError(
                    f"{name} is no type of event; there are {', '.join(sorted(_TYPES))}, and x.*"
                )
        return types

    @property
    def route(self) -> Route:
        """As the outbox has it."""
        return Route(self.name, self.types, self.levels, self.tenants)


class WebhookSettings(EndpointSettings):
    """One receiver of events."""

    url: str = Field(pattern=r"^https?://[^\s]+$")
    secret: SecretSource
    previous_secret: SecretSource | None = None
    allow_private: bool = False

    @model_validator(mode="after")
    def _https(self) -> WebhookSettings:
        if self.url.startswith("http://") and not self.allow_private:
            raise ValueError("a webhook needs https://, or `allow_private = true` inside one's own network")
        return self


class NatsSettings(EndpointSettings):
    """One stream of NATS JetStream, for servers that ask for a token, for a user and password, or for none.

    stream is made with this subject if it is not there; dedupe_s: how long it then remembers ids.
    """

    url: str = Field(pattern=r"^(nats|tls)://[^\s]+$")
    subject: str = Field(default="guardian.events", pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")
    stream: str = Field(default="GUARDIAN", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    dedupe_s: float = Field(default=3600.0, ge=1, le=7 * 86400)
    token: SecretSource | None = None
    username: str = ""
    password: SecretSource | None = None
    allow_private: bool = False

    @field_validator("url")
    @classmethod
    def _bare(cls, url: str) -> str:
        parts = urlsplit(url)
        if not parts.hostname or parts.username or parts.password:
            raise ValueError(
                "a NATS url is nats://HOST[:PORT] or tls://HOST[:PORT]; its secret lies in `token`"
            )
        return url

    @model_validator(mode="after")
    def _tls(self) -> NatsSettings:
        if self.url.startswith("nats://") and not self.allow_private:
            raise ValueError("NATS needs tls://, or `allow_private = true` inside one's own network")
        return self


class EventSettings(Section):
    """Where events go. retry_s: seconds after each failed try; keep_s: how long delivered events stay.

    dead_keep_s: how long dead letters stay, and what waits for an endpoint that is disabled or configured no
    more.
    """

    file: str = "events.jsonl"
    webhooks: tuple[WebhookSettings, ...] = ()
    nats: tuple[NatsSettings, ...] = ()
    keep_s: float = Field(default=7 * 86400.0, gt=0)
    dead_keep_s: float = Field(default=30 * 86400.0, gt=0)
    retry_s: tuple[Annotated[float, Field(gt=0, le=7 * 86400)], ...] = Field(
        default=QUICK_S + TAIL_S, min_length=1, max_length=100
    )
    schemas_url: str = Field(default="", pattern=r"^(https?://[^\s]+[^/\s])?$")

    @model_validator(mode="after")
    def _names(self) -> EventSettings:
        names = [endpoint.name for endpoint in (*self.webhooks, *self.nats)]
        if len(set(names)) != len(names) or "file" in names:
            raise ValueError("every endpoint needs a `name` of its own, and `file` is taken")
        return self

    @property
    def routes(self) -> tuple[Route, ...]:
        """What each sink wants; the file takes all."""
        file = (Route("file"),) if self.file else ()
        return (*file, *(endpoint.route for endpoint in (*self.webhooks, *self.nats)))


class StoreSettings(Section):
    """Where events, cases and evidence are kept track of. url: empty for SQLite in the data folder."""

    url: str = ""
    password: SecretSource | Literal[""] = ""
    max_bytes: int = Field(default=2 * 1024**3, ge=1024**2)
    min_free_bytes: int = Field(default=64 * 1024**2, ge=0)

    @field_validator("url")
    @classmethod
    def _postgresql(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme != "postgresql" or not parts.path.strip("/")):
            raise ValueError("a store's url is postgresql://USER@HOST[:PORT]/DATABASE, or empty for SQLite")
        if parts.password:
            raise ValueError(
                "the password of the store is named by `store.password`, not written into its url"
            )
        return url
