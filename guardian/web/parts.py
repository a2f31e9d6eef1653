"""What the web application is put together from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request

from guardian.core.audit_desk import AuditDesk
from guardian.core.calls import CallEvent, CallSpec
from guardian.core.config import IceServer
from guardian.core.dispatch import Dispatcher
from guardian.core.event_desk import EventDesk
from guardian.core.evidence_desk import EvidenceDesk
from guardian.core.frames import Mode
from guardian.core.people_desk import PeopleDesk
from guardian.core.ports import CallHost
from guardian.core.readiness import Readiness
from guardian.core.review_desk import AppealDesk, ReviewDesk
from guardian.core.rule_desk import RuleDesk
from guardian.web.admission import Register
from guardian.web.keyfile import KeyFile


@dataclass(frozen=True, slots=True)
class DemoPage:
    """The try-it page. voice: what the merchant says in a sample call; sample: a video file to offer, or
    None for a drawn one."""

    voice: Path
    sample: Path | None = None


@dataclass(frozen=True, slots=True)
class Console:
    """What the review console needs. secure: whether cookies are for https only."""

    people: PeopleDesk
    secure: bool = False


@dataclass(frozen=True, slots=True)
class WebConfig:
    """How the application answers. Times in seconds."""

    version: str = "0"
    public_url: str = ""
    allowed_origins: tuple[str, ...] = ()
    max_body_bytes: int = 262_144
    body_timeout_s: float = 10.0
    requests_per_s: float = 50.0
    requests_burst: int = 200
    client_calls: int = 1000
    client_calls_per_min: float = 600.0
    token_s: float = 600.0
    default_mode: Mode = Mode.PRIVATE
    sfu_origins: tuple[str, ...] = ()
    demo: DemoPage | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """The application's surroundings.

    publish: takes an event; the future is done when it is on the disk. newest: that of the last event taken.
    ready: whether calls can be taken, and why not.
    events_of: (call, after sequence) -> event bodies in order; waits for the disk. count: (method, status)
    of each answer. metrics: (body, content type). ice_servers: what one leg is told, with credentials of
    its own. stopping: whether the server ends, as answers without an end have to. console: None while it is
    switched off. dispatcher: finds who answers for a call; None: this server is no node of a fleet.
    """

    config: WebConfig
    host: CallHost
    register: Register
    keys: KeyFile
    publish: Callable[[CallSpec, CallEvent], Future[Any]]
    newest: Callable[[], Future[Any] | None]
    ready: Callable[[], Readiness]
    events_of: Callable[[str, int], Sequence[bytes]]
    metrics: Callable[[], tuple[bytes, str]]
    ice_servers: Callable[[], Sequence[IceServer]]
    count: Callable[[str, int], None]
    rules: RuleDesk
    events: EventDesk
    evidence: EvidenceDesk
    review: ReviewDesk
    appeals: AppealDesk
    audit: AuditDesk
    stopping: Callable[[], bool]
    console: Console | None = None
    dispatcher: Dispatcher | None = None

    def keyless(self) -> bool:
        """True while there are no API keys: then this machine's callers are trusted, and no others."""
        return self.keys.keyless()


def parts_of(request: Request) -> Parts:
    """The parts of the application that a request came to."""
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts
