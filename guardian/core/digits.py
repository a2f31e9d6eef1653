"""Gathers digits that are spoken one by one into numbers: 幺三八 零零, "double five oh one".

Runs go on over pauses and fillers. Values (一百八, 138 mm) are no runs: a magnitude word ends one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from guardian.core.units import Unit

LONGEST_PAUSE_S = 4.0
LONGEST_FILLER = 5
"""Units that may stand between two digits of one run."""

_SYLLABLES = {
    **dict.fromkeys(("ling", "dong"), "0"),
    **dict.fromkeys(("yi", "yao"), "1"),
    **dict.fromkeys(("er", "liang"), "2"),
    "san": "3",
    "si": "4",
    "wu": "5",
    "liu": "6",
    **dict.fromkeys(("qi", "guai"), "7"),
    "ba": "8",
    **dict.fromkeys(("jiu", "gou"), "9"),
}
_WORDS = {
    **dict.fromkeys(("zero", "oh", "o", "nought"), "0"),
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    **dict.fromkeys(("nine", "niner"), "9"),
    "ten": "10",
    "eleven": "11",
    "twelve": "12",
    "twenty": "20",
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "seventy": "70",
    "eighty": "80",
    "ninety": "90",
}
_DIGITS_ONLY = {word: digit for word, digit in _WORDS.items() if len(digit) == 1}
_REPEAT = {"double": 2, "triple": 3, "quadruple": 4}
_FILLERS = frozenset(
    [
        "en",
        "a",
        "e",
        "o",
        "ran",
        "hou",
        "na",
        "ge",
        "zai",
        "lai",
        "deng",
        "xia",
        "hai",
        "you",
        "shi",
        "jie",
        "zhe",
        "quan",
        "dou",
        "tou",
        "mian",
        "xian",
        "xu",
        "lian",
        "ne",
        "la",
        "hao",
        "ji",
        "um",
        "uh",
        "er",
        "hm",
        "ai",
        "sorry",
        "oops",
        "and",
        "then",
        "dash",
        "space",
        "again",
        "hang",
        "on",
        "wait",
        "hold",
        "so",
        "okay",
        "ok",
        "now",
        "that's",
        "sec",
        "second",
        "moment",
        "next",
        "ready",
    ]
)
"""Toneless syllables and words."""
_MAGNITUDES = frozenset(("bai", "qian", "wan", "dian", "thousand", "million", "point", "percent"))


@dataclass(frozen=True, slots=True)
class Run:
    """Digits said one after the other in units[start:end]."""

    digits: str
    start: int
    end: int

    def kinds(self) -> tuple[str, ...]:
        """What it may be: mobile, service, card, national_id, phone, number (5+), code (4-8)."""
        digits, size = self.digits, len(self.digits)
        kinds: list[str] = []
        if re.fullmatch(r"1[3-9]\d{9}", digits):
            kinds.append("mobile")
        if re.match(r"(400|800)\d{7}$|95\d{3}$", digits):
            kinds.append("service")
        if 15 <= size <= 19 and luhn(digits):
            kinds.append("card")
        if size == 18 and digits[6:8] in ("19", "20"):
            kinds.append("national_id")
        if size in (7, 10, 11) and "service" not in kinds:
            kinds.append("phone")
        if size >= 5 and "service" not in kinds:
            kinds.append("number")
        if 4 <= size <= 8:
            kinds.append("code")
        return tuple(kinds)


def luhn(digits: str) -> bool:
    """Whether the check digit of a card number is right (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0 and any(digit != "0" for digit in digits)


def _value(unit: Unit) -> str | None:
    if not unit.is_word:
        return _SYLLABLES.get(unit.base)
    if unit.base.isascii() and unit.base.isdigit():
        return unit.base
    return _WORDS.get(unit.base)


def _surer(units: Sequence[Unit]) -> Sequence[Unit]:
    """The units; what may be a digit and stands between two, or counts one (四个零), is that digit."""
    found = list(units)
    for at, unit in enumerate(units):
        digit = next((other for other in unit.others if _value(other) is not None), None)
        if digit is None or _value(unit) is not None or unit.base in _FILLERS | _MAGNITUDES:
            continue
        around = [units[place] for place in (at - 1, at + 1) if 0 <= place < len(units)]
        counted = units[at + 2 : at + 3] if around[-1:] and around[-1].base == "ge" else []
        beside = counted or (around if len(around) == 2 else [])
        if beside and all(_value(one) is not None for one in beside):
            found[at] = digit
    return found


class _Gatherer:
    def __init__(self, units: Sequence[Unit]) -> None:
        self.units = units
        self.runs: list[Run] = []
        self.digits = ""
        self.start = 0
        self.end = 0

    def close(self) -> None:
        if len(self.digits) >= 3:
            self.runs.append(Run(self.digits, self.start, self.end))
        self.digits = ""

    def put(self, at: int, end: int, digits: str) -> None:
        if not self.digits:
            self.start = at
        self.digits += digits
        self.end = end

    def may_go_on(self, at: int) -> bool:
        between = self.units[self.end : at]
        return (
            len(between) <= LONGEST_FILLER
            and self.units[at].t_start - self.units[self.end - 1].t_end <= LONGEST_PAUSE_S
            and all(unit.base in _FILLERS or (unit.base == "yi" and not unit.is_word) for unit in between)
        )


def digit_runs(units: Sequence[Unit]) -> list[Run]:
    """Runs of three digits or more, in order."""
    units = _surer(units)
    gatherer = _Gatherer(units)
    at = 0
    while at < len(units):
        at = _step(gatherer, at)
    gatherer.close()
    return gatherer.runs


def _step(gatherer: _Gatherer, at: int) -> int:
    """Reads what begins at unit `at`; gives back where to go on."""
    units = gatherer.units
    unit = units[at]
    if gatherer.digits and not gatherer.may_go_on(at) and _value(unit) is not None:
        gatherer.close()
    following = units[at + 1] if at + 1 < len(units) else None
    after = _value(following) if following is not None else None
    if unit.base in _REPEAT and after is not None and len(after) == 1:
        gatherer.put(at, at + 2, after * _REPEAT[unit.base])
        return at + 2
    if unit.base == "hundred" and gatherer.digits and gatherer.end == at:
        gatherer.put(at, at + 1, "00")
        return at + 1
    value = _value(unit)
    if value is None:
        if unit.base in _MAGNITUDES or (unit.base == "shi" and unit.tone == 2):
            gatherer.digits = gatherer.digits[:-1] if gatherer.end == at else gatherer.digits
            gatherer.close()
        return at + 1
    if _all_the_same(units, at) and gatherer.digits:
        gatherer.put(at, at + 1, value * max(1, 11 - len(gatherer.digits)))
        return at + 1
    times = _times(units, at, value)
    if times is not None:
        digits, said = times
        gatherer.put(at, at + said, digits)
        return at + said
    if _is_wait_a_moment(units, at):
        return at + 2
    if (
        value in {"20", "30", "40", "50", "60", "70", "80", "90"}
        and after is not None
        and after in set("123456789")
    ):
        gatherer.put(at, at + 2, value[0] + after)
        return at + 2
    gatherer.put(at, at + 1, value)
    return at + 1


def _all_the_same(units: Sequence[Unit], at: int) -> bool:
    """ "全是零", "都是零": the rest of the number is this digit."""
    before = [unit.base for unit in units[max(0, at - 2) : at]]
    return before in (["quan", "shi"], ["dou", "shi"], ["all"])


def _times(units: Sequence[Unit], at: int, value: str) -> tuple[str, int] | None:
    """ "八个零", "three zeros": a digit so many times, and how many units say so."""
    following = units[at + 1 : at + 3]
    if len(value) != 1 or value == "0" or not following:
        return None
    one = _one_of_many(following[0])
    if one is not None:
        return one * int(value), 2
    if len(following) == 2 and following[0].base in ("ge", "times"):
        digit = _value(following[1])
        if digit is not None and len(digit) == 1:
            return digit * int(value), 3
    return None


def _one_of_many(unit: Unit) -> str | None:
    """The digit that "zeros" or "sixes" are many of."""
    if not unit.is_word or not unit.base.endswith("s"):
        return None
    return _DIGITS_ONLY.get(unit.base[:-1]) or _DIGITS_ONLY.get(unit.base[:-2])


def _is_wait_a_moment(units: Sequence[Unit], at: int) -> bool:
    """ "等一下", "记一下": this 一 is no digit."""
    return units[at].base == "yi" and at + 1 < len(units) and units[at + 1].base == "xia"
