"""The account that lets whoever tries the demo review its calls."""

from __future__ import annotations

import locale
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from guardian.core.errors import NoSuchPerson
from guardian.core.people import LANGUAGES, Duty
from guardian.core.people_desk import NewPerson, PersonChange
from guardian.people_offline import OfflinePeople, doer, opened_people, usual_tenant
from guardian.settings import load

_NAME = "newcomer"
_DUTIES = frozenset({Duty.REVIEWER, Duty.SENIOR})
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 4, 5


@dataclass(frozen=True, slots=True)
class Account:
    """What the newcomer signs in with."""

    name: str
    password: str = field(repr=False)


def let_in(config: Path) -> Account | None:
    """An account that can sign in at the demo's server; its password is another one each time.

    config: the settings file of that server. None where its console is switched off.
    """
    settings = load(config)
    if not settings.console.enabled:
        return None
    password = _password()
    with opened_people(settings) as offline:
        _account(offline, usual_tenant(settings), password)
    return Account(_NAME, password)


def _account(offline: OfflinePeople, tenant: str, password: str) -> None:
    who, keeper = doer(tenant), offline.keeper
    try:
        person = offline.named(_NAME)
    except NoSuchPerson:
        new = NewPerson(tenant, _NAME, _NAME.title(), _DUTIES, language=_language())
        keeper.add(who, new, password)
    else:
        person = keeper.enable(who, keeper.change(who, person, PersonChange(duties=_DUTIES)))
        keeper.set_password(who, person, password)


def _password() -> str:
    """About 99 bits, easy to type."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))


def _language() -> str:
    """That of this machine's user, where the console speaks it."""
    spoken = (locale.getlocale(locale.LC_CTYPE)[0] or "")[:2]
    return spoken if spoken in LANGUAGES else LANGUAGES[0]
