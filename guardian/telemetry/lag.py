"""Watches that the event loop only waits."""

from __future__ import annotations

import asyncio
import time

from guardian.telemetry.log import logger
from guardian.telemetry.metrics import Metrics

PERIOD_S = 0.5
ALARM_S = 0.25
_QUIET_S = 10.0


async def watch_loop(metrics: Metrics) -> None:
    """Measures how late a timer fires, until cancelled; a long lag is logged, at most every ten seconds."""
    log = logger("guardian.loop")
    told = float("-inf")
    while True:
        wanted = time.monotonic() + PERIOD_S
        await asyncio.sleep(PERIOD_S)
        lag = max(0.0, time.monotonic() - wanted)
        metrics.loop_lag.observe(lag)
        metrics.loop_lag_now.set(lag)
        if lag > ALARM_S and wanted - told > _QUIET_S:
            told = wanted
            log.warning("the event loop was held up", lag_ms=round(lag * 1000))
