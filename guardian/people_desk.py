"""Lets people in and out: sign-ins, sessions, and what is told of them."""

from __future__ import annotations

import hashlib
import math
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NoReturn

from guardian.core.audit import STRANGER, Act, Entry, Principal
from guardian.core.errors import SignInRefused, SignInSlowed, Unavailable
from guardian.core.people import PASSWORD_MOST, Person, fault_of_name, folded
from guardian.core.people_desk import NewPerson, PersonChange, SignedIn, SignInTry
from guardian.core.ports import Clock
from guardian.core.rate import Rates
from guardian.core.slowing import Pace, Slowing, known, stranger
from guardian.core.times import rfc3339
from guardian.passwords import Passwords
from guardian.people_keeper import PeopleKeeper
from guardian.store.audit import AuditLog
from guardian.store.people import People
from guardian.store.people_sessions import Beginning, Sessions

_TOUCH_S = 30.0
"""How much later than it was told a session may have been used: not every look is written."""
_TOLD_PER_S, _TOLD = 0.2, 50
"""Refusals that are told one by one; of a flood the next one that is told says how many were not."""
_WRONG = "Name and password do not fit."


@dataclass(frozen=True, slots=True)
class PeopleParts:
    """What the desk works with. clock: wall clock seconds; signed: hears how a sign-in went, for counting."""

    people: People
    sessions: Sessions
    keeper: PeopleKeeper
    passwords: Passwords
    audit: AuditLog
    clock: Clock
    signed: Callable[[str], None]


