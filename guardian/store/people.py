"""Accounts in the store. Whatever is changed is told in the chain in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import sqlalchemy as sa

from guardian.core.audit import Entry
from guardian.core.errors import NoSuchPerson, PersonRefused
from guardian.core.people import Duty, Person, Preferences
from guardian.store import audit
from guardian.store.database import Database, insert_into
from guardian.store.people_tables import accounts, browsers, sessions


@dataclass(frozen=True, slots=True)
class NewPassword:
    """A password that takes the place of another one, hashed. at: wall clock seconds; was: the hash that it
    has to take the place of, None for any."""

    hashed: str = field(repr=False)
    at: float
    was: str | None = field(default=None, repr=False)


class People:
    """Thread-safe; waits for the disk. Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, person: Person, password: str, told: Entry) -> None:
        """Keeps a new account. password: hashed. PersonRefused when the name is taken."""
        known = {one.name: getattr(person, one.name) for one in fields(Person)}
        row = {**_cells(known), "password": password}
        with self._database.writing() as db:
            audit.hold(db)
            query = insert_into(db.dialect.name, accounts).values(**row).on_conflict_do_nothing()
            if not db.execute(query.returning(accounts.c.id)).first():
                raise PersonRefused(f"The name {person.name} is taken; choose another one.")
            audit.append(db, told)

    def named(self, name: str) -> tuple[Person, str] | None:
        """The account with this name for signing in, and its hashed password."""
        with self._database.reading() as db:
            row = db.execute(sa.select(accounts).where(accounts.c.name == name)).first()
        return None if row is None else (person_of(row), row.password)

    def find(self, account_id: str, tenant: str) -> tuple[Person, str]:
        """An account of a tenant and its hashed password. NoSuchPerson."""
        query = sa.select(accounts).where(accounts.c.id == account_id, accounts.c.tenant == tenant)
        with self._database.reading() as db:
            row = db.execute(query).first()
        if row is None:
            raise NoSuchPerson("There is no such account.")
        return person_of(row), row.password

    def all(self, tenant: str | None) -> tuple[Person, ...]:
        """By name; of every tenant for None."""
        query = sa.select(accounts).order_by(accounts.c.tenant, accounts.c.name)
        if tenant is not None:
            query = query.where(accounts.c.tenant == tenant)
        with self._database.reading() as db:
            return tuple(person_of(row) for row in db.execute(query))

    def change(self, account_id: str, changed: Mapping[str, Any], told: Entry) -> Person:
        """Writes what is to be different and nothing else: what others change meanwhile stays theirs.

        changed: by field of `Person`. An account that is disabled has no sessions left. NoSuchPerson.
        """
        with self._database.writing() as db:
            audit.hold(db)
            after = _updated(db, accounts.c.id == account_id, _cells(changed))
            if after is None:
                raise NoSuchPerson("There is no such account.")
            if after.disabled_at is not None:
                _sign_out_everywhere(db, account_id)
            audit.append(db, told)
        return after

    def set_password(self, account_id: str, new: NewPassword, told: Entry) -> Person:
        """Another password; all sessions end, and no browser is known any more.

        PersonRefused when it is another one by now than the one it has to take the place of.
        """
        here = accounts.c.id == account_id
        if new.was is not None:
            here &= accounts.c.password == new.was
        with self._database.writing() as db:
            audit.hold(db)
            after = _updated(db, here, {"password": new.hashed, "password_at": new.at})
            if after is None:
                raise PersonRefused("This password was changed in the meantime.")
            _sign_out_everywhere(db, account_id)
            audit.append(db, told)
        return after

    def rehash(self, account_id: str, old: str, new: str) -> None:
        """The same password hashed anew, unless it was changed meanwhile."""
        with self._database.writing() as db:
            same = sa.and_(accounts.c.id == account_id, accounts.c.password == old)
            db.execute(accounts.update().where(same).values(password=new))


def _updated(db: sa.Connection, here: sa.ColumnElement[bool], cells: Mapping[str, Any]) -> Person | None:
    row = db.execute(accounts.update().where(here).values(**cells).returning(accounts)).first()
    return None if row is None else person_of(row)


def _sign_out_everywhere(db: sa.Connection, account_id: str) -> None:
    db.execute(sessions.delete().where(sessions.c.account_id == account_id))
    db.execute(browsers.delete().where(browsers.c.account_id == account_id))


def _cells(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a `Person` as the columns hold them."""
    cells = dict(facts)
    if "duties" in cells:
        cells["roles"] = " ".join(sorted(duty.value for duty in cells.pop("duties")))
    if "preferences" in cells:
        cells["preferences"] = asdict(cells["preferences"])
    return cells


def person_of(row: sa.Row[Any]) -> Person:
    """What a row of accounts says. A role that is not known any more allows nothing."""
    known = {duty.value for duty in Duty}
    chosen = row.preferences if isinstance(row.preferences, dict) else {}
    names = {one.name for one in fields(Preferences)}
    return Person(
        id=row.id,
        tenant=row.tenant,
        name=row.name,
        display=row.display,
        duties=frozenset(Duty(one) for one in row.roles.split() if one in known),
        language=row.language,
        zone=row.zone,
        preferences=Preferences(
            **{key: value for key, value in chosen.items() if key in names and isinstance(value, bool)}
        ),
        made_at=row.made_at,
        password_at=row.password_at,
        disabled_at=row.disabled_at,
    )
