"""What the office's pages have in common: forms that say what came of them, figures as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from guardian.web.console import language_of, page
from guardian.web.sessions import form_of
from guardian.web.words import WORDS
from guardian.web.words.sentences import sentence

_DIGITS = 6


async def filled(request: Request) -> dict[str, str]:
    """The fields of the form that was sent, without blanks around them."""
    return {name: _text(value) for name, value in form_of(await request.body()).items()}


def chosen(request: Request, most: int, *names: str) -> dict[str, str]:
    """What the address says of these names, of `most` characters each; empty where it says nothing."""
    return {name: _text(request.query_params.get(name, ""))[:most] for name in names}


def _text(value: str) -> str:
    """Without blanks around it, and without what PostgreSQL keeps in no text."""
    return value.replace("\0", "").strip()


def done(path: str, said: str, count: int | None = None) -> Response:
    """Leads to a page that says what was done. said: of `WORDS`; count: for its `{n}`."""
    query = {"said": said} if count is None else {"said": said, "n": str(count)}
    return RedirectResponse(f"{path}?{urlencode(query)}", 303)


def show(
    request: Request, name: str, values: Mapping[str, Any], *known: str, fault: str = "", status: int = 200
) -> Response:
    """A page of the office. known: what it may be asked to say; fault: why something was not done."""
    language = language_of(request)
    words = WORDS[language]
    common = {
        "said": _said(request, words, known),
        "fault": sentence(language, fault) if fault else "",
        "span": partial(span, words=words),
        "share": share,
        "category": partial(category, words=words),
    }
    return page(request, name, {**common, **values}, status)


def _said(request: Request, words: Mapping[str, str], known: tuple[str, ...]) -> str:
    said, count = request.query_params.get("said", ""), request.query_params.get("n", "")
    if said not in known:
        return ""
    return words[said].format(n=count if count.isdecimal() and len(count) <= _DIGITS else "?")


def span(seconds: float | None, words: Mapping[str, str]) -> str:
    """Some time as a person says it: 45 s, 12 min, 5 h, 3 d; a dash for none."""
    if seconds is None:
        return "–"
    for unit, length, most in (("second", 1, 90), ("minute", 60, 90), ("hour", 3600, 48)):
        if round(seconds / length) < most:
            return words[f"office_{unit}s"].format(n=round(seconds / length))
    return words["office_days"].format(n=round(seconds / 86_400))


def share(part: float | None) -> str:
    """A share of 1 in percent; a dash for none."""
    return "–" if part is None else f"{part:.0%}"


def category(name: str, words: Mapping[str, str]) -> str:
    """A category of violations; what is more special than its family stands behind it."""
    family, _, kind = name.partition(".")
    known = words.get(f"of_category_{family}", family)
    return f"{known} · {kind}" if kind else known


def whole(text: str, least: int, most: int, otherwise: int) -> int:
    """A number that somebody gave, within its bounds."""
    given = int(text) if text.isascii() and text.isdecimal() and len(text) <= 16 else otherwise
    return min(max(given, least), most)
