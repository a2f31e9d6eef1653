"""The table of the settings file about fleets: which node of which fleet this server is."""

from __future__ import annotations

import re
import socket
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from guardian.core.errors import ConfigError
from guardian.fleet.broker import BrokerTarget
from guardian.setting_tables import SecretSource, Section


class FleetSettings(Section):
    """A server is a node of a fleet where `url` says how it meets the others; times in seconds.

    name: of the fleet, before its subjects and buckets. node: of this server in it, empty for the host's.
    lease_s: how long a node has its calls after it was last heard of; renew_s: how often it is heard of.
    place_s: how long a call waits for a node that takes it.
    """

    url: str = Field(default="", pattern=r"^((nats|tls)://[^\s]+)?$")
    name: str = Field(default="guardian", pattern=r"^[A-Za-z0-9_-]{1,32}$")
    node: str = Field(default="", pattern=r"^([A-Za-z0-9_-]{1,64})?$")
    token: SecretSource | Literal[""] = ""
    username: str = ""
    password: SecretSource | Literal[""] = ""
    lease_s: float = Field(default=6.0, ge=1, le=60)
    renew_s: float = Field(default=1.0, ge=0.1, le=20)
    place_s: float = Field(default=2.0, ge=0.5, le=10)

    @field_validator("url")
    @classmethod
    def _bare(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (not parts.hostname or parts.username or parts.password):
            raise ValueError(
                "a NATS url is nats://HOST[:PORT] or tls://HOST[:PORT]; its secret lies in `token`"
            )
        return url

    @model_validator(mode="after")
    def _patient(self) -> FleetSettings:
        if self.renew_s * 3 > self.lease_s:
            raise ValueError("`renew_s` is a third of `lease_s` at most: a renewal or two may be lost")
        return self

    @property
    def node_name(self) -> str:
        """The name of this node: the one configured, else the host's as far as it can be used."""
        return self.node or re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:64] or "node"

    def target(self) -> BrokerTarget:
        """Where the broker is. ConfigError when a secret cannot be read."""
        return BrokerTarget(self.url, self.name, self.username, _read(self.password), _read(self.token))

    def check(self, store_url: str, keyless: bool) -> None:
        """ConfigError when a server that is set up like this cannot be a node of a fleet."""
        if self.url and not store_url:
            raise ConfigError(
                "A fleet needs a store that all nodes share: set `store.url` to a PostgreSQL database."
            )
        if self.url and keyless:
            raise ConfigError(
                "A fleet needs API keys, the same at all nodes: make one with `guardian keys init`, and name "
                "the file in `access.api_keys_file`."
            )


def _read(source: SecretSource | Literal[""]) -> str:
    return source.read().get_secret_value() if source else ""
