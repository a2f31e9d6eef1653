"""Contacts held up to a camera: what stays in view is one violation, told once and confirmed once.

Pure bookkeeping; times are media seconds of the call.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from guardian.core.contacts import Contact
from guardian.core.notes import Print, PrintKind
from guardian.core.violations import Level, Role, Status, ViolationChange

SURE = 0.8
"""Confidence of a reading that is told at once; a less sure one is told when it was read twice."""
AGAIN_S = 30.0
"""What was seen is the same when it comes back within this time."""
GONE_S = 5.0
"""What was not seen for so long has left the view."""
UNSURE_S = 4.0
"""How long an unsure reading waits for a second one."""
ALIKE = 0.8
"""How much of two readings has to agree, in order, for them to be of one thing."""
REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Sighting:
    """A contact in a picture. place: where, in pixels of the picture; sure: of the reading, 0..1."""

    contact: Contact
    place: Print
    sure: float = 1.0

    @property
    def raised(self) -> bool:
        """Whether it is a violation."""
        return self.contact.level is not Level.PASS


@dataclass(frozen=True, slots=True)
class Glance:
    """What one look at a picture found. kind: what was looked for; t: of the picture; now: when it was
    found; size: width and height of the picture."""

    kind: PrintKind
    sightings: tuple[Sighting, ...]
    t: float
    now: float
    size: tuple[int, int] = (1, 1)


@dataclass(slots=True)
class _Thing:
    """Something that was shown, and what was told of it."""

    kind: PrintKind
    change: ViolationChange
    looks: int = 0
    told: bool = False
    settled: bool = False


class ShownBook:
    """What one role has shown. Not for several threads."""

    def __init__(self, role: Role, new_id: Callable[[], str]) -> None:
        self._role = role
        self._new_id = new_id
        self._things: list[_Thing] = []

    def see(self, glance: Glance) -> tuple[ViolationChange, ...]:
        """The changes of status a look brings, in order."""
        changes = list(self._left(glance.t, glance.now))
        seen: set[str] = set()
        for sighting in glance.sightings:
            thing = self._thing(sighting, glance) if sighting.raised else None
            if thing is not None and thing.change.id not in seen:
                seen.add(thing.change.id)
                changes += self._again(thing, sighting, glance)
        return tuple(changes)

    @property
    def unsure(self) -> bool:
        """Whether another look would settle something."""
        return any(not thing.told for thing in self._things)

    def end(self, now: float) -> tuple[ViolationChange, ...]:
        """Nothing more will be seen."""
        return self._left(float("inf"), now)

    def _thing(self, sighting: Sighting, glance: Glance) -> _Thing:
        for thing in self._things:
            if thing.kind is glance.kind and _same(thing, sighting.contact):
                return thing
        thing = _Thing(glance.kind, self._change(sighting, glance))
        self._things = [*self._things, thing][-REMEMBERED:]
        return thing

    def _again(self, thing: _Thing, sighting: Sighting, glance: Glance) -> list[ViolationChange]:
        thing.looks += 1
        best = thing.change
        if sighting.sure > best.score:
            box = _box(sighting.place, glance.size)
            best = replace(best, heard=sighting.contact.text, score=round(sighting.sure, 3), box=box)
        thing.change = replace(best, t_end=max(best.t_end, glance.t), t_emitted=glance.now)
        changes = []
        if not thing.told and (sighting.sure >= SURE or thing.looks >= 2):
            thing.told = True
            changes.append(thing.change)
        elif thing.told and not thing.settled and thing.looks >= 2:
            changes.append(self._settle(thing))
        return changes

    def _left(self, t: float, now: float) -> tuple[ViolationChange, ...]:
        """Settles what has left the view, and forgets what will not be the same when it comes back."""
        changes = []
        for thing in self._things:
            if thing.told and not thing.settled and t - thing.change.t_end > GONE_S:
                thing.change = replace(thing.change, t_emitted=now)
                changes.append(self._settle(thing))
        self._things = [
            one for one in self._things if t - one.change.t_end <= (AGAIN_S if one.told else UNSURE_S)
        ]
        return tuple(changes)

    def _settle(self, thing: _Thing) -> ViolationChange:
        thing.settled = True
        thing.change = replace(thing.change, status=Status.CONFIRMED)
        return thing.change

    def _change(self, sighting: Sighting, glance: Glance) -> ViolationChange:
        contact = sighting.contact
        level = contact.level
        if level is Level.BLOCK and self._role is Role.SHOPPER:
            level = Level.REVIEW  # The shopper is not the party being policed.
        return ViolationChange(
            id=self._new_id(),
            status=Status.DETECTED,
            rule=contact.rule,
            category=contact.category,
            level=level,
            phrase=str(contact.kind),
            heard=contact.text,
            speaker=self._role,
            language="",
            t_start=glance.t,
            t_end=glance.t,
            t_emitted=glance.now,
            score=round(min(sighting.sure, contact.score), 3),
            box=_box(sighting.place, glance.size),
        )


def _box(place: Print, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, top, width and height of what is around a print, as shares of the picture, within it."""
    sides = []
    for axis, most in enumerate(size):
        found = [min(max(corner[axis] / most, 0.0), 1.0) for corner in place.corners]
        sides.append((min(found), max(found) - min(found)))
    (left, width), (top, height) = sides
    return (round(left, 4), round(top, 4), round(width, 4), round(height, 4))


def alike(one: Sighting, other: Sighting) -> bool:
    """Whether two sightings can be of one thing."""
    return (
        one.place.kind is other.place.kind
        and one.contact.rule == other.contact.rule
        and _alike(one.place.kind, one.contact.text, other.contact.text)
    )


def _same(thing: _Thing, contact: Contact) -> bool:
    return thing.change.rule == contact.rule and _alike(thing.kind, thing.change.heard, contact.text)


def _alike(kind: PrintKind, text: str, other_text: str) -> bool:
    if kind is PrintKind.CODE:
        return text == other_text  # A code is read right or not at all.
    one, other = _core(text), _core(other_text)
    return one == other or agreement(one, other) >= ALIKE


def agreement(one: str, other: str) -> float:
    """Share of the characters of two texts that they have in common, in order, 0..1; 0 where their lengths
    alone keep it below `ALIKE`.

    A row of the longest common subsequence is the bits of a number (Hyyrö, "Bit-parallel LCS-length
    computation revisited", 2004): a page full of addresses is compared between two pictures.
    """
    size = len(one) + len(other)
    if not size or 2 * min(len(one), len(other)) < ALIKE * size:
        return 0.0
    places: dict[str, int] = {}
    for at, character in enumerate(one):
        places[character] = places.get(character, 0) | 1 << at
    whole = row = (1 << len(one)) - 1
    for character in other:
        common = row & places.get(character, 0)
        row = (row + common | row - common) & whole
    return 2 * (len(one) - row.bit_count()) / size


@lru_cache(maxsize=1024)
def _core(text: str) -> str:
    """The part of a reading that two readings of one thing have in common; bounded, for comparing is slow."""
    return re.sub(r"[\W_]+", "", text).casefold()[:100]
