"""Credentials for a TURN server: good for one call, and nobody is told what they are made with."""

import base64
import hashlib
import hmac

from guardian.core.config import CallLimits, IceServer, MediaConfig, TurnServer
from guardian.core.turn import credentials, with_credentials

TURN = TurnServer(("turn:t.example:3478",), "north")
LIMITS = CallLimits(max_call_s=7200)


def test_a_password_is_an_hmac_of_the_name():
    username, password = credentials("north", 1462744200, "mbzrxpgjys")
    assert username == "1462744200:mbzrxpgjys"
    digest = hmac.new(b"north", b"1462744200:mbzrxpgjys", hashlib.sha1).digest()
    assert base64.b64decode(password) == digest


def test_credentials_outlast_the_longest_call():
    media = with_credentials(MediaConfig(turn=(TURN,)), LIMITS, 1000.5, "a")
    (server,) = media.ice_servers
    assert server.urls == TURN.urls
    assert int(server.username.split(":")[0]) > 1000 + 7200


def test_servers_with_lasting_credentials_stay_and_the_secret_goes():
    static = IceServer(("stun:s.example",))
    media = with_credentials(MediaConfig((static,), (TURN,)), LIMITS, 0.0, "a")
    assert media.ice_servers[0] == static
    assert len(media.ice_servers) == 2
    assert media.turn == ()


def test_no_secret_is_printed():
    media = MediaConfig((IceServer(("turn:t",), "u", "south"),), (TURN,))
    given = with_credentials(media, LIMITS, 0.0, "a")
    assert "north" not in repr(media) + repr(given)
    assert "south" not in repr(media)
    assert given.ice_servers[1].credential not in repr(given)
