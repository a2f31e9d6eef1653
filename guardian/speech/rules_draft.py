"""What one rule file says, checked by itself; docs/rules.md says how it is written.

Nothing stops at the first fault: whoever wrote the file is told all of them at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from guardian.core.rulebook import RuleFault, RulesRefused, RuleState, Where
from guardian.core.violations import Level, Role
from guardian.speech.rules_yaml import Items, Node, Table, Text, parsed

CATEGORIES = (
    "contact_exchange",
    "offplatform_payment",
    "offplatform_trade",
    "review_manipulation",
    "privacy_solicitation",
    "harassment",
)
LONGEST_BYTES = 1 << 20
"""Of one file; the rules that come with Guardian take a fifteenth of it together."""

_ID = re.compile(r"[a-z0-9_.-]{1,96}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NUMBER = re.compile(r"\d{0,4}(\.\d{1,6})?")
_TOP = ("terms", "contexts", "rules")
_CONTEXT_KEYS = ("where", "within", "clauses", "patterns", "unless")
_CHANGE_KEYS = ("state", "level", "weight", "exceptions")
_RULE_KEYS = (
    "id",
    "category",
    "level",
    "weight",
    "speaker",
    "state",
    "version",
    "owner",
    "clause",
    "patterns",
    "exceptions",
)
_LONGEST_NOTE = 128

_NOTHING = Text("", 0)
_C = TypeVar("_C", RuleState, Where)


@dataclass(frozen=True, slots=True)
class Spot:
    """A line of a file, and the rule it belongs to, if any."""

    file: str
    line: int
    rule: str = ""

    def fault(self, detail: str) -> RuleFault:
        """Something wrong here."""
        return RuleFault(self.file, self.line, self.rule, detail)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase, a pattern or a name, and where it is written."""

    text: str
    spot: Spot


