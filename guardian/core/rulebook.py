"""What rules are made of, before anything is matched, and how a set of them is handed to another process."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from guardian.core.errors import ConfigError
from guardian.core.hunch import FELT, Weights
from guardian.core.phrases import Entry
from guardian.core.violations import Level, Role


class RuleState(StrEnum):
    """off: not tried. shadow: tried and counted, never raised. live: raised."""

    OFF = "off"
    SHADOW = "shadow"
    LIVE = "live"


class Where(StrEnum):
    """Where a context must stand to excuse a hit."""

    BEFORE = "before"
    """Before it in the same clause, at most `within` units away."""
    AFTER = "after"
    """After it, at most `within` units away."""
    INSIDE = "inside"
    """Between its steps: at most `within` units before one, in the same clause."""
    NEAR = "near"
    """On or around it, at most `within` units away."""
    AROUND = "around"
    """All around it: it lies inside."""


ANYWHERE = 10_000
"""A gap that nothing said within `guardian.core.rules.TOGETHER_S` fills."""


@dataclass(frozen=True, slots=True)
class Step:
    """One of `concepts`, at most `gap` units from the steps before (a new clause counts as one)."""

    concepts: tuple[str, ...]
    gap: int = 1


@dataclass(frozen=True, slots=True)
class Pattern:
    """Steps in order, each after the one before, or, when `together`, in any order, each beside any before
    it and within `guardian.core.rules.TOGETHER_S`."""

    text: str
    steps: tuple[Step, ...]
    together: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """Something said around a hit that makes it innocent, e.g. a negation before it."""

    name: str
    where: Where
    within: int
    patterns: tuple[Pattern, ...]
    unless: tuple[Pattern, ...] = ()
    """What says otherwise: a place of the context inside one of these is none (不要 in 要不要)."""
    clauses: int = 0
    """Clause boundaries that may lie between it and what it excuses, where it must stand before it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What to raise and when. speaker None: whoever says it. weight: score 0..1 of a perfect match.

    owner: who answers for the rule; clause: what of the platform's policy it stands for.
    """

    id: str
    category: str
    level: Level
    weight: float
    patterns: tuple[Pattern, ...]
    speaker: Role | None = None
    state: RuleState = RuleState.LIVE
    exceptions: tuple[str, ...] = ()
    version: str = "1"
    owner: str = ""
    clause: str = ""

    @property
    def felt(self) -> bool:
        """Whether it goes by what is felt (`guardian.core.hunch`), not by words alone."""
        return any(felt(pattern) for pattern in self.patterns)


def felt(pattern: Pattern) -> bool:
    """Whether a step of it is felt."""
    return any(concept.startswith(FELT) for step in pattern.steps for concept in step.concepts)


@dataclass(frozen=True, slots=True)
class RuleFault:
    """What is wrong in a rule file. line: from 1 on; rule: its id, or empty; detail: a clause and a dot."""

    file: str
    line: int
    rule: str
    detail: str

    def __str__(self) -> str:
        return f"{self.file} line {self.line}: {f'rule {self.rule}: ' if self.rule else ''}{self.detail}"


class RulesRefused(ConfigError):
    """Rule files that cannot be used; `faults` holds all that was found, at least one."""

    def __init__(self, faults: tuple[RuleFault, ...]) -> None:
        more = len(faults) - 1
        rest = f" ({more} more fault{'s' if more > 1 else ''}: `guardian rules check`)" if more else ""
        super().__init__(f"{str(faults[0]).removesuffix('.')}{rest}.")
        self.faults = faults


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules that hold for a call, compiled but not yet ready to be matched.

    name: `default`, or with the overlays laid over it, `default+tier_b`. fingerprint: 12
    letters made of the SHA-256 of the texts it was made from. entries: the phrases of all concepts.
    """

    name: str
    fingerprint: str
    rules: tuple[Rule, ...]
    contexts: Mapping[str, Context]
    entries: tuple[Entry, ...]
    hunch: Weights | None = None
    """What is felt; without it nothing is."""

    @property
    def label(self) -> str:
        """Name and fingerprint, as `default@kpfamgqbcdjs`."""
        return f"{self.name}@{self.fingerprint}"

    def packed(self) -> str:
        """The book as one line of printable ASCII that begins with its label."""
        body = {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "rules": [_rule_to_json(rule) for rule in self.rules],
            "contexts": [
                [
                    context.name,
                    context.where,
                    context.within,
                    _patterns_to_json(context.patterns),
                    _patterns_to_json(context.unless),
                    context.clauses,
                ]
                for context in self.contexts.values()
            ],
            "entries": [[e.concept, e.text, e.keys, e.bases, e.tones, e.exact] for e in self.entries],
            "hunch": None if self.hunch is None else asdict(self.hunch),
        }
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return f"{self.label} {base64.b85encode(zlib.compress(text.encode('utf-8'), 6)).decode('ascii')}"


def label_of(packed: str) -> str:
    """The label of a packed book."""
    return packed.partition(" ")[0]


def unpacked(packed: str) -> RuleBook:
    """The opposite of `RuleBook.packed`, for what one's own server sent."""
    body = json.loads(zlib.decompress(base64.b85decode(packed.partition(" ")[2])))
    contexts = [
        Context(name, Where(where), within, _patterns(patterns), _patterns(unless), clauses)
        for name, where, within, patterns, unless, clauses in body["contexts"]
    ]
    return RuleBook(
        body["name"],
        body["fingerprint"],
        tuple(_rule(fields) for fields in body["rules"]),
        {context.name: context for context in contexts},
        tuple(
            Entry(concept, phrase, tuple(keys), tuple(bases), tuple(tones), exact)
            for concept, phrase, keys, bases, tones, exact in body["entries"]
        ),
        None if body["hunch"] is None else _weights(body["hunch"]),
    )


def _weights(fields: Mapping[str, Any]) -> Weights:
    pieces = {name: tuple(said) for name, said in fields["pieces"].items()}
    tuples = {name: tuple(fields[name]) for name in ("categories", "bias")}
    return Weights(**{**fields, **tuples, "pieces": pieces})


def _rule_to_json(rule: Rule) -> dict[str, Any]:
    fields = {name: getattr(rule, name) for name in Rule.__slots__}
    return {**fields, "patterns": _patterns_to_json(rule.patterns)}


def _rule(fields: Mapping[str, Any]) -> Rule:
    speaker = fields["speaker"]
    return Rule(
        **{
            **fields,
            "level": Level(fields["level"]),
            "patterns": _patterns(fields["patterns"]),
            "speaker": None if speaker is None else Role(speaker),
            "state": RuleState(fields["state"]),
            "exceptions": tuple(fields["exceptions"]),
        }
    )


def _patterns_to_json(patterns: tuple[Pattern, ...]) -> list[Any]:
    return [[one.text, [[step.concepts, step.gap] for step in one.steps], one.together] for one in patterns]


def _patterns(rows: list[Any]) -> tuple[Pattern, ...]:
    return tuple(
        Pattern(text, tuple(Step(tuple(concepts), gap) for concepts, gap in steps), together)
        for text, steps, together in rows
    )
