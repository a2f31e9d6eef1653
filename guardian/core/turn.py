"""Credentials for a TURN server that hold for one call.

The server and its users share a secret; a user name says until when it is good, and its password is an
HMAC of it (draft-uberti-behave-turn-rest-00, what coturn calls `use-auth-secret`). coturn looks at the
time at every refresh of an allocation, so credentials have to outlast the call and not only its start.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
from dataclasses import replace

from guardian.core.config import CallLimits, IceServer, MediaConfig

_SLACK_S = 120.0
"""Clocks differ, and a leg is hung up a little after its call has ended."""


def credentials(secret: str, expires: int, name: str) -> tuple[str, str]:
    """User name and password. expires: wall clock seconds; name: anything that tells users apart, no `:`."""
    username = f"{expires}:{name}"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


def with_credentials(media: MediaConfig, limits: CallLimits, now: float, name: str) -> MediaConfig:
    """The settings for one call or leg: TURN servers with credentials in the place of those with secrets.

    now: wall clock seconds. What comes back holds no shared secret.
    """
    expires = math.ceil(now + limits.max_call_s + _SLACK_S)
    turn = tuple(IceServer(server.urls, *credentials(server.secret, expires, name)) for server in media.turn)
    return replace(media, ice_servers=media.ice_servers + turn, turn=())
