"""The C library's pools of memory: how many there are, and what they keep of what is free."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8
"""Of glibc's malloc.h; other C libraries have no `mallopt` or take it for nothing."""


def keep_arenas(most: int) -> None:
    """Has threads that begin after this share so many arenas: each would keep what it once needed."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, most)


def give_back_freed() -> None:
    """Lets the machine have what is free in the pools, wherever it lies (malloc_trim(3)).

    It takes milliseconds, in which other threads may wait for memory: never from a thread that stands back.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
