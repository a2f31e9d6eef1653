"""Makes rules of what rule files say: terms become phrases, patterns become steps, overlays change rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from guardian.core.hunch import FELT, INNOCENT, Weights
from guardian.core.phrases import Entry
from guardian.core.rulebook import ANYWHERE, Context, Pattern, Rule, RuleBook, RuleFault, RulesRefused, Step
from guardian.core.violations import Level
from guardian.speech.rules_draft import Change, Draft, Phrase, RuleDraft, Spot
from guardian.speech.text import units_of_text

NUMBERS = ("mobile", "service", "card", "national_id", "phone", "number", "code")
DEFAULT_GAP = 1
EXACT = "!"
"""At the end of a phrase: no sound-alike will do."""
_DEEPEST = 16

TERM = re.compile(r"\{([#?]?[a-z][a-z0-9_]*)\}")
_GAP = re.compile(r"~(\d{1,2})", re.ASCII)
_BESIDE = re.compile(r"&(\d{0,2})", re.ASCII)
_Sounds = tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]


@dataclass(slots=True)
class Compiled:
    """Everything a folder's files come to, with where it stands; may be laid over and over again.

    terms: phrases as written. entries: by concept and sound. rules_at: where each rule is written, or where
    an overlay changes it. used_terms: those a pattern or another term names.
    """

    terms: dict[str, tuple[Phrase, ...]] = field(default_factory=dict)
    contexts: dict[str, Context] = field(default_factory=dict)
    contexts_at: dict[str, Spot] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    rules_at: dict[str, Spot] = field(default_factory=dict)
    patterns_at: dict[tuple[str, str], Spot] = field(default_factory=dict)
    """By rule and pattern."""
    entries: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Entry] = field(default_factory=dict)
    concepts: set[str] = field(default_factory=set)
    used_terms: set[str] = field(default_factory=set)
    hunch: Weights | None = None

    def copy(self) -> Compiled:
        """One that can be changed without this one."""
        return Compiled(
            dict(self.terms),
            dict(self.contexts),
            dict(self.contexts_at),
            dict(self.rules),
            dict(self.rules_at),
            dict(self.patterns_at),
            dict(self.entries),
            set(self.concepts),
            set(self.used_terms),
            self.hunch,
        )

    def book(self, name: str, fingerprint: str) -> RuleBook:
        """What a call is given."""
        rules, entries = tuple(self.rules.values()), tuple(self.entries.values())
        return RuleBook(name, fingerprint, rules, self.contexts, entries, self.hunch)


def compiled(draft: Draft, hunch: Weights | None = None) -> Compiled:
    """The rules of a folder, and what it knows of hunches. RulesRefused with every fault."""
    return _Compiler(Compiled(hunch=hunch)).add(draft)


def overlaid(base: Compiled, overlay: Draft) -> Compiled:
    """The same with an overlay laid over it. RulesRefused with every fault."""
    return _Compiler(base.copy()).add(overlay)


class _Compiler:
    def __init__(self, made: Compiled) -> None:
        self._made = made
        self._faults: list[RuleFault] = []
        self._resolved: dict[str, dict[str, Phrase]] = {}

    def add(self, draft: Draft) -> Compiled:
        """Takes all of a draft in."""
        made = self._made
        if draft.terms:
            for name, phrases in draft.terms.items():
                made.terms[name] = (*made.terms.get(name, ()), *phrases)
            # A term may name another one that has grown, so all are gone through again.
            for name in made.terms:
                self._term(name)
        for context in draft.contexts:
            if context.name in made.contexts:
                self._fault(context.spot, f"context {context.name} is there twice; rename one of them.")
                continue
            what = f"context {context.name}: "
            made.contexts[context.name] = Context(
                context.name,
                context.where,
                context.within,
                self._patterns(context.patterns, what),
                self._patterns(context.unless, what),
                context.clauses,
            )
            made.contexts_at[context.name] = context.spot
        for rule in draft.rules:
            self._rule(rule)
        for change in draft.changes:
            self._change(change)
        if self._faults:
            raise RulesRefused(tuple(self._faults))
        return made

    def _fault(self, spot: Spot, detail: str) -> None:
        self._faults.append(spot.fault(detail))

    # --- terms and phrases --------------------------------------------------------------------

    def _term(self, name: str) -> None:
        """Files the phrases of a term, with those of the terms it names put in."""
        self._made.concepts.add(name)
        for phrase in self._spoken(name, ()).values():
            self._entry(name, phrase)

    def _spoken(self, name: str, within: tuple[str, ...]) -> dict[str, Phrase]:
        """The phrases of a term by their text."""
        known = self._resolved.get(name)
        if known is not None:
            return known
        found: dict[str, Phrase] = {}
        for phrase in self._made.terms[name]:
            named = TERM.fullmatch(phrase.text)
            if named is None:
                found[phrase.text] = phrase
            elif named[1] not in self._made.terms:
                self._fault(
                    phrase.spot,
                    f"term {name} names {phrase.text}, which no file defines; define it under terms.",
                )
            elif named[1] in (*within, name):
                circle = " > ".join((*within, name, named[1]))
                self._fault(phrase.spot, f"term {name} names itself ({circle}); break the circle.")
            elif len(within) >= _DEEPEST:
                self._fault(phrase.spot, f"term {name} lies too deep in others; name fewer in a row.")
            else:
                self._made.used_terms.add(named[1])
                found |= self._spoken(named[1], (*within, name))
        self._resolved[name] = found
        return found

    def _entry(self, concept: str, phrase: Phrase) -> None:
        said = phrase.text.removesuffix(EXACT)
        sounds = _sounds(said.replace("_", " "))
        if not sounds[0]:
            self._fault(phrase.spot, f"nobody can say {phrase.text[:80]!r}; write words.")
            return
        self._made.entries[(concept, *sounds[:2])] = Entry(concept, said, *sounds, exact=said != phrase.text)

    # --- rules --------------------------------------------------------------------------------

    def _rule(self, draft: RuleDraft) -> None:
        made = self._made
        if draft.id in made.rules:
            there = made.rules_at[draft.id]
            self._fault(
                draft.spot,
                f"this id is there twice (also {there.file} line {there.line}); give one of them another.",
            )
            return
        self._exceptions(draft.exceptions)
        made.rules_at[draft.id] = draft.spot
        made.rules[draft.id] = Rule(
            id=draft.id,
            category=draft.category,
            level=draft.level,
            weight=draft.weight,
            patterns=self._patterns(draft.patterns, ""),
            speaker=draft.speaker,
            state=draft.state,
            exceptions=tuple(one.text for one in draft.exceptions),
            version=draft.version,
            owner=draft.owner,
            clause=draft.clause,
        )
        for pattern in draft.patterns:
            made.patterns_at.setdefault((draft.id, pattern.text), pattern.spot)
        self._not_urgent(made.rules[draft.id], draft.spot)

    def _change(self, change: Change) -> None:
        rule = self._made.rules.get(change.id)
        if rule is None:
            self._fault(change.spot, "no file has a rule of this id; correct the id.")
            return
        self._exceptions(change.exceptions)
        added = tuple(one.text for one in change.exceptions if one.text not in rule.exceptions)
        self._made.rules_at[change.id] = change.spot
        self._made.rules[change.id] = replace(
            rule,
            state=change.state or rule.state,
            level=change.level or rule.level,
            weight=change.weight or rule.weight,
            exceptions=(*rule.exceptions, *added),
        )
        self._not_urgent(self._made.rules[change.id], change.spot)

    def _not_urgent(self, rule: Rule, spot: Spot) -> None:
        if rule.level is Level.BLOCK and rule.felt:
            self._fault(spot, "a hunch is never urgent; make the level REVIEW.")

    def _exceptions(self, names: Sequence[Phrase]) -> None:
        for name in names:
            if name.text not in self._made.contexts:
                self._fault(
                    name.spot,
                    f"exception is {name.text[:80]!r}; use one of {', '.join(self._made.contexts)}."
                    if self._made.contexts
                    else f"exception is {name.text[:80]!r}, but no file defines contexts.",
                )

    # --- patterns -----------------------------------------------------------------------------

    def _patterns(self, drafts: Sequence[Phrase], what: str) -> tuple[Pattern, ...]:
        return tuple(self._pattern(draft, what) for draft in drafts)

    def _pattern(self, draft: Phrase, what: str) -> Pattern:
        shown = f"{what}the pattern {draft.text[:120]!r}"
        words = draft.text.split()
        together = any(_BESIDE.fullmatch(word) for word in words)
        steps: list[Step] = []
        gap: int | None = None
        for word in words:
            spaced = (_BESIDE if together else _GAP).fullmatch(word)
            if spaced is not None:
                if not steps or gap is not None:
                    self._fault(draft.spot, f"{shown} has {word} where no gap can be; put it between steps.")
                gap = int(spaced[1]) if spaced[1] else ANYWHERE
                continue
            if together and _GAP.fullmatch(word):
                self._fault(draft.spot, f"{shown} has {word} beside &; say how near with &{word[1:]}.")
                continue
            if together and steps and gap is None:
                self._fault(draft.spot, f"{shown} has steps with & and without; put & between all.")
            concepts = tuple(
                concept
                for part in word.split("|")
                for concept in self._concepts(Phrase(part, draft.spot), shown)
            )
            steps.append(Step(concepts, DEFAULT_GAP if gap is None else gap))
            gap = None
        if not steps:
            self._fault(draft.spot, f"{shown} is empty; write phrases or {{terms}}.")
        elif gap is not None:
            self._fault(draft.spot, f"{shown} ends with a gap; put a step after it.")
        return Pattern(draft.text, tuple(steps), together)

    def _concepts(self, part: Phrase, shown: str) -> Sequence[str]:
        named = TERM.fullmatch(part.text)
        if named is None:
            if not part.text or "{" in part.text or "}" in part.text:
                self._fault(part.spot, f"{shown} has {part.text[:80]!r}, no phrase and no {{term}}.")
                return ()
            concept = f"={part.text.lower()}"
            if concept not in self._made.concepts:
                self._made.concepts.add(concept)
                self._entry(concept, part)
            return (concept,)
        name = named[1]
        if name.startswith("#"):
            if name[1:] not in NUMBERS:
                self._fault(part.spot, f"{shown} has number kind {name!r}; use one of {_numbers()}.")
        elif name.startswith(FELT):
            self._felt(part, name, shown)
        elif name not in self._made.concepts:
            self._fault(part.spot, f"{shown} names {{{name}}}, which no file defines under terms.")
        self._made.used_terms.add(name)
        return (name,)

    def _felt(self, part: Phrase, name: str, shown: str) -> None:
        if self._made.hunch is None:
            self._fault(
                part.spot, f"{shown} names {{{name}}}, but the folder has no hunch.tsv; put it there."
            )
            return
        known = [*(f"{FELT}{category}" for category in self._made.hunch.categories), INNOCENT]
        if name not in known:
            self._fault(part.spot, f"{shown} names {{{name}}}; use one of {', '.join(known)}.")


def _numbers() -> str:
    return ", ".join(f"#{name}" for name in NUMBERS)


@lru_cache(maxsize=1 << 16)
def _sounds(phrase: str) -> _Sounds:
    """(keys, bases, tones) of a phrase; kept, since overlays and edits say most of it again."""
    units = units_of_text(phrase)
    return (
        tuple(unit.key for unit in units),
        tuple(unit.base for unit in units),
        tuple(unit.tone for unit in units),
    )
