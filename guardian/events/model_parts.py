"""What models of events have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_UTC = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"
Utc = Annotated[str, Field(pattern=_UTC, json_schema_extra={"format": "date-time"})]
"""RFC 3339 in UTC."""
Role = Literal["shopper", "merchant"]
Ms = Annotated[int, Field(description="Milliseconds of the call's media time.")]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Model(BaseModel):
    """A JSON object."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Call(Model):
    """The call an event is of. order_ref is a hash; offset_ms is where in the call it was."""

    call_id: str
    tenant: str
    order_ref: str | None
    purpose: str | None
    initiated_by: str | None
    callee_consented: bool
    scopes: list[Literal["protect", "hear", "keep"]]
    notice_version: str
    started_at: str
    offset_ms: Ms


class Worker(Model):
    """Who sent it. config_hash: of the settings, without secrets."""

    version: str
    instance: str
    config_hash: str


class Data(Model):
    """What every event has."""

    call: Call
    worker: Worker


class ProtectMs(Model):
    """Time to protect a picture, in milliseconds; null before the first."""

    p50: float | None
    p95: float | None
    p99: float | None


class Video(Model):
    """The frame budget. coverage: covered pictures of all that came; null before the first."""

    mode: Literal["selfie", "product", "install", "private", ""]
    state: Literal["warming", "armed", "degraded", "failed"]
    budget_ms: float
    protect_ms: ProtectMs
    over_budget_frames: int
    coverage: Share | None


class Encryption(Model):
    """How evidence is locked. key_id: of the key its own key is wrapped with; wrapped: that is at hand."""

    alg: Literal["AES-256-GCM"]
    key_id: str | None = None
    wrapped: bool


class Event(Model):
    """A CloudEvent 1.0 in structured JSON. id: also `webhook-id`; sequence: within the source, from 1.

    time: when it happened; recordedtime: when it was written down. causationid: id of the event that led
    to this one.
    """

    specversion: Literal["1.0"]
    id: Annotated[str, Field(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$")]
    source: Annotated[str, Field(pattern=r"^/guardian/[a-z0-9-]+/calls/.+$")]
    type: str
    subject: str
    time: Utc
    recordedtime: Utc
    datacontenttype: Literal["application/json"]
    dataschema: str
    sequence: Annotated[str, Field(pattern=r"^\d{12}$")]
    partitionkey: str
    correlationid: str
    causationid: str | None = None
    severitytext: Literal["INFO", "WARN", "ERROR"]
    severitynumber: Annotated[int, Field(ge=1, le=24)]
    dataclassification: Literal["confidential"]
    dataregulation: str
