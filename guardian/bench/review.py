"""How soon a case is found, looked at, claimed and decided among 100,000, and the pages that show it."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from guardian.bench.events import POSTGRESQL
from guardian.bench.review_pages import Served, Timed, Times, figures
from guardian.bench.review_pages import measured as of_pages
from guardian.bench.script import Row, Script, Steps
from guardian.case_keeper import CaseKeeper
from guardian.core.audit import Principal, canonical
from guardian.core.case_queue import Urgency, due_at, place, rank
from guardian.core.cases import CaseState, Choice, ReviewTerms
from guardian.core.errors import NoSuchEvidence
from guardian.core.people import Permission
from guardian.core.retention import Retention
from guardian.core.review_desk import DecisionWish, Queue, Reviewer, Sweep
from guardian.core.violations import Level
from guardian.demo.own_server import settings_file
from guardian.desk import Desk, Surroundings
from guardian.events.envelope import Envelope, Issuer
from guardian.events.ulid import ulid
from guardian.review_desk import ServerReview
from guardian.review_work import ReviewParts
from guardian.store.case_tables import case_history, cases, decisions
from guardian.store.database import Database, StoreConfig
from guardian.store.outbox import Outbox
from guardian.store.upgrade import open_store
from guardian.telemetry.metrics import Metrics
from guardian.web.access import LOCAL_TENANT

PAGE_MS = 200.0
"""No page of the console may take the server longer."""
_TERMS = ReviewTerms(second_levels=frozenset(), second_share=0.0)
_TENANT = LOCAL_TENANT
_CATEGORIES = (
    "contact_exchange.wechat",
    "contact_exchange.phone",
    "offplatform_payment.bank",
    "harassment.threat",
)
_LANGUAGES = ("zh", "en")
_AT_ONCE = 2000
_DECIDED = 0.5
_DEEP = 30
"""A page that one comes to by the pages before it."""
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. rounds: how often each thing is asked for."""

    cases: int
    rounds: int


async def _whole(steps: Steps) -> list[Row]:
    return await _rows(steps, Size(100_000, 100))


async def _quick(steps: Steps) -> list[Row]:
    return await _rows(steps, Size(5_000, 10))


async def _rows(steps: Steps, size: Size) -> list[Row]:
    engines = ["SQLite", *(["PostgreSQL"] if os.environ.get(POSTGRESQL) else [])]
    steps.expect(len(engines))
    rows: list[Row] = []
    for engine in engines:
        steps.begin(f"{size.cases} cases in {engine}")
        with tempfile.TemporaryDirectory(prefix="guardian-bench-") as folder:
            url = os.environ[POSTGRESQL] if engine == "PostgreSQL" else ""
            served = Served(Path(folder), _TENANT, url)
            found = [
                *await asyncio.to_thread(_of_desks, served, size),
                *await of_pages(served, size.rounds, PAGE_MS),
            ]
        rows += [
            {"store": engine, "cases": size.cases, "what": what, "ms": ms, "most_ms": most_ms}
            for what, ms, most_ms in found
        ]
        steps.done()
    return rows


def _of_desks(served: Served, size: Size) -> Times:
    with _house(served) as (database, review):
        _fill(database, size.cases)
        who = Reviewer(Principal(_TENANT, "person", "p"), frozenset(Permission))
        return [(what, _timed(ask, size.rounds), PAGE_MS) for what, ask in _questions(review, who)]


def _questions(review: ServerReview, who: Reviewer) -> Sequence[tuple[str, Callable[[], object]]]:
    """What pages of the console ask for."""
    waiting = Queue()
    found = review.list(who, waiting)["cases"]
    deep = waiting
    for _ in range(_DEEP - 1):
        deep = Queue(after=review.list(who, deep)["next"])
    some = iter(found * 1000)

    def decide() -> None:
        held = review.next(who, waiting, ())["case"]
        wish = DecisionWish(held["lease"], held["version"], Choice.DISMISS, "false_positive")
        review.decide(who, held["case_id"], wish)

    return [
        ("queue", partial(review.list, who, waiting)),
        (f"queue, page {_DEEP}", partial(review.list, who, deep)),
        ("queue of one category and language", partial(
            review.list, who, Queue(category="harassment", language="en")
        )),
        ("queue without any match", partial(review.list, who, Queue(category="nothing"))),
        ("claimed", partial(review.list, who, Queue(claimed_by="anybody"))),
        ("decided", partial(review.list, who, Queue(states=(CaseState.DECIDED,)))),
        ("a case by its id", lambda: review.list(who, Queue(q=next(some)["case_id"]))),
        ("case page", lambda: review.show(who, next(some)["case_id"])),
        ("earlier decisions", lambda: review.earlier(who, next(some)["case_id"])),
        ("report", partial(review.report, who, 30)),
        ("count for bulk dismissal", partial(
            review.dismiss, who, Sweep(Queue(category="harassment"), "false_positive")
        )),
        ("claim the next and decide it", decide),
    ]  # fmt: skip


def _timed(ask: Callable[[], object], rounds: int) -> Timed:
    ask()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        took.append((time.perf_counter() - began) * 1000)
    return figures(took)


