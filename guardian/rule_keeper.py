"""The rules of one server: those in force, what became of the last edit, and what each call is given."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from guardian.core.calls import CallSpec
from guardian.core.errors import ConfigError
from guardian.core.rulebook import RuleFault, RulesRefused
from guardian.core.rules import RuleSet
from guardian.core.violations import Role
from guardian.speech.hunch_file import FILE
from guardian.speech.rules_compile import Compiled
from guardian.speech.rules_folder import (
    LONGEST_PACKED,
    OVERLAYS,
    Rulebooks,
    Texts,
    read_folder,
    rulebooks,
    write_file,
)

_SETTLED_S = 0.2
"""A file that changes within this time is still being written."""
_PATIENCE = 5
_SETS_KEPT = 4
_PACKED_KEPT = 32

_Stamp = tuple[tuple[str, int, int, int, int], ...]


class Edit(StrEnum):
    """What a look at the folder came to."""

    NONE = "none"
    TAKEN = "taken"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Rules that were not taken. at: UTC RFC 3339; sentence: why; faults: where, if it is about a file."""

    at: str
    sentence: str
    faults: tuple[RuleFault, ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose rules are asked about: a tenant, a merchant of theirs (or empty), overlays asked for by name."""

    tenant: str
    merchant: str = ""
    overlays: tuple[str, ...] = ()


def caller_of(spec: CallSpec) -> Caller:
    """Whose rules a call is judged by."""
    return Caller(spec.tenant, spec.participants[Role.MERCHANT], spec.overlays)


class RuleKeeper:
    """Rules of one folder. Everything may be called from any thread; all of it may wait for the disk."""

    def __init__(self, folder: Path) -> None:
        """ConfigError when the rules cannot be used: a server does not start without rules."""
        self.folder = folder
        self._editing = threading.Lock()
        """Held while the folder is looked at or written; reading it may take a second."""
        self._lock = threading.RLock()
        """Held for what calls are given, which must not wait for an edit."""
        self._stamp: _Stamp | None = _stamp(folder)
        self._tried: Texts = read_folder(folder)
        self._take(rulebooks(self._tried))

    def _take(self, books: Rulebooks) -> None:
        with self._lock:
            self.books = books
            self.taken_at = _now()
            self.refusal: Refusal | None = None
            self._packed: dict[tuple[str, ...], str] = {}
            self._sets: dict[tuple[str, ...], RuleSet] = {}

    def look(self) -> Edit:
        """Looks whether the folder has changed and takes what can be used."""
        with self._editing:
            if _stamp(self.folder) == self._stamp:
                return Edit.NONE
            try:
                texts = self._settled()
            except ConfigError as error:
                self._stamp, self._tried = None, {}
                return self._refuse(error)
            if texts == self._tried:
                return Edit.NONE
            return self._try(texts)

    def put(self, name: str, text: str | None) -> None:
        """Writes one file, or removes it, if the folder can be used with it; it holds at once.

        RulesRefused and ConfigError leave all as it was. Unavailable when the disk does not take it.
        """
        with self._editing:
            texts = read_folder(self.folder)
            if text is None:
                texts.pop(name, None)
            else:
                texts[name] = text
            books = rulebooks(texts)
            write_file(self.folder / name, text)
            self._stamp, self._tried = _stamp(self.folder), texts
            self._take(books)

    def _try(self, texts: Texts) -> Edit:
        self._tried = texts
        if texts == self.books.texts:
            self.refusal = None
            return Edit.NONE
        try:
            self._take(rulebooks(texts))
        except ConfigError as error:
            return self._refuse(error)
        return Edit.TAKEN

    def _refuse(self, error: ConfigError) -> Edit:
        faults = error.faults if isinstance(error, RulesRefused) else ()
        known = self.refusal
        self.refusal = Refusal(_now(), str(error), faults)
        return Edit.NONE if known is not None and known.sentence == str(error) else Edit.REFUSED

    def _settled(self) -> Texts:
        """The texts once nobody writes them any more, or after a second all the same."""
        texts = read_folder(self.folder)
        for _ in range(_PATIENCE):
            self._stamp = _stamp(self.folder)
            time.sleep(_SETTLED_S)
            again = read_folder(self.folder)
            if again == texts:
                break
            texts = again
        return texts

    # --- what calls are given -----------------------------------------------------------------

    def names(self, caller: Caller) -> tuple[str, ...]:
        """The overlays that hold for a caller; one that contradicts those before it is left out."""
        names: tuple[str, ...] = ()
        for name in self.books.chosen(caller.tenant, caller.merchant, caller.overlays):
            try:
                self.books.laid((*names, name))
            except RulesRefused:
                continue
            names = (*names, name)
        return names

    def view(self, caller: Caller) -> tuple[Rulebooks, Compiled]:
        """All rules there are, and those of a caller, of one moment."""
        with self._lock:
            return self.books, self.books.laid(self.names(caller))

    def unknown(self, tenant: str, overlays: Sequence[str]) -> tuple[str, ...]:
        """Those of the overlays that this tenant cannot ask for. Does not wait."""
        known = self.books.overlays
        return tuple(name for name in overlays if name not in known or not known[name].may_use(tenant))

    def packed(self, caller: Caller) -> str:
        """The rules of a caller, to be handed to a call process; without overlays where those make them
        too large for that."""
        with self._lock:
            names = self.names(caller)
            if names not in self._packed:
                if len(self._packed) >= _PACKED_KEPT:
                    self._packed.pop(next(iter(self._packed)))
                whole = self.books.book(names).packed()
                fits = len(whole) <= LONGEST_PACKED
                self._packed[names] = whole if fits else self.books.book(()).packed()
            return self._packed[names]

    def rule_set(self, caller: Caller) -> RuleSet:
        """The rules of a caller, ready to be matched."""
        with self._lock:
            names = self.names(caller)
            if names not in self._sets:
                if len(self._sets) >= _SETS_KEPT:
                    self._sets.pop(next(iter(self._sets)))
                self._sets[names] = RuleSet(self.books.book(names))
            return self._sets[names]


def _stamp(folder: Path) -> _Stamp:
    """What changes when any of the files does; empty when the folder is not to be had."""
    found = []
    for place in (folder, folder / OVERLAYS):
        try:
            names = [name for name in os.listdir(place) if name.endswith(".yaml") or name == FILE]
        except OSError:
            continue
        for name in names:
            path = os.path.join(place, name)
            with suppress(OSError):
                stat = os.stat(path)
                found.append((path, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino))
    return tuple(sorted(found))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
