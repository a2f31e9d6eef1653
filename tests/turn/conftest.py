"""coturn and servers that know it."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from tests.browser.conftest import films, open_browser, runner, stage
from tests.loopback.harness import serving
from tests.turn.coturn_server import running

__all__ = ["films", "open_browser", "runner", "stage"]


@pytest.fixture(scope="module")
def coturn(need, tmp_path_factory):
    """A TURN server for the tests of a module."""
    with running(need("coturn"), tmp_path_factory.mktemp("coturn")) as coturn:
        yield coturn


@pytest.fixture(scope="module")
def serve(coturn, stage, tmp_path_factory):
    """serve(ice_transport) -> a context with `guardian serve` that shares the TURN server's secret."""

    @contextmanager
    def run(ice_transport):
        turn = [{"urls": [coturn.url], "secret": {"file": str(coturn.secret_file)}}]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GUARDIAN_MEDIA__TURN", json.dumps(turn))
            patch.setenv("GUARDIAN_MEDIA__ICE_TRANSPORT", ice_transport)
            patch.setenv("GUARDIAN_SERVER__ALLOWED_ORIGINS", json.dumps([stage.origin]))
            with serving(tmp_path_factory.mktemp(f"turn-{ice_transport}"), broken=True) as server:
                yield server

    return run


@pytest.fixture(scope="module")
def server(serve):
    """A server that is reached directly and over TURN."""
    with serve("all") as server:
        yield server
