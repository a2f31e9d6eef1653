"""Passwords as they are kept: Argon2id."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from guardian.core.errors import Unavailable
from guardian.core.people import PASSWORD_MOST, plain

_PASSES, _KIB, _LANES = 3, 64 * 1024, 1
"""RFC 9106, section 4, second choice, on one lane: a flood of sign-ins takes one core at most."""
_NICE = 10
_LONGEST = 4 * PASSWORD_MOST
"""What is longer is nobody's, however it is typed. To put it in order would take the square of its length,
and nothing else would run meanwhile."""
_WAITING = 32
_WAIT_S = 10.0

T = TypeVar("T")


class Passwords:
    """Thread-safe; slow on purpose, one at a time and behind all else. Unavailable when too many wait."""

    def __init__(self, kib: int = _KIB) -> None:
        """kib: memory that each takes."""
        self._hasher = PasswordHasher(time_cost=_PASSES, memory_cost=kib, parallelism=_LANES)
        self._thread = ThreadPoolExecutor(1, "passwords", initializer=_stand_back)
        self._room = threading.BoundedSemaphore(_WAITING)
        # Made of no password, so that none fits; whether one does takes as long as with any other.
        self.nobodys = (
            f"$argon2id$v={ARGON2_VERSION}$m={kib},t={_PASSES},p={_LANES}"
            f"${_coded(self._hasher.salt_len)}${_coded(self._hasher.hash_len)}"
        )

    def hashed(self, password: str) -> str:
        """What to keep: parameters, salt and hash."""
        return self._slowly(lambda: self._hasher.hash(plain(password)))

    def fits(self, kept: str, password: str) -> bool:
        """Whether it is the password of which `kept` was made."""

        if len(password) > _LONGEST:
            password = ""

        def look() -> bool:
            with contextlib.suppress(VerificationError, InvalidHashError, UnicodeError):
                return self._hasher.verify(kept, plain(password))
            return False

        return self._slowly(look)

    def fits_nobody(self, password: str) -> None:
        """Takes the time that `fits` takes."""
        self.fits(self.nobodys, password)

    def outdated(self, kept: str) -> bool:
        """Whether it was made with other parameters than one would be made with now."""
        return self._hasher.check_needs_rehash(kept)

    def close(self) -> None:
        """Waits for nobody."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _slowly(self, work: Callable[[], T]) -> T:
        busy = "Too many people sign in at once; try again in a moment."
        if not self._room.acquire(blocking=False):
            raise Unavailable(busy)
        future = self._thread.submit(work)
        future.add_done_callback(lambda _: self._room.release())
        try:
            return future.result(_WAIT_S)
        except TimeoutError:
            future.cancel()
            raise Unavailable(busy) from None


def _coded(size: int) -> str:
    """Random bytes as the hashes have them."""
    return base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")


def _stand_back() -> None:
    """Calls come first. On Linux a priority is a thread's own."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
