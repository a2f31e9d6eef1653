"""What crosses between server and call process arrives as it was."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import asdict

import pytest

from guardian.core import errors
from guardian.core.calls import CallEvent, CallEventType, CallSpec, Scope
from guardian.core.config import IceServer, MediaConfig, TurnServer, WorkConfig
from guardian.core.frames import Mode
from guardian.core.violations import Role
from guardian.fleet.messages import (
    MAX_LINE,
    Link,
    config_from_json,
    error_message,
    event_from_json,
    raise_from,
    spec_from_json,
    spec_to_json,
)


def through_json(value):
    return json.loads(json.dumps(value))


def test_a_specification_arrives_as_it_was():
    spec = CallSpec(
        "c",
        "t",
        {Role.SHOPPER: "s", Role.MERCHANT: "m"},
        Mode.INSTALL,
        ("zh",),
        frozenset({Scope.KEEP, Scope.HEAR}),
    )
    assert spec_from_json(through_json(spec_to_json(spec))) == spec


def test_the_configuration_arrives_as_it_was():
    media = MediaConfig(
        ice_servers=(IceServer(("turn:a", "turn:b"), "u", "p"),),
        turn=(TurnServer(("turn:c",), "s"),),
        udp_ports=(50000, 50999),
        bind_addresses=("10.0.0.5",),
        advertised_addresses=("203.0.113.7", "2001:db8::7"),
    )
    config = WorkConfig(media=media)
    assert config_from_json(through_json(asdict(config))) == config


def test_an_event_arrives_as_it_was():
    event = CallEvent("c", CallEventType.CALL_JOINED, "2026-01-01T00:00:00Z", 1.5, {"role": "shopper"})
    assert event_from_json(through_json(asdict(event))) == event


@pytest.mark.parametrize(
    "error", [errors.OfferRefused("No."), errors.NoSuchCall("No."), errors.CallFailed("No.")]
)
def test_an_error_is_raised_again_on_the_other_side(error):
    with pytest.raises(type(error), match="No\\."):
        raise_from(through_json(error_message(error)))


def test_an_unknown_error_is_a_failed_call():
    with pytest.raises(errors.CallFailed):
        raise_from({"error": "SomethingNew", "message": "No."})
    raise_from({"ok": {}})


def test_a_link_nobody_reads_says_that_it_is_behind():
    async def scenario():
        ours, theirs = socket.socketpair()
        with theirs:
            link = Link(*await asyncio.open_connection(sock=ours))
            fresh = link.behind
            for _ in range(4):
                link.write({"note": "beat", "padding": "x" * MAX_LINE})
            late = link.behind
            link.close()
            return fresh, late

    assert asyncio.run(scenario()) == (False, True)
