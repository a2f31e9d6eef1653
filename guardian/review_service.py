"""Puts together what one server does with cases, and keeps their time."""

from __future__ import annotations

import asyncio

from guardian.appeal_desk import ServerAppeals
from guardian.core.audit import CLOCK
from guardian.core.errors import GuardianError
from guardian.review_desk import ServerReview
from guardian.review_work import ReviewParts
from guardian.store.case_forgetting import CaseForgetting
from guardian.store.evidence_changes import Doing
from guardian.telemetry.log import logger
from guardian.tenure import Tenure

_SWEEP_EVERY_S = 60.0


class ReviewService:
    """One server's review."""

    def __init__(self, parts: ReviewParts) -> None:
        self._parts = parts
        self._forgetting = CaseForgetting(parts.database)
        self._log = logger("guardian.review")
        self.desk = ServerReview(parts)
        self.appeals = ServerAppeals(parts)

    async def run(self, tenure: Tenure) -> None:
        """Forgets what has expired, while this server leads, until cancelled."""
        while True:
            try:
                going_on = tenure.leads()
                while going_on:
                    going_on = await asyncio.to_thread(self._sweep) > 0 and tenure.leads()
            except Exception as error:  # noqa: BLE001 - whatever stands in a row: the server and its calls go on
                # Messages that are not our own may quote what stands in rows.
                why = str(error) if isinstance(error, GuardianError) else type(error).__name__
                self._log.error("words of cases whose time is over stay for now", why=why)
            await asyncio.sleep(_SWEEP_EVERY_S)

    def _sweep(self) -> int:
        doing = Doing(CLOCK.text, self._parts.now())
        links, touched = self._forgetting.sweep(doing, self._parts.retention.records_s)
        for link in links:
            self._parts.linked(link)
        return touched
