"""The chain of evidence and decisions: every link holds the digest of the one before.

What was written once cannot be changed, left out or put in between without every later digest being wrong.
What is cut off at the end is seen by whoever has kept a later digest: events carry them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

GENESIS = "0" * 64


class Act(StrEnum):
    """What a link tells of."""

    KEPT = "evidence.kept"
    PLAYED = "evidence.played"
    REVIEWED = "evidence.reviewed"
    HELD = "evidence.held"
    RELEASED = "evidence.released"
    ERASED = "evidence.erased"
    FORGOTTEN = "evidence.forgotten"
    EXPORTED = "participant.exported"
    DELETED = "participant.deleted"
    ROTATED = "keys.rotated"
    SIGNED_IN = "person.signed_in"
    SIGNED_OUT = "person.signed_out"
    TURNED_AWAY = "person.turned_away"
    FORBIDDEN = "person.forbidden"
    ACCOUNT_MADE = "account.made"
    ACCOUNT_CHANGED = "account.changed"
    ACCOUNT_DISABLED = "account.disabled"
    ACCOUNT_ENABLED = "account.enabled"
    PASSWORD_SET = "account.password_set"
    CASE_VIEWED = "case.viewed"
    CASE_OPENED = "case.opened"
    """Earlier decisions were looked at."""
    CASE_CLAIMED = "case.claimed"
    CASE_TAKEN_OVER = "case.taken_over"
    CASE_RELEASED = "case.released"
    CASE_NOTED = "case.noted"
    CASE_DECIDED = "case.decided"
    CASE_FORGOTTEN = "case.forgotten"
    RULE_CHANGED = "rule.changed"
    APPEAL_OPENED = "appeal.opened"
    APPEAL_JUDGED = "appeal.judged"
    APPEAL_DECIDED = "appeal.decided"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who did it. id: the key's, the account's or the user's, never a secret.

    kind: `key` (an API key), `person` (signed in at the console), `shell` (on the command line), `stranger`
    (not signed in) or `guardian` (a clock).
    """

    tenant: str
    kind: str
    id: str

    @property
    def text(self) -> str:
        """As a link names it."""
        return f"{self.kind}:{self.tenant}/{self.id}"


CLOCK = Principal("-", "guardian", "clock")
STRANGER = Principal("-", "stranger", "-")


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be told. subject: the evidence, or what else it is about; at: UTC RFC 3339.

    body: JSON values; nothing that a person must be able to have forgotten.
    """

    act: Act
    subject: str
    actor: str
    at: str
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """An entry in its place. body: canonical JSON."""

    sequence: int
    act: str
    subject: str
    actor: str
    at: str
    body: str
    digest: str


def link(previous: str, sequence: int, entry: Entry) -> Link:
    """The link after the one with digest `previous`; the first has sequence 1 and follows `GENESIS`."""
    fields = (sequence, entry.act.value, entry.subject, entry.actor, entry.at, canonical(entry.body))
    return Link(*fields, digest=_digest(previous, fields))


def canonical(value: Mapping[str, Any]) -> str:
    """JSON that is the same for the same values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def broken(links: Iterable[Link]) -> Iterator[tuple[int, str]]:
    """(sequence, what is wrong) of every link that does not follow the one before it, in order."""
    previous, expected = GENESIS, 1
    for one in links:
        if one.sequence != expected:
            missing = f"{expected}" if one.sequence == expected + 1 else f"{expected} to {one.sequence - 1}"
            yield one.sequence, f"what stood before it ({missing}) is gone"
        else:
            fields = (one.sequence, one.act, one.subject, one.actor, one.at, one.body)
            if _digest(previous, fields) != one.digest:
                yield one.sequence, "it was changed, or does not follow the one before it"
        previous, expected = one.digest, one.sequence + 1


def _digest(previous: str, fields: tuple[int | str, ...]) -> str:
    return hashlib.sha256(f"{previous}\n{json.dumps(fields, ensure_ascii=False)}".encode()).hexdigest()
