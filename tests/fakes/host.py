"""A call host without media: keeps to the port, remembers what it was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from guardian.core.calls import Answer, CallSpec, Scope
from guardian.core.errors import CallExists, HostFull, NoSuchCall, OfferRefused
from guardian.core.frames import Mode
from guardian.core.rulebook import label_of
from guardian.core.sfu import Place
from guardian.core.violations import Role

ANSWER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"


class FakeHost:
    def __init__(self, slots: int = 2) -> None:
        self.slots = slots
        self.calls: dict[str, CallSpec] = {}
        self.modes: dict[str, Mode] = {}
        self.scopes: dict[str, tuple[Scope, ...]] = {}
        self.hung_up: list[tuple[str, str | None]] = []
        self.rules: dict[str, str] = {}
        self.clips: dict[str, str] = {}
        self.fragments: list[tuple[str, str]] = []
        self.places: list[tuple[str, Role, Place]] = []
        self.offers = 0
        self.until = 0.0
        self.expected = ""
        self.reserved: set[str] = set()

    def reserve(self, call_id: str) -> None:
        if call_id not in self.reserved and len(self.calls.keys() | self.reserved) >= self.slots:
            raise HostFull("Every slot is taken; try again in 7 seconds.", retry_after=7)
        self.reserved.add(call_id)

    def release(self, call_id: str) -> None:
        self.reserved.discard(call_id)

    async def open(self, spec: CallSpec, rules: str = "", lease_until: float | None = None) -> None:
        if spec.call_id in self.calls:
            raise CallExists("This call_id is taken.")
        self.reserve(spec.call_id)
        self.reserved.discard(spec.call_id)
        self.calls[spec.call_id] = spec
        self.modes[spec.call_id] = spec.mode
        self.rules[spec.call_id] = rules

    async def offer(self, call_id: str, role: Role, sdp: str) -> Answer:
        self._known(call_id)
        if not sdp.startswith("v=0"):
            raise OfferRefused("The offer is not a session description.")
        self.offers += 1
        return Answer(f"s{self.offers}-{role.value}", ANSWER)

    async def connect(self, call_id: str, role: Role, place: Place) -> None:
        self._known(call_id)
        self.places.append((call_id, role, place))

    async def trickle(self, call_id: str, session_id: str, fragment: str) -> None:
        self._known(call_id)
        self.fragments.append((session_id, fragment))

    async def hang_up(self, call_id: str, session_id: str | None, reason: str) -> None:
        self.hung_up.append((call_id, session_id))
        if session_id is None:
            self.calls.pop(call_id, None)

    async def set_mode(self, call_id: str, mode: Mode) -> None:
        self._known(call_id)
        self.modes[call_id] = mode

    async def set_scopes(self, call_id: str, scopes: Sequence[Scope]) -> None:
        self._known(call_id)
        self.scopes[call_id] = tuple(scopes)

    async def keep(self, call_id: str, event_id: str) -> str | None:
        self._known(call_id)
        return self.clips.get(call_id)

    async def use_rules(self, call_id: str, rules: str) -> None:
        self._known(call_id)
        self.rules[call_id] = rules

    def expect(self, rules: str) -> None:
        self.expected = rules

    def trouble(self) -> str | None:
        return None

    def status(self, call_id: str) -> Mapping[str, Any]:
        self._known(call_id)
        return {
            "state": "warming",
            "coverage": 0.0,
            "lapses": [],
            "latency": {"protect": {"p50": 3.0, "n": 1}},
            "rules": {"ruleset": label_of(self.rules[call_id]), "shadow_hits": {}},
        }

    def capacity(self) -> tuple[int, int]:
        return len(self.calls.keys() | self.reserved), self.slots

    def extend(self, until: float) -> None:
        self.until = until

    def forget(self, call_id: str) -> None:
        self.calls.pop(call_id, None)

    async def abandon(self) -> None:
        self.calls.clear()

    def _known(self, call_id: str) -> None:
        if call_id not in self.calls:
            raise NoSuchCall("There is no such call.")
