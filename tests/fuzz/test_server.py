"""Hostility against a real server: one call's shopper attacks it, and another call does not notice."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from hashlib import sha256

import httpx
import psutil
import pytest

from guardian.core.violations import Role
from guardian.demo.peers import CallClient, CameraTrack, LegTicket, new_peer
from tests.fuzz.hostile import Hostile
from tests.fuzz.offers import FILES, FRAGMENTS
from tests.loopback.harness import (
    Call,
    Server,
    ToneTrack,
    calling,
    canary_pictures,
    serving,
    status_until,
    until,
)

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

_LOOK_S = 0.05
_SETTLE_S = 60.0
_GROWTH_MB = 48.0
"""What decoders and allocators settle at. One giant picture alone would be 400 MB."""
_SDP = {"content-type": "application/sdp"}


@dataclass(slots=True)
class Usage:
    """What a process holds."""

    threads: int
    descriptors: int
    mb: float

    @classmethod
    def of(cls, process: psutil.Process) -> Usage:
        """As it is now. psutil.NoSuchProcess when it has ended."""
        with process.oneshot():
            return cls(process.num_threads(), process.num_fds(), process.memory_info().rss / 2**20)


@dataclass(slots=True)
class Outcome:
    """What was seen of an attack."""

    before: Usage
    after: Usage
    most_mb: float
    attacked: dict
    """The status of the hostile call after it."""
    went_on: int
    """Pictures of the hostile call that were protected after it."""
    bystander: dict
    """The status of the other call, after it."""
    covered: int
    """Pictures the other call was shown protected while it lasted."""
    seconds: float
    worst_gap_s: float
    canary_blocks: int
    answers: dict[str, int] = field(default_factory=dict)
    """Status codes of hostile requests."""
    secrets: tuple[str, ...] = ()
    same_processes: bool = False


@dataclass(slots=True)
class Watch:
    """The longest time without a new picture of one call, and the most memory of another's process."""

    worst_gap_s: float = 0.0
    most_mb: float = 0.0

    async def look(self, call: Call, process: psutil.Process) -> None:
        """Looks until cancelled."""
        count, since = call.view.frames, time.monotonic()
        while True:
            await asyncio.sleep(_LOOK_S)
            if call.view.frames != count:
                count, since = call.view.frames, time.monotonic()
            self.worst_gap_s = max(self.worst_gap_s, time.monotonic() - since)
            self.most_mb = max(self.most_mb, Usage.of(process).mb)


async def post_hostile(url: str, ticket: LegTicket, session: str) -> dict[str, int]:
    """Posts every bad offer to a leg, and sends fragments to its session. The status of each answer."""
    leg, bearer = ticket.url, {"authorization": f"Bearer {ticket.token}"}
    etag = sha256(session.rpartition("/")[2].encode()).hexdigest()[:16]
    trickle = {"content-type": "application/trickle-ice-sdpfrag", "if-match": f'"{etag}"', **bearer}
    found = {}
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http:
        for name, body in FILES.items():
            if name.startswith("bad-"):
                answer = await http.post(leg, content=body, headers={**_SDP, **bearer})
                found[f"offer {name}"] = answer.status_code
        for name, body in FRAGMENTS.items():
            answer = await http.patch(session, content=body, headers=trickle)
            found[f"fragment {name}"] = answer.status_code
        for kind in ("application/json", "text/html", "application/sdp; charset=utf-16", "\x7f"):
            answer = await http.post(leg, content=b"v=0\r\n", headers={"content-type": kind, **bearer})
            found[f"type {kind}"] = answer.status_code
        answer = await http.post(leg, content=b"v=0\r\n" * 1_000_000, headers={**_SDP, **bearer})
        found["a huge offer"] = answer.status_code
    return found


async def attack(hostile: Hostile, posting: Awaitable[dict[str, int]]) -> dict[str, int]:
    """All that a connected peer and a stranger can send, some thousand datagrams. What HTTP answered."""
    async with asyncio.TaskGroup() as tasks:
        posted = tasks.create_task(posting)
        tasks.create_task(hostile.stray(hostile.junk(1000)))
        tasks.create_task(hostile.send(hostile.junk(1000)))
        tasks.create_task(hostile.damage_media(5))
    await hostile.send_signed(hostile.media(1000))
    await hostile.send_signed(hostile.made_up_streams(2000))
    await hostile.say_without_end(200)
    await hostile.send(hostile.bundled_records(500))
    await hostile.check_from_everywhere(count=500, sockets=300)
    return posted.result()


def call_processes(server: Server) -> set[psutil.Process]:
    """Those that are running."""
    return set(psutil.Process(server.process.pid).children(recursive=True))


