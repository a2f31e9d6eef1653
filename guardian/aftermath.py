"""What a killed server or node left behind: calls of which nobody has told that they are over."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import datetime
from typing import Any

from guardian.core.call_records import CallRecord
from guardian.core.calls import CallEvent, CallEventType, CallSpec, Scope
from guardian.core.errors import Unavailable
from guardian.core.times import rfc3339
from guardian.desk import Desk
from guardian.events.ulid import ulid_of
from guardian.store.outbox import Kept, Outbox
from guardian.telemetry.log import logger

_KEEP_S = 10.0


def settle(outbox: Outbox, desk: Desk) -> int:
    """Tells that calls which were going on when their server was killed have failed; returns how many.

    Their processes died with the server, which has its store to itself and has admitted no call since.
    Unavailable.
    """
    left = 0
    for kept in outbox.unfinished():
        try:
            end = _end(kept, json.loads(kept.body)["data"]["call"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            # One row that somebody has written into must not keep the server from starting.
            logger("guardian.server").error("nobody can be told that a call has ended", id=kept.event_id)
            continue
        desk.publish(*end)
        left += 1
    return left


def _end(kept: Kept, call: dict[str, Any]) -> tuple[CallSpec, CallEvent]:
    spec = CallSpec(
        call_id=kept.call_id,
        tenant=call["tenant"],
        participants={},
        scopes=frozenset(Scope(scope) for scope in call["scopes"]),
        notice_version=call["notice_version"],
        purpose=call["purpose"],
        initiated_by=call["initiated_by"],
        order_ref_sha256=(call["order_ref"] or "").removeprefix("ord_sha256:") or None,
        started_at=call["started_at"],
    )
    return spec, _failed(kept.call_id, call["offset_ms"] / 1000)


def tell_failed(outbox: Outbox, desk: Desk, record: CallRecord) -> None:
    """Tells that a call of a fleet has failed, unless the store has that it is over. Waits for the store.

    Whoever tells of the same failure gives it the same id: it is kept once. Unavailable.
    """
    spec = record.spec
    if outbox.over(spec.call_id):
        return
    media_t = max(0.0, record.at - _seconds(spec.started_at, record.at))
    chance = hashlib.sha256(f"{spec.call_id} {record.epoch}".encode()).digest()
    kept = desk.keep(spec, _failed(spec.call_id, media_t), None, ulid_of(record.at, chance))
    try:
        kept.result(_KEEP_S)
    except TimeoutError:
        raise Unavailable("The event store does not keep up.") from None


def _failed(call_id: str, media_t: float) -> CallEvent:
    data = {"role": None, "reason": "failed"}
    return CallEvent(call_id, CallEventType.CALL_LEFT, rfc3339(time.time()), media_t, data)


def _seconds(text: str, otherwise: float) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return otherwise
