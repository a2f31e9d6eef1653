"""What codes and written lines mean: a way to reach or pay somebody past the platform, or nothing like it.

Pure patterns over text. What a platform or a merchant needs itself (its own domain, its hotline) is allowed
by configuration and passes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from guardian.core.violations import Level
from guardian.core.written_numbers import NumberKind, written_numbers

MOST_TEXT = 8192
"""Characters of a text that are looked at; the largest code holds 7089."""
CONTACT, PAYMENT = "contact_exchange", "offplatform_payment"


class ContactKind(StrEnum):
    """What was shown, as rows and rules name it."""

    QR = "qr"
    """A code of any symbology."""
    PHONE = "phone"
    WECHAT = "wechat"
    URL = "url"
    CARD = "card"
    TEXT = "text"
    """Another address (QQ, e-mail), or words that a rule catches."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Something shown. text: as read. level: PASS is listed, never raised.

    rule: `shown.` and what it was judged as, or the id of the rule its words matched; score 0..1.
    """

    kind: ContactKind
    text: str
    level: Level
    rule: str
    category: str = CONTACT
    score: float = 1.0


class Allowed:
    """What is left alone: domains with all below them, and patterns that fit a whole text."""

    def __init__(self, domains: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        """patterns: regular expressions, tried on the text and on its digits. ValueError when one is none."""
        self._domains = tuple(domain.casefold().removeprefix("*.").rstrip(".") for domain in domains)
        try:
            self._patterns = tuple(re.compile(pattern) for pattern in patterns)
        except re.error as error:
            raise ValueError(f"{error.pattern!r} is no regular expression: {error}") from error

    def text(self, text: str) -> bool:
        """Whether a text, or its digits alone, fit a pattern."""
        forms = (text, re.sub(r"\D", "", text))
        return any(pattern.fullmatch(form) for pattern in self._patterns for form in forms if form)

    def host(self, host: str) -> bool:
        """Whether a host is an allowed domain or below one."""
        host = host.casefold().rstrip(".")
        return any(host == domain or host.endswith(f".{domain}") for domain in self._domains)


NOTHING_ALLOWED = Allowed()

_TOP = (
    "com|cn|net|org|shop|store|top|xyz|vip|cc|me|io|co|app|site|online|link|info|club|pro|tv|biz|mobi|live|"
    "ltd|group|wang|hk|tw|jp|kr|sg|my|in|us|uk|de|fr|eu|ru|ly|gl|to|ink|fun|work|tech|asia|page|dev|ai"
)
_WORDS = frozenset(
    ("in", "to", "me", "us", "my", "so", "page", "work", "link", "live", "info", "group", "top")
)
"""Of these, those that are words and need a path behind them."""
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_REST = r"[^\s\"'<>，。；、）)]"
_URL = re.compile(
    rf"(?<![a-z0-9@._-])(?:(?P<scheme>[a-z][a-z0-9+.-]{{1,15}})\s?:\s?//\s?{_REST}{{3,2048}}"
    rf"|(?:{_LABEL}\.){{1,8}}(?P<top>{_TOP})(?![a-z0-9@-]|\.[a-z0-9])(?:[:/?#]{_REST}{{0,2048}})?)",
    re.IGNORECASE,
)
_PAYING = re.compile(r"wxp|alipays?|alipayqr|upi|bitcoin|ethereum|lightning|unionpay|cashapp|venmo")
_PAYING_HOSTS = Allowed(
    (
        *(
            "qr.alipay.com",
            "mclient.alipay.com",
            "render.alipay.com",
            "payapp.weixin.qq.com",
            "wx.tenpay.com",
        ),
        *("qr.95516.com", "paypal.me", "paypal.com", "venmo.com", "cash.app"),
    )
)
_DEVICES = re.compile(r"(?:WIFI|X-HM|MT|DPP|OTA|SGTIN|URN|GEO):", re.IGNORECASE)
"""Codes that set up a device or a network, and those that name a product or a place."""
_CARDS = re.compile(
    r"BEGIN:VCARD|(?:MECARD|BIZCARD|MATMSG|TEL|SMS|SMSTO|MMS|MMSTO|MAILTO|FACETIME|SIPS?|XMPP|SKYPE|CALLTO|"
    r"WHATSAPP|TG|WXP|WEIXIN|ALIPAYS?|BITCOIN|ETHEREUM):",
    re.IGNORECASE,
)
"""Codes that are an address to reach or pay somebody at."""
_EMAIL = re.compile(
    rf"(?<![a-z0-9._%+-])[a-z0-9][a-z0-9._%+-]{{0,63}}\s?@\s?(?:{_LABEL}\.){{1,4}}[a-z]{{2,12}}",
    re.IGNORECASE,
)
_SPACE = r"[ \t\n]{0,3}"
_WECHAT = re.compile(
    r"(?:[微薇徽]\s?信|威信|v信|wei\s?xin|we\s?chat|(?<![a-z0-9])[vw]\s?x(?![a-z]))"
    rf"(?P<label>{_SPACE}(?:账号|帐号|同号|号码|号|客服|id|no\.?|number|add)?{_SPACE}[:;=是为加]?){_SPACE}"
    r"(?P<name>wxid_[a-z0-9]{4,24}|[a-z][a-z0-9_\-]{5,19}(?![a-z0-9_\-])|\d{5,11}(?!\d)|"
    r"1[3-9]\d[ \-]\d{4}[ \-]\d{4}(?!\d))",
    re.IGNORECASE,
)
_SAME = re.compile(rf"(?:微信|v信|vx|wechat){_SPACE}(?:同号|同手机|同步|same)", re.IGNORECASE)
_QQ = re.compile(
    rf"(?<![a-z])q\s?q{_SPACE}(?:群号|群|号码|号|number|no\.?)?{_SPACE}[:=\-]?{_SPACE}[1-9]\d{{4,10}}(?!\d)",
    re.IGNORECASE,
)
_OTHERS = re.compile(
    r"(?<![a-z])(?:whats\s?app|telegram|line|signal|skype|instagram|snapchat|kakao|抖音|快手|小红书|钉钉)"
    rf"{_SPACE}(?:账号|号|id|no\.?)?{_SPACE}[:@=]{_SPACE}\+?[a-z0-9][a-z0-9_.\- ]{{4,29}}",
    re.IGNORECASE,
)
_NUMBERS = (ContactKind.PHONE, ContactKind.CARD)
_ORDER = {Level.PASS: 0, Level.REVIEW: 1, Level.BLOCK: 2}


def folded(text: str) -> str:
    """As texts are matched: one width, ASCII digits, line ends as `\\n`, no other control characters."""
    text = text[:MOST_TEXT].replace("\r\n", "\n").replace("\r", "\n")
    text = unicodedata.normalize("NFKC", text)[:MOST_TEXT]
    return "".join(_plain(one) for one in text)


def _plain(one: str) -> str:
    if one in "\n\t" or one.isascii():
        return one if one in "\n\t" or one.isprintable() else ""
    if one.isdigit():
        return str(unicodedata.digit(one, ""))
    return "" if unicodedata.category(one).startswith("C") else one


def judged_code(text: str, allowed: Allowed = NOTHING_ALLOWED) -> Contact:
    """What a code of squares says, as one contact."""
    return _judged(text, allowed, judged_text(text, allowed))


def judged_bars(text: str, allowed: Allowed = NOTHING_ALLOWED) -> Contact:
    """What a code of bars says: digits in it name a product and reach nobody."""
    inside = judged_text(text, allowed)
    return _judged(text, allowed, tuple(one for one in inside if one.kind not in _NUMBERS))


def judged_text(text: str, allowed: Allowed = NOTHING_ALLOWED) -> tuple[Contact, ...]:
    """The contacts written in a block of text (lines apart by `\\n`), benign ones too, each once."""
    plain = folded(text)
    found: list[Contact] = []
    taken: list[tuple[int, int]] = []
    for contact, (start, end) in _contacts(plain, allowed):
        if any(start < other_end and other_start < end for other_start, other_end in taken):
            continue
        taken.append((start, end))
        if contact not in found:
            found.append(contact)
    return tuple(found)


def _judged(text: str, allowed: Allowed, inside: tuple[Contact, ...]) -> Contact:
    """inside: the contacts in what a code says."""
    said = text.replace("\r\n", "\n").replace("\r", "\n")
    plain = folded(said).strip()
    level, category = Level.PASS, CONTACT
    if not (allowed.text(plain) or _DEVICES.match(plain)):
        gravest = max(inside, key=lambda one: _ORDER[one.level], default=None)
        if gravest is not None:
            level, category = gravest.level, gravest.category
        elif _CARDS.match(plain):
            level = Level.REVIEW
    return Contact(ContactKind.QR, said, level, "shown.qr", category)


def _contacts(plain: str, allowed: Allowed) -> Iterator[tuple[Contact, tuple[int, int]]]:
    """Contacts with their places, those that say most of themselves first."""
    for found in _EMAIL.finditer(plain):
        yield _contact(ContactKind.TEXT, found[0], "shown.email", allowed), found.span()
    for found in _URL.finditer(plain):
        if _is_address(found):
            yield _url(found, allowed), found.span()
    for found in _WECHAT.finditer(plain):
        if _is_name(found):
            yield _contact(ContactKind.WECHAT, found[0], "shown.wechat", allowed), found.span()
    for pattern, kind, rule in (
        (_SAME, ContactKind.WECHAT, "shown.wechat"),
        (_QQ, ContactKind.TEXT, "shown.qq"),
        (_OTHERS, ContactKind.TEXT, "shown.account"),
    ):
        for found in pattern.finditer(plain):
            yield _contact(kind, found[0], rule, allowed), found.span()
    for number in written_numbers(plain):
        text = plain[number.start : number.end].strip(" \t-/")
        harmless = number.labelled or number.kind is NumberKind.SERVICE or allowed.text(text)
        yield _number(number.kind, text, Level.PASS if harmless else None), (number.start, number.end)


def _contact(kind: ContactKind, text: str, rule: str, allowed: Allowed) -> Contact:
    text = text.strip()
    return Contact(kind, text, Level.PASS if allowed.text(text) else Level.REVIEW, rule)


def _number(kind: NumberKind, text: str, level: Level | None) -> Contact:
    if kind is NumberKind.CARD:
        return Contact(ContactKind.CARD, text, level or Level.BLOCK, "shown.card", PAYMENT)
    return Contact(ContactKind.PHONE, text, level or Level.REVIEW, "shown.phone")


def _is_name(found: re.Match[str]) -> bool:
    """Whether what follows a word for WeChat is a name there: words of a sentence are none."""
    return bool(found["label"].strip()) or not found["name"].isalpha()


def _is_address(found: re.Match[str]) -> bool:
    """Whether it is no end of one sentence and beginning of the next ("the lid.In case")."""
    top = found["top"]
    if top is None or found[0].lower().startswith("www."):
        return True
    alone = found.end() == found.end("top")
    return (top.islower() or found[0].isupper()) and not (alone and top.lower() in _WORDS)


def _url(found: re.Match[str], allowed: Allowed) -> Contact:
    text = re.sub(r"\s", "", found[0]).rstrip(".,;:!?")
    host = _host(text)
    if allowed.text(text) or allowed.host(host):
        return Contact(ContactKind.URL, text, Level.PASS, "shown.url")
    if _PAYING.fullmatch((found["scheme"] or "").lower()) or _PAYING_HOSTS.host(host):
        return Contact(ContactKind.URL, text, Level.BLOCK, "shown.url", PAYMENT)
    return Contact(ContactKind.URL, text, Level.REVIEW, "shown.url")


def _host(url: str) -> str:
    """The host of an address, with or without a scheme; empty for what cannot be taken apart."""
    try:
        return urlsplit(url if "://" in url else f"//{url}").hostname or ""
    except ValueError:
        return ""