def armed(status: dict) -> int:
    """Pictures that were looked at and could be protected."""
    return status["protection"]["states"].get("armed", 0)


async def scenario(server: Server) -> Outcome:
    """A call goes on while the shopper of another attacks."""
    async with calling(server) as bystander, CallClient(server.url) as client:
        await bystander.until(lambda s: s["frames"]["covered"] > 30, 60, "a protected picture")
        others = call_processes(server)
        call_id, legs = await client.create(mode="selfie", languages=["en"])
        (attacked,) = call_processes(server) - others
        pc = new_peer()
        watch = Watch()
        try:
            pc.createDataChannel("side door")
            pc.addTrack(ToneTrack())
            pc.addTrack(CameraTrack(canary_pictures((320, 240)), 15))
            session = await client.join(legs[Role.SHOPPER], pc)
            await status_until(
                client,
                call_id,
                lambda s: armed(s) > 30 and s["coverage"]["heard_s"]["shopper"] > 1,
                60,
                "a call that is seen and heard",
            )
            hostile = Hostile(pc, random.Random(5))
            before, shown = Usage.of(attacked), (await bystander.status())["frames"]["covered"]
            began = time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(watch.look(bystander, attacked))
                posting = post_hostile(server.url, legs[Role.SHOPPER], session)
                answers = await attack(hostile, posting)
                seconds = time.monotonic() - began
                status = await bystander.status()
                watching.cancel()
            seen = armed(await client.status(call_id))
            after = await status_until(
                client, call_id, lambda s: armed(s) > seen + 15, _SETTLE_S, "pictures after the attack"
            )
            await until(
                lambda: Usage.of(attacked).descriptors <= before.descriptors, _SETTLE_S, "fewer descriptors"
            )
            return Outcome(
                before=before,
                after=Usage.of(attacked),
                most_mb=watch.most_mb,
                attacked=after,
                went_on=armed(after) - seen,
                bystander=status,
                covered=status["frames"]["covered"] - shown,
                seconds=seconds,
                worst_gap_s=watch.worst_gap_s,
                canary_blocks=bystander.view.canary_blocks,
                answers=answers,
                same_processes=call_processes(server) == others | {attacked},
                secrets=(*hostile.secrets, *(leg.token for leg in legs.values())),
            )
        finally:
            await client.hang_up(call_id)
            await pc.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("hostile")) as running:
        yield running


@pytest.fixture(scope="module")
def outcome(server):
    return asyncio.run(scenario(server))


def test_the_other_call_goes_on_as_it_was(outcome):
    assert outcome.bystander["state"] == "open"
    assert outcome.worst_gap_s < outcome.seconds / 2
    assert outcome.covered > outcome.seconds, "protected pictures, and not only the curtain"
    assert outcome.canary_blocks == 0
    for leg in outcome.bystander["legs"].values():
        assert leg["connected"]
        assert leg["network"].get("malformed", 0) == leg["network"]["strange"] == 0


def test_the_attacked_call_goes_on_too(outcome):
    assert outcome.attacked["state"] == "open"
    assert outcome.same_processes
    assert outcome.went_on > 15
    network = outcome.attacked["legs"]["shopper"]["network"]
    assert network["malformed"] > 100, "it was read"
    assert network["strange"] > 1000, "and strangers were not"


def test_nothing_that_was_sent_stays(outcome):
    before, after = outcome.before, outcome.after
    assert after.descriptors <= before.descriptors
    assert after.threads <= before.threads + 4
    assert outcome.most_mb - before.mb < _GROWTH_MB


def test_hostile_requests_are_refused_meanwhile(outcome):
    taken = {name for name, code in outcome.answers.items() if code in (201, 204)}
    assert all(name.startswith("fragment ") for name in taken)
    assert {code for name, code in outcome.answers.items() if name not in taken} <= {400, 413, 415, 422}


def test_the_log_tells_of_no_crash_and_no_secret(server, outcome):
    log = server.log()
    assert "Traceback" not in log
    assert '"level": "error"' not in log
    assert len(log) < 64_000, "what peers send does not fill it"
    for secret in (*outcome.secrets, "a=candidate", "ice-pwd"):
        assert secret not in log


def test_the_server_takes_calls_as_before(server, outcome):
    async def another():
        async with calling(server) as call:
            await call.until(lambda s: s["frames"]["covered"] > 0, 60, "a protected picture")
            return call.view.canary_blocks

    assert server.process.poll() is None
    assert asyncio.run(another()) == 0
    reasons = [e["data"].get("reason") for e in server.events() if ".call.left." in e["type"]]
    assert "failed" not in reasons
