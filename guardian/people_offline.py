"""What the command line does with accounts, beside a server or without one."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from guardian.core.audit import Principal
from guardian.core.errors import ConfigError, NoSuchPerson
from guardian.core.people import Person, fault_of_name, folded
from guardian.passwords import Passwords
from guardian.people_keeper import PeopleKeeper
from guardian.settings import Settings
from guardian.store.people import People
from guardian.store.upgrade import open_store
from guardian.web.access import LOCAL_TENANT
from guardian.web.keyfile import KeyFile


@dataclass(frozen=True, slots=True)
class OfflinePeople:
    """The accounts of a store."""

    people: People
    keeper: PeopleKeeper

    def named(self, name: str) -> Person:
        """The account with this name for signing in. NoSuchPerson."""
        known = folded(name)
        found = None if fault_of_name(known) else self.people.named(known)
        if found is None:
            raise NoSuchPerson(
                "There is no account with this name; `guardian users list` shows those there are."
            )
        return found[0]


@contextmanager
def opened_people(settings: Settings) -> Iterator[OfflinePeople]:
    """The accounts, in a store that is made where there is none. Unavailable, ConfigError."""
    database = open_store(settings.store_config())
    passwords = Passwords()
    try:
        people = People(database)
        yield OfflinePeople(people, PeopleKeeper(people, passwords, time.time))
    finally:
        passwords.close()
        database.close()


def doer(tenant: str) -> Principal:
    """Whoever sits at the command line."""
    return Principal(tenant, "shell", shell_user())


def shell_user() -> str:
    """The user of this process; its number where nobody has given it a name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def usual_tenant(settings: Settings) -> str:
    """The platform meant when none is named. ConfigError when it could be several."""
    keys = KeyFile(settings.api_keys_path).all()
    if not keys:
        return LOCAL_TENANT
    tenants = sorted({key.tenant for key in keys if key.revoked_at is None})
    if len(tenants) != 1:
        raise ConfigError(
            f"Say with --tenant whose account this is: {', '.join(tenants) or 'no key is valid'}."
        )
    return tenants[0]
