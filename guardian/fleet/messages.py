"""The wire language between the server and a call process: JSON lines on a socket pair.

server -> process   {"id": n, "do": "warm", "config": ..., "rules": ...}
                    {"id": n, "do": ACTION, "call": CALL_ID, ...}
process -> server   {"re": n, "ok": {...}} or {"re": n, "error": NAME, "message": sentence}
                    {"note": "beat", "process": {...}, "calls": {CALL_ID: {"lanes": {...}, "status": {...}}}}
                    {"note": "event", "event": ...}
                    {"note": "ended", "call": CALL_ID, "reason": ..., "status": {...}}

A process holds the calls it was told to start. No picture and no sound ever crosses. End of file means
that the other side is gone, or that a process is not needed any more.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from enum import StrEnum
from typing import Any

from guardian.core import errors
from guardian.core.calls import CallEvent, CallEventType, CallSpec, Scope
from guardian.core.config import (
    Allowance,
    CallLimits,
    ContactConfig,
    EvidenceConfig,
    IceServer,
    MediaConfig,
    SpeechConfig,
    TurnServer,
    VisionConfig,
    WorkConfig,
)
from guardian.core.frames import Mode
from guardian.core.violations import Role

MAX_LINE = 1 << 20
_SEND_S = 5.0


class Action(StrEnum):
    """What the server asks of a call process, or of one of its calls."""

    WARM = "warm"
    START = "start"
    OFFER = "offer"
    TRICKLE = "trickle"
    HANG_UP = "hang_up"
    SET_MODE = "set_mode"
    SET_SCOPES = "set_scopes"
    CONNECT = "connect"
    USE_RULES = "use_rules"
    KEEP = "keep"
    LEASE = "lease"


class Note(StrEnum):
    """What a call process says unasked."""

    BEAT = "beat"
    EVENT = "event"
    ENDED = "ended"


_SAYABLE = {
    name: error
    for name, error in vars(errors).items()
    if isinstance(error, type) and issubclass(error, errors.GuardianError) and error is not errors.HostFull
}


def error_message(error: errors.GuardianError) -> dict[str, str]:
    """An error as the other side can raise it again."""
    name = type(error).__name__
    return {"error": name if name in _SAYABLE else "CallFailed", "message": str(error)}


def raise_from(message: Mapping[str, Any]) -> None:
    """Raises the error a reply carries, if any."""
    if "error" in message:
        raise _SAYABLE.get(str(message["error"]), errors.CallFailed)(str(message.get("message", "")))


def spec_to_json(spec: CallSpec) -> dict[str, Any]:
    """A call's specification as JSON values."""
    return {
        **asdict(spec),
        "participants": {str(role): name for role, name in spec.participants.items()},
        "scopes": sorted(spec.scopes),
    }


_OF_A_SPEC = frozenset(one.name for one in fields(CallSpec))


def spec_from_json(value: Mapping[str, Any]) -> CallSpec:
    """The opposite of `spec_to_json`; what a newer version has added is left out."""
    return CallSpec(
        **{
            **{name: value[name] for name in _OF_A_SPEC & value.keys()},
            "participants": {Role(role): name for role, name in value["participants"].items()},
            "mode": Mode(value["mode"]),
            "languages": tuple(value["languages"]),
            "scopes": frozenset(Scope(scope) for scope in value["scopes"]),
            "overlays": tuple(value["overlays"]),
        }
    )


def config_from_json(value: Mapping[str, Any]) -> WorkConfig:
    """A `WorkConfig` from `dataclasses.asdict` of one."""
    media = dict(value["media"])
    for name, kind in (("ice_servers", IceServer), ("turn", TurnServer)):
        media[name] = tuple(kind(**{**server, "urls": tuple(server["urls"])}) for server in media[name])
    for name in ("udp_ports", "bind_addresses", "advertised_addresses", "sfu_origins"):
        media[name] = tuple(media[name])
    return WorkConfig(
        vision=VisionConfig(**value["vision"]),
        speech=SpeechConfig(**value["speech"]),
        contacts=_contacts(value["contacts"]),
        media=MediaConfig(**media),
        limits=CallLimits(**value["limits"]),
        evidence=EvidenceConfig(**value["evidence"]),
        default_mode=Mode(value["default_mode"]),
    )


def _contacts(value: Mapping[str, Any]) -> ContactConfig:
    def allowance(one: Mapping[str, Any]) -> Allowance:
        return Allowance(tuple(one["domains"]), tuple(one["patterns"]))

    return ContactConfig(
        **{
            **value,
            "watch": tuple(value["watch"]),
            "kinds": tuple(value["kinds"]),
            "allow": allowance(value["allow"]),
            "merchants": {name: allowance(one) for name, one in value["merchants"].items()},
        }
    )


def event_from_json(value: Mapping[str, Any]) -> CallEvent:
    """A `CallEvent` from `dataclasses.asdict` of one."""
    return CallEvent(**{**value, "type": CallEventType(value["type"])})


def status_in(message: Mapping[str, Any]) -> dict[str, Any]:
    """The status of a call that a message carries. ValueError."""
    status = message["status"]
    if not isinstance(status, dict):
        raise ValueError("a status is an object")
    return status


class Link:
    """One end of the socket pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> dict[str, Any] | None:
        """The next message, or None when the other side is gone or talks nonsense."""
        try:
            line = await self._reader.readline()
            message = json.loads(line) if line.endswith(b"\n") else None
        except (ValueError, ConnectionError):
            return None
        return message if isinstance(message, dict) else None

    def write(self, message: Mapping[str, Any]) -> None:
        """Queues a message; a closed link swallows it."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    @property
    def behind(self) -> bool:
        """Whether the other side has not read for long; what can be said later should wait then."""
        return self._writer.transport.get_write_buffer_size() > MAX_LINE

    async def flush(self) -> None:
        """Waits until the messages are on their way, or the other side is gone or stuck."""
        try:
            async with asyncio.timeout(_SEND_S):
                await self._writer.drain()
        except (TimeoutError, ConnectionError):
            return

    def close(self) -> None:
        """Closes this end."""
        self._writer.close()
