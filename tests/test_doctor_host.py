"""`guardian doctor` tells those who run a server what is not well, and what to do."""

import json
import socket
import threading

import pytest
from typer.testing import CliRunner

from guardian.cli import app
from guardian.commands.checks import Verdict
from guardian.commands.doctor_host import examine_host
from guardian.settings import load
from tests import servers


def found(slots=2, **settings):
    return {check.name: check for check in examine_host(load(None, settings), slots)}


@pytest.fixture
def taken_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("0.0.0.0", 0))
        yield holder.getsockname()[1]


def test_folders_are_tried_and_their_room_is_told(tmp_path):
    checks = found(data_dir=str(tmp_path / "new"))
    assert checks["data folder"].verdict is Verdict.OK
    assert not (tmp_path / "new").exists()
    assert found(data_dir="/proc/none")["data folder"].verdict is Verdict.FAIL
    short = found(data_dir=str(tmp_path), store={"min_free_bytes": 1 << 60})["data folder"]
    assert (short.verdict, bool(short.advice)) == (Verdict.WARN, True)


def test_ports_that_are_taken_are_counted(taken_port):
    check = found(1, media={"udp_ports": [taken_port, taken_port]})["udp ports"]
    assert check.verdict is Verdict.WARN
    assert "1 taken" in check.found
    assert found()["udp ports"].verdict is Verdict.OK


def test_a_store_that_does_not_answer_is_told():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        url = f"postgresql://guardian@127.0.0.1:{port}/guardian"
        assert found(store={"url": url})["store"].verdict is Verdict.FAIL
        holder.listen()
        assert found(store={"url": url})["store"].verdict is Verdict.OK


FLEET = {
    "store": {"url": "postgresql://guardian@127.0.0.1:1/guardian"},
    "access": {"api_keys_file": "api_keys.json"},
}


def broker(port):
    return found(**FLEET, fleet={"url": f"nats://127.0.0.1:{port}"})["nats of the fleet"]


def test_the_broker_of_a_fleet_says_its_version_and_whether_it_has_jetstream(need):
    with servers.nats(need("nats-server")) as server:
        check = broker(server.port)
        assert check.verdict is Verdict.OK
        assert "with JetStream" in check.found


@pytest.mark.parametrize(
    ("said", "found_like"),
    [(b'INFO {"version": "2.9.1"}\r\n', "without JetStream"), (b"220 mail\r\n", "no NATS server")],
)
def test_what_is_no_broker_for_a_fleet_is_told(said, found_like):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet():
            connection, _ = listening.accept()
            with connection:
                connection.sendall(said)

        greeting = threading.Thread(target=greet)
        greeting.start()
        check = broker(listening.getsockname()[1])
        greeting.join(10)
    assert check.verdict is Verdict.FAIL
    assert found_like in check.found
    assert check.advice


def test_a_broker_that_does_not_answer_is_told():
    assert broker(servers.free_port()).verdict is Verdict.FAIL


def test_settings_that_cannot_be_used_are_told_among_all_checks(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text("[server]\nprot = 8080\n")
    done = CliRunner().invoke(app, ["doctor", "--json", "--config", str(path)])
    told = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert told["settings"]["verdict"] == "fail"
    assert "prot" in told["settings"]["advice"]
    assert "python" in told
    assert done.exit_code == 1
