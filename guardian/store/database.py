"""The store's database: SQLite in a file, or PostgreSQL; one way to read, one to write, one to fail."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from guardian.core.errors import ConfigError, StoreFault, Unavailable
from guardian.store.advisory import AdvisoryLock
from guardian.store.leadership import Leadership

_BUSY_S = 10.0
_CONNECT_S = 10
_STATEMENT_MS = 30_000
_IDLE_MS = 5_000
"""A server that is stopped in the middle of a transaction keeps what it has locked for so long."""
_CONNECTIONS = 4
_PATIENCE = {
    # A host that vanishes answers nothing: without these a read waits a quarter of an hour.
    "connect_timeout": _CONNECT_S,
    "tcp_user_timeout": 15_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}

_ONE_ALTERS = sa.text("SELECT pg_advisory_xact_lock(hashtext('guardian tables'), hashtext(current_schema()))")

_SQLITE_CAUSES = (
    ("full", "its disk is full"),
    ("readonly", "it is read-only"),
    ("malformed", "it is damaged; restore it from a copy"),
    ("not a database", "it is damaged or no store; restore it from a copy"),
    ("unable to open", "it cannot be opened"),
    ("locked", "another program keeps it locked"),
    ("i/o error", "its disk fails"),
)


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Where the store is. file: the SQLite file, used while url is empty.

    url: `postgresql://user@host:port/database`, without a password.
    """

    file: Path
    url: str = ""
    password: str = field(default="", repr=False)