@dataclass(frozen=True, slots=True)
class ContextDraft:
    """A context as a file has it."""

    name: str
    spot: Spot
    where: Where
    within: int
    clauses: int
    patterns: tuple[Phrase, ...]
    unless: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """A rule as a file has it."""

    id: str
    spot: Spot
    category: str
    level: Level
    weight: float
    speaker: Role | None
    state: RuleState
    version: str
    owner: str
    clause: str
    patterns: tuple[Phrase, ...]
    exceptions: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What an overlay changes of a rule: None stays as it is, exceptions are added."""

    id: str
    spot: Spot
    state: RuleState | None
    level: Level | None
    weight: float | None
    exceptions: tuple[Phrase, ...]


@dataclass(slots=True)
class Draft:
    """What one file, or all files of a folder together, say. tenants, merchants: whom an overlay is for."""

    terms: dict[str, list[Phrase]] = field(default_factory=dict)
    contexts: list[ContextDraft] = field(default_factory=list)
    rules: list[RuleDraft] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    tenants: frozenset[str] = frozenset()
    merchants: frozenset[str] = frozenset()

    def add(self, other: Draft) -> None:
        """Takes what another file says of terms, contexts and rules."""
        for name, phrases in other.terms.items():
            self.terms.setdefault(name, []).extend(phrases)
        self.contexts.extend(other.contexts)
        self.rules.extend(other.rules)


def read_rules(file: str, text: str) -> Draft:
    """A file of terms, contexts and rules. RulesRefused with every fault."""
    return _Reader(file).read(text, _TOP)


def read_overlay(file: str, text: str) -> Draft:
    """A file of changes for some. RulesRefused with every fault."""
    return _Reader(file).read(text, ("for", "change", *_TOP))


class _Reader:
    """Reads one file and writes down what is wrong in it."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._rule = ""
        self._faults: list[RuleFault] = []

    def read(self, text: str, keys: Sequence[str]) -> Draft:
        if len(text) > LONGEST_BYTES:
            raise RulesRefused((RuleFault(self._file, 1, "", "the file is too large; part it."),))
        draft = Draft()
        top = self._table(parsed(self._file, text), "its top level")
        self._known(top, keys, "the file")
        for key, (line, node) in top.items():
            match key:
                case "terms":
                    self._terms(node, draft)
                case "contexts":
                    draft.contexts = self._contexts(node)
                case "rules":
                    draft.rules = self._rules(node)
                case "change":
                    draft.changes = self._changes(node)
                case "for":
                    self._whom(line, node, draft)
        if self._faults:
            raise RulesRefused(tuple(sorted(self._faults, key=lambda fault: fault.line)))
        return draft

    # --- sections -----------------------------------------------------------------------------

    def _terms(self, node: Node, draft: Draft) -> None:
        for name, (line, phrases) in self._table(node, "terms").items():
            if not _NAME.fullmatch(name):
                self._fault(line, f"the term {name[:80]!r} needs a name like `shop_other`.")
            found = self._texts(phrases, f"term {name}")
            if not found:
                self._fault(line, f"term {name} has no phrase; write a list of phrases.")
            draft.terms[name] = found

    def _contexts(self, node: Node) -> list[ContextDraft]:
        found = []
        for name, (line, raw) in self._table(node, "contexts").items():
            what = f"context {name}"
            fields = self._table(raw, what)
            self._known(fields, _CONTEXT_KEYS, what)
            where = self._choice(fields.get("where"), Where, f"{what}: where")
            found.append(
                ContextDraft(
                    name,
                    Spot(self._file, line),
                    where or Where.NEAR,
                    self._count(fields.get("within"), f"{what}: within", 4),
                    self._count(fields.get("clauses"), f"{what}: clauses", 0),
                    self._patterns(fields.get("patterns"), line, f"{what} needs patterns"),
                    self._patterns(fields.get("unless"), line, f"{what}: unless needs patterns")
                    if "unless" in fields
                    else (),
                )
            )
        return found

    def _rules(self, node: Node) -> list[RuleDraft]:
        if isinstance(node, Text) and not node.value:
            return []
        if not isinstance(node, Items):
            self._fault(node.line, "rules must be a list of rules that each begin with `- id:`.")
            return []
        found = [self._one_rule(raw) for raw in node.parts]
        self._rule = ""
        return [draft for draft in found if draft is not None]

    def _one_rule(self, raw: Node) -> RuleDraft | None:
        self._rule = ""
        if not isinstance(raw, Table):
            self._fault(raw.line, "a rule must be written as `- id: …` and `key: value` lines.")
            return None
        name = raw.parts.get("id", (0, _NOTHING))[1]
        if not isinstance(name, Text) or not _ID.fullmatch(name.value):
            shown = repr(name.value[:80]) if isinstance(name, Text) else "no text"
            self._fault(raw.line, f"a rule has no usable id ({shown}); use letters like contact.wechat.")
            return None
        self._rule = name.value
        fields = raw.parts
        self._known(fields, _RULE_KEYS, "the rule")
        category = self._one_of(fields.get("category"), CATEGORIES, "category", raw.line)
        speaker = self._one_of(fields.get("speaker"), ("any", *map(str, Role)), "speaker", 0)
        return RuleDraft(
            id=name.value,
            spot=Spot(self._file, raw.line, name.value),
            category=category,
            level=self._level(fields.get("level")) or Level.REVIEW,
            weight=self._weight(fields.get("weight")) or 0.8,
            speaker=Role(speaker) if speaker in map(str, Role) else None,
            state=self._choice(fields.get("state"), RuleState, "state") or RuleState.LIVE,
            version=self._note(fields.get("version"), "version") or "1",
            owner=self._note(fields.get("owner"), "owner"),
            clause=self._note(fields.get("clause"), "clause"),
            patterns=self._patterns(fields.get("patterns"), raw.line, "it needs patterns"),
            exceptions=tuple(self._texts(fields.get("exceptions", (0, _NOTHING))[1], "exceptions")),
        )

    def _changes(self, node: Node) -> list[Change]:
        found = []
        for name, (line, raw) in self._table(node, "change").items():
            self._rule = name
            fields = self._table(raw, "the change")
            self._known(fields, _CHANGE_KEYS, "the change")
            found.append(
                Change(
                    name,
                    Spot(self._file, line, name),
                    self._choice(fields.get("state"), RuleState, "state"),
                    self._level(fields.get("level")),
                    self._weight(fields.get("weight")),
                    tuple(self._texts(fields.get("exceptions", (0, _NOTHING))[1], "exceptions")),
                )
            )
        self._rule = ""
        return found

    def _whom(self, line: int, node: Node, draft: Draft) -> None:
        fields = self._table(node, "for")
        self._known(fields, ("tenants", "merchants"), "for")
        names = {key: self._texts(value, f"for: {key}") for key, (_, value) in fields.items()}
        if not any(names.values()):
            self._fault(line, "for names nobody; list tenants or merchants, or leave it out.")
        draft.tenants = frozenset(one.text for one in names.get("tenants", ()))
        draft.merchants = frozenset(one.text for one in names.get("merchants", ()))

    # --- values -------------------------------------------------------------------------------

    def _fault(self, line: int, detail: str) -> None:
        self._faults.append(RuleFault(self._file, line, self._rule, detail))

    def _table(self, node: Node, what: str) -> Mapping[str, tuple[int, Node]]:
        if isinstance(node, Table):
            return node.parts
        if not isinstance(node, Text) or node.value:
            self._fault(node.line, f"{what} must be written as `key: value` lines.")
        return {}

    def _known(self, fields: Mapping[str, tuple[int, Node]], keys: Sequence[str], what: str) -> None:
        for key, (line, _) in fields.items():
            if key not in keys:
                self._fault(line, f"{what} has an unknown key {key[:80]!r}; use {', '.join(keys)}.")

    def _texts(self, node: Node, what: str) -> list[Phrase]:
        """A list of texts; `a, b` in one text are two."""
        parts = node.parts if isinstance(node, Items) else (node,)
        found: list[Phrase] = []
        for part in parts:
            if not isinstance(part, Text):
                self._fault(part.line, f"{what} must be a list of texts; put quotes round odd ones.")
                continue
            spot = Spot(self._file, part.line, self._rule)
            found.extend(Phrase(text.strip(), spot) for text in part.value.split(",") if text.strip())
        return found

    def _patterns(self, field: tuple[int, Node] | None, line: int, needs: str) -> tuple[Phrase, ...]:
        node = field[1] if field is not None else Text("", line)
        if not isinstance(node, Items) or not node.parts:
            self._fault(node.line, f"{needs}: a list with at least one pattern.")
            return ()
        for part in node.parts:
            if not isinstance(part, Text):
                self._fault(part.line, "every pattern must be a text; put quotes round it.")
        return tuple(
            Phrase(part.value, Spot(self._file, part.line, self._rule))
            for part in node.parts
            if isinstance(part, Text)
        )

    def _level(self, field: tuple[int, Node] | None) -> Level | None:
        if field is None:
            return None
        value = self._one_of(field, ("REVIEW", "BLOCK"), "level", 0)
        return Level(value) if value else None

    def _choice(self, field: tuple[int, Node] | None, kind: type[_C], what: str) -> _C | None:
        if field is None:
            return None
        allowed = [str(one) for one in kind]
        value = self._one_of(field, allowed, what, 0)
        return kind(value) if value else None

    def _one_of(
        self, field: tuple[int, Node] | None, allowed: Sequence[str], what: str, needed_at: int
    ) -> str:
        """One of the texts allowed; empty when it is none of them. needed_at: line to complain about when
        it is left out, 0 where it may be."""
        if field is None:
            if needed_at:
                self._fault(needed_at, f"{what} is missing; use one of {', '.join(allowed)}.")
            return ""
        line, node = field
        value = node.value if isinstance(node, Text) else None
        if value not in allowed:
            shown = repr(value[:80]) if value is not None else "no text"
            self._fault(line, f"{what} is {shown}; use one of {', '.join(allowed)}.")
            return ""
        return str(value)

    def _weight(self, field: tuple[int, Node] | None) -> float | None:
        if field is None:
            return None
        line, node = field
        text = node.value if isinstance(node, Text) else ""
        value = float(text) if text not in ("", ".") and _NUMBER.fullmatch(text) else 0.0
        if not 0 < value <= 1:
            self._fault(line, "weight must be a number above 0 and at most 1.")
            return None
        return value

    def _count(self, field: tuple[int, Node] | None, what: str, otherwise: int) -> int:
        if field is None:
            return otherwise
        line, node = field
        if isinstance(node, Text) and re.fullmatch(r"[0-9]{1,2}", node.value) and int(node.value) <= 60:
            return int(node.value)
        self._fault(line, f"{what} must be a whole number from 0 to 60.")
        return otherwise

    def _note(self, field: tuple[int, Node] | None, what: str) -> str:
        """A short text for people."""
        if field is None:
            return ""
        line, node = field
        text = node.value.strip() if isinstance(node, Text) else ""
        if not text or len(text) > _LONGEST_NOTE or not text.isprintable():
            self._fault(line, f"{what} must be a text of 1 to {_LONGEST_NOTE} characters on one line.")
        return text
