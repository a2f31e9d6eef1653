"""What events about a call hold."""

from __future__ import annotations

from typing import Literal

from guardian.events.model_parts import Data, Model, Role, Seconds, Video


class Joined(Data):
    """A party is connected."""

    role: Role


class Left(Data):
    """A party has left; role null: the call is over."""

    role: Role | None
    reason: str


class Lapse(Model):
    """A span in which something was not seen or not heard, or of which a clip was lost."""

    part: Literal["picture", "hearing", "watching", "evidence"]
    leg: Role
    t_start: Seconds
    t_end: Seconds
    reason: str


class RulesInForce(Model):
    """By which rules voices were judged, and how often those in shadow would have told."""

    ruleset: str
    shadow_hits: dict[str, int]


class Coverage(Data):
    """How much of a call was seen and heard, once a minute and at its end."""

    seconds: Seconds
    camera_s: Seconds
    protected_s: Seconds
    sound_s: dict[Role, Seconds]
    heard_s: dict[Role, Seconds]
    lost_s: dict[Role, Seconds]
    lapses: list[Lapse]
    video: Video
    rules: RulesInForce


class Degraded(Data):
    """Protection was interrupted. showing: what the merchant sees instead."""

    state: Literal["degraded", "failed"]
    reason: str
    showing: str


class Lapsed(Data):
    """Something was not heard, pictures were not searched, or a clip was lost, and why."""

    role: Role
    part: Literal["hearing", "watching", "evidence"]
    t_start: float
    t_end: float
    reason: str
    on_deaf: Literal["pass", "notify", "mute", "end"]


class Requested(Data):
    """The call service is asked to act; role null: both parties. case_id: a reviewer asks, for this case."""

    action: Literal["warn", "mute", "end", "notice"]
    role: Role | None
    reason: str | None = None
    notice: str | None = None
    case_id: str | None = None


class Complained(Data):
    """A party has complained."""

    role: Role
    reason: str | None
