"""The pages of the console, in the order its header names them."""

from __future__ import annotations

from dataclasses import dataclass

from guardian.core.people import Permission, Person


@dataclass(frozen=True, slots=True)
class Place:
    """A page that the header leads to. word: of `WORDS`; permission: who may see it."""

    path: str
    word: str
    permission: Permission


PLACES: tuple[Place, ...] = (
    Place("/review/queue", "queue", Permission.CASES_SEE),
    Place("/review/appeals", "appeals", Permission.CASES_SEE),
    Place("/review/report", "quality", Permission.QUALITY_SEE),
    Place("/review/rules", "rules", Permission.RULES_SEE),
    Place("/review/events", "events", Permission.EVENTS_SEE),
    Place("/review/operations", "operations", Permission.OPERATIONS_SEE),
    Place("/review/people", "people", Permission.PEOPLE_MANAGE),
    Place("/review/audit", "audit", Permission.AUDIT_SEE),
)
"""The first one that somebody may see is where signing in leads them."""


def places_of(person: Person) -> tuple[Place, ...]:
    """Where somebody may go."""
    return tuple(place for place in PLACES if person.may(place.permission))
