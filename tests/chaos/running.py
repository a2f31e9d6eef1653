"""A server that can be killed and starved: `raising.py` in a process of its own, and a client of it."""

import json
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
ENV = {name: value for name, value in os.environ.items() if not name.startswith("GUARDIAN_")}
WAIT_S = 30.0


def few_rules(folder):
    """A section of settings: reading all of the shipped rules would be most of a start."""
    rules = folder / "rules"
    rules.mkdir(exist_ok=True)
    text = "rules:\n  - {id: contact.wechat, category: contact_exchange, patterns: [加微信]}\n"
    (rules / "rules.yaml").write_text(text, encoding="utf-8")
    return f"[speech]\nrules_dir = {json.dumps(str(rules))}\n"


def command(folder, *before, more="", program="raising"):
    """before: what starts it, a program and its words. more: lines of its settings."""
    config = folder / "guardian.toml"
    config.write_text(
        f"data_dir = {json.dumps(str(folder / 'data'))}\n"
        "[server]\nport = 0\ndrain_s = 0\nrequests_per_s = 10000\n"
        f"{more}\n{few_rules(folder)}",
        encoding="utf-8",
    )
    return [*before, sys.executable, "-m", f"tests.chaos.{program}", config]


@contextmanager
def serving(folder, *before, **choices):
    """choices: as of `command`."""
    with (folder / "guardian.log").open("ab") as log:
        process = subprocess.Popen(
            command(folder, *before, **choices),
            cwd=ROOT,
            env=ENV,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        found = re.fullmatch(r"guardian is listening on (http://\S+)\n", process.stdout.readline())
        assert found, (folder / "guardian.log").read_text()[-3000:]
        with httpx.Client(base_url=found[1], trust_env=False, timeout=20) as client:
            yield process, client
    finally:
        process.kill()
        process.communicate()


def refused(folder, *before):
    """What a server says that does not start."""
    ended = subprocess.run(
        command(folder, *before), cwd=ROOT, env=ENV, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    return ended.stderr.strip().splitlines()[-1]


def until(true, wait_s=WAIT_S):
    deadline = time.monotonic() + wait_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def admit(client, call_id):
    body = {"call_id": call_id, "shopper": {"id": "u"}, "merchant": {"id": "m"}, "consent": {"token": "t"}}
    return client.post("/v1/calls", json=body)
