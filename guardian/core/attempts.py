"""Hits over time become violations: detected, then confirmed or retracted, each told once.

A hit that is still there at a second look is detected. It is confirmed when its utterance has ended, or
when the speaker went on and it stayed; it is retracted when it is gone at the end of its utterance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from uuid import uuid4

from guardian.core.policy import judge
from guardian.core.rulebook import RuleState
from guardian.core.rules import Hit
from guardian.core.violations import Level, Role, RuleSource, Status, ViolationChange

SAME_RULE_S = 5.0
"""A rule that matches again within this time is the same attempt."""
OTHER_EAR_S = 3.0
"""Another recogniser's hit of the same category within this time is the same attempt."""
NEXT_WORDS_S = 1.0
"""Another rule's hit of the same category that follows within this time is the same attempt ("加我" and then
"微信" as hints), unless it is graver."""
SETTLE_S = 1.0
"""A hit that stays this long after its last word is confirmed though the speaker goes on."""
REMEMBERED = 32
"""Attempts kept to compare new hits with."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one recogniser's words give at one moment.

    hits: all hits, passed ones too. now: media seconds of sound taken in. emitted: the same plus the
    lag so far. since: where the utterance began; what ended before it is settled.
    """

    ear: str
    language: str
    hits: tuple[Hit, ...]
    now: float
    emitted: float
    since: float
    final: bool


@dataclass(slots=True)
class _Attempt:
    ear: str
    last: ViolationChange
    looks: int = 1
    told: bool = False
    settled: bool = False


class Attempts:
    """The attempts of one speaker. Not for several threads, but for `shadow_hits`.

    Rules in shadow are followed as if they were live, by themselves, and only counted.
    """

    def __init__(self, speaker: Role, new_id: Callable[[], str]) -> None:
        self._live = _Attempts(speaker, new_id)
        self._shadow = _Attempts(speaker, lambda: uuid4().hex)
        self._shadow_hits: Mapping[str, int] = {}

    @property
    def shadow_hits(self) -> Mapping[str, int]:
        """How many attempts each rule in shadow would have been confirmed of. From any thread."""
        return self._shadow_hits

    def see(self, look: Look) -> tuple[ViolationChange, ...]:
        """The changes of status that this look brings, in order."""
        shadows = tuple(_as_live(hit) for hit in look.hits if hit.rule.state is RuleState.SHADOW)
        for change in self._shadow.see(replace(look, hits=shadows)):
            if change.status is Status.CONFIRMED:
                counted = self._shadow_hits.get(change.rule, 0) + 1
                self._shadow_hits = {**self._shadow_hits, change.rule: counted}
        return self._live.see(look)

    def drop(self, ear: str, now: float) -> tuple[ViolationChange, ...]:
        """An ear has failed: what it detected and cannot confirm any more is retracted."""
        return self.see(Look(ear, "", (), now, now, 0.0, True))


def _as_live(hit: Hit) -> Hit:
    return replace(hit, rule=replace(hit.rule, state=RuleState.LIVE))


class _Attempts:
    """Attempts at what live rules are about."""

    def __init__(self, speaker: Role, new_id: Callable[[], str]) -> None:
        self._speaker = speaker
        self._new_id = new_id
        self._attempts: list[_Attempt] = []

    def see(self, look: Look) -> tuple[ViolationChange, ...]:
        """The changes of status that this look brings, in order."""
        present = self._present(look)
        changes: list[ViolationChange] = []
        for attempt in self._attempts:
            if attempt.settled or attempt.ear != look.ear:
                continue
            found = present.get(attempt.last.id)
            changes.extend(self._again(attempt, found, look))
        self._attempts = [one for one in self._attempts if one.told or not one.settled][-REMEMBERED:]
        return tuple(changes)

    def _present(self, look: Look) -> dict[str, Hit]:
        """Hits of this look by the attempt they belong to; new hits begin attempts."""
        present: dict[str, Hit] = {}
        raised = [hit for hit in look.hits if judge(hit, self._speaker).raised and hit.t_end > look.since]
        for hit in raised:
            same = next((one for one in self._attempts if self._is_same(one, hit, look)), None)
            if same is None:
                same = self._begin(hit, look)
                self._attempts.append(same)
                present[same.last.id] = hit
                continue
            new = same.last.id not in present or hit.rule.id == same.last.rule
            if new and same.ear == look.ear and not same.settled:
                present[same.last.id] = hit
        return present

    def _is_same(self, attempt: _Attempt, hit: Hit, look: Look) -> bool:
        last = attempt.last
        apart = max(hit.t_start - last.t_end, last.t_start - hit.t_end)
        if last.rule == hit.rule.id:
            return apart <= SAME_RULE_S
        if attempt.ear != look.ear and last.category == hit.rule.category:
            return apart <= OTHER_EAR_S
        graver = last.level is not Level.BLOCK and judge(hit, self._speaker).level is Level.BLOCK
        if last.category == hit.rule.category:
            return apart < 0 or (apart <= NEXT_WORDS_S and not graver)
        return apart < 0 and not graver

    def _begin(self, hit: Hit, look: Look) -> _Attempt:
        change = ViolationChange(
            id=self._new_id(),
            status=Status.DETECTED,
            rule=hit.rule.id,
            category=hit.rule.category,
            level=judge(hit, self._speaker).level,
            phrase=hit.phrase,
            heard=hit.heard,
            speaker=self._speaker,
            language=look.language,
            t_start=hit.t_start,
            t_end=hit.t_end,
            t_emitted=look.emitted,
            score=hit.score,
            words=hit.words,
            source=RuleSource(hit.rule.version, hit.rule.clause, hit.ruleset),
        )
        return _Attempt(look.ear, change, looks=0)

    def _again(self, attempt: _Attempt, found: Hit | None, look: Look) -> list[ViolationChange]:
        if found is None:
            if not attempt.told:
                attempt.settled = True
                return []
            return [self._settle(attempt, Status.RETRACTED, look)] if look.final else []
        attempt.looks += 1
        if found.rule.id == attempt.last.rule:
            attempt.last = replace(
                attempt.last,
                heard=found.heard,
                t_start=found.t_start,
                t_end=found.t_end,
                score=found.score,
                words=found.words,
            )
        changes: list[ViolationChange] = []
        if not attempt.told and (attempt.looks >= 2 or look.final):
            attempt.told = True
            changes.append(replace(attempt.last, t_emitted=look.emitted))
        if attempt.told and (look.final or look.now - attempt.last.t_end >= SETTLE_S):
            changes.append(self._settle(attempt, Status.CONFIRMED, look))
        return changes

    def _settle(self, attempt: _Attempt, status: Status, look: Look) -> ViolationChange:
        attempt.settled = True
        attempt.last = replace(attempt.last, status=status, t_emitted=look.emitted)
        return attempt.last
