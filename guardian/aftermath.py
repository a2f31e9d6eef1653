"""What a killed server left behind: calls of which nobody has told that they are over."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from guardian.core.calls import CallEvent, CallEventType, CallSpec, Scope
from guardian.desk import Desk
from guardian.store.outbox import Kept, Outbox
from guardian.telemetry.log import logger


def settle(outbox: Outbox, desk: Desk, call_ids: Collection[str] | None = None) -> int:
    """Tells that calls which were going on when their server was killed have failed; returns how many.

    Their processes died with the server. call_ids: those of the server; None: all that there are, of a
    server that has its store to itself and has admitted no call yet. Unavailable.
    """
    left = 0
    for kept in outbox.unfinished(call_ids):
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
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data = {"role": None, "reason": "failed"}
    return spec, CallEvent(kept.call_id, CallEventType.CALL_LEFT, at, call["offset_ms"] / 1000, data)
