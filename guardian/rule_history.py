"""What was changed of the rules, by whom and why: told in the chain, read from there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from guardian.core.audit import Act, Entry, Link
from guardian.core.audit_desk import LinkSearch
from guardian.core.rule_desk import RuleAuthor, RuleVersion
from guardian.core.times import rfc3339
from guardian.store.audit import AuditLog
from guardian.store.audit_views import TenantAudit

_SHOWN = 50
_ONE_BY_ONE = 100
"""A change of more rules than this is told as one of its file."""

Facts = Mapping[str, Mapping[str, Any]]


class RuleHistory:
    """Thread-safe; waits for the disk. Unavailable."""

    def __init__(self, log: AuditLog, views: TenantAudit, linked: Callable[[Link], None]) -> None:
        self._log = log
        self._views = views
        self._linked = linked

    def tell(self, by: RuleAuthor, file: str, before: Facts, after: Facts) -> None:
        """A link for each rule that is another one now. before, after: the facts of all rules."""
        changed = [rule for rule in {**before, **after} if before.get(rule) != after.get(rule)]
        if len(changed) > _ONE_BY_ONE:
            self._append(by, f"rules:{file}", {"file": file, "rules": len(changed)})
            return
        for rule in changed or [f"rules:{file}"]:
            was, now = before.get(rule), after.get(rule)
            if was is not None and now is not None:
                was = {name: value for name, value in was.items() if value != now.get(name)}
                now = {name: now.get(name) for name in was}
            self._append(by, rule, {"file": file, "was": was, "now": now})

    def of(self, tenant: str, rule: str) -> list[RuleVersion]:
        """What was changed of a rule, the latest first."""
        wanted = LinkSearch(subject=rule, act=Act.RULE_CHANGED.value, limit=_SHOWN)
        return [_version(link) for link in self._views.links(tenant, wanted)]

    def _append(self, by: RuleAuthor, subject: str, body: Mapping[str, Any]) -> None:
        told = {**body, "reason": by.reason}
        self._linked(
            self._log.append(Entry(Act.RULE_CHANGED, subject, by.who.text, rfc3339(time.time()), told))
        )


def _version(link: Link) -> RuleVersion:
    try:
        body = json.loads(link.body)
    except ValueError:
        body = {}  # Somebody has written into it; `guardian audit verify` says so.
    told = body if isinstance(body, dict) else {}
    return RuleVersion(
        at=link.at,
        actor=link.actor,
        reason=str(told.get("reason") or ""),
        file=str(told.get("file") or ""),
        was=told.get("was"),
        now=told.get("now"),
    )
