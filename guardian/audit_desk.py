"""Shows people of a platform what the chain tells of it."""

from __future__ import annotations

import json
from typing import Any

from guardian.core.audit import Principal
from guardian.core.audit_desk import LinkSearch
from guardian.store.audit_views import TenantAudit


class ServerAudit:
    """`guardian.core.audit_desk.AuditDesk`."""

    def __init__(self, views: TenantAudit) -> None:
        self._views = views

    def links(self, who: Principal, wanted: LinkSearch) -> list[dict[str, Any]]:
        """Links that tell of the principal's platform, the latest first."""
        return [
            {
                "sequence": one.sequence,
                "act": one.act,
                "subject": one.subject,
                "actor": one.actor,
                "at": one.at,
                "detail": _detail(one.body),
                "digest": one.digest,
            }
            for one in self._views.links(who.tenant, wanted)
        ]


def _detail(body: str) -> Any:
    """What is told; as it stands there where somebody has written into it."""
    try:
        return json.loads(body)
    except ValueError:
        return body
