"""A fleet to be broken: a NATS, nodes that are processes of their own, and what a call service sees."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from guardian.web.keyfile import KeyFile
from tests import servers
from tests.chaos.running import ENV, ROOT, few_rules

WAIT_S = 60.0
LEASE_S = 4.0
BODY = {"shopper": {"id": "u"}, "merchant": {"id": "m"}, "consent": {"token": "t"}, "mode": "selfie"}


def until(true, limit_s=WAIT_S, what="it"):
    """What is true at last."""
    deadline = time.monotonic() + limit_s
    while True:
        found = true()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not come within {limit_s} s"
        time.sleep(0.05)


@dataclass
class Node:
    """One server of the fleet."""

    name: str
    folder: Path
    key: str
    store: str
    process: subprocess.Popen | None = None
    url: str = ""
    client: httpx.Client | None = None

    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "log").read_text("utf-8", "replace")

    def logged(self, event: str) -> int:
        """How often it wrote that."""
        return self.log().count(f'"event": "{event}"') + self.log().count(f'"event":"{event}"')

    def events(self) -> list[dict]:
        """What it has delivered."""
        path = self.folder / "data" / "events.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []

    def ready(self) -> bool:
        """Whether it takes calls."""
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def create(self, **fields) -> httpx.Response:
        """Asks this node for a call."""
        return self.client.post("/v1/calls", json={**BODY, **fields})

    def processes(self) -> list[psutil.Process]:
        """Its call processes."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def signal(self, number: int) -> None:
        """The whole node hears it: the server and its call processes."""
        all_of_it = [psutil.Process(self.process.pid), *self.processes()]
        for one in all_of_it:
            one.send_signal(number)

    def kill(self) -> None:
        """The server, at once."""
        self.process.kill()
        self.close()

    def close(self) -> None:
        """Waits for its end and lets go of it."""
        self.process.wait(20)
        self.process.stdout.close()
        if self.client is not None:
            self.client.close()

    def stop(self) -> None:
        """As it should end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.close()


@dataclass
class Fleet:
    """program: the module that runs a node."""

    folder: Path
    broker: servers.Nats
    store: str
    program: str
    nodes: dict[str, Node] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = self.folder / "keys.json"
        _, self.key = KeyFile(self.keys).add("acme")

    def launch(self, name: str, slots: int = 1, more: str = "", limits: str = "") -> Node:
        """Starts a node; `settle` waits until it is there."""
        node = self.nodes.get(name) or Node(name, self.folder / name, self.key, self.store)
        node.folder.mkdir(exist_ok=True)
        config = node.folder / "guardian.toml"
        config.write_text(
            f"data_dir = {json.dumps(str(node.folder / 'data'))}\n"
            "[server]\nport = 0\nrequests_per_s = 10000\nstop_s = 10\ndrain_s = 1\n"
            f"[access]\napi_keys_file = {json.dumps(str(self.keys))}\n"
            f"[store]\nurl = {json.dumps(node.store)}\n"
            f"[limits]\nmax_calls = {slots}\nstart_s = 30\n{limits}"
            f'[fleet]\nurl = "{self.broker.url}"\nnode = "{name}"\nlease_s = {LEASE_S}\nrenew_s = 0.5\n'
            f"{more}\n{few_rules(node.folder)}",
            encoding="utf-8",
        )
        with (node.folder / "log").open("ab") as log:
            node.process = subprocess.Popen(
                [sys.executable, "-m", self.program, str(config)],
                cwd=ROOT, env={**ENV, **_kept()}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=log, text=True, start_new_session=True,
            )  # fmt: skip
        self.nodes[name] = node
        return node

    def settle(self, *nodes: Node) -> None:
        """Waits until these have joined."""
        for node in nodes:
            line = node.process.stdout.readline()
            found = re.search(r"listening on (http://\S+)", line)
            assert found, node.log()[-3000:]
            node.url = found[1]
            headers = {"Authorization": f"Bearer {node.key}"}
            node.client = httpx.Client(base_url=node.url, trust_env=False, timeout=30, headers=headers)
        for node in nodes:
            until(node.ready, what=f"{node.name} in the fleet")

    def start(self, name: str, **choices) -> Node:
        """A node that has joined. choices: as of `launch`."""
        node = self.launch(name, **choices)
        self.settle(node)
        return node

    def end(self) -> None:
        """Ends all nodes."""
        for node in self.nodes.values():
            if node.process is not None and node.process.poll() is None:
                node.process.send_signal(signal.SIGCONT)
                node.process.send_signal(signal.SIGTERM)
        for node in self.nodes.values():
            node.stop()


def _kept() -> dict[str, str]:
    return {
        name: os.environ[name] for name in ("GUARDIAN_MODEL_MIRROR", "GUARDIAN_SHARED") if name in os.environ
    }


@contextmanager
def fleet(folder: Path, need, store: str, program: str = "tests.chaos.fleet_node") -> Iterator[Fleet]:
    """An empty fleet with its NATS; everything ends with it."""
    with ExitStack() as undo:
        broker = undo.enter_context(servers.nats(Path(need("nats-server"))))
        made = Fleet(folder, broker, store, program)
        undo.callback(made.end)
        yield made
