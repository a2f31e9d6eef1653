"""Calls that are over: what is told of those whose process died, and the last that is known of each."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

from guardian.core.calls import CallEvent, CallEventType
from guardian.fleet.worker import Worker

_REMEMBERED = 1000


class Finished:
    """The last statuses of the calls that ended last, a thousand of them at most."""

    def __init__(self) -> None:
        self._statuses: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def __contains__(self, call_id: str) -> bool:
        return call_id in self._statuses

    def get(self, call_id: str) -> dict[str, Any] | None:
        """The final status of a call, None of one that is not known."""
        return self._statuses.get(call_id)

    def add(self, worker: Worker) -> None:
        """Remembers a call that has begun and is over."""
        call_id, reason = worker.spec.call_id, worker.ended_reason
        self._statuses[call_id] = {
            "call_id": call_id,
            "state": "failed" if reason in (None, "failed") else "ended",
            "ended_reason": reason or "the call process died",
            **{key: value for key, value in worker.status.items() if key != "histograms"},
        }
        while len(self._statuses) > _REMEMBERED:
            self._statuses.popitem(last=False)

    def forget(self, call_id: str) -> None:
        """What is known of a call goes: it can be opened again."""
        self._statuses.pop(call_id, None)


def failed(worker: Worker) -> CallEvent:
    """What is told of a call whose process died."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    media_t = worker.status.get("media_t")
    t = float(media_t) if isinstance(media_t, int | float) else 0.0
    left = {"role": None, "reason": "failed"}
    return CallEvent(worker.spec.call_id, CallEventType.CALL_LEFT, at, t, left)
