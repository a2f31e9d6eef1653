"""Reads rule files (YAML) into a `RuleSet`; docs/rules.md says how they are written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from guardian.core.errors import ConfigError
from guardian.core.phrases import Entry, Lexicon
from guardian.core.rules import Context, Pattern, Rule, RuleSet, RuleState, Step, Where
from guardian.core.violations import Level, Role
from guardian.speech.text import units_of_text

CATEGORIES = (
    "contact_exchange",
    "offplatform_payment",
    "offplatform_trade",
    "review_manipulation",
    "privacy_solicitation",
    "harassment",
)
NUMBERS = ("mobile", "service", "card", "national_id", "phone", "number", "code")
DEFAULT_GAP = 1

_TERM = re.compile(r"\{(#?[a-z][a-z0-9_]*)\}")
_GAP = re.compile(r"~(\d{1,2})")
_RULE_KEYS = frozenset(
    ("id", "category", "level", "weight", "speaker", "state", "version", "patterns", "exceptions")
)


@dataclass(slots=True)
class _Draft:
    """What the files say, before it is compiled."""

    terms: dict[str, list[str]] = field(default_factory=dict)
    contexts: list[tuple[Path, str, Mapping[str, Any]]] = field(default_factory=list)
    rules: list[tuple[Path, Mapping[str, Any]]] = field(default_factory=list)


def load_rules(folder: Path) -> RuleSet:
    """The rules in every `*.yaml` of a folder. ConfigError says file, rule and what to change."""
    if not folder.is_dir():
        raise ConfigError(f"There is no rules folder {folder}; name a folder that holds *.yaml rule files.")
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ConfigError(
            f"The rules folder {folder} holds no *.yaml file; put at least one rule file there."
        )
    draft = _Draft()
    for file in files:
        _read(file, draft)
    if not draft.rules:
        raise ConfigError(f"The rule files in {folder} hold no rule; add an entry under `rules:`.")
    return _Compiler(draft).compile()


def _read(file: Path, draft: _Draft) -> None:
    content = _mapping(_parsed(file), file, "its top level")
    for key in content:
        if key not in ("terms", "contexts", "rules"):
            raise ConfigError(
                f"{file.name} has an unknown top-level key {key!r}; use terms, contexts or rules."
            )
    for name, phrases in _mapping(content.get("terms"), file, "terms").items():
        draft.terms.setdefault(str(name), []).extend(_texts(phrases, file, f"term {name}"))
    for name, context in _mapping(content.get("contexts"), file, "contexts").items():
        draft.contexts.append((file, str(name), _mapping(context, file, f"context {name}")))
    rules = content.get("rules") or []
    if not isinstance(rules, list):
        raise ConfigError(f"{file.name}: rules must be a list of rules that each begin with `- id:`.")
    for number, rule in enumerate(rules, 1):
        draft.rules.append((file, _mapping(rule, file, f"rule number {number}")))


def _parsed(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file.name} cannot be read ({type(error).__name__}); save it as UTF-8 text."
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "it is no YAML"
        raise ConfigError(f"{file.name}{line} is not valid YAML ({problem}); correct it.") from None
    except RecursionError:
        raise ConfigError(f"{file.name} is nested too deeply; correct it.") from None


def _mapping(value: Any, file: Path, what: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{file.name}: {what} must be written as `key: value` lines.")
    return value


def _texts(value: Any, file: Path, what: str) -> list[str]:
    """A list of texts; `a, b` in one text are two."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(text, str | int) for text in value):
        raise ConfigError(f"{file.name}: {what} must be a list of texts; put quotes round odd ones.")
    return [part.strip() for text in value for part in str(text).split(",") if part.strip()]


