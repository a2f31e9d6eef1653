"""What can be read of the chain on a running server; a root answers, the HTTP part asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from guardian.core.audit import Principal


@dataclass(frozen=True, slots=True)
class LinkSearch:
    """Which links are meant; what is empty does not choose. before: only those with a lower sequence."""

    before: int = 0
    subject: str = ""
    actor: str = ""
    act: str = ""
    limit: int = 100


class AuditDesk(Protocol):
    """Waits for a disk: not for the event loop. Values are JSON-ready. Unavailable."""

    def links(self, who: Principal, wanted: LinkSearch) -> list[dict[str, Any]]:
        """Links that tell of the principal's platform, the latest first."""
        ...