class ServerPeople:
    """`guardian.core.people_desk.PeopleDesk`."""

    def __init__(self, parts: PeopleParts) -> None:
        self._parts = parts
        self._slowing = Slowing(time.monotonic)
        self._telling = Rates(_TOLD_PER_S, _TOLD, time.monotonic)
        self._untold: Counter[str] = Counter()
        self._lock = threading.Lock()

    def sign_in(self, tried: SignInTry) -> SignedIn:
        """Ends the session that was shown."""
        parts, name = self._parts, folded(tried.name[:PASSWORD_MOST])
        found = None if fault_of_name(name) else parts.people.named(name)
        browser = digest(tried.browser) if tried.browser else ""
        # Asked whether or not there is such a name: both take the same time.
        at_home = parts.sessions.knows(browser, found[0].id if found else "")
        pace = known(found[0].id, browser) if found and at_home else stranger(name, tried.address)
        self._wait(pace, found[0] if found else None)
        if found is None:
            with self._looking(pace):
                parts.passwords.fits_nobody(tried.password)
            self._turn_away(None, "unknown")
        person, kept = found
        with self._looking(pace):
            fits = parts.passwords.fits(kept, tried.password)
        if not fits:
            self._turn_away(person, "password")
        if person.disabled_at is not None:
            self._turn_away(person, "disabled")
        signed = self._begin(person, kept, tried, browser if at_home else "")
        with self._lock:
            self._slowing.give_back(pace)
        parts.signed("in")
        if parts.passwords.outdated(kept):
            with suppress(Unavailable):  # It can be made anew the next time: whoever is in stays in.
                parts.people.rehash(person.id, kept, parts.passwords.hashed(tried.password))
        return signed

    def session(self, secret: str) -> Person | None:
        """Whose session it is."""
        now, key = self._parts.clock(), digest(secret)
        found = self._parts.sessions.find(key, now)
        if found is None:
            return None
        if now - found.seen_at > _TOUCH_S:
            with suppress(Unavailable):  # A store that takes nothing ends no work before its time.
                self._parts.sessions.touch(key, now)
        return found.person

    def sign_out(self, secret: str) -> None:
        """Ends a session, if it is one."""
        person = self.session(secret)
        if person is not None:
            told = self._entry(Act.SIGNED_OUT, person.id, principal(person))
            self._parts.sessions.end(digest(secret), told)

    def forbidden(self, who: Principal, what: str) -> None:
        """Tells the chain that a person was refused something their roles do not allow."""
        self._tell(Act.FORBIDDEN, who.id, who, {"needed": what})

    def people(self, who: Principal) -> Sequence[Person]:
        """All accounts of the tenant by name."""
        return self._parts.people.all(who.tenant)

    def add(self, who: Principal, new: NewPerson, password: str) -> Person:
        """Makes an account in the principal's tenant."""
        return self._parts.keeper.add(who, _of_tenant(new, who.tenant), password)

    def change(self, who: Principal, account_id: str, change: PersonChange) -> Person:
        """Changes an account."""
        return self._parts.keeper.change(who, self._find(who, account_id), change)

    def set_password(self, who: Principal, account_id: str, password: str) -> Person:
        """Sets another one and ends all sessions of the account."""
        return self._parts.keeper.set_password(who, self._find(who, account_id), password)

    def own_password(self, who: Principal, old: str, new: str) -> Person:
        """The same for oneself."""
        person, kept = self._parts.people.find(who.id, who.tenant)
        # A stolen session must not make guessing any quicker.
        pace = known(person.id, "own")
        self._wait(pace, person)
        with self._looking(pace):
            fits = self._parts.passwords.fits(kept, old)
        if not fits:
            self._turn_away(person, "password")
        with self._lock:
            self._slowing.give_back(pace)
        # An administrator may have set another one since the old one was looked at: theirs stays.
        return self._parts.keeper.set_password(who, person, new, kept)

    def disable(self, who: Principal, account_id: str) -> Person:
        """Nobody can sign in with it any more."""
        return self._parts.keeper.disable(who, self._find(who, account_id))

    def enable(self, who: Principal, account_id: str) -> Person:
        """Lets somebody sign in again."""
        return self._parts.keeper.enable(who, self._find(who, account_id))

    def _find(self, who: Principal, account_id: str) -> Person:
        return self._parts.people.find(account_id, who.tenant)[0]

    def _begin(self, person: Person, kept: str, tried: SignInTry, old_browser: str) -> SignedIn:
        session, browser = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        beginning = Beginning(
            digest=digest(session),
            browser=digest(browser),
            account_id=person.id,
            now=self._parts.clock(),
            old_session=digest(tried.session) if tried.session else "",
            old_browser=old_browser,
        )
        told = self._entry(Act.SIGNED_IN, person.id, principal(person))
        if not self._parts.sessions.begin(beginning, kept, told):
            self._turn_away(person, "changed meanwhile")
        return SignedIn(person, session, browser)

    def _wait(self, pace: Pace, person: Person | None) -> None:
        with self._lock:
            wait = self._slowing.take(pace)
        if wait > 0:
            self._parts.signed("slowed")
            self._told_away(person, "slowed")
            seconds = math.ceil(wait)
            raise SignInSlowed(f"Too many tries; the next one may be made in {seconds} seconds.", seconds)

    @contextmanager
    def _looking(self, pace: Pace) -> Iterator[None]:
        """A password is looked at; a try for which there was no time takes nothing."""
        try:
            yield
        except Unavailable:
            with self._lock:
                self._slowing.give_back(pace)
            raise

    def _turn_away(self, person: Person | None, why: str) -> NoReturn:
        self._parts.signed("refused")
        self._told_away(person, why)
        raise SignInRefused(_WRONG)

    def _told_away(self, person: Person | None, why: str) -> None:
        # What was typed as a name may be a password: it is told of no name that nobody has.
        subject = person.id if person is not None else "sign-in"
        self._tell(Act.TURNED_AWAY, subject, STRANGER, {"why": why})

    def _tell(self, act: Act, subject: str, who: Principal, body: dict[str, str | int]) -> None:
        with self._lock:
            # Each by itself: a flood of strangers does not hide what somebody who is signed in tries.
            if self._telling.wait(who.text) > 0:
                self._untold[who.text] += 1
                return
            untold = self._untold.pop(who.text, 0)
        more: dict[str, str | int] = {"untold": untold} if untold else {}
        self._parts.audit.append(self._entry(act, subject, who, body | more))

    def _entry(
        self, act: Act, subject: str, who: Principal, body: dict[str, str | int] | None = None
    ) -> Entry:
        return Entry(act, subject, who.text, rfc3339(self._parts.clock()), body or {})


def principal(person: Person) -> Principal:
    """As the chain and links name somebody who is signed in."""
    return Principal(person.tenant, "person", person.id)


def digest(secret: str) -> str:
    """What is kept of a secret that a browser holds."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _of_tenant(new: NewPerson, tenant: str) -> NewPerson:
    return NewPerson(tenant, new.name, new.display, new.duties, new.language, new.zone)
