"""What stands in a cell of a row, whatever somebody has written into it: reading one raises nothing.

SQLite keeps any value in any column; text that is not UTF-8 comes with its odd bytes as `\\xff`
(`guardian.store.database`).
"""

from __future__ import annotations

from typing import Any

LAST_S = 253_402_300_799.0
"""The end of the last year that can be told."""
_LAST = 1 << 53


def words(value: Any) -> str:
    """Text; of anything else what it would be called."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return "" if value is None else str(value)


def is_time(value: Any) -> bool:
    """Whether it can be one: a number at all."""
    return isinstance(value, int | float) and value == value


def seconds(value: Any, otherwise: float) -> float:
    """Wall clock seconds that can be told; `otherwise` for what is no time at all."""
    return float(min(max(value, 0.0), LAST_S)) if is_time(value) else otherwise


def whole(value: Any, otherwise: int) -> int:
    """A whole number of a size that sequences and counts have; `otherwise` for anything else."""
    return value if isinstance(value, int) and abs(value) < _LAST else otherwise
