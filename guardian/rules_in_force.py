"""The rules a call process hears by: handed over by the server, changed while the call goes on."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from guardian.core.rulebook import label_of, unpacked
from guardian.core.rules import RuleSet


class Follower(Protocol):
    """What judges by rules that may be changed under it: the chain of a voice, or the search of a picture."""

    @property
    def rules(self) -> RuleSet: ...
    @rules.setter
    def rules(self, rules: RuleSet) -> None: ...
    @property
    def shadow_hits(self) -> Mapping[str, int]: ...


F = TypeVar("F", bound=Follower)


@lru_cache(maxsize=4)
def rules_of(packed: str) -> RuleSet:
    """The rules of a packed `RuleBook`, the same ones for all calls of a process. Slow the first time."""
    return RuleSet(unpacked(packed))


class RulesInForce:
    """One call's rules and what follows them. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._followers: list[Follower] = []
        self._packed = ""
        self._rules_dir = ""
        self._rules: RuleSet | None = None

    def begin(self, packed: str, rules_dir: str) -> None:
        """What to begin with: a packed `RuleBook`, or where it is empty the rules of a folder."""
        self._packed, self._rules_dir = packed, rules_dir

    def follow(self, open_with: Callable[[RuleSet], F]) -> F:
        """Opens something with the rules in force; it gets those that come later. Slow the first time."""
        follower = open_with(self._present())
        with self._lock:
            self._followers.append(follower)
            if self._rules is not None:
                follower.rules = self._rules
        return follower

    def take(self, packed: str) -> None:
        """These rules hold from now on. Slow: not for the event loop."""
        rules = rules_of(packed)
        with self._lock:
            self._packed, self._rules = packed, rules
            for follower in self._followers:
                follower.rules = rules

    def status(self) -> dict[str, Any]:
        """`ruleset`: the label of what is in force; `shadow_hits`: attempts per rule in shadow."""
        counted: Counter[str] = Counter()
        for follower in list(self._followers):
            counted.update(dict(follower.shadow_hits))
        rules = self._rules
        label = rules.book.label if rules is not None else label_of(self._packed)
        return {"ruleset": label, "shadow_hits": dict(counted)}

    def _present(self) -> RuleSet:
        with self._lock:
            if self._rules is None:
                self._rules = rules_of(self._packed) if self._packed else self._of_the_folder()
            return self._rules

    def _of_the_folder(self) -> RuleSet:
        from guardian.ears import rules_for

        return rules_for(self._rules_dir)