class Database:
    """Thread-safe; everything waits for a disk or a network, so use it off the event loop.

    Opening makes a connection but no tables: `guardian.store.upgrade` does. Unavailable, ConfigError.
    """

    def __init__(self, config: StoreConfig) -> None:
        url = _url(config)
        self.name = url.database or "" if not config.url else url.render_as_string(hide_password=True)
        """The store in sentences."""
        self._file = None if config.url else config.file
        self._engine = _postgresql(url) if config.url else _sqlite(config.file, url)
        self._lock = AdvisoryLock(self._engine)

    @property
    def embedded(self) -> bool:
        """True for a file of this machine, which one server has to itself."""
        return self._file is not None

    def connect(self) -> None:
        """Makes all connections there will be, so that a server that runs opens no more. Unavailable."""
        with self._plainly(), ExitStack() as all_at_once:
            for _ in range(_CONNECTIONS):
                all_at_once.enter_context(self._engine.connect())

    def close(self) -> None:
        """Gives all connections back."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that changes nothing. Unavailable when the store cannot be read."""
        with self._transaction(self._engine) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that changes something: all of it, or nothing when an exception leaves it.

        On SQLite it has the one write lock from the start. Unavailable when the store cannot be written;
        StoreFault when what is written does not fit (a duplicate key).
        """
        with self._transaction(self._engine.execution_options(writes=True)) as connection:
            yield connection

    @contextmanager
    def altering(self) -> Iterator[sa.Connection]:
        """A transaction that changes tables, one at a time, without a time limit and, on SQLite, with foreign
        keys checked at its end only, as tables are copied in it."""
        try:
            with self._engine.execution_options(alters=True).connect() as connection:
                driver: Any = connection.connection.driver_connection
                # Not to be used for anything else: what is set on it stays.
                connection.detach()
                if self.embedded:
                    # Has an effect outside of transactions only.
                    driver.execute("PRAGMA foreign_keys = OFF")
                with connection.begin():
                    if not self.embedded:
                        # Servers of a fleet are started together.
                        connection.execute(_ONE_ALTERS)
                    yield connection
                    if self.embedded and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                        raise Unavailable(
                            f"The store {self.name} does not fit together; restore it from a copy."
                        )
        except sa.exc.SQLAlchemyError as error:
            raise Unavailable(f"The store {self.name} cannot be used: {_cause(error)}.") from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While inside nobody else who asks for this has the store: two servers would deliver every event
        twice. Unavailable when somebody has it. A file is kept by the lock on its folder instead.
        """
        if self.embedded:
            yield
            return
        try:
            with self._plainly():
                taken = self._lock.take()
            if not taken:
                raise Unavailable(f"Another Guardian uses the store {self.name}; end it or choose another.")
            yield
        finally:
            self._lock.release()

    def stay_alone(self) -> bool:
        """To be called now and then inside `alone`: the server of the store may have been started again.

        False when somebody else has the store meanwhile. Unavailable while that cannot be known.
        """
        with self._plainly():
            return self.embedded or self._lock.keep()

    def leadership(self) -> Leadership:
        """What servers that share a store of PostgreSQL have instead of `alone`."""
        return Leadership(self._engine, self._plainly)

    def overwrite(self, table: sa.Table) -> None:
        """Takes what was deleted from a table out of the files of the store, as far as its engine does that.

        SQLite: the log is written back and emptied; pages are overwritten as rows are deleted.
        """
        if self.embedded:
            with self.reading() as db:
                db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            return
        with self._plainly(), self._engine.execution_options(isolation_level="AUTOCOMMIT").connect() as db:
            db.execute(sa.text(f"VACUUM {table.name}"))

    def checkpoint(self) -> None:
        """Brings what was written into the file of an embedded store; nobody who writes meanwhile waits."""
        if self.embedded:
            with self.reading() as db:
                db.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def size(self) -> int:
        """Bytes that are in use in the store."""
        with self.reading() as db:
            if self.embedded:
                pages, free, page = (
                    int(db.exec_driver_sql(f"PRAGMA {name}").scalar_one())
                    for name in ("page_count", "freelist_count", "page_size")
                )
                return (pages - free) * page
            return int(db.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one())

    def fault(self) -> str | None:
        """What is wrong with the file of an embedded store, None when its pages fit together.

        Reads all of it.
        """
        if not self.embedded:
            return None
        with self.reading() as db:
            found = str(db.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
        return None if found == "ok" else found

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            raise Unavailable(f"The store {self.name} cannot be used: {_cause(error)}.") from error

    @contextmanager
    def _transaction(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        try:
            with engine.begin() as connection:
                yield connection
        except (sa.exc.IntegrityError, sa.exc.DataError, sa.exc.ProgrammingError) as error:
            raise StoreFault(f"The store {self.name} does not take what it was given.") from error
        except sa.exc.SQLAlchemyError as error:
            raise Unavailable(f"The store {self.name} cannot be used: {_cause(error)}.") from error


def _url(config: StoreConfig) -> sa.URL:
    if not config.url:
        # Not written out: a folder may have any character in its name.
        return sa.URL.create("sqlite", database=str(config.file))
    url = sa.make_url(config.url).set(drivername="postgresql+psycopg")
    return url.set(password=config.password) if config.password else url


def _sqlite(file: Path, url: sa.URL) -> sa.Engine:
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
    except OSError as error:
        raise Unavailable(f"The store {file} cannot be written; check the folder `data_dir`.") from error
    # One writes at a time; more than a few connections would only be kept.
    engine = sa.create_engine(
        url,
        connect_args={"timeout": _BUSY_S},
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_timeout=_BUSY_S,
        # A message with a statement goes without what was to be written.
        hide_parameters=True,
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    # Transactions begin in `_begin_sqlite`; the module would leave changes of tables outside of them.
    connection.isolation_level = None
    # One cell that is not UTF-8 would end every query that meets it.
    connection.text_factory = partial(str, encoding="utf-8", errors="backslashreplace")
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL: what was accepted survives a power cut, at one sync per commit.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # 32 MB: a server brings the log into the file beside the commits, none of which should wait for it.
    connection.execute("PRAGMA wal_autocheckpoint = 8192")
    # A key that was destroyed must not lie about in free pages.
    connection.execute("PRAGMA secure_delete = ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    # Takes the write lock before reading, so that two writers never get one number.
    begin = "BEGIN IMMEDIATE" if options.get("writes") or options.get("alters") else "BEGIN"
    connection.exec_driver_sql(begin)


def _postgresql(url: sa.URL) -> sa.Engine:
    try:
        engine = sa.create_engine(
            url,
            connect_args={**_PATIENCE, "application_name": "guardian"},
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_timeout=_BUSY_S,
            # A server that was started again leaves dead connections behind.
            pool_pre_ping=True,
            hide_parameters=True,
            # Whatever the server has as its default: locks are waited for and then seen, not refused.
            isolation_level="READ COMMITTED",
        )
    except ImportError as error:
        raise ConfigError(
            "PostgreSQL needs the extra `postgres`: pip install 'guardian-sidecar[postgres]'."
        ) from error
    sa.event.listen(engine, "begin", _begin_postgresql)
    return engine


def _begin_postgresql(connection: sa.Connection) -> None:
    alters = connection.get_execution_options().get("alters")
    limits = {
        "statement_timeout": 0 if alters else _STATEMENT_MS,
        "lock_timeout": round(_BUSY_S * 1000),
        "idle_in_transaction_session_timeout": 0 if alters else _IDLE_MS,
    }
    told = ", ".join(f"set_config('{name}', '{limit}', true)" for name, limit in limits.items())
    connection.exec_driver_sql(f"SELECT {told}")


def _cause(error: sa.exc.SQLAlchemyError) -> str:
    """Why, in words of our own: a driver's message may quote what was written."""
    if isinstance(error, sa.exc.TimeoutError):
        return "all of its connections are busy"
    origin = getattr(error, "orig", None)
    said = str(origin).lower()
    state = str(getattr(origin, "sqlstate", "") or "")
    if state.startswith("53"):
        return "its server lacks disk, memory or connections"
    if state in ("28000", "28P01"):
        return "its server does not know the user or the password"
    if state == "3D000":
        return "there is no such database"
    if state == "25006":
        return "it is read-only"
    if isinstance(origin, sqlite3.Error):
        return next((cause for sign, cause in _SQLITE_CAUSES if sign in said), "SQLite refuses")
    return "its server cannot be reached or refuses"


def insert_into(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can say what happens when the row is there (`on_conflict_do_update`)."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
