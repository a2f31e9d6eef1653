"""The lock that keeps a store of PostgreSQL for one server: its session's, so it ends with the connection."""

from __future__ import annotations

import threading
from contextlib import suppress

import sqlalchemy as sa

TAKE = sa.text(
    "SELECT pg_try_advisory_lock(hashtext('guardian'), hashtext(current_schema())), pg_backend_pid()"
)
_HOLDER = sa.text(
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND classid::bigint = hashtext('guardian')::bigint & 4294967295"
    " AND objid::bigint = hashtext(current_schema())::bigint & 4294967295"
)


class AdvisoryLock:
    """Thread-safe. Methods wait for the database and pass what SQLAlchemy raises."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._one_at_a_time = threading.Lock()
        self._connection: sa.Connection | None = None
        self._session: int | None = None

    def take(self) -> bool:
        """False when somebody else has it."""
        with self._one_at_a_time:
            self._take()
            return self._connection is not None

    def keep(self) -> bool:
        """To be called now and then once it is taken: takes it anew when its connection was lost.

        False when somebody else has it meanwhile.
        """
        with self._one_at_a_time:
            if self._session is None:
                return True
            if self._connection is not None:
                with suppress(sa.exc.SQLAlchemyError):
                    self._connection.execute(sa.text("SELECT 1"))
                    self._connection.commit()
                    return True
            self._drop()
            # A server that has not noticed yet that the connection is gone keeps the lock for its session.
            return self._take() in (None, self._session)

    def release(self) -> None:
        """Gives it back, if the server is still there."""
        with self._one_at_a_time:
            self._session = None
            self._drop()

    def _take(self) -> int | None:
        """The session that has it, which is this one's if nobody else's; None when it was just given back."""
        connection = self._engine.connect()
        try:
            # Kept as long as the server runs, so it is no longer one of the pool's.
            connection.detach()
            taken, session = connection.execute(TAKE).one()
            if taken:
                connection.commit()
                self._connection, self._session = connection, int(session)
                return self._session
            return connection.execute(_HOLDER).scalar_one_or_none()
        finally:
            if self._connection is not connection:
                connection.close()

    def _drop(self) -> None:
        if self._connection is not None:
            # The server may be gone, and the lock with it.
            with suppress(sa.exc.SQLAlchemyError):
                self._connection.close()
            self._connection = None
