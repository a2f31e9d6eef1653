"""Who works at the console, and what each of their roles may do."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Duty(StrEnum):
    """A role at the console. Somebody may have several; an auditor has no other."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    SENIOR = "senior"
    RULES = "rules"
    ADMIN = "admin"
    AUDITOR = "auditor"


class Permission(StrEnum):
    """Something that not everybody may do."""

    SELF = "self"
    """Look at one's own account, change one's preferences and password."""
    CASES_SEE = "cases.see"
    """The queue and cases, with long digits masked."""
    CASES_DECIDE = "cases.decide"
    """Claim a case, read all of it, decide or escalate it."""
    CASES_SECOND = "cases.second"
    """Second reviews, cases that were escalated, taking a case over."""
    CASES_BULK = "cases.bulk"
    """Dismiss many cases at once."""
    APPEALS_BRING = "appeals.bring"
    """Appeal for a party, as the call service does."""
    APPEALS_JUDGE = "appeals.judge"
    """Uphold or overturn what another person decided."""
    MEDIA_PLAY = "media.play"
    """See and hear clips."""
    EVIDENCE_SEE = "evidence.see"
    """Which clips there are, and what was done with them."""
    EVIDENCE_MARK = "evidence.mark"
    """Say what a clip is, outside of a case."""
    EVIDENCE_KEEP = "evidence.keep"
    """Legal holds, and erasing before its time."""
    PARTICIPANTS = "participants"
    """Give out or erase all that is known of a participant."""
    QUALITY_SEE = "quality.see"
    """Agreement, precision, time to review."""
    RULES_SEE = "rules.see"
    """The rules in force and what they do in shadow."""
    RULES_TRY = "rules.try"
    """Try rules on text and on past hits; propose an exception."""
    RULES_CHANGE = "rules.change"
    """Write rules, and switch them on and off."""
    EVENTS_SEE = "events.see"
    """Endpoints and dead letters."""
    EVENTS_REPLAY = "events.replay"
    """Deliver dead letters anew, enable an endpoint."""
    OPERATIONS_SEE = "operations.see"
    """Live calls with their states, latency and coverage."""
    AUDIT_SEE = "audit.see"
    """The chain of what was done."""
    PEOPLE_MANAGE = "people.manage"
    """Accounts of others."""


_V, _R, _S = Duty.VIEWER, Duty.REVIEWER, Duty.SENIOR
_U, _A, _O = Duty.RULES, Duty.ADMIN, Duty.AUDITOR

MAY: Mapping[Permission, frozenset[Duty]] = MappingProxyType(
    {
        permission: frozenset(duties)
        for permission, duties in {
            Permission.SELF: (_V, _R, _S, _U, _A, _O),
            Permission.CASES_SEE: (_V, _R, _S, _U),
            Permission.CASES_DECIDE: (_R, _S),
            Permission.CASES_SECOND: (_S,),
            Permission.CASES_BULK: (_S,),
            Permission.APPEALS_BRING: (_A,),
            Permission.APPEALS_JUDGE: (_S,),
            Permission.MEDIA_PLAY: (_R, _S),
            Permission.EVIDENCE_SEE: (_R, _S, _A),
            Permission.EVIDENCE_MARK: (_S,),
            Permission.EVIDENCE_KEEP: (_A,),
            Permission.PARTICIPANTS: (_A,),
            Permission.QUALITY_SEE: (_V, _S, _U, _A),
            Permission.RULES_SEE: (_V, _R, _S, _U, _A),
            Permission.RULES_TRY: (_S, _U),
            Permission.RULES_CHANGE: (_U,),
            Permission.EVENTS_SEE: (_A,),
            Permission.EVENTS_REPLAY: (_A,),
            Permission.OPERATIONS_SEE: (_V, _S, _U, _A),
            Permission.AUDIT_SEE: (_A, _O),
            Permission.PEOPLE_MANAGE: (_A,),
        }.items()
    }
)
"""The one table of who may do what."""


PEOPLE_ONLY = frozenset({Permission.SELF, Permission.PEOPLE_MANAGE})
"""What needs somebody who is signed in: a key that got out must not make itself accounts."""


def may(duties: Iterable[Duty], permission: Permission) -> bool:
    """Whether one of these roles allows it."""
    return not MAY[permission].isdisjoint(duties)


LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Preferences:
    """How somebody wants to meet clips. Whoever has chosen nothing is spared."""

    blur: bool = True
    mute: bool = True
    grey: bool = False
    transcript_first: bool = True


@dataclass(frozen=True, slots=True)
class Person:
    """An account. id: as links of the chain name it; name: what one signs in with; display: what others see.

    language: of `LANGUAGES`, zone: an IANA time zone; times are wall clock seconds.
    """

    id: str
    tenant: str
    name: str
    display: str
    duties: frozenset[Duty]
    language: str = "en"
    zone: str = "UTC"
    preferences: Preferences = field(default_factory=Preferences)
    made_at: float = 0.0
    password_at: float = 0.0
    disabled_at: float | None = None

    def may(self, permission: Permission) -> bool:
        """Whether one of their roles allows it."""
        return may(self.duties, permission)


PASSWORD_LEAST, PASSWORD_MOST = 12, 256
_DIFFERENT = 5
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
_DISPLAY_MOST = 64
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def folded(name: str) -> str:
    """A name for signing in as it is kept: letters are the same in any case and width."""
    return unicodedata.normalize("NFKC", name).strip().lower()


def fault_of_name(name: str) -> str | None:
    """Why nobody can sign in with this name, None when somebody can. name: folded."""
    if _NAME.fullmatch(name):
        return None
    return "a name for signing in has a-z, 0-9 and . _ @ + -, begins with a letter or digit, 64 at most"


def fault_of_display(display: str) -> str | None:
    """Why this cannot be shown as somebody's name, None when it can."""
    if not display.strip() or display != display.strip() or len(display) > _DISPLAY_MOST:
        return f"a name to be shown has 1 to {_DISPLAY_MOST} characters and no blank at either end"
    if any(unicodedata.category(one) in _UNSEEN for one in display):
        return "a name to be shown has no characters that cannot be seen"
    return None


def fault_of_duties(duties: frozenset[Duty]) -> str | None:
    """Why nobody can have these roles together, None when somebody can."""
    if not duties:
        return "an account needs a role"
    if Duty.AUDITOR in duties and len(duties) > 1:
        return "an auditor has no other role: nobody audits what they do themselves"
    return None


def fault_of_password(password: str, name: str) -> str | None:
    """What is wrong with a new password, None when it will do. password: as it was typed; name: folded."""
    if any(unicodedata.category(one) == "Cs" for one in password):
        return "a password has characters that are none; type it anew"
    if len(password) > PASSWORD_MOST:
        return f"a password has {PASSWORD_MOST} characters at most"
    password = plain(password)
    if len(password) < PASSWORD_LEAST:
        return f"a password has {PASSWORD_LEAST} characters or more; a few words with blanks will do"
    if len(set(password)) < _DIFFERENT:
        return f"a password has {_DIFFERENT} different characters or more"
    rest = password.lower().replace(name, "")
    if len(rest) < PASSWORD_LEAST // 2:
        return "a password is more than the name for signing in"
    return None


def plain(password: str) -> str:
    """A password as it is hashed: the same from every keyboard (RFC 8265, section 4.2)."""
    return unicodedata.normalize("NFC", password)
