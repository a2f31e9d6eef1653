"""What can be asked and done of people on a running server; a root answers, the HTTP part asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from guardian.core.audit import Principal
from guardian.core.people import Duty, Person, Preferences


@dataclass(frozen=True, slots=True)
class SignInTry:
    """Somebody at the form. address: where they are; browser, session: what their browser has shown, or "".

    Nothing of it is kept or logged.
    """

    name: str
    password: str = field(repr=False)
    address: str = ""
    browser: str = field(default="", repr=False)
    session: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in. session, browser: secrets for their browser; both are new each time."""

    person: Person
    session: str = field(repr=False)
    browser: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewPerson:
    """An account that is asked for."""

    tenant: str
    name: str
    display: str
    duties: frozenset[Duty]
    language: str = "en"
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class PersonChange:
    """What is to be different; None stays as it is."""

    display: str | None = None
    duties: frozenset[Duty] | None = None
    language: str | None = None
    zone: str | None = None
    preferences: Preferences | None = None


class PeopleDesk(Protocol):
    """Everything waits for a disk or for a slow hash: not for the event loop. Unavailable.

    What is done is told in the chain. Each principal sees the people of its tenant. Raises NoSuchPerson,
    PersonRefused where an account cannot be like that.
    """

    def sign_in(self, tried: SignInTry) -> SignedIn:
        """Ends the session that was shown. SignInRefused says the same whatever was wrong; SignInSlowed."""
        ...

    def session(self, secret: str) -> Person | None:
        """Whose session it is; None when it never was, has ended, or has been left alone for too long."""
        ...

    def sign_out(self, secret: str) -> None:
        """Ends a session, if it is one."""
        ...

    def forbidden(self, who: Principal, what: str) -> None:
        """Tells the chain that a person was refused something their roles do not allow."""
        ...

    def people(self, who: Principal) -> Sequence[Person]:
        """All accounts of the tenant by name, disabled ones too."""
        ...

    def add(self, who: Principal, new: NewPerson, password: str) -> Person:
        """Makes an account in the principal's tenant."""
        ...

    def change(self, who: Principal, account_id: str, change: PersonChange) -> Person:
        """Changes an account; other roles hold at once, also for who is signed in."""
        ...

    def set_password(self, who: Principal, account_id: str, password: str) -> Person:
        """Sets another one and ends all sessions of the account."""
        ...

    def own_password(self, who: Principal, old: str, new: str) -> Person:
        """The same for oneself; SignInRefused when the old one is not right, SignInSlowed."""
        ...

    def disable(self, who: Principal, account_id: str) -> Person:
        """Nobody can sign in with it any more; ends all its sessions."""
        ...

    def enable(self, who: Principal, account_id: str) -> Person:
        """Lets somebody sign in again."""
        ...