class _Compiler:
    def __init__(self, draft: _Draft) -> None:
        self._draft = draft
        self._entries: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Entry] = {}
        self._known: set[str] = set()

    def compile(self) -> RuleSet:
        for name in self._draft.terms:
            self._term(name, ())
        contexts = {name: self._context(file, name, raw) for file, name, raw in self._draft.contexts}
        rules: dict[str, Rule] = {}
        for file, raw in self._draft.rules:
            rule = self._rule(file, raw, contexts)
            if rule.id in rules:
                raise ConfigError(f"{file.name}: rule {rule.id} is there twice; give one of them another id.")
            rules[rule.id] = rule
        return RuleSet(rules.values(), contexts, Lexicon(self._entries.values()))

    def _term(self, name: str, within: tuple[str, ...]) -> list[str]:
        """The phrases of a term with the terms it names put in; files its entries once."""
        if name in within:
            raise ConfigError(
                f"The term {name} names itself ({' > '.join((*within, name))}); break the circle."
            )
        phrases: list[str] = []
        for phrase in self._draft.terms[name]:
            named = _TERM.fullmatch(phrase)
            if named is None:
                phrases.append(phrase)
            elif named[1] in self._draft.terms:
                phrases.extend(self._term(named[1], (*within, name)))
            else:
                raise ConfigError(
                    f"The term {name} names {phrase}, which no file defines; define it under terms."
                )
        if name not in self._known and not within:
            self._known.add(name)
            for phrase in phrases:
                self._entry(name, phrase, f"term {name}")
        return phrases

    def _entry(self, concept: str, phrase: str, where: str) -> None:
        units = units_of_text(phrase.replace("_", " "))
        if not units:
            raise ConfigError(f"The {where} has a phrase {phrase!r} that nobody can say; write words.")
        keys, bases = tuple(unit.key for unit in units), tuple(unit.base for unit in units)
        tones = tuple(unit.tone for unit in units)
        self._entries[(concept, keys, bases)] = Entry(concept, phrase, keys, bases, tones)

    def _context(self, file: Path, name: str, raw: Mapping[str, Any]) -> Context:
        what = f"{file.name}: context {name}"
        for key in raw:
            if key not in ("where", "within", "patterns"):
                raise ConfigError(f"{what} has an unknown key {key!r}; use where, within, patterns.")
        where = _choice(raw.get("where", "near"), [str(one) for one in Where], f"{what}: where")
        within = raw.get("within", 4)
        if not isinstance(within, int) or not 0 <= within <= 60:
            raise ConfigError(f"{what}: within must be a whole number from 0 to 60.")
        return Context(name, Where(where), within, self._patterns(file, raw.get("patterns"), what))

    def _rule(self, file: Path, raw: Mapping[str, Any], contexts: Mapping[str, Context]) -> Rule:
        name = raw.get("id")
        if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9_.-]+", name):
            raise ConfigError(
                f"{file.name}: a rule has no usable id ({name!r}); use letters like contact.wechat."
            )
        what = f"{file.name}: rule {name}"
        for key in raw:
            if key not in _RULE_KEYS:
                raise ConfigError(f"{what} has an unknown key {key!r}; use {', '.join(sorted(_RULE_KEYS))}.")
        weight = raw.get("weight", 0.8)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 1:
            raise ConfigError(f"{what}: weight must be a number above 0 and at most 1.")
        speaker = _choice(raw.get("speaker", "any"), ["any", *map(str, Role)], f"{what}: speaker")
        state = raw.get("state", "live")
        if state is False:  # YAML reads a bare `off` as false.
            state = "off"
        exceptions = _texts(raw.get("exceptions", []), file, f"rule {name}: exceptions")
        for exception in exceptions:
            _choice(exception, list(contexts), f"{what}: exception")
        return Rule(
            id=name,
            category=_choice(raw.get("category"), list(CATEGORIES), f"{what}: category"),
            level=Level(_choice(raw.get("level", "REVIEW"), ["REVIEW", "BLOCK"], f"{what}: level")),
            weight=float(weight),
            patterns=self._patterns(file, raw.get("patterns"), what),
            speaker=None if speaker == "any" else Role(speaker),
            state=RuleState(_choice(state, [str(one) for one in RuleState], f"{what}: state")),
            exceptions=tuple(exceptions),
            version=str(raw.get("version", "1")),
        )

    def _patterns(self, file: Path, raw: Any, what: str) -> tuple[Pattern, ...]:
        if not isinstance(raw, list) or not raw:
            raise ConfigError(f"{what} needs patterns: a list with at least one pattern.")
        if not all(isinstance(text, str) for text in raw):
            raise ConfigError(f"{what}: every pattern must be a text; put quotes round it.")
        return tuple(self._pattern(text, what) for text in raw)

    def _pattern(self, text: str, what: str) -> Pattern:
        together = " & " in text
        steps: list[Step] = []
        gap = DEFAULT_GAP
        for word in text.replace(" & ", " ").split():
            spaced = _GAP.fullmatch(word)
            if spaced is not None:
                gap = int(spaced[1])
                continue
            concepts = tuple(
                concept for part in word.split("|") for concept in self._concepts(part, text, what)
            )
            steps.append(Step(concepts, gap))
            gap = DEFAULT_GAP
        if not steps:
            raise ConfigError(f"{what}: the pattern {text!r} is empty; write phrases or {{terms}}.")
        return Pattern(text, tuple(steps), together)

    def _concepts(self, part: str, text: str, what: str) -> Sequence[str]:
        named = _TERM.fullmatch(part)
        if named is None:
            if not part or "{" in part or "}" in part:
                raise ConfigError(f"{what}: {part!r} in the pattern {text!r} is no phrase and no {{term}}.")
            concept = f"={part.lower()}"
            if concept not in self._known:
                self._known.add(concept)
                self._entry(concept, part, f"pattern {text!r} of {what}")
            return (concept,)
        name = named[1]
        if name.startswith("#"):
            _choice(name[1:], list(NUMBERS), f"{what}: number kind")
        elif name not in self._known:
            raise ConfigError(
                f"{what}: the pattern {text!r} names {{{name}}}, which no file defines under terms."
            )
        return (name,)


def _choice(value: Any, allowed: Sequence[str], what: str) -> str:
    if value not in allowed:
        raise ConfigError(f"{what} is {value!r}; use one of {', '.join(allowed)}.")
    return str(value)
