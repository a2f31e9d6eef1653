"""What can be asked and changed of the rules of a running server; a root answers, the HTTP part asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from guardian.core.audit import Principal
from guardian.core.calls import CallSpec
from guardian.core.rulebook import RuleState
from guardian.core.violations import Role


@dataclass(frozen=True, slots=True)
class RuleQuestion:
    """Lines to be judged by the rules of a tenant, for a merchant of theirs (or empty), with overlays asked
    for by name, as if `speaker` said them."""

    tenant: str
    merchant: str
    overlays: tuple[str, ...]
    speaker: Role
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """A change of a rule. was, now: those of its facts that changed, None where there was no such rule."""

    at: str
    actor: str
    reason: str
    file: str
    was: Mapping[str, Any] | None
    now: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class RuleAuthor:
    """Who changes rules, and why; both are told in the chain."""

    who: Principal
    reason: str = ""

    @property
    def tenant(self) -> str:
        """Whose rules they are."""
        return self.who.tenant


class RuleDesk(Protocol):
    """Everything may wait for the disk, or compute for seconds: not for the event loop.

    Values are JSON-ready. Raises NoSuchRule, RulesKept, RulesRefused, ConfigError, Unavailable.
    """

    def overview(self, tenant: str) -> dict[str, Any]:
        """The rules in force for a tenant, where they are written, and what was refused last."""
        ...

    def text(self, tenant: str, name: str) -> str:
        """The text of one rule file that is in force."""
        ...

    def put(self, by: RuleAuthor, name: str, text: str | None) -> dict[str, Any]:
        """Writes a rule file, or removes it; what holds from now on."""
        ...

    def set_state(self, by: RuleAuthor, rule: str, state: RuleState) -> dict[str, Any]:
        """Changes the state of a rule for a tenant; what holds from now on."""
        ...

    def changes(self, tenant: str, rule: str) -> Sequence[RuleVersion]:
        """What was changed of a rule on this server, the latest first."""
        ...

    def test(self, question: RuleQuestion) -> list[dict[str, Any]]:
        """Each line judged by itself, in order."""
        ...

    def backtest(self, question: RuleQuestion, files: Mapping[str, str | None]) -> dict[str, Any]:
        """What would change if these files were put (None: removed)."""
        ...

    def unknown(self, tenant: str, overlays: Sequence[str]) -> tuple[str, ...]:
        """Those of the overlays that a tenant's call cannot ask for. Does not wait."""
        ...

    def packed(self, spec: CallSpec) -> str:
        """The rules a call is to begin with, as `guardian.core.rulebook.unpacked` takes them."""
        ...
