"""Does anything grow, get lost or get late over half an hour of calls that come and go under loss?

One call lasts for the whole run, others beside it come and go. Each call's people are a process of their own.
The server delivers its events to a webhook. What processes hold is looked at every few seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
import psutil

from guardian.bench.boxes import GuardianBox, guardian_box
from guardian.bench.memory import Course, Holding
from guardian.bench.script import Row, Script, Steps
from guardian.bench.soak_account import events_row, lag_row, misses, pictures_row, process_rows
from guardian.bench.soak_call import Saw, Told
from guardian.bench.soak_drawing import drawing
from guardian.bench.taker import account, taking
from guardian.core.errors import Unavailable

_ASK_S, _LOOK_S = 1.0, 3.0
_ENDING_S = 90.0
_DELIVERED_S = 60.0
_AT_THE_SAME_TIME_S = 20.0
"""The first call is alone for this long, so that its process is known by when it began."""
_SECRET = "GUARDIAN_SOAK_SECRET"


@dataclass(frozen=True, slots=True)
class Effort:
    """seconds: of the whole run; calls: at once; short_s, long_s: lengths of the calls that come and go, of
    which every `long_every`th is long; the pictures; loss: share of packets lost on each way."""

    seconds: float = 1800.0
    calls: int = 2
    size: tuple[int, int] = (640, 480)
    fps: int = 15
    short_s: tuple[float, float] = (30.0, 60.0)
    long_s: tuple[float, float] = (180.0, 300.0)
    long_every: int = 8
    loss: float = 0.03
    seed: int = 1

    @property
    def warm_up_s(self) -> float:
        """Before what is held is compared."""
        return min(self.seconds / 4, 450.0)


WHOLE = Effort()
QUICK = Effort(seconds=75.0, short_s=(10.0, 15.0), long_s=(15.0, 20.0))


@dataclass(slots=True)
class Watched:
    """All that was seen of a run. lags_ms: of the event loops of call processes, by call."""

    courses: dict[int, Course] = field(default_factory=dict)
    lags_ms: dict[str, list[float]] = field(default_factory=dict)
    calls: list[Saw] = field(default_factory=list)
    live: set[str] = field(default_factory=set)
    spans: list[tuple[float, float]] = field(default_factory=list)
    """Seconds from the beginning at which the calls beside the whole one came and went."""
    began: float = 0.0
    warm: str = ""
    """The server's metrics after the warm-up, and at the end."""
    last: str = ""
    taken: dict[str, Any] = field(default_factory=dict)


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """A row for each process that lived long, for the event loops, for the events and for the pictures."""
    steps.expect(round(effort.seconds))
    steps.begin("starting")
    watched = Watched()
    with taking() as (port, endpoint):
        client = httpx.AsyncClient(trust_env=False, timeout=10)
        async with guardian_box(effort.calls + 1, _settings(port)) as guardian, client as http:
            watched.began = time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                aside = (
                    _look(guardian, watched),
                    _ask(guardian, watched, http),
                    _tell(steps, effort, watched),
                    _warm(guardian, watched, http, effort),
                )
                running = [tasks.create_task(work) for work in aside]
                await _all_calls(guardian, watched, effort)
                for task in running:
                    task.cancel()
            steps.begin("waiting for the last events")
            watched.last = await _delivered(guardian, http)
        watched.taken = await asyncio.to_thread(account, endpoint)
    return [
        *process_rows(watched.courses.values(), watched.began, watched.began + effort.warm_up_s),
        *lag_row(watched.warm, watched.last, watched.lags_ms),
        events_row(watched.taken, watched.last, watched.calls),
        {**pictures_row(watched.calls), "spans": watched.spans, "seconds": effort.seconds},
    ]


def _settings(port: int) -> dict[str, str]:
    """Of the server's environment: everything on, and a receiver of its events."""
    os.environ[_SECRET] = "whsec_c29hazEyMzQ1Njc4OTBzb2FrMTIzNDU2Nzg5MA=="
    hook = {
        "name": "soak",
        "url": f"http://127.0.0.1:{port}/soak",
        "secret": {"env": _SECRET},
        "allow_private": True,
    }
    return {"GUARDIAN_EVENTS__WEBHOOKS": json.dumps([hook])}


# --- calls --------------------------------------------------------------------------------------


