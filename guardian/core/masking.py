"""Hides numbers that could reach a person: runs of seven or more digits, however they are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "[REDACTED:DIGITS]"

_PINYIN = r"(?:ling|dong|yao|yi|er|liang|san|si|wu|liu|qi|guai|ba|jiu|gou)[0-5]?"
_ENGLISH = r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple)"
_DIGIT = rf"(?:\d|[零〇一二三四五六七八九十两幺洞拐勾]|(?<![A-Za-z])(?:{_PINYIN}|{_ENGLISH})(?![A-Za-z]))"
_BETWEEN = r"[\s\-–—.,，。、·/()（）_]{0,3}"
_TIME = r"(?P<time>\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))"
_RUN = re.compile(rf"{_TIME}|{_DIGIT}(?:{_BETWEEN}{_DIGIT}){{6,}}", re.IGNORECASE)


def masked(text: str) -> str:
    """`text` with every run of seven or more digits replaced by `MASK`.

    Digits count as Arabic figures of any script, Chinese numerals (幺 and 洞 too), toned pinyin and English
    words; up to three separators may stand between two of them. RFC 3339 times stay.
    """
    return _RUN.sub(lambda found: found["time"] or MASK, text)


def masked_values(value: Any) -> Any:
    """`value` (as JSON has them) with every string in it masked; keys stay as they are."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {key: masked_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked_values(item) for item in value]
    return value
