"""What callers send, and how it is read. Unknown keys are refused: a misspelt `scopes` must not pass."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)
from starlette.requests import Request
from starlette.types import Message, Receive

from guardian.core.calls import Scope
from guardian.core.frames import Mode
from guardian.core.rule_desk import RuleQuestion
from guardian.core.rulebook import RuleState
from guardian.core.sfu import Place, place_from_json
from guardian.core.violations import Role
from guardian.web.problems import Problem

CALL_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_METADATA_BYTES = 4096
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""As JSON can write it only: as it is, it is no JSON. PostgreSQL keeps no text that has one."""

Overlays = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")], ...], Field(max_length=4)
]
"""Overlays of the rules by name, in the order in which they are laid."""

B = TypeVar("B", bound=BaseModel)


class Body(BaseModel):
    """A JSON object with known keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Participant(Body):
    """A party, as the platform refers to it."""

    id: str = Field(min_length=1, max_length=128)

    @field_validator("id")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.isprintable() or not value.strip():
            raise ValueError("an id has printable characters only")
        return value


class Consent(Body):
    """The shopper's consent. Only a hash of the token is kept."""

    token: str | None = Field(default=None, max_length=4096)
    notice_version: str = Field(default="", max_length=64)
    scopes: tuple[Scope, ...] = (Scope.PROTECT, Scope.HEAR)


