"""People who work at the console of a server that runs, without waiting for their passwords."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

import httpx

from guardian.core.audit import Act, Entry, Principal
from guardian.core.people import Duty, Person
from guardian.core.people_desk import NewPerson
from guardian.core.times import rfc3339
from guardian.passwords import Passwords
from guardian.people_desk import digest, principal
from guardian.people_keeper import PeopleKeeper
from guardian.settings import Settings
from guardian.store.people import People
from guardian.store.people_sessions import Beginning, Limits, Sessions
from guardian.store.upgrade import open_store
from guardian.web.sessions import SESSION, TOKEN_HEADER, token_of

PASSWORD = "correct horse battery"


@dataclass
class Staff:
    """Works on the store of `settings`, beside its server."""

    settings: Settings

    def __post_init__(self) -> None:
        self._database = open_store(self.settings.store_config())
        self._passwords = Passwords(kib=64)
        self._people = People(self._database)
        self.keeper = PeopleKeeper(self._people, self._passwords, time.time)

    def close(self) -> None:
        self._passwords.close()
        self._database.close()

    def __enter__(self) -> Staff:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hire(self, *duties: Duty, tenant: str = "local", name: str = "", **facts: str) -> Person:
        new = NewPerson(
            tenant=tenant,
            name=name or f"{duties[0].value}-{secrets.token_hex(3)}",
            display=facts.pop("display", duties[0].value.title()),
            duties=frozenset(duties),
            **facts,
        )
        return self.keeper.add(Principal(tenant, "shell", "test"), new, PASSWORD)

    def enter(self, person: Person) -> str:
        """Signs somebody in; the secret of the session."""
        session = secrets.token_urlsafe(32)
        found = self._people.named(person.name)
        assert found is not None
        begun = Beginning(digest(session), secrets.token_hex(8), person.id, time.time())
        told = Entry(Act.SIGNED_IN, person.id, principal(person).text, rfc3339(time.time()))
        assert Sessions(self._database, Limits(1800, 43_200)).begin(begun, found[1], told)
        return session

    def client(self, url: str, person: Person) -> httpx.Client:
        """Their browser, with the token that our pages would show."""
        session = self.enter(person)
        return httpx.Client(
            base_url=url,
            trust_env=False,
            timeout=20,
            cookies={SESSION: session},
            headers={TOKEN_HEADER: token_of(session)},
        )
