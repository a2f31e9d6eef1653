"""Makes and changes accounts, for the console and for the command line alike."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from guardian.core.audit import Act, Entry, Principal
from guardian.core.errors import PersonRefused
from guardian.core.people import (
    LANGUAGES,
    Person,
    fault_of_display,
    fault_of_duties,
    fault_of_name,
    fault_of_password,
    folded,
)
from guardian.core.people_desk import NewPerson, PersonChange
from guardian.core.ports import Clock
from guardian.core.times import rfc3339
from guardian.passwords import Passwords
from guardian.store.people import NewPassword, People

_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_ZONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+/-]{0,63}")


class PeopleKeeper:
    """Thread-safe; waits for the disk. NoSuchPerson, PersonRefused, Unavailable."""

    def __init__(self, people: People, passwords: Passwords, clock: Clock) -> None:
        self._people = people
        self._passwords = passwords
        self._clock = clock

    def check(self, new: NewPerson) -> Person:
        """The account as it would be. PersonRefused when it could not be."""
        now = self._clock()
        person = Person(
            id=f"p_{secrets.token_hex(6)}",
            tenant=new.tenant,
            name=folded(new.name),
            display=new.display,
            duties=new.duties,
            language=new.language,
            zone=new.zone,
            made_at=now,
            password_at=now,
        )
        if not _TENANT.fullmatch(person.tenant):
            raise PersonRefused("A tenant is named with a-z, 0-9, _ and -, at most 32 of them.")
        _check(fault_of_name(person.name))
        _checked(person)
        if self._people.named(person.name) is not None:
            raise PersonRefused(f"The name {person.name} is taken; choose another one.")
        return person

    def add(self, who: Principal, new: NewPerson, password: str) -> Person:
        """Makes an account."""
        person = self.check(new)
        _check(fault_of_password(password, person.name))
        body = {"tenant": person.tenant, "roles": _roles(person)}
        told = _told(Act.ACCOUNT_MADE, who, person, person.made_at, body)
        self._people.add(person, self._passwords.hashed(password), told)
        return person

    def change(self, who: Principal, person: Person, change: PersonChange) -> Person:
        """Changes an account. person: as it is now."""
        given = {
            "display": change.display,
            "duties": change.duties,
            "language": change.language,
            "zone": change.zone,
            "preferences": change.preferences,
        }
        changed = {
            name: value
            for name, value in given.items()
            if value is not None and value != getattr(person, name)
        }
        if not changed:
            return person
        after: Person = replace(person, **changed)  # type: ignore[arg-type]  # each of its own field's type
        _checked(after)
        body: dict[str, Any] = {"changed": sorted(changed)}
        if "duties" in changed:
            body |= {"roles": _roles(after), "were": _roles(person)}
        told = _told(Act.ACCOUNT_CHANGED, who, after, self._clock(), body)
        return self._people.change(person.id, changed, told)

    def disable(self, who: Principal, person: Person) -> Person:
        """Nobody can sign in with it any more; all its sessions end."""
        return self._switch(who, person, self._clock())

    def enable(self, who: Principal, person: Person) -> Person:
        """Lets somebody sign in again."""
        return self._switch(who, person, None)

    def set_password(self, who: Principal, person: Person, password: str, was: str | None = None) -> Person:
        """Another password; all sessions end. was: the hash it has to take the place of, None for any."""
        _check(fault_of_password(password, person.name))
        new = NewPassword(self._passwords.hashed(password), self._clock(), was)
        told = _told(Act.PASSWORD_SET, who, person, new.at, {"own": who.id == person.id})
        return self._people.set_password(person.id, new, told)

    def _switch(self, who: Principal, person: Person, disabled_at: float | None) -> Person:
        if (person.disabled_at is None) == (disabled_at is None):
            return person
        act = Act.ACCOUNT_ENABLED if disabled_at is None else Act.ACCOUNT_DISABLED
        told = _told(act, who, person, self._clock(), {})
        return self._people.change(person.id, {"disabled_at": disabled_at}, told)


def _told(act: Act, who: Principal, person: Person, now: float, body: Mapping[str, Any]) -> Entry:
    return Entry(act, person.id, who.text, rfc3339(now), body)


def _roles(person: Person) -> list[str]:
    return sorted(duty.value for duty in person.duties)


def _checked(person: Person) -> None:
    _check(fault_of_display(person.display))
    _check(fault_of_duties(person.duties))
    if person.language not in LANGUAGES:
        raise PersonRefused(f"A language is one of {', '.join(LANGUAGES)}.")
    if not _is_zone(person.zone):
        raise PersonRefused("A time zone is named as in the IANA list, Asia/Shanghai or UTC.")


def _is_zone(zone: str) -> bool:
    if not _ZONE.fullmatch(zone):
        return False
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _check(fault: str | None) -> None:
    if fault is not None:
        raise PersonRefused(f"{fault[0].upper()}{fault[1:]}.")