class _NoClips:
    """These cases have no evidence."""

    def record(self, who: Principal, evidence_id: str) -> Any:
        raise NoSuchEvidence("There is no such evidence.")

    def notes(self, who: Principal, evidence_id: str) -> Any:
        raise NoSuchEvidence("There is no such evidence.")


@contextmanager
def _house(served: Served) -> Iterator[tuple[Database, ServerReview]]:
    """Where the server that is measured later finds it."""
    database = open_store(StoreConfig(settings_file(served.folder).parent / "guardian.db", served.url))
    keeper = CaseKeeper(_TERMS, Retention(), time.time)
    around = Surroundings(Metrics(), lambda: None, time.time, beside=keeper.beside)
    envelope = Envelope(Issuer("bench", "com.example.guardian", "0", "bench"))
    desk = Desk(Outbox(database, []), envelope, around)
    parts = ReviewParts(
        database=database,
        tell=desk.keep,
        clips=_NoClips(),
        rule_of=lambda *_: None,
        terms=_TERMS,
        retention=Retention(),
        now=time.time,
        linked=lambda _: None,
    )
    try:
        yield database, ServerReview(parts)
    finally:
        desk.close(10.0)
        database.close()


def _fill(database: Database, count: int) -> None:
    """Cases of 30 days about a few thousand merchants, half of them decided."""
    drawn = random.Random(7)
    now = time.time()
    for first in range(0, count, _AT_ONCE):
        made = [_case(drawn, now) for _ in range(min(_AT_ONCE, count - first))]
        over = [one for one in made if one["state"] == CaseState.DECIDED.value]
        with database.writing() as db:
            db.execute(cases.insert(), made)
            db.execute(
                case_history.insert(),
                [
                    {
                        "case_id": one["id"],
                        "version": 1,
                        "what": "made",
                        "actor": "",
                        "at": now,
                        "detail": "{}",
                    }
                    for one in made
                ],
            )
            db.execute(decisions.insert(), [_decision(drawn, one) for one in over])
    with database.writing() as db:
        db.execute(sa.text("ANALYZE"))


def _case(drawn: random.Random, now: float) -> dict[str, Any]:
    level = Level.BLOCK if drawn.random() < 0.05 else Level.REVIEW
    at = now - drawn.random() * 30 * _DAY_S
    urgency = Urgency(level, at, 1)
    state = CaseState.DECIDED if drawn.random() < _DECIDED else CaseState.OPEN
    finding = drawn.choice(("confirmed", "dismissed")) if state is CaseState.DECIDED else ""
    call = f"call_{drawn.randrange(10**9)}"
    return {
        "id": f"case_{ulid()}",
        "tenant": _TENANT,
        "kind": "violation",
        "cause": f"vio_{ulid()}",
        "event_id": ulid(),
        "call_id": call,
        "role": "merchant",
        "party": f"m_{drawn.randrange(5000)}",
        "other": f"u_{drawn.randrange(50_000)}",
        "level": level.value,
        "category": drawn.choice(_CATEGORIES),
        "language": drawn.choice(_LANGUAGES),
        "rule": f"rule.{drawn.randrange(40)}",
        "hits": 1,
        "state": state.value,
        "place": place(state, rank(urgency, _TERMS), at + 3600.0),
        "made_at": at,
        "due_at": due_at(urgency, _TERMS),
        "version": 1,
        "lease": "",
        "holder": "",
        "held_until": 0.0,
        "finding": finding,
        "decided_at": at + 3600.0 if finding else None,
        "decided_event": ulid() if finding else "",
        "facts": canonical({"call": {"scopes": ["keep"]}, "t_start": 1.0, "t_end": 2.0, "score": 0.9}),
        "said": canonical({"phrase": "加微信", "heard": "加个薇信"}),
        "retain_until": now + 30 * _DAY_S,
    }


def _decision(drawn: random.Random, case: dict[str, Any]) -> dict[str, Any]:
    copied = ("tenant", "finding", "rule", "category", "language", "level")
    confirmed = case["finding"] == "confirmed"
    return {
        **{name: case[name] for name in copied},
        "id": f"decision_{ulid()}",
        "case_id": case["id"],
        "stage": CaseState.OPEN.value,
        "choice": (Choice.CONFIRM if confirmed else Choice.DISMISS).value,
        "reason": "explicit" if confirmed else "false_positive",
        "actor": f"person:{_TENANT}/p_{drawn.randrange(20)}",
        "at": case["decided_at"],
        "rule_version": "7",
        "phrase": "加微信",
        "waited_s": 3600.0,
    }


def _cells(row: Row) -> Sequence[Any]:
    return row["store"], row["cases"], row["what"], row["ms"]["p50"], row["ms"]["p95"], row["ms"]["max"]


def misses(rows: Sequence[Row]) -> list[str]:
    """What has to hold and did not."""
    return [
        f"{row['what']} took {row['ms']['p95']} ms in {row['store']} at p95, not below {row['most_ms']:g}."
        for row in rows
        if row["ms"]["p95"] >= row["most_ms"]
    ]


SCRIPT = Script(
    question="How soon is a case found, claimed and decided among 100,000, and a page of the console there?",
    whole=_whole,
    quick=_quick,
    columns=("store", "cases", "", "p50 ms", "p95 ms", "max ms"),
    cells=_cells,
    misses=misses,
)
