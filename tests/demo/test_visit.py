"""`guardian demo --url`: the sample call through servers that run already."""

import pytest

from guardian.core.errors import CallFailed, ConfigError
from guardian.demo import show, visit
from guardian.demo.ending import run_until_told
from tests.servers import free_port


class NoCamera:
    canary = None
    fps = 15.0
    size = (64, 48)

    def pictures(self):
        raise AssertionError("nobody was called")


def test_a_server_that_does_not_answer_is_said_in_a_sentence():
    nobody = f"http://127.0.0.1:{free_port()}"
    told = []
    with pytest.raises(CallFailed, match="None of these addresses answers"):
        run_until_told(visit.run(visit.Visit((nobody, nobody), "gk_x", 1.0), NoCamera(), told.append))
    assert told == []


def test_a_key_that_cannot_be_read_is_said_in_a_sentence(tmp_path):
    with pytest.raises(ConfigError, match="name the file that holds it"):
        show.visit(show.Guest(("http://127.0.0.1:1",), tmp_path / "none", 1.0, None))


def test_a_server_that_runs_shows_a_picture_and_is_left_alone(tmp_path):
    pytest.importorskip("skimage", reason="scikit-image, which brings the portrait, is not installed")

    async def call():
        async with show.own_server.running_server(tmp_path) as url:
            told = []
            source = show.picture_source(None, None)
            await visit.run(visit.Visit((url,), None, 1.0), source, told.append)
            return told

    told = run_until_told(call())
    assert told[0].endswith(" is admitted")
    assert told[1] == "the merchant sees a picture"
    assert len(told) == 2
