"""Answers what `/v1/rules` asks: who may see and change which rules, and what a change would do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from guardian.core.calls import CallSpec
from guardian.core.errors import NoSuchRule, RulesKept, Unavailable
from guardian.core.rule_desk import RuleAuthor, RuleQuestion, RuleVersion
from guardian.core.rulebook import RuleState
from guardian.core.rules import RuleSet
from guardian.rule_history import RuleHistory
from guardian.rule_keeper import Caller, RuleKeeper, caller_of
from guardian.speech.backtest import Line, Trial, backtest
from guardian.speech.judging import judged
from guardian.speech.rules_compile import Compiled
from guardian.speech.rules_draft import Draft, read_overlay
from guardian.speech.rules_folder import FILE_NAME, OVERLAYS, Overlay, rulebooks

_WAIT_S = 5.0
_COMPUTE_S = 10.0
"""How long lines of one request are judged."""
_HEADER = "# Written by PATCH /v1/rules/ID, which only changes states; delete the file to undo all of it.\n"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """shipped: the folder that comes with Guardian, which nobody changes. tenants: whose keys are valid.
    changed: told of each change, by (tenant, file). history: keeps what was changed."""

    shipped: Path
    tenants: Callable[[], frozenset[str]]
    changed: Callable[[str, str], None]
    history: RuleHistory


class ServerRules:
    """The `RuleDesk` of one server."""

    def __init__(self, keeper: RuleKeeper, surroundings: Surroundings) -> None:
        self._keeper = keeper
        self._around = surroundings
        self._trying = threading.Lock()
        self._changing = threading.Lock()

    # --- looking ------------------------------------------------------------------------------

    def overview(self, tenant: str) -> dict[str, Any]:
        """The rules in force for a tenant, where they are written, and what was refused last."""
        keeper = self._keeper
        books, made = keeper.view(Caller(tenant))
        overlays = [
            one
            for name, one in sorted(books.overlays.items())
            if self._visible(tenant, f"{OVERLAYS}/{name}.yaml")
        ]
        return {
            **self._in_force(tenant),
            "taken_at": keeper.taken_at,
            "editable": self._kept() is None,
            "refused": self._refused(tenant),
            "files": [name for name in sorted(books.texts) if self._visible(tenant, name)],
            "overlays": [_overlay(one) for one in overlays],
            "rules": _rows(made),
        }

    def _of(self, tenant: str) -> list[dict[str, Any]]:
        """The rules in force for a tenant."""
        return _rows(self._keeper.view(Caller(tenant))[1])

    def rule(self, tenant: str, rule_id: str) -> Mapping[str, Any] | None:
        """One rule as the overview has it; None when none of this id is in force."""
        return next((rule for rule in self._of(tenant) if rule["id"] == rule_id), None)

    def text(self, tenant: str, name: str) -> str:
        """The text of one rule file that is in force."""
        found = self._keeper.books.texts.get(name)
        if found is None or not self._visible(tenant, name):
            raise NoSuchRule("There is no such rule file in force; GET /v1/rules lists them.")
        return found

    def _in_force(self, tenant: str) -> dict[str, Any]:
        label = self._keeper.packed(Caller(tenant)).partition(" ")[0]
        name, _, fingerprint = label.partition("@")
        return {"ruleset": name, "fingerprint": fingerprint}

    def _refused(self, tenant: str) -> dict[str, Any] | None:
        refusal = self._keeper.refusal
        if refusal is None:
            return None
        faults = [fault for fault in refusal.faults if self._visible(tenant, fault.file)]
        hidden = bool(refusal.faults) and not faults
        detail = "An overlay of another tenant cannot be used." if hidden else refusal.sentence
        return {"at": refusal.at, "detail": detail, "faults": [asdict(fault) for fault in faults]}

    def _visible(self, tenant: str, name: str) -> bool:
        """Whether a tenant may know what a file says."""
        if self._alone() or not name.startswith(f"{OVERLAYS}/"):
            return True
        overlay = self._keeper.books.overlays.get(_overlay_name(name))
        return overlay is not None and overlay.may_use(tenant)

    # --- changing -----------------------------------------------------------------------------

    def put(self, by: RuleAuthor, name: str, text: str | None) -> dict[str, Any]:
        """Writes a rule file, or removes it; what holds from now on."""
        with self._changing:
            return self._put(by, name, text)

    def _put(self, by: RuleAuthor, name: str, text: str | None) -> dict[str, Any]:
        tenant = by.tenant
        kept = self._kept()
        if kept is not None:
            raise RulesKept(kept)
        if not FILE_NAME.fullmatch(name):
            raise NoSuchRule("A rule file is called NAME.yaml or overlays/NAME.yaml.")
        if not self._alone():
            self._check_own(tenant, name, text)
        if text is None and name not in self._keeper.books.texts:
            raise NoSuchRule("There is no such rule file in force; GET /v1/rules lists them.")
        before = self._facts(tenant)
        self._keeper.put(name, text)
        self._around.changed(tenant, name)
        self._around.history.tell(by, name, before, self._facts(tenant))
        return {**self._in_force(tenant), "taken_at": self._keeper.taken_at}

    def set_state(self, by: RuleAuthor, rule: str, state: RuleState) -> dict[str, Any]:
        """Changes the state of a rule for a tenant, in an overlay of its own."""
        with self._changing:
            return self._write_state(by, rule, state)

    def changes(self, tenant: str, rule: str) -> Sequence[RuleVersion]:
        """What was changed of a rule on this server, the latest first."""
        return self._around.history.of(tenant, rule)

    def _facts(self, tenant: str) -> dict[str, Mapping[str, Any]]:
        """What a change of the rules may change, by rule; where each is written is no part of it."""
        return {
            rule["id"]: {name: value for name, value in rule.items() if name not in ("id", "file", "line")}
            for rule in self._of(tenant)
        }

    def _write_state(self, by: RuleAuthor, rule: str, state: RuleState) -> dict[str, Any]:
        tenant = by.tenant
        books, made = self._keeper.view(Caller(tenant))
        if rule not in made.rules:
            raise NoSuchRule("There is no rule with this id.")
        name = f"{OVERLAYS}/api-{tenant}.yaml"
        written = books.overlays.get(f"api-{tenant}")
        draft = written.draft if written is not None else Draft()
        states = {change.id: change.state for change in draft.changes}
        plain = all((change.level, change.weight) == (None, None) for change in draft.changes)
        if draft.terms or draft.contexts or draft.rules or draft.merchants or not plain:
            raise RulesKept(f"The file {name} holds more than states; change it by PUT /v1/rules/files.")
        states[rule] = state
        lines = [f"  {one}: {{state: {kept}}}\n" for one, kept in sorted(states.items()) if kept]
        text = f"{_HEADER}for: {{tenants: [{tenant}]}}\nchange:\n{''.join(lines)}"
        return {"id": rule, "state": str(state), "file": name, **self._put(by, name, text)}

    def _kept(self) -> str | None:
        """Why the folder is not changed by anybody."""
        if self._keeper.folder.resolve() != self._around.shipped.resolve():
            return None
        return (
            "The rules that come with Guardian are not changed: copy their folder, name the copy in "
            "`speech.rules_dir`, and start Guardian again."
        )

    def _alone(self) -> bool:
        """Whether all keys are of one tenant: then its keys may change what holds for all."""
        return len(self._around.tenants()) <= 1

    def _check_own(self, tenant: str, name: str, text: str | None) -> None:
        """With several tenants each changes overlays of its own only."""
        there = self._keeper.books.overlays.get(_overlay_name(name))
        drafts = [there.draft] if there is not None else []
        if text is not None and name.startswith(f"{OVERLAYS}/"):
            drafts.append(read_overlay(name, text))
        own = name.startswith(f"{OVERLAYS}/") and all(draft.tenants == {tenant} for draft in drafts)
        if not own:
            raise RulesKept(
                "There are keys of several tenants: by this way a tenant changes only overlays that say "
                f"`for: {{tenants: [{tenant}]}}`; other files are changed in the folder."
            )

    # --- trying -------------------------------------------------------------------------------

    def test(self, question: RuleQuestion) -> list[dict[str, Any]]:
        """Each line judged by itself, in order."""
        with self._one_at_a_time():
            rules, in_time = self._keeper.rule_set(_caller(question)), _patience()
            found = []
            for line in question.lines:
                found.append(asdict(judged(line, rules, question.speaker)))
                in_time()
            return found

    def backtest(self, question: RuleQuestion, files: Mapping[str, str | None]) -> dict[str, Any]:
        """What would change if these files were put (None: removed)."""
        for name in files:
            if not FILE_NAME.fullmatch(name):
                raise NoSuchRule("A rule file is called NAME.yaml or overlays/NAME.yaml.")
        with self._one_at_a_time():
            caller = _caller(question)
            texts = {**self._keeper.books.texts, **files}
            books = rulebooks({name: text for name, text in texts.items() if text is not None})
            names = books.chosen(caller.tenant, caller.merchant, caller.overlays)
            trial = Trial(self._keeper.rule_set(caller), RuleSet(books.book(names)), question.speaker)
            lines = [Line(number, text) for number, text in enumerate(question.lines, 1)]
            return backtest(lines, trial, _patience()).as_dict()

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Judging many lines takes the processor; calls need it more."""
        if not self._trying.acquire(timeout=_WAIT_S):
            raise Unavailable("Rules are being tried by others; try again.")
        try:
            yield
        finally:
            self._trying.release()

    # --- calls --------------------------------------------------------------------------------

    def unknown(self, tenant: str, overlays: Sequence[str]) -> tuple[str, ...]:
        """Those of the overlays that a tenant's call cannot ask for."""
        return self._keeper.unknown(tenant, overlays)

    def packed(self, spec: CallSpec) -> str:
        """The rules a call is to begin with."""
        return self._keeper.packed(caller_of(spec))


