"""How many pools of memory the C library keeps for the threads of this process."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8
"""Of glibc's malloc.h; other C libraries have no `mallopt` or take it for nothing."""


def keep_arenas(most: int) -> None:
    """Has threads that begin after this share so many arenas: each would keep what it once needed."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, most)
