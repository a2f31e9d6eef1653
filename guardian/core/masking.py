"""Hides numbers that could reach a person: runs of seven or more digits, however they are written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from guardian.core.digits import Run, digit_runs
from guardian.core.tokens import Token
from guardian.core.units import units_of

MASK = "[REDACTED:DIGITS]"

_LONG = 7
"""Digits from which on a number may reach a person."""
_PINYIN = r"(?:ling|dong|yao|yi|er|liang|san|si|wu|liu|qi|guai|ba|jiu|gou)[0-5]?+"
"""A tone is no digit of its own: 一三八 in pinyin is three, not six."""
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


def numbers_said(words: Sequence[str], language: str) -> list[Run]:
    """Numbers of seven or more digits in words that were said one after the other, as rules hear them: also
    over fillers ("138, uh, 0013") and in fewer words than digits ("eight zeros")."""
    runs = digit_runs(units_of([Token(word, 0.0, 0.0) for word in words], language))
    return [run for run in runs if len(run.digits) >= _LONG]


def masked_speech(text: str, language: str) -> str:
    """As `masked`, of words parted by blanks; the numbers rules hear in them are hidden too."""
    words = text.split(" ")
    for run in reversed(numbers_said(words, language)):
        words[run.start : run.end] = [MASK]
    return masked(" ".join(words))


def masked_values(value: Any) -> Any:
    """`value` (as JSON has them) with every string in it masked; keys stay as they are."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {key: masked_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked_values(item) for item in value]
    return value
