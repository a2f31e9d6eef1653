"""How requests and answers travel between nodes: one line of JSON, then the body as it is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from guardian.core.call_records import CallRecord, CallState, LegHash
from guardian.core.calls import CallSpec
from guardian.core.dispatch import Answered, Asked
from guardian.core.errors import Unavailable
from guardian.core.nodes import Node, NodeState
from guardian.core.violations import Role
from guardian.fleet.broker import MAX_BYTES
from guardian.fleet.messages import spec_from_json, spec_to_json

SCHEMA = 1
"""Of records of calls: a field that an older node may pass over leaves it, one it has to heed raises it."""
_USUAL = {
    name: value
    for name, value in spec_to_json(CallSpec("", "", {})).items()
    if name not in ("call_id", "tenant", "participants")
}


class Garbled(Exception):
    """A message of the fleet that nobody of this version can have written."""


def joined(head: dict[str, Any], body: bytes = b"") -> bytes:
    """A message. Unavailable when it is too long for the broker."""
    message = json.dumps(head, separators=(",", ":")).encode() + b"\n" + body
    if len(message) > MAX_BYTES:
        raise Unavailable("This is too long to be passed on within the fleet.")
    return message


def parted(message: bytes) -> tuple[dict[str, Any], bytes]:
    """The opposite of `joined`. Garbled."""
    line, _, body = message.partition(b"\n")
    try:
        head = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Garbled from error
    if not isinstance(head, dict):
        raise Garbled
    return head, body


def asked_head(asked: Asked) -> dict[str, Any]:
    """A request without its body."""
    return {
        "method": asked.method,
        "path": asked.path,
        "headers": asked.headers,
        "scheme": asked.scheme,
        "client": asked.client,
    }


def asked_from(head: dict[str, Any], body: bytes) -> Asked:
    """The opposite of `asked_head`. Garbled, as is what no request over HTTP can hold."""
    try:
        asked = Asked(
            str(head["method"]), str(head["path"]), _pairs(head["headers"]), body,
            str(head["scheme"]), str(head["client"]),
        )  # fmt: skip
        for pair in ((asked.method, asked.path), *asked.headers):
            "".join(pair).encode("latin-1")
    except (KeyError, TypeError, ValueError) as error:
        raise Garbled from error
    return asked


def answered_head(answered: Answered) -> dict[str, Any]:
    """An answer without its body."""
    return {"status": answered.status, "headers": answered.headers}


def answered_from(head: dict[str, Any], body: bytes) -> Answered:
    """The opposite of `answered_head`. Garbled."""
    try:
        return Answered(int(head["status"]), _pairs(head["headers"]), body)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Garbled from error


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(text)) for name, text in value)


def node_to_bytes(node: Node) -> bytes:
    """A node's entry."""
    return json.dumps(
        {
            "incarnation": node.incarnation,
            "state": node.state,
            "slots": node.slots,
            "taken": node.taken,
            "version": node.version,
        }
    ).encode()


def node_from(name: str, value: bytes) -> Node:
    """The opposite of `node_to_bytes`; one that cannot be read is of a node that lives and takes nothing."""
    incarnation = ""
    try:
        found = json.loads(value)
        incarnation = str(found["incarnation"])
        return Node(
            name, incarnation, NodeState(found["state"]), int(found.get("slots", 0)),
            int(found.get("taken", 0)), str(found.get("version", "")),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return Node(name, incarnation, NodeState.UNREADY)


def record_to_bytes(record: CallRecord) -> bytes:
    """A call's record."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "spec": spec_to_json(record.spec),
            "metadata": dict(record.metadata),
            "legs": {role: [leg.sha256, leg.expires] for role, leg in record.legs.items()},
            "node": record.node,
            "incarnation": record.incarnation,
            "at": record.at,
            "epoch": record.epoch,
            "state": record.state,
            "reason": record.reason,
            "joined": sorted(record.joined),
        },
        separators=(",", ":"),
    ).encode()


def record_from(value: bytes) -> CallRecord:
    """The opposite of `record_to_bytes`; what a newer version may leave out or add is no matter. Garbled."""
    try:
        found = json.loads(value)
        if int(found.get("schema", SCHEMA)) > SCHEMA:
            raise Garbled
        return CallRecord(
            spec=spec_from_json({**_USUAL, **found["spec"]}),
            metadata=found.get("metadata", {}),
            legs={
                Role(role): LegHash(str(sha256), float(expires))
                for role, (sha256, expires) in found["legs"].items()
            },
            node=str(found["node"]),
            incarnation=str(found["incarnation"]),
            at=float(found["at"]),
            epoch=int(found["epoch"]),
            state=CallState(found["state"]),
            reason=str(found.get("reason", "")),
            joined=frozenset(Role(role) for role in found.get("joined", ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise Garbled from error


def lost(node: Node) -> Node:
    """A node's entry as others write it who have fenced it."""
    return replace(node, state=NodeState.LOST, taken=0)
