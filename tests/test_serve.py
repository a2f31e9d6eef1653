"""`guardian serve` and `guardian keys` as programs."""

import json
import os
import re
import signal
import socket
import subprocess
import sys

import httpx
import pytest

ENV = {name: value for name, value in os.environ.items() if not name.startswith("GUARDIAN_")}
ENV["GUARDIAN_SERVER__DRAIN_S"] = "0"
GUARDIAN = [sys.executable, "-m", "guardian"]


def guardian(*arguments, cwd):
    return subprocess.run(
        [*GUARDIAN, *arguments], cwd=cwd, env=ENV, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def serve(tmp_path):
    """serve("--port", "0") -> (process, base url)."""
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [*GUARDIAN, "serve", "--port", "0", *arguments],
            cwd=tmp_path,
            env=ENV,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        line = process.stdout.readline()
        found = re.fullmatch(r"guardian is listening on (http://\S+)\n", line)
        assert found, line
        return process, found[1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_it_says_where_it_listens_and_ends_when_asked(serve):
    process, url = serve()
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as client:
        assert client.get("/readyz").json()["status"] == "ready"
        body = {
            "call_id": "c",
            "shopper": {"id": "u"},
            "merchant": {"id": "13812345678"},
            "consent": {"token": "a-secret-token"},
        }
        assert client.post("/v1/calls", json=body).status_code == 201
        assert client.post("/v1/calls/c/complaint").status_code == 202
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "/demo" in err
    assert "a-secret-token" not in err
    assert "13812345678" not in err
    logs = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert "listening" in [line["event"] for line in logs]


def test_events_of_the_last_run_are_in_the_file(serve, tmp_path):
    process, url = serve()
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as client:
        body = {"call_id": "c", "shopper": {"id": "u"}, "merchant": {"id": "m"}, "consent": {"token": "t"}}
        client.post("/v1/calls", json=body)
        client.post("/v1/calls/c/complaint")
        client.delete("/v1/calls/c")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    lines = (tmp_path / "guardian-data" / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert [int(event["sequence"]) for event in events] == list(range(1, len(events) + 1))
    kinds = [event["type"].split("guardian.")[1] for event in events]
    assert "complaint.received.v1" in kinds
    assert kinds[-1] == "call.left.v1"


def test_what_was_accepted_survives_a_kill(serve, tmp_path):
    process, url = serve()
    accepted = []
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as client:
        body = {"call_id": "c", "shopper": {"id": "u"}, "merchant": {"id": "m"}, "consent": {"token": "t"}}
        client.post("/v1/calls", json=body)
        for _ in range(20):
            accepted.append(client.post("/v1/calls/c/complaint").json()["event_id"])
        process.kill()
    process.wait(20)
    again, _ = serve()
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=20)
    lines = (tmp_path / "guardian-data" / "events.jsonl").read_text().splitlines()
    delivered = [json.loads(line)["id"] for line in lines]
    assert [event_id for event_id in dict.fromkeys(delivered) if event_id in accepted] == accepted
    events = {event["sequence"]: event for event in map(json.loads, lines)}
    assert [int(sequence) for sequence in events] == list(range(1, len(events) + 1))
    ends = [event["data"] for event in events.values() if "call.left" in event["type"]]
    assert [(end["role"], end["reason"], end["call"]["call_id"]) for end in ends] == [(None, "failed", "c")]


def test_the_end_of_a_killed_servers_call_is_told_once(serve, tmp_path):
    process, url = serve()
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as client:
        body = {"call_id": "c", "shopper": {"id": "u"}, "merchant": {"id": "m"}, "consent": {"token": "t"}}
        client.post("/v1/calls", json={**body, "order_ref": "o-1", "purpose": "install"})
        assert client.post("/v1/calls/c/complaint").status_code == 202
        client.post("/v1/calls", json={**body, "call_id": "ended"})
        assert client.delete("/v1/calls/ended").status_code == 204
        process.kill()
    process.wait(20)
    for _ in range(2):
        again, _ = serve()
        again.send_signal(signal.SIGTERM)
        again.communicate(timeout=20)
    lines = (tmp_path / "guardian-data" / "events.jsonl").read_text().splitlines()
    events = list({event["id"]: event for event in map(json.loads, lines)}.values())
    mine = [event["data"] for event in events if event["correlationid"] == "c"]
    assert [data.get("reason") for data in mine] == [None, "failed"]
    first, last = ({**data["call"], "offset_ms": 0} for data in mine)
    assert first == last
    ends = [event for event in events if event["correlationid"] == "ended" and "call.left" in event["type"]]
    assert len(ends) == 1


def test_two_servers_do_not_share_a_data_folder(serve, tmp_path):
    serve()
    ended = guardian("serve", "--port", "0", cwd=tmp_path)
    assert ended.returncode == 1
    assert "Another Guardian" in ended.stderr


def test_a_port_in_use_is_one_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = guardian("serve", "--port", str(taken.getsockname()[1]), cwd=tmp_path)
    assert ended.returncode == 1
    assert "is in use" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_without_keys_it_serves_this_machine_only(tmp_path):
    ended = guardian("serve", "--host", "0.0.0.0", "--port", "0", cwd=tmp_path)
    assert ended.returncode == 1
    assert "guardian keys init" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_an_unknown_key_or_file_is_one_sentence(tmp_path):
    (tmp_path / "bad.toml").write_text("[server]\nprot = 1\n")
    for name in ("bad.toml", "none.toml"):
        ended = guardian("serve", "--config", name, cwd=tmp_path)
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert guardian("serve", "--port", "x", cwd=tmp_path).returncode == 2


def test_keys_are_made_shown_once_listed_and_revoked(tmp_path):
    data = ["--data", str(tmp_path / "data")]
    made = guardian("keys", "init", *data, cwd=tmp_path)
    assert made.returncode == 0
    token = made.stdout.strip()
    assert token.startswith("gk_")
    assert guardian("keys", "init", *data, cwd=tmp_path).returncode == 1
    assert guardian("keys", "add", "--tenant", "acme", *data, cwd=tmp_path).stdout.strip() != token
    listed = guardian("keys", "list", *data, cwd=tmp_path).stdout
    assert "acme" in listed
    assert token not in listed
    key_id = re.search(r"k_[0-9a-f]+", listed)[0]
    assert guardian("keys", "revoke", key_id, *data, cwd=tmp_path).returncode == 0
    assert guardian("keys", "revoke", "k_none", *data, cwd=tmp_path).returncode == 1
    assert guardian("keys", "add", "--tenant", "Not OK", *data, cwd=tmp_path).returncode == 2
    assert (tmp_path / "data" / "webhook.secret").stat().st_mode & 0o777 == 0o600
