"""Debian's Janus, and browsers that meet in it."""

from __future__ import annotations

import pytest

from tests.browser.conftest import (
    converse,
    films,
    merchant_browser,
    open_browser,
    runner,
    shopper_browser,
    stage,
    talk,
)
from tests.sfu.janus_server import running

__all__ = [
    "converse",
    "films",
    "merchant_browser",
    "open_browser",
    "runner",
    "shopper_browser",
    "stage",
    "talk",
]


@pytest.fixture(scope="module")
def janus(need, tmp_path_factory):
    """A Janus for the tests of a module."""
    need("janus")
    with running(tmp_path_factory.mktemp("janus")) as server:
        yield server
