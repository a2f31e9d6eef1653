"""The tables of the settings file: their keys, defaults and bounds.

A secret is named by the file or environment variable it lies in, and read when it is needed.
"""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyAddress,
    SecretStr,
    field_validator,
    model_validator,
)

from guardian.core.config import (
    Allowance,
    CallLimits,
    ContactConfig,
    IceServer,
    MediaConfig,
    SpeechConfig,
    TurnServer,
    VisionConfig,
)
from guardian.core.contacts import Allowed
from guardian.core.errors import ConfigError
from guardian.core.notes import PrintKind
from guardian.core.protection import CurtainReason
from guardian.core.sfu import origin_of
from guardian.core.violations import Role

_LIMITS, _MEDIA, _VISION, _SPEECH = CallLimits(), MediaConfig(), VisionConfig(), SpeechConfig()
_CONTACTS = ContactConfig()


class Section(BaseModel):
    """One table of the file; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(Section):
    """Where and how `guardian serve` listens."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    public_url: str = Field(default="", pattern=r"^(https?://[^\s/]+)?$")
    region: str = Field(default="local", pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    event_type_prefix: str = Field(default="com.example.guardian", pattern=r"^[a-z0-9]+(\.[a-z0-9-]+)*$")
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    max_body_bytes: int = Field(default=262_144, ge=1024, le=16_777_216)
    body_timeout_s: float = Field(default=10.0, gt=0, le=120)
    requests_per_s: float = Field(default=50.0, gt=0)
    requests_burst: int = Field(default=200, ge=1)
    drain_s: float = Field(default=10.0, ge=0, le=86_400)
    stop_s: float = Field(default=15.0, gt=0, le=600)
    demo_page: bool = True
    demo_sample: str = ""

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for one in proxies:
            try:
                ipaddress.ip_network(one)
            except ValueError as error:
                raise ValueError(
                    f"`{one}` is no address and no network, as 10.0.0.7 or 10.0.0.0/8"
                ) from error
        return proxies

    @property
    def loopback(self) -> bool:
        """True when only this machine can reach the address it listens on."""
        return is_loopback(self.host)


class LimitSettings(Section):
    """Bounds of a call and of the host; times in seconds."""

    max_calls: Literal["auto"] | Annotated[int, Field(ge=1, le=10_000)] = "auto"
    call_size: str = Field(default=_LIMITS.call_size, pattern=r"^[1-9]\d{1,4}x[1-9]\d{1,4}$")
    headroom: float = Field(default=_LIMITS.headroom, ge=0, lt=1)
    client_calls: int = Field(default=_LIMITS.client_calls, ge=1)
    client_calls_per_min: float = Field(default=_LIMITS.client_calls_per_min, gt=0)
    max_call_s: float = Field(default=_LIMITS.max_call_s, gt=0)
    idle_s: float = Field(default=_LIMITS.idle_s, gt=0)
    token_s: float = Field(default=_LIMITS.token_s, gt=0)
    start_s: float = Field(default=_LIMITS.start_s, gt=0)
    answer_s: float = Field(default=_LIMITS.answer_s, gt=0)
    beat_lost_s: float = Field(default=_LIMITS.beat_lost_s, gt=0)
    lane_stuck_s: float = Field(default=_LIMITS.lane_stuck_s, gt=0)
    spares: int = Field(default=_LIMITS.spares, ge=0, le=100)
    calls_per_process: int = Field(default=_LIMITS.calls_per_process, ge=1, le=100)
    process_mb: float = Field(default=_LIMITS.process_mb, ge=0)

    def read(self) -> CallLimits:
        """Bounds of a call, and of the host where they are not counted from the machine."""
        counted = {"max_calls"} if self.max_calls == "auto" else set()
        return CallLimits(**self.model_dump(exclude=counted))


class SecretSource(Section):
    """A secret by the file or the environment variable it lies in; exactly one of them."""

    file: str = ""
    env: str = ""

    @model_validator(mode="after")
    def _one(self) -> SecretSource:
        if bool(self.file) == bool(self.env):
            raise ValueError("a secret needs either `file` or `env`")
        return self

    def read(self) -> SecretStr:
        """The secret without surrounding white space. ConfigError when it is not there."""
        if self.env:
            value, place = os.environ.get(self.env, ""), f"the environment variable {self.env}"
        else:
            place = f"the file {self.file}"
            try:
                value = Path(self.file).expanduser().read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"A secret cannot be read from {place}; make it readable.") from error
        if not value.strip():
            raise ConfigError(f"{place[0].upper()}{place[1:]} holds no secret; put one there.")
        return SecretStr(value.strip())


_STUN_URL = re.compile(r"stuns?:[A-Za-z0-9.-]+(:\d{1,5})?")
_ORIGIN = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?/?", re.IGNORECASE)
_TURN_URL = re.compile(r"turns?:[A-Za-z0-9.-]+(:\d{1,5})?(\?transport=(udp|tcp))?")


class IceServerSettings(Section):
    """One STUN or TURN server with lasting credentials."""

    urls: tuple[str, ...] = Field(min_length=1)
    username: str | None = None
    credential: SecretSource | None = None

    @field_validator("urls")
    @classmethod
    def _readable(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_STUN_URL.fullmatch(url) or _TURN_URL.fullmatch(url) for url in urls):
            raise ValueError("an ICE server url is stun:HOST[:PORT] or turn:HOST[:PORT][?transport=udp|tcp]")
        return urls


class TurnSettings(Section):
    """One TURN server that makes no accounts but shares a secret (coturn's `static-auth-secret`)."""

    urls: tuple[str, ...] = Field(min_length=1)
    secret: SecretSource

    @field_validator("urls")
    @classmethod
    def _readable(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_TURN_URL.fullmatch(url) for url in urls):
            raise ValueError("a TURN url is turn:HOST[:PORT][?transport=udp|tcp], or turns: for TLS")
        return urls


class MediaSettings(Section):
    """Peer connections."""

    ice_servers: tuple[IceServerSettings, ...] = ()
    turn: tuple[TurnSettings, ...] = ()
    ice_transport: Literal["all", "relay"] = "all"
    udp_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = ()
    bind_addresses: tuple[IPvAnyAddress, ...] = ()
    advertised_addresses: tuple[IPvAnyAddress, ...] = ()
    sfu_origins: tuple[str, ...] = ()
    curtain_fps: float = Field(default=_MEDIA.curtain_fps, ge=10, le=30)
    start_bitrate: int = Field(default=_MEDIA.start_bitrate, ge=30_000, le=50_000_000)
    min_bitrate: int = Field(default=_MEDIA.min_bitrate, ge=30_000, le=50_000_000)
    max_bitrate: int = Field(default=_MEDIA.max_bitrate, ge=30_000, le=50_000_000)
    key_frame_every_s: float = Field(default=_MEDIA.key_frame_every_s, ge=0)
    budget_ms: float = Field(default=_MEDIA.budget_ms, gt=0)
    connect_s: float = Field(default=_MEDIA.connect_s, gt=0)
    sound_wait_s: float = Field(default=_MEDIA.sound_wait_s, ge=0, le=0.2)

    @field_validator("udp_ports")
    @classmethod
    def _range(cls, ports: tuple[int, ...]) -> tuple[int, ...]:
        if ports and (len(ports) != 2 or ports[0] > ports[1]):
            raise ValueError("a port range is [first, last], or [] for any port")
        return ports

    @field_validator("sfu_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.fullmatch(origin) and origin_of(origin) for origin in origins):
            raise ValueError("an SFU's origin is https://HOST[:PORT], without a path")
        return origins

    @model_validator(mode="after")
    def _ordered(self) -> MediaSettings:
        if not self.min_bitrate <= self.start_bitrate <= self.max_bitrate:
            raise ValueError("`start_bitrate` lies between `min_bitrate` and `max_bitrate`")
        return self

    @model_validator(mode="after")
    def _relayed(self) -> MediaSettings:
        relayed = self.turn or any(url.startswith("turn") for s in self.ice_servers for url in s.urls)
        if self.ice_transport == "relay" and not relayed:
            raise ValueError('`ice_transport = "relay"` needs a TURN server in `turn` or `ice_servers`')
        return self

    def read(self) -> MediaConfig:
        """With the secrets. ConfigError when one cannot be read."""
        plain = self.model_dump(exclude={"ice_servers", "turn"})
        for key in ("bind_addresses", "advertised_addresses"):
            plain[key] = tuple(str(address) for address in plain[key])
        return MediaConfig(
            ice_servers=tuple(
                IceServer(
                    s.urls, s.username, s.credential.read().get_secret_value() if s.credential else None
                )
                for s in self.ice_servers
            ),
            turn=tuple(TurnServer(s.urls, s.secret.read().get_secret_value()) for s in self.turn),
            **plain,
        )


CardLine = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]


class VisionSettings(Section):
    """The protection chain."""

    face_threshold: float = Field(default=_VISION.face_threshold, gt=0, lt=1)
    face_hold_s: float = Field(default=_VISION.face_hold_s, ge=0, le=10)
    segment_every: int = Field(default=_VISION.segment_every, ge=1, le=30)
    hand_threshold: float = Field(default=_VISION.hand_threshold, gt=0, lt=1)
    hands_every: int = Field(default=_VISION.hands_every, ge=1, le=60)
    hands_hold_s: float = Field(default=_VISION.hands_hold_s, ge=0.1, le=2)
    codes_every_s: float = Field(default=_VISION.codes_every_s, ge=0.1, le=2)
    text_every_s: float = Field(default=_VISION.text_every_s, ge=0.2, le=5)
    prints_late_s: float = Field(default=_VISION.prints_late_s, ge=1, le=10)
    warm_frames: int = Field(default=_VISION.warm_frames, ge=1, le=300)
    hold_s: float = Field(default=_VISION.hold_s, ge=0, le=2)
    late_s: float = Field(default=_VISION.late_s, gt=0, le=2)
    strict: bool = _VISION.strict
    cards: dict[CurtainReason, tuple[CardLine, CardLine]] = {}


class SpeechSettings(Section):
    """The hearing chain."""

    engine: str = _SPEECH.engine
    second_opinion: Literal["auto", "off"] = "auto"
    vosk_zh_dir: str = _SPEECH.vosk_zh_dir
    vosk_en_dir: str = _SPEECH.vosk_en_dir
    rules_dir: str = _SPEECH.rules_dir
    queue_s: float = Field(default=_SPEECH.queue_s, gt=0, le=60)
    on_deaf: Literal["pass", "notify", "mute", "end"] = "notify"


_DOMAIN = re.compile(r"(\*\.)?([a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}", re.IGNORECASE)


class AllowanceSettings(Section):
    """What may be shown to a camera."""

    domains: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    @field_validator("domains")
    @classmethod
    def _named(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_DOMAIN.fullmatch(domain) for domain in domains):
            raise ValueError("a domain is shop.example.com, without scheme or path; those below it count too")
        return domains

    @field_validator("patterns")
    @classmethod
    def _readable(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        Allowed(patterns=patterns)
        return patterns

    def read(self) -> Allowance:
        """As calls take it."""
        return Allowance(self.domains, self.patterns)


class ContactSettings(Section):
    """Looking for contacts that are held up to a camera."""

    watch: tuple[Role, ...] = tuple(Role(role) for role in _CONTACTS.watch)
    kinds: tuple[PrintKind, ...] = tuple(PrintKind(kind) for kind in _CONTACTS.kinds)
    codes_every_s: float = Field(default=_CONTACTS.codes_every_s, ge=0.1, le=5)
    text_every_s: float = Field(default=_CONTACTS.text_every_s, ge=0.2, le=30)
    allow: AllowanceSettings = AllowanceSettings()
    merchants: dict[str, AllowanceSettings] = {}

    def read(self) -> ContactConfig:
        """As calls take it."""
        return ContactConfig(
            watch=tuple(role.value for role in self.watch),
            kinds=tuple(kind.value for kind in self.kinds),
            codes_every_s=self.codes_every_s,
            text_every_s=self.text_every_s,
            allow=self.allow.read(),
            merchants={name: one.read() for name, one in self.merchants.items()},
        )


class AccessSettings(Section):
    """Who may create calls."""

    api_keys_file: str = ""


def is_loopback(host: str) -> bool:
    """True for `localhost` and loopback addresses."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
