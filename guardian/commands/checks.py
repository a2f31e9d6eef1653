"""What `guardian doctor` finds: one thing looked at, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """ok; warn: something is less good than it could be; fail: the main job cannot run."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: what was found, and what to do when it is not ok."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""