class CreateCall(Body):
    """`POST /v1/calls`."""

    call_id: Annotated[str, Field(pattern=CALL_ID)] | None = None
    shopper: Participant
    merchant: Participant
    mode: Mode | None = None
    languages: tuple[Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,8})?$")], ...] = Field(
        default=("zh", "en"), min_length=1, max_length=8
    )
    purpose: str | None = Field(default=None, max_length=64)
    initiated_by: str | None = Field(default=None, max_length=64)
    order_ref: str | None = Field(default=None, max_length=256)
    consent: Consent | None = None
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    overlays: Overlays = ()

    @field_validator("metadata")
    @classmethod
    def _small(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        try:
            size = len(json.dumps(value, allow_nan=False))
        except ValueError:
            raise ValueError("metadata has numbers that JSON cannot give back") from None
        if size > _METADATA_BYTES:
            raise ValueError(f"metadata has {_METADATA_BYTES} bytes at most")
        return value


class RuleChange(Body):
    """`PATCH /v1/rules/{id}`."""

    state: RuleState


class RuleLines(Body):
    """`POST /v1/rules/test`: written lines, judged as a call with this merchant and these overlays would."""

    lines: tuple[Annotated[str, Field(max_length=500)], ...] = Field(min_length=1, max_length=1000)
    speaker: Role = Role.MERCHANT
    merchant: str = Field(default="", max_length=128)
    overlays: Overlays = ()

    def question(self, tenant: str) -> RuleQuestion:
        """The question as the core has it."""
        return RuleQuestion(tenant, self.merchant, self.overlays, self.speaker, self.lines)


class RuleProposal(RuleLines):
    """`POST /v1/rules/backtest`: the same lines by the rules in force and with these files put."""

    files: dict[str, str | None] = Field(min_length=1, max_length=100)


class SfuEndpoint(Body):
    """A WHIP or WHEP endpoint and its bearer token."""

    url: str = Field(max_length=2048)
    token: str | None = Field(default=None, max_length=4096)


class SfuEndpoints(Body):
    """Where a participant's media are taken (whep) and where theirs are given (whip)."""

    whep: SfuEndpoint | None = None
    whip: SfuEndpoint | None = None


class SfuRoom(Body):
    """A Janus VideoRoom that only this participant and Guardian enter."""

    url: str = Field(max_length=2048)
    room: int | Annotated[str, Field(max_length=128)]
    pin: str | None = Field(default=None, max_length=128)
    feed: int | Annotated[str, Field(max_length=128)] | None = None
    token: str | None = Field(default=None, max_length=4096)
    api_secret: str | None = Field(default=None, max_length=4096)


class Connect(Body):
    """`POST /v1/calls/{id}/connect`: where a participant is met at an SFU."""

    role: Role
    endpoints: SfuEndpoints | None = None
    janus: SfuRoom | None = None

    @model_validator(mode="after")
    def _one(self) -> Connect:
        if (self.endpoints is None) == (self.janus is None):
            raise ValueError("either `endpoints` or `janus` is needed")
        if self.endpoints is not None and self.endpoints.whep is None and self.endpoints.whip is None:
            raise ValueError("`endpoints` needs `whep`, `whip` or both")
        return self

    def place(self) -> Place:
        """The place as the core has it."""
        chosen = self.janus or self.endpoints
        assert chosen is not None
        return place_from_json(chosen.model_dump())


class ModeChange(Body):
    """`POST /v1/calls/{id}/mode`."""

    mode: Mode


class ConsentChange(Body):
    """`POST /v1/calls/{id}/consent`: the scopes that hold from now on."""

    scopes: tuple[Scope, ...]


class Complaint(Body):
    """`POST /v1/calls/{id}/complaint`; an empty body will do."""

    role: Role = Role.SHOPPER
    reason: Literal["off_platform", "harassment", "privacy", "fraud", "other"] | None = None


class Mute(Body):
    """`POST /v1/calls/{id}/mute`: the call service is asked to mute a party."""

    role: Role
    reason: str | None = Field(default=None, max_length=64)


class Notice(Body):
    """`POST /v1/calls/{id}/notice`: the call service is asked to show a party a notice."""

    role: Role | None = None
    notice: str = Field(default="stay_on_platform", min_length=1, max_length=64, pattern=r"^[a-z0-9_.-]+$")


def media_type(request: Request) -> str:
    """The body's media type without parameters, lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read(request: Request, model: type[B]) -> B:
    """The JSON body as `model`. Problem 415, 400 (not JSON) or 422 (not what is asked for)."""
    raw = await request.body()
    if raw and media_type(request) != "application/json":
        raise Problem(415, "The body must be sent as application/json.", {"Accept": "application/json"})
    if _NUL.search(raw):
        raise Problem(422, "the body: a text has the character U+0000.")
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
    first = problems[0]
    if first["type"] == "json_invalid":
        raise Problem(400, "The body is not JSON in UTF-8.")
    listed = [{"pointer": pointer(item["loc"]), "detail": _words(item)} for item in problems[:20]]
    place = listed[0]["pointer"] or "the body"
    raise Problem(422, f"{place}: {listed[0]['detail']}.", extra={"errors": listed})


def read_query(given: Mapping[str, Any], model: type[B]) -> B:
    """The parameters after the `?` as `model`; each is text, or what it was split into. Problem 422."""
    odd = next((name for name, value in given.items() if any("\0" in part for part in value)), None)
    if odd is not None:
        raise Problem(422, f"{odd[:64]}: a text has the character U+0000.")
    try:
        # As JSON: numbers and times come as text here.
        return model.model_validate_json(json.dumps(dict(given)))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"])[:64]
    reason = "is not a known choice" if first["type"] == "extra_forbidden" else first["msg"].lower()
    raise Problem(422, f"{name}: {reason}.")


def asks(model: type[Body]) -> dict[str, Any]:
    """The parameters after the `?` in the description of the API."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})
    return {
        "parameters": [
            {"in": "query", "name": name, "schema": _inlined(one, parts), "required": False}
            for name, one in schema["properties"].items()
        ]
    }


def pointer(loc: tuple[int | str, ...]) -> str:
    """A JSON pointer; path parts are the caller's own words, so they are kept short."""
    return "".join(f"/{str(part)[:64]}" for part in loc)


def _words(item: Any) -> str:
    if item["type"] == "extra_forbidden":
        return "is not a known key"
    if item["type"] == "missing":
        return "is missing"
    message = str(item["msg"]).removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def takes(model: type[Body]) -> dict[str, Any]:
    """The body in the description of the API, its parts written out in place."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})
    return {"requestBody": {"content": {"application/json": {"schema": _inlined(schema, parts)}}}}


def _inlined(node: Any, parts: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, parts) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        rest = {key: value for key, value in node.items() if key != "$ref"}
        # JSON values refer to themselves: any value stands for them.
        return {**(_inlined(parts[name], parts) if name != "JsonValue" else {}), **rest}
    return {key: _inlined(value, parts) for key, value in node.items()}


def replayed(body: bytes, receive: Receive) -> Receive:
    """Gives a body that has been read once more, and then what else comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
