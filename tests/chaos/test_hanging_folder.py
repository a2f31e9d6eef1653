"""A folder of evidence that hangs keeps a server neither from starting nor from ending."""

import signal

import pytest

from tests.chaos.running import admit, serving


@pytest.mark.live
def test_a_server_starts_takes_calls_and_ends_beside_a_folder_that_hangs(tmp_path):
    with serving(tmp_path, program="hanging") as (process, client):
        assert admit(client, "c").status_code == 201
        assert client.post("/v1/calls/c/complaint").status_code == 202
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    said = (tmp_path / "guardian.log").read_text()
    assert "The folder of evidence does not answer" in said
    assert "it is left behind" in said
    assert ".complaint.received." in (tmp_path / "data" / "events.jsonl").read_text()