async def _all_calls(guardian: GuardianBox, watched: Watched, effort: Effort) -> None:
    """One call for the whole run, and beside it calls one after the other in each other slot."""
    over = watched.began + effort.seconds

    async def come_and_go(slot: int) -> None:
        draw = random.Random(effort.seed * 100 + slot)
        await asyncio.sleep(min(_AT_THE_SAME_TIME_S, effort.seconds / 5) + 2.0 * slot)
        number = 0
        while (left := over - time.monotonic()) > effort.short_s[0]:
            number += 1
            span = effort.long_s if number % effort.long_every == 0 else effort.short_s
            seconds = min(draw.uniform(*span), left)
            seed = effort.seed + slot * 10_000 + number
            told = Told(
                guardian.url, f"soak-{slot}-{number}", seconds, effort.size, effort.fps, effort.loss, seed,
                draw.random() < 0.5,
            )  # fmt: skip
            came = time.monotonic() - watched.began
            await _call(told, watched)
            watched.spans.append((round(came, 1), round(time.monotonic() - watched.began, 1)))

    async with asyncio.TaskGroup() as tasks:
        whole = Told(
            guardian.url,
            "soak-whole",
            effort.seconds,
            effort.size,
            effort.fps,
            effort.loss,
            effort.seed,
            False,
        )
        tasks.create_task(_call(whole, watched))
        for slot in range(1, effort.calls):
            tasks.create_task(come_and_go(slot))


async def _call(told: Told, watched: Watched) -> None:
    """One call in a process of its own; what it saw, or why it failed, is noted."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "guardian.bench.soak_call",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    watched.live.add(told.call_id)
    failure = "its people did not answer in time"
    try:
        async with asyncio.timeout(told.seconds + _ENDING_S):
            said, _ = await process.communicate(json.dumps(asdict(told)).encode() + b"\n")
        watched.calls.append(Saw(**json.loads(said)))
        return
    except ValueError:
        failure = f"its people ended with {process.returncode}"
    except TimeoutError:
        pass
    finally:
        watched.live.discard(told.call_id)
        if process.returncode is None:
            process.kill()
            await process.wait()
    watched.calls.append(Saw(told.call_id, None, 0.0, 0, 0, 0, 0, False, 0, failure))


# --- looking ------------------------------------------------------------------------------------


async def _look(guardian: GuardianBox, watched: Watched) -> None:
    """What the server and its processes hold, every few seconds, until cancelled."""
    while True:
        await asyncio.to_thread(look_once, guardian.processes(), guardian.server.pid, watched.courses)
        await asyncio.sleep(_LOOK_S)


def look_once(processes: Sequence[psutil.Process], server: int, courses: dict[int, Course]) -> None:
    """One look at each process that is still there."""
    for process in processes:
        with suppress(psutil.Error, OSError):
            name = "server" if process.pid == server else "call process"
            courses.setdefault(process.pid, Course(name)).held.append(Holding.of(process))


async def _ask(guardian: GuardianBox, watched: Watched, http: httpx.AsyncClient) -> None:
    """How late the event loops of the calls are, once a second, until cancelled."""
    while True:
        for call_id in sorted(watched.live):
            with suppress(httpx.HTTPError, ValueError):
                answer = await http.get(f"{guardian.url}/v1/calls/{call_id}")
                lag = answer.json().get("process", {}).get("loop_lag_ms") if answer.is_success else None
                if lag is not None:
                    watched.lags_ms.setdefault(call_id, []).append(float(lag))
        await asyncio.sleep(_ASK_S)


async def _warm(guardian: GuardianBox, watched: Watched, http: httpx.AsyncClient, effort: Effort) -> None:
    await asyncio.sleep(effort.warm_up_s)
    watched.warm = await _metrics(guardian, http)


async def _metrics(guardian: GuardianBox, http: httpx.AsyncClient) -> str:
    answer = await http.get(f"{guardian.url}/metrics")
    answer.raise_for_status()
    return answer.text


async def _delivered(guardian: GuardianBox, http: httpx.AsyncClient) -> str:
    """The metrics once no event waits. Unavailable when some still do after a minute."""
    for _ in range(round(_DELIVERED_S)):
        await asyncio.sleep(1.0)
        told = await _metrics(guardian, http)
        waiting = [line for line in told.splitlines() if line.startswith("guardian_outbox_events{")]
        if all(float(line.rsplit(" ", 1)[1]) == 0 for line in waiting):
            return told
    raise Unavailable("Events still wait a minute after the last call; something does not deliver.")


async def _tell(steps: Steps, effort: Effort, watched: Watched) -> None:
    for second in range(round(effort.seconds)):
        await asyncio.sleep(max(0.0, watched.began + second - time.monotonic()))
        steps.begin(f"{len(watched.calls)} calls over, {len(watched.live)} live")
        steps.done()


def script(whole: Effort = WHOLE, quick: Effort = QUICK) -> Script:
    """The question, for a length of run and a number of calls."""

    async def run(steps: Steps) -> list[Row]:
        return await measure(whole, steps)

    async def run_quick(steps: Steps) -> list[Row]:
        return await measure(quick, steps)

    return Script(
        "Does anything grow, get lost or get late while calls come and go under loss?",
        run,
        run_quick,
        ("what", "first", "last", "MB/h"),
        lambda row: (row["what"], row["first"], row["last"], row["mb_per_hour"]),
        misses,
        drawing,
    )