def _patience() -> Callable[[], None]:
    """Raises Unavailable when it is called after `_COMPUTE_S`."""
    until = time.monotonic() + _COMPUTE_S

    def check() -> None:
        if time.monotonic() > until:
            raise Unavailable("These lines take too long to judge; send fewer of them.")

    return check


def _caller(question: RuleQuestion) -> Caller:
    return Caller(question.tenant, question.merchant, question.overlays)


def _overlay_name(file: str) -> str:
    return file.removeprefix(f"{OVERLAYS}/").removesuffix(".yaml")


def _overlay(overlay: Overlay) -> dict[str, Any]:
    draft = overlay.draft
    return {
        "name": overlay.name,
        "merchants": sorted(draft.merchants),
        "by_name_only": not (draft.tenants or draft.merchants),
        "changes": [change.id for change in draft.changes],
        "adds": [rule.id for rule in draft.rules],
    }


def _rows(made: Compiled) -> list[dict[str, Any]]:
    """Rules as they are told."""
    return [
        {
            "id": rule.id,
            "state": str(rule.state),
            "category": rule.category,
            "level": str(rule.level),
            "weight": rule.weight,
            "speaker": str(rule.speaker) if rule.speaker else "any",
            "version": rule.version,
            "owner": rule.owner or None,
            "clause": rule.clause or None,
            "exceptions": list(rule.exceptions),
            "patterns": [pattern.text for pattern in rule.patterns],
            "file": made.rules_at[rule.id].file,
            "line": made.rules_at[rule.id].line,
        }
        for rule in made.rules.values()
    ]
