"""Every event that was accepted arrives, whatever is killed: Guardian, its store, or who receives.

GUARDIAN_KILLS says how often, GUARDIAN_SEED which times; `make chaos` kills a hundred times.
"""

import contextlib
import json
import multiprocessing
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx
import pytest

from guardian.store.database import StoreConfig
from tests.chaos import raising
from tests.chaos.running import few_rules
from tests.servers import Postgres, free_port, wait_for

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = multiprocessing.get_context("forkserver")
"""Guardian is imported once and forked then: most of a start would be that."""
PROCESSES.set_forkserver_preload(["tests.chaos.raising"])
KILLS = int(os.environ.get("GUARDIAN_KILLS", "10"))
SEED = int(os.environ.get("GUARDIAN_SEED", "1"))
SECRET = "whsec_" + "a2V5" * 10
MOODS = ("fine", "fine", "slow", "500", "cut", "dead")
CALLS = 3
UP_S = 60.0
DRAIN_S = 120.0


@dataclass
class Site:
    """Guardian, its store and its receiver, each a process that can be killed."""

    folder: Path
    cluster: Postgres | None
    store_url: str
    dice: random.Random
    port: int = field(default_factory=free_port)
    accepted: dict[str, str] = field(default_factory=dict)
    """Event id -> call, of what was answered with 202."""
    guardian: BaseProcess | None = None
    receiver: subprocess.Popen | None = None
    url: str = ""
    rounds: int = 0

    def configure(self) -> None:
        (self.folder / "secret").write_text(SECRET)
        self.config.write_text(
            f"data_dir = {json.dumps(str(self.folder / 'data'))}\n"
            "[server]\nport = 0\ndrain_s = 0\nrequests_per_s = 10000\nrequests_burst = 10000\n"
            f"[store]\nurl = {json.dumps(self.store_url)}\n"
            "[events]\n"
            f"retry_s = {[0.1] * 100}\n"
            "[[events.webhooks]]\n"
            'name = "hook"\nallow_private = true\n'
            f'url = "http://127.0.0.1:{self.port}/hook"\n'
            f"secret = {{ file = {json.dumps(str(self.folder / 'secret'))} }}\n{few_rules(self.folder)}",
            encoding="utf-8",
        )

    @property
    def config(self) -> Path:
        return self.folder / "guardian.toml"

    @property
    def taken(self) -> Path:
        return self.folder / "taken.jsonl"

    def feel(self, mood: str) -> None:
        """The receiver's mood; it is started when it is not there and killed when it is dead."""
        if mood == "dead":
            self.kill_receiver()
            return
        whole = self.folder / "mood.new"
        whole.write_text(mood)
        whole.replace(self.folder / "mood")
        if self.receiver is None:
            words = [str(self.port), SECRET, self.taken, self.folder / "mood"]
            self.receiver = subprocess.Popen([sys.executable, ROOT / "tests/chaos/taking.py", *words])
            wait_for(self.port, self.receiver, self.config)

    def start(self) -> None:
        log = self.folder / "guardian.log"
        here, there = PROCESSES.Pipe(duplex=False)
        self.guardian = PROCESSES.Process(target=raising.forked, args=(self.config, log, there))
        self.guardian.start()
        there.close()
        try:
            assert here.poll(UP_S), log.read_text()[-3000:]
            self.url = here.recv()
        except EOFError:
            raise AssertionError(log.read_text()[-3000:]) from None

    def end(self) -> int | None:
        """Ends Guardian as a service manager does; its exit code."""
        self.guardian.terminate()
        self.guardian.join(30)
        return self.guardian.exitcode

    def kill_guardian(self) -> None:
        if self.guardian is not None:
            self.guardian.kill()
            self.guardian.join()

    def kill_receiver(self) -> None:
        if self.receiver is not None:
            self.receiver.kill()
            self.receiver.communicate()
            self.receiver = None

    def work(self, seconds: float, strike: Callable[[], None] = lambda: None) -> None:
        """Calls begin, people complain, and some of the calls end; strike comes in between."""
        self.rounds += 1
        names = [f"c{self.rounds}-{number}" for number in range(CALLS)]
        with httpx.Client(base_url=self.url, trust_env=False, timeout=20) as client:
            for name in names:
                body = {"call_id": name, "shopper": {"id": "u"}, "merchant": {"id": "m"}}
                client.post("/v1/calls", json={**body, "consent": {"token": "t"}})
            client.delete(f"/v1/calls/{names.pop()}")
            over = threading.Event()

            def end() -> None:
                time.sleep(seconds)
                strike()
                over.set()

            striking = threading.Thread(target=end)
            striking.start()
            with contextlib.suppress(httpx.TransportError):
                while not over.is_set():
                    name = self.dice.choice(names)
                    answer = client.post(f"/v1/calls/{name}/complaint")
                    if answer.status_code == 202:
                        self.accepted[answer.json()["event_id"]] = name
            striking.join()

    def settle(self) -> None:
        """Waits until nothing is owed any more."""
        until = time.monotonic() + DRAIN_S
        with httpx.Client(base_url=self.url, trust_env=False, timeout=10) as client:
            while True:
                owed = re.findall(
                    r"^guardian_outbox_events\{(.*)\} ([^0].*)$", client.get("/metrics").text, re.M
                )
                if not owed:
                    return
                assert time.monotonic() < until, owed
                time.sleep(0.2)

    def arrived(self) -> list[dict]:
        return [json.loads(line) for line in self.taken.read_text().splitlines()]


@pytest.fixture
def site(tmp_path, store_config: StoreConfig, request):
    cluster = request.getfixturevalue("postgres") if store_config.url else None
    made = Site(tmp_path, cluster, store_config.url, random.Random(SEED))
    made.configure()
    yield made
    made.kill_guardian()
    made.kill_receiver()


@pytest.mark.timeout(60 + 30 * KILLS)
def test_what_was_accepted_arrives_once_and_in_order(site):
    dice = site.dice
    site.feel("fine")
    site.start()
    kills = KILLS if site.cluster is None else max(2, KILLS // 3)
    for number in range(kills):
        site.feel(dice.choice(MOODS))
        if site.cluster is not None and number % 2:
            # The store alone, while Guardian goes on.
            site.work(dice.uniform(0.0, 1.0), site.cluster.kill)
            time.sleep(dice.uniform(0.0, 1.0))
            site.cluster.start()
        else:
            site.work(dice.uniform(0.0, 1.0), site.kill_guardian)
            site.start()
    site.feel("fine")
    site.work(0.5)
    assert site.end() == 0
    site.start()
    site.settle()

    arrived = site.arrived()
    assert all(row["id"] == row["webhook-id"] for row in arrived)
    twice = len(arrived) - len({row["id"] for row in arrived})
    first = {row["id"]: row for row in reversed(arrived)}
    lost = site.accepted.keys() - first.keys()
    sys.stdout.write(
        f"{kills} kills: {len(site.accepted)} events were accepted by the API, {len(first)} arrived in all, "
        f"{twice} came once more; lost: {len(lost)}\n"
    )
    assert not lost
    assert site.accepted
    # A dict keeps the place of the first of each id.
    numbers = defaultdict(list)
    for row in {row["id"]: row for row in arrived}.values():
        numbers[row["source"]].append(int(row["sequence"]))
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())
    ends = [row for row in first.values() if ".call.left." in row["type"]]
    assert {row["source"] for row in ends} == set(numbers)
