"""Puts together what one server does with people: accounts, passwords, sessions."""

from __future__ import annotations

from guardian.core.clock import SteadyClock
from guardian.passwords import Passwords
from guardian.people_desk import PeopleParts, ServerPeople
from guardian.people_keeper import PeopleKeeper
from guardian.settings import Settings
from guardian.store.audit import AuditLog
from guardian.store.database import Database
from guardian.store.people import People
from guardian.store.people_sessions import Limits, Sessions
from guardian.telemetry.metrics import Metrics
from guardian.web.parts import Console


class PeopleService:
    """One server's people."""

    def __init__(self, settings: Settings, database: Database, metrics: Metrics) -> None:
        table = settings.console
        self._passwords = Passwords()
        people, clock = People(database), SteadyClock()
        self.desk = ServerPeople(
            PeopleParts(
                people=people,
                sessions=Sessions(database, Limits(table.idle_s, table.longest_s)),
                keeper=PeopleKeeper(people, self._passwords, clock),
                passwords=self._passwords,
                audit=AuditLog(database),
                clock=clock,
                signed=lambda how: metrics.sign_ins.labels(how).inc(),
            )
        )
        secure = table.secure_cookie == "always" or settings.server.public_url.startswith("https:")
        self.console = Console(self.desk, secure)

    def close(self) -> None:
        """Waits for nobody."""
        self._passwords.close()
