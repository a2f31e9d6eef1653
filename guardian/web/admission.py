"""The calls that were let in: their tenants, leg tokens and sessions."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from guardian.core.calls import CallEvent, CallEventType, CallSpec
from guardian.core.errors import CallExists, NoSuchCall
from guardian.core.ports import Clock
from guardian.core.times import rfc3339
from guardian.core.violations import Role

_ENDED_KEPT = 1000
_FOR_METRICS = ("histograms", "counts")


@dataclass(frozen=True, slots=True)
class LegToken:
    """A leg's secret as kept. expires: wall clock seconds."""

    sha256: str
    expires: float

    def fits(self, token: str) -> bool:
        """True when `token` is this leg's."""
        return secrets.compare_digest(self.sha256, _digest(token))


@dataclass(frozen=True, slots=True)
class Session:
    """One connection of a leg. ice: what its offer said of user names and passwords of ICE."""

    role: Role
    ice: frozenset[str] = field(repr=False)


@dataclass(slots=True)
class Admitted:
    """One call. ended: why it is over, or None."""

    spec: CallSpec
    metadata: Mapping[str, Any]
    legs: Mapping[Role, LegToken]
    client: str = ""
    sessions: OrderedDict[str, Session] = field(default_factory=OrderedDict)
    ended: str | None = None
    ended_at: str | None = None
    _last: bytes = field(default=b"", repr=False)

    def end(self, reason: str, last: Mapping[str, Any]) -> None:
        """It is over. last: its status now, of values that JSON has; packed, as a thousand are kept."""
        self.ended, self.ended_at = reason, now()
        self._last = zlib.compress(json.dumps(last).encode())

    @property
    def last(self) -> dict[str, Any]:
        """The status when it ended; empty while it goes on."""
        last: dict[str, Any] = json.loads(zlib.decompress(self._last)) if self._last else {}
        return last


class Register:
    """Live calls, and the last thousand ended ones. Used on the event loop, but for `live`."""

    def __init__(self, clock: Clock = time.time) -> None:
        self._clock = clock
        self._live: dict[str, Admitted] = {}
        self._over: dict[str, Admitted] = {}

    def admit(
        self, spec: CallSpec, metadata: Mapping[str, Any], token_s: float, client: str = ""
    ) -> dict[Role, tuple[str, float]]:
        """Takes a call in; returns (token, wall clock expiry) per leg. CallExists.

        client: who is answerable for it.
        """
        if self.any_tenant(spec.call_id) is not None:
            raise CallExists("This call_id is taken; use another one, or none to be given one.")
        expires = self._clock() + token_s
        tokens = {role: f"leg_{secrets.token_urlsafe(32)}" for role in Role}
        legs = {role: LegToken(_digest(token), expires) for role, token in tokens.items()}
        self._live[spec.call_id] = Admitted(spec, dict(metadata), legs, client)
        return {role: (token, expires) for role, token in tokens.items()}

    def readmit(self, call: Admitted) -> None:
        """Takes in a live call whose tokens have been given out before, here or at another server."""
        self._over.pop(call.spec.call_id, None)
        self._live[call.spec.call_id] = call

    def withdraw(self, call_id: str) -> None:
        """Forgets a call that the host did not take."""
        self._live.pop(call_id, None)
        self._over.pop(call_id, None)

    def of_tenant(self, call_id: str, tenant: str) -> Admitted:
        """The call, if it is this tenant's. NoSuchCall."""
        call = self.any_tenant(call_id)
        if call is None or call.spec.tenant != tenant:
            raise NoSuchCall("There is no such call.")
        return call

    def any_tenant(self, call_id: str) -> Admitted | None:
        """The call for someone who shows a leg token."""
        return self._live.get(call_id) or self._over.get(call_id)

    def expired(self, leg: LegToken) -> bool:
        """True when the token may no longer be used to join."""
        return self._clock() >= leg.expires

    def live(self) -> list[str]:
        """Identifiers of the calls that have not ended. From any thread."""
        # Metrics are gathered beside the event loop. A plain dictionary's keys are copied in one step of the
        # interpreter; items are not, nor an OrderedDict: a pair made may start the garbage collector.
        return list(self._live)

    def held_by(self, client: str) -> int:
        """How many calls a client has that have not ended."""
        return sum(call.client == client for call in self._live.values())

    def hear(self, event: CallEvent, last: Mapping[str, Any]) -> bool:
        """Learns from an event that a call is over; True when it is news. last: its status now."""
        if event.type is CallEventType.CALL_LEFT and not event.data.get("role"):
            return self.end(event.call_id, str(event.data.get("reason") or "ended"), last)
        return False

    def end(self, call_id: str, reason: str, last: Mapping[str, Any]) -> bool:
        """The call is over; True when that is news."""
        call = self._live.get(call_id)
        if call is None:
            return False
        call.end(reason, public_status(last))
        self._over[call_id] = call
        del self._live[call_id]
        if len(self._over) > _ENDED_KEPT:
            del self._over[next(iter(self._over))]
        return True


def public_status(status: Mapping[str, Any]) -> dict[str, Any]:
    """A call's status without what is for metrics only."""
    return {key: value for key, value in status.items() if key not in _FOR_METRICS}


def now() -> str:
    """The present in UTC RFC 3339 with milliseconds."""
    return rfc3339(time.time())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
