"""Which one of several servers with one store of PostgreSQL does what one does for all of them.

It is who has the lock that a server alone has (`guardian.store.advisory`). The lock is its session's, and
PostgreSQL ends a session that says nothing for `SILENT_S`: a machine that vanished, and a server that was
stopped, have it no longer than that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

import sqlalchemy as sa

from guardian.store.advisory import TAKE

SILENT_S = 6
_PATIENCE = sa.text(
    # By name, as PostgreSQL before 14 ends no idle session. The others are for a machine that vanished there.
    "SELECT set_config(name, value, false) FROM (VALUES ('idle_session_timeout', :silent),"
    " ('tcp_keepalives_idle', '3'), ('tcp_keepalives_interval', '1'), ('tcp_keepalives_count', '3'))"
    " AS wanted (name, value) WHERE name IN (SELECT name FROM pg_settings)"
)


class Leadership:
    """Thread-safe. plainly: makes Unavailable of what SQLAlchemy raises."""

    def __init__(self, engine: sa.Engine, plainly: Callable[[], AbstractContextManager[None]]) -> None:
        self._engine = engine
        self._plainly = plainly
        self._one_at_a_time = threading.Lock()
        self._connection: sa.Connection | None = None
        self._held = False

    def hold(self) -> bool:
        """Whether this server leads: takes the lock if nobody has it, or looks whether it is still here.

        To be called at least every third of `SILENT_S`. Waits for the database. Unavailable: it leads no
        more, as far as can be known here.
        """
        with self._one_at_a_time, self._plainly():
            try:
                if self._connection is None:
                    self._connection = self._open()
                if self._held:
                    self._connection.execute(sa.text("SELECT 1"))
                else:
                    self._held = bool(self._connection.execute(TAKE).one()[0])
                return self._held
            except BaseException:
                self._drop()
                raise

    def socket(self) -> int | None:
        """What can be read from once PostgreSQL has ended the session; None without one."""
        connection = self._connection
        if connection is None:
            return None
        driver: Any = connection.connection.dbapi_connection
        return int(driver.fileno())

    def release(self) -> None:
        """Gives the lock back, if the server is still there."""
        with self._one_at_a_time:
            if self._connection is not None and self._held:
                # Whoever asks next has it: a session takes a moment to end.
                with suppress(sa.exc.SQLAlchemyError):
                    self._connection.execute(sa.text("SELECT pg_advisory_unlock_all()"))
            self._drop()

    def _open(self) -> sa.Connection:
        connection = self._engine.execution_options(isolation_level="AUTOCOMMIT").connect()
        try:
            # Kept as long as this server runs, so it is no longer one of the pool's.
            connection.detach()
            connection.execute(_PATIENCE, {"silent": f"{SILENT_S}s"})
        except BaseException:
            connection.close()
            raise
        return connection

    def _drop(self) -> None:
        self._held = False
        connection, self._connection = self._connection, None
        if connection is not None:
            # The server may be gone, and the lock with it.
            with suppress(sa.exc.SQLAlchemyError):
                connection.close()
