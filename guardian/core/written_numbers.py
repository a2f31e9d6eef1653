"""Numbers in written text: those that reach or pay somebody, told from prices, sizes and serials."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from guardian.core.digits import luhn


class NumberKind(StrEnum):
    """What a number is for."""

    PHONE = "phone"
    """Reaches a person."""
    SERVICE = "service"
    """Reaches a hotline: 400, 800, 95..., 12..."""
    CARD = "card"


@dataclass(frozen=True, slots=True)
class WrittenNumber:
    """A number in text[start:end]. labelled: words before it say that it is an order's, a product's ..."""

    kind: NumberKind
    start: int
    end: int
    labelled: bool


_GAP = r"[ \t\-‐-―−·•/()~]{0,3}"
_RUN = re.compile(rf"(?<![\d.,])[+(]?\d(?:{_GAP}\d){{4,22}}(?![\d%]|[.,]\d)")
_ALIKE = str.maketrans("OoQlI|!", "0001111")
_NEARLY = re.compile(r"(?<![^\W_])[\dOoQlI|!][\dOoQlI|! \-]{8,20}(?![^\W_])")
_ENOUGH_DIGITS = 8
"""Digits in a run of which the letters are taken for misread digits."""
_NUMERAL = {
    ord(numeral): str(digit)
    for digit, numerals in enumerate(
        ("零〇洞", "一幺壹", "二两贰", "三叁", "四肆", "五伍", "六陆", "七拐柒", "八捌", "九玖")
    )
    for numeral in numerals
}
_ONE_NUMERAL = f"[{''.join(map(chr, _NUMERAL))}]"
_NUMERALS = re.compile(rf"{_ONE_NUMERAL}(?:[ \-]?{_ONE_NUMERAL}){{6,20}}")
_TWO_LINES = re.compile(
    r"(?<![^\n])(?=1[3-9])(?:\d{3}[ \-]?\d{4}\n\d{4}|\d{3}\n\d{4}[ \-]?\d{4}|\d{3}\n\d{8})(?![^\n])"
)
"""A mobile number on two lines that hold nothing else."""
_MOBILE = re.compile(r"(?:86|0086)?(1[3-9]\d{9})")
_SPLITS = frozenset(
    [
        *(
            (11,),
            (3, 4, 4),
            (3, 8),
            (7, 4),
            (4, 7),
            (3, 3, 5),
            (4, 3, 4),
            (4, 4, 3),
            (5, 6),
            (6, 5),
            (5, 3, 3),
        ),
        *((3, 2, 2, 2, 2), (3, 4, 2, 2), (1, 2, 2, 2, 2, 2), (1, 10), (2, 9), (1,) * 11),
    ]
)
"""How people group a mobile number with spaces. Others are sizes and prices that stand side by side."""
_SERVICE = re.compile(r"(?:400|800)\d{7}|95\d{3}|95\d{4}|96\d{3,4}|1(?:0000|0010|0086|2\d{3})")
_FREE = re.compile(r"\+?1[ \-]8(?:00|88|77|66|55)[ \-]\d{3}[ \-]?\d{4}")
"""A hotline as Americans write it."""
_LANDLINE = re.compile(r"\(?0(?:10|2\d|[3-9]\d{2})\)?[ \-]{1,3}\d{3,4}[ \-]?\d{4}")
_ABROAD = re.compile(r"\+\d{8,15}")
_AMERICAN = re.compile(r"(?:\(\d{3}\)[ \-]?|\d{3}[\-.])\d{3}[\-.]\d{4}")
_ISSUERS = re.compile(r"62|60|68|4|5[1-5]|2[2-7]|3[47]|35|9[0-9]")
"""First digits of cards (ISO/IEC 7812)."""
_LABEL = re.compile(
    r"(?:订单|单号|运单|快递|物流|取件|序列|货号|型号|条码|编号|批号|机号|流水|发票|税号|许可证|备案|标准|"
    r"(?<![a-z])(?:order|tracking|serial|s/?n|model|imei|meid|mac|ean|upc|isbn|sku|item|part|lot|batch|"
    r"invoice|ref|p/?n))[\s号码编#:：.№no]*$",
    re.IGNORECASE,
)
_MOST_GROUPS = 5
"""Groups a number is written in when others stand beside it."""
_BEFORE = 16
"""Characters before a number in which its label is looked for."""


def written_numbers(text: str) -> Iterator[WrittenNumber]:
    """The numbers in a text of ASCII digits (see `guardian.core.contacts.folded`), in order."""
    # None of these changes how long the text is, so places stay.
    plain = _NUMERALS.sub(lambda found: found[0].translate(_NUMERAL), text)
    plain = _NEARLY.sub(_digits_for_letters, plain)
    plain = _TWO_LINES.sub(lambda found: found[0].replace("\n", " "), plain)
    for found in _RUN.finditer(plain):
        for kind, start, end in _numbers(found[0]):
            start, end = start + found.start(), end + found.start()
            before = plain[max(start - _BEFORE, 0) : start].rpartition("\n")[2]
            yield WrittenNumber(kind, start, end, bool(_LABEL.search(before)))


def _digits_for_letters(found: re.Match[str]) -> str:
    enough = sum(one.isdigit() for one in found[0]) >= _ENOUGH_DIGITS
    return found[0].translate(_ALIKE) if enough else found[0]


def _numbers(written: str) -> Iterator[tuple[NumberKind, int, int]]:
    """What a run of digits is, or the mobile numbers that stand in it beside others."""
    kind = _kind(written)
    if kind is not None:
        yield kind, 0, len(written)
        return
    groups = list(re.finditer(r"[^ \t]+", written))
    at = 0
    while at < len(groups):
        for last in range(at, min(at + _MOST_GROUPS, len(groups))):
            start, end = groups[at].start(), groups[last].end()
            if _MOBILE.fullmatch(re.sub(r"\D", "", written[start:end])) and _kind(written[start:end]):
                yield NumberKind.PHONE, start, end
                at = last
                break
        at += 1


def _kind(written: str) -> NumberKind | None:
    """What a run of digits is; None for amounts, sizes, dates and the like."""
    digits = re.sub(r"\D", "", written)
    if _SERVICE.fullmatch(digits) or _FREE.fullmatch(written):
        return NumberKind.SERVICE
    mobile = _MOBILE.fullmatch(digits)
    if mobile and _stands_together(written, len(digits) - len(mobile[1])):
        return NumberKind.PHONE
    if 15 <= len(digits) <= 19 and _ISSUERS.match(digits) and luhn(digits) and _is_card(written, digits):
        return NumberKind.CARD
    if _ABROAD.fullmatch("+" * written.startswith("+") + digits) or _AMERICAN.fullmatch(written):
        return NumberKind.PHONE
    return NumberKind.PHONE if _LANDLINE.fullmatch(written) else None


def _stands_together(written: str, prefix: int) -> bool:
    """Whether the digits are grouped as those of one mobile number are. prefix: digits of the country's."""
    groups = [len(group) for group in re.findall(r"\d+", written)]
    if prefix and groups[0] == prefix:
        groups = groups[1:]
    elif prefix:
        groups[0] -= prefix
    return tuple(groups) in _SPLITS or not re.search(r"[ \t/]", written)


def _is_card(written: str, digits: str) -> bool:
    groups = [len(group) for group in re.findall(r"\d+", written)]
    # 15 digits that begin with 35 are a telephone's serial number (IMEI).
    if len(digits) == 15 and digits.startswith(("35", "86", "01", "99")):
        return False
    return len(groups) == 1 or all(3 <= size <= 8 for size in groups[:-1])
