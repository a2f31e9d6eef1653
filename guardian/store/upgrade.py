"""Which revision a store is of, and how it comes to the newest one."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from guardian.core.errors import Unavailable
from guardian.store.database import Database, StoreConfig
from guardian.store.schema import heads

_FOLDER = Path(__file__).parent / "migrations"
_BEFORE_ALEMBIC = "0001"
_USER_VERSION = 2
"""Of SQLite files. 1 had no revisions; servers that know no revisions refuse what is above 1."""

Told = Callable[[str], None]
"""Hears of each revision that was reached."""


class Standing(StrEnum):
    """A store beside this Guardian."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


def open_store(config: StoreConfig) -> Database:
    """The store, ready for use; an empty one is given its tables.

    Unavailable when it is older (`guardian migrate` is named), newer, damaged, read-only or not to be had.
    """
    database = Database(config)
    try:
        fault = database.fault()
        if fault is not None:
            raise Unavailable(f"The store {database.name} is damaged; restore it from a copy.")
        found = standing(database)
        if found is Standing.EMPTY:
            upgrade(database)
        elif found is Standing.OLDER:
            raise Unavailable(
                f"The store {database.name} is of an older Guardian; keep a copy and run `guardian migrate`."
            )
        elif found is Standing.NEWER:
            raise _newer(database)
        database.connect()
        with database.writing() as db:
            # Beginning to write is not enough: SQLite lets a read-only file begin.
            db.execute(sa.delete(heads).where(sa.false()))
    except BaseException:
        database.close()
        raise
    return database


def standing(database: Database) -> Standing:
    """Compares a store with the revisions that are known here. Unavailable."""
    with database.reading() as db:
        return _standing(db)


def revision(database: Database) -> str | None:
    """The revision a store is of; None for an empty one. Unavailable."""
    with database.reading() as db:
        return _revision(db)


def newest() -> str:
    """The revision this Guardian works with."""
    return str(_scripts().as_revision_number("head") or "")


def upgrade(database: Database, told: Told = lambda _: None, to: str = "head") -> None:
    """Brings a store to a revision: all of the way, or not at all. Unavailable when it is newer."""
    with database.altering() as db:
        if _standing(db) is Standing.NEWER:
            raise _newer(database)
        config = Config()
        config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
        config.attributes.update(connection=db, told=told)
        if _revision(db) == _BEFORE_ALEMBIC and not sa.inspect(db).has_table("alembic_version"):
            command.stamp(config, _BEFORE_ALEMBIC)
        command.upgrade(config, to)
        if database.embedded:
            db.exec_driver_sql(f"PRAGMA user_version = {_USER_VERSION}")


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_FOLDER))


def _standing(db: sa.Connection) -> Standing:
    here = _revision(db)
    if here is None:
        return Standing.EMPTY
    known = {script.revision for script in _scripts().walk_revisions()}
    if here not in known:
        return Standing.NEWER
    return Standing.CURRENT if here == newest() else Standing.OLDER


def _revision(db: sa.Connection) -> str | None:
    """As the store says; one of a kind that is not known here is named by its number."""
    if db.dialect.name == "sqlite":
        version = int(db.exec_driver_sql("PRAGMA user_version").scalar_one())
        if version > _USER_VERSION:
            return f"user_version {version}"
    found = MigrationContext.configure(db).get_current_heads()
    if found:
        return found[0]
    return _BEFORE_ALEMBIC if sa.inspect(db).has_table("sequences") else None


def _newer(database: Database) -> Unavailable:
    return Unavailable(f"The store {database.name} is of a newer Guardian; use that version.")
