"""How soon an event is safe, and how many reach their endpoints."""

from __future__ import annotations

import asyncio
import base64
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from guardian.bench.script import Row, Script, Steps
from guardian.bench.taker import account, taking
from guardian.core.calls import CallEvent, CallEventType, CallSpec
from guardian.core.clock import SteadyClock
from guardian.core.delivery import Route
from guardian.core.errors import Unavailable
from guardian.core.times import rfc3339
from guardian.core.violations import Level, Role, Status, ViolationChange
from guardian.desk import Desk, Surroundings
from guardian.event_relay import WATCH_EVERY_S
from guardian.events.envelope import Envelope, Issuer
from guardian.events.pump import Pace, Pump
from guardian.events.sinks import WebhookSink, WebhookTarget
from guardian.store.database import Database, StoreConfig
from guardian.store.outbox import Entry, Outbox
from guardian.store.upgrade import open_store
from guardian.telemetry.metrics import Metrics

POSTGRESQL = "GUARDIAN_BENCH_POSTGRESQL"
"""Names an empty database to measure as well: postgresql://USER@HOST/DATABASE."""
RATE = 1000
P99_MS = 20.0
_CALLS = 50
_ROOM = 1500
"""Events that may wait for the disk; the desk refuses more than 2,000."""
_WAIT_S = 120.0
_SECRET = "whsec_" + base64.b64encode(b"b" * 32).decode()


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. seconds: of events at the rate; events: that are sent to each endpoint."""

    seconds: float
    events: int


async def _whole(steps: Steps) -> list[Row]:
    return await _rows(steps, Size(20.0, 1000))


async def _quick(steps: Steps) -> list[Row]:
    return await _rows(steps, Size(3.0, 100))


async def _rows(steps: Steps, size: Size) -> list[Row]:
    kept = [("SQLite", 1), ("SQLite", 2), ("SQLite", 33)]
    if os.environ.get(POSTGRESQL):
        kept.append(("PostgreSQL", 1))
    steps.expect(len(kept) + 2)
    rows: list[Row] = []
    for engine, sinks in kept:
        steps.begin(f"{RATE} events a second into {engine}")
        rows.append(await asyncio.to_thread(_keeping, engine, sinks, size.seconds))
        steps.done()
    for endpoints in (1, 32):
        steps.begin(f"events to {endpoints} endpoints")
        rows.append(await _sending(endpoints, size.events))
        steps.done()
    return rows


@contextmanager
def _store(engine: str) -> Iterator[Database]:
    with tempfile.TemporaryDirectory(prefix="guardian-bench-") as folder:
        url = os.environ[POSTGRESQL] if engine == "PostgreSQL" else ""
        database = open_store(StoreConfig(Path(folder) / "guardian.db", url))
        try:
            yield database
        finally:
            database.close()


class _Watched(Outbox):
    """Notes how long each transaction takes."""

    def __init__(self, database: Database, routes: Sequence[Route]) -> None:
        super().__init__(database, routes)
        self.commits_ms: list[float] = []
        self.batches: list[int] = []

    def append(self, entries: Sequence[Entry]) -> Any:
        began = time.perf_counter()
        kept = super().append(entries)
        self.commits_ms.append((time.perf_counter() - began) * 1000)
        self.batches.append(len(entries))
        return kept


def _keeping(engine: str, sinks: int, seconds: float) -> Row:
    """Violations of 50 calls at an even pace, through the desk, as call processes raise them."""
    waits_ms: list[float] = []
    with _store(engine) as database:
        outbox = _Watched(database, [Route(f"sink-{number}") for number in range(sinks)])
        desk = _desk(outbox)
        over = threading.Event()
        aside = threading.Thread(target=_checkpoints, args=(database, over))
        aside.start()
        began = time.perf_counter()
        cpu = time.process_time()
        count = round(RATE * seconds)
        for number in range(count):
            ahead = began + number / RATE - time.perf_counter()
            if ahead > 0:
                time.sleep(ahead)
            while desk.waiting >= _ROOM:
                time.sleep(0.001)
            spec = _call(number % _CALLS)
            asked = time.perf_counter()
            future = desk.keep(spec, violation(spec.call_id, number))
            future.add_done_callback(partial(_since, asked, waits_ms))
        desk.close(60.0)
        took = time.perf_counter() - began
        cpu = time.process_time() - cpu
        over.set()
        aside.join()
    return {
        "what": "kept",
        "store": engine,
        "endpoints": sinks,
        "events_per_s": round(count / took),
        "commit_ms": _summary(outbox.commits_ms),
        "accepted_to_disk_ms": _summary(waits_ms),
        "events_per_commit": round(statistics.fmean(outbox.batches), 1),
        "cores": round(cpu / took, 2),
        "disordered": None,
    }


def _checkpoints(database: Database, over: threading.Event) -> None:
    """As a server does it."""
    while not over.wait(WATCH_EVERY_S):
        database.checkpoint()


def _since(began: float, waits_ms: list[float], _: object) -> None:
    waits_ms.append((time.perf_counter() - began) * 1000)


async def _sending(endpoints: int, events: int) -> Row:
    """What lies in the outbox, to a receiver in a process of its own."""
    with taking() as (port, process), _store("SQLite") as database:
        targets = [
            WebhookTarget(
                f"hook-{number}", f"http://127.0.0.1:{port}/{number}", (_SECRET,), allow_private=True
            )
            for number in range(endpoints)
        ]
        sinks = [WebhookSink(target) for target in targets]
        outbox = Outbox(database, [Route(sink.name) for sink in sinks])
        await asyncio.to_thread(_fill, outbox, events)
        wanted = events * endpoints
        done = asyncio.Event()
        outcomes: list[str] = []

        def told(_: str, outcome: str) -> None:
            outcomes.append(outcome)
            if len(outcomes) >= wanted:
                done.set()

        pump = Pump(outbox, sinks, told, Pace(SteadyClock()))
        cpu = time.process_time()
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(pump.run())
            try:
                async with asyncio.timeout(_WAIT_S + wanted / 50):
                    await done.wait()
            except TimeoutError as error:
                raise Unavailable(
                    f"Only {len(outcomes)} of {wanted} events were delivered in time."
                ) from error
            finally:
                running.cancel()
        took = time.perf_counter() - began
        cpu = time.process_time() - cpu
        for sink in sinks:
            await sink.close()
        told_by_taker = await asyncio.to_thread(account, process)
    return {
        "what": "sent",
        "store": "SQLite",
        "endpoints": endpoints,
        "events_per_s": round(wanted / took),
        "commit_ms": None,
        "accepted_to_disk_ms": None,
        "events_per_commit": None,
        "cores": round(cpu / took, 2),
        "disordered": told_by_taker["disordered"] + wanted - sum(told_by_taker["taken"].values()),
    }


def _desk(outbox: Outbox) -> Desk:
    envelope = Envelope(Issuer("bench", "com.example.guardian", "0", "bench"))
    return Desk(outbox, envelope, Surroundings(Metrics(), lambda: None, SteadyClock()))


def _fill(outbox: Outbox, events: int) -> None:
    desk = _desk(outbox)
    for number in range(events):
        spec = _call(number % _CALLS)
        desk.keep(spec, violation(spec.call_id, number)).result(30)
    desk.close(10.0)


def _call(number: int) -> CallSpec:
    return CallSpec(
        f"call-{number}", "bench", {Role.SHOPPER: "u", Role.MERCHANT: "m"}, started_at=rfc3339(0.0)
    )


def violation(call_id: str, number: int) -> CallEvent:
    """A violation as a call raises it, one of many."""
    change = ViolationChange(
        id=f"vio_{call_id}_{number}",
        status=Status.DETECTED,
        rule="contact.wechat",
        category="contact_exchange.wechat",
        level=Level.REVIEW,
        phrase="加微信",
        heard="加个薇信",
        speaker=Role.MERCHANT,
        language="zh",
        t_start=number / 10,
        t_end=number / 10 + 0.6,
        t_emitted=number / 10 + 1.2,
        score=0.9,
    )
    words = [{"text": text, "t_start": 0.0, "t_end": 0.2, "confidence": 0.9} for text in ("加", "个", "薇信")]
    data = {"violation": change.as_dict(), "words": words, "latency": {"speech_end_to_detect_ms": 600}}
    return CallEvent(call_id, CallEventType.VIOLATION_DETECTED, rfc3339(time.time()), 1.0, data)


def _summary(values: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=1000, method="inclusive")
    return {
        "p50": round(cuts[499], 2),
        "p95": round(cuts[949], 2),
        "p99": round(cuts[989], 2),
        "max": round(max(values), 2),
    }


def _cells(row: Row) -> Sequence[Any]:
    commit, waited = row["commit_ms"] or {}, row["accepted_to_disk_ms"] or {}
    return (
        row["what"],
        row["store"],
        row["endpoints"],
        row["events_per_s"],
        commit.get("p50"),
        commit.get("p99"),
        waited.get("p99"),
        row["events_per_commit"],
        row["cores"],
        row["disordered"],
    )


def misses(rows: Sequence[Row]) -> list[str]:
    """What has to hold and did not."""
    said = []
    for row in rows:
        if row["what"] == "kept" and row["endpoints"] <= 2 and row["store"] == "SQLite":
            if row["commit_ms"]["p99"] >= P99_MS:
                said.append(
                    f"A commit with {row['endpoints']} endpoints took {row['commit_ms']['p99']} ms at p99, "
                    f"not below {P99_MS:g}."
                )
            if row["events_per_s"] < 0.99 * RATE:
                said.append(f"Only {row['events_per_s']} events a second were kept, not {RATE}.")
        if row["disordered"]:
            said.append(f"{row['disordered']} events came out of order, or not at all.")
    return said


SCRIPT = Script(
    question="How soon is an event safe, and how many reach their endpoints?",
    whole=_whole,
    quick=_quick,
    columns=(
        "", "store", "endpoints", "events/s", "commit p50", "commit p99", "on disk p99", "a commit", "cores",
        "disordered",
    ),
    cells=_cells,
    misses=misses,
)  # fmt: skip
