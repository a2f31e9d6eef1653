"""A folder of rule files: read at one moment, compiled together, and laid over for merchants and tenants.

`*.yaml` of the folder are the rules, `hunch.tsv` the weights of hunches; `overlays/NAME.yaml` change rules
for some.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from guardian.core.errors import ConfigError, Unavailable
from guardian.core.hunch import Weights
from guardian.core.rulebook import RuleBook, RuleFault, RulesRefused
from guardian.core.rules import RuleSet
from guardian.speech import hunch_file
from guardian.speech.rules_compile import Compiled, compiled, overlaid
from guardian.speech.rules_draft import LONGEST_BYTES, Draft, read_overlay, read_rules

OVERLAYS = "overlays"
FILE_NAME = re.compile(r"(?:overlays/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\.yaml")
MOST_FILES = 1000
LONGEST_PACKED = 900_000
"""Characters of packed rules that fit one message to a call process."""
_LAID_KEPT = 32
_LETTERS = str.maketrans("0123456789", "ghjkmnpqrs")
"""Runs of figures would be masked in events and logs."""

Texts = Mapping[str, str]
"""File name (`contact.yaml`, `overlays/tier_b.yaml`) -> text."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """Changes for some. tenants, merchants: whom for; without both, for calls that ask by name."""

    name: str
    draft: Draft

    def may_use(self, tenant: str) -> bool:
        """Whether calls of a tenant may use it."""
        return not self.draft.tenants or tenant in self.draft.tenants

    def meant_for(self, tenant: str, merchant: str) -> bool:
        """Whether it holds for a call without being asked for."""
        draft = self.draft
        named = bool(draft.tenants or draft.merchants)
        return named and self.may_use(tenant) and (not draft.merchants or merchant in draft.merchants)


@dataclass(frozen=True, slots=True)
class Rulebooks:
    """All rules of one folder at one moment. May be shared by threads."""

    texts: Texts
    base: Compiled
    overlays: Mapping[str, Overlay]
    _laid: dict[tuple[str, ...], Compiled] = field(default_factory=dict, repr=False)
    _laying: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    def chosen(self, tenant: str, merchant: str, asked: Sequence[str]) -> tuple[str, ...]:
        """The overlays of a call in the order in which they are laid: the tenant's, the merchant's, those
        asked for by name. Names that are not there, or not for this tenant, are left out."""
        meant = [one for _, one in sorted(self.overlays.items()) if one.meant_for(tenant, merchant)]
        meant.sort(key=lambda one: bool(one.draft.merchants))
        wanted = [name for name in asked if name in self.overlays and self.overlays[name].may_use(tenant)]
        return tuple(dict.fromkeys([*(one.name for one in meant), *wanted]))

    def laid(self, names: tuple[str, ...]) -> Compiled:
        """The rules with these overlays laid over them. RulesRefused when two of them contradict."""
        if not names:
            return self.base
        with self._laying:
            found = self._laid.get(names)
            if found is None:
                found = overlaid(self.laid(names[:-1]), self.overlays[names[-1]].draft)
                while len(self._laid) >= _LAID_KEPT:
                    self._laid.pop(next(iter(self._laid)))
                self._laid[names] = found
            return found

    def book(self, names: tuple[str, ...]) -> RuleBook:
        """What a call with these overlays is given. RulesRefused."""
        return self.laid(names).book("+".join(("default", *names)), self.fingerprint(names))

    def fingerprint(self, names: tuple[str, ...]) -> str:
        """12 letters that change whenever what these rules are made of does."""
        files = [name for name in self.texts if not name.startswith(f"{OVERLAYS}/")]
        digest = hashlib.sha256()
        for file in [*sorted(files), *(f"{OVERLAYS}/{name}.yaml" for name in names)]:
            for part in (file, self.texts[file]):
                digest.update(hashlib.sha256(part.encode("utf-8", "surrogatepass")).digest())
        return digest.hexdigest()[:12].translate(_LETTERS)


def read_folder(folder: Path) -> dict[str, str]:
    """The texts of a folder's rule files. ConfigError when there is none or one cannot be read."""
    if not folder.is_dir():
        raise ConfigError(f"There is no rules folder {folder}; name a folder that holds *.yaml rule files.")
    files = _rule_files(folder)
    if not files:
        raise ConfigError(
            f"The rules folder {folder} holds no *.yaml file; put at least one rule file there."
        )
    files += [file for file in (folder / hunch_file.FILE,) if file.is_file()]
    files += _rule_files(folder / OVERLAYS)
    if len(files) > MOST_FILES:
        raise ConfigError(f"The rules folder {folder} holds more than {MOST_FILES} files; join some of them.")
    return {file.relative_to(folder).as_posix(): _text_of(file, folder) for file in files}


def _rule_files(folder: Path) -> list[Path]:
    """What editors keep beside a file (`.#contact.yaml`) is no rule file."""
    return sorted(file for file in folder.glob("*.yaml") if not file.name.startswith("."))


def _text_of(file: Path, folder: Path) -> str:
    name = file.relative_to(folder).as_posix()
    try:
        with file.open("rb") as stream:
            raw = stream.read(4 * LONGEST_BYTES + 1)
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise RulesRefused(
            (RuleFault(name, line, "", "this is not UTF-8; save it as UTF-8 text."),)
        ) from None
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise ConfigError(f"The rule file {file} cannot be read ({why}); make it readable.") from None


def write_file(path: Path, text: str | None) -> None:
    """Writes a rule file whole or not at all; None removes it. Unavailable when the disk refuses."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        if text is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(exist_ok=True)
        with draft.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        why = (error.strerror or "failed").lower()
        raise Unavailable(f"The rule file {path.name} cannot be written ({why}); see its folder.") from error


def rulebooks(texts: Texts) -> Rulebooks:
    """All rules of these files, every overlay tried by itself. RulesRefused with every fault."""
    return _rulebooks(tuple(sorted(texts.items())))


@lru_cache(maxsize=4)
def _rulebooks(texts: tuple[tuple[str, str], ...]) -> Rulebooks:
    whole = Draft()
    overlays: dict[str, Overlay] = {}
    faults: list[RuleFault] = []
    hunch: Weights | None = None
    for file, text in texts:
        try:
            if file == hunch_file.FILE:
                hunch = hunch_file.read_weights(file, text)
            elif file.startswith(f"{OVERLAYS}/"):
                name = file.removeprefix(f"{OVERLAYS}/").removesuffix(".yaml")
                if not FILE_NAME.fullmatch(file):
                    detail = "the name of an overlay has letters, digits, ., _ and - only; rename the file."
                    faults.append(RuleFault(file, 1, "", detail))
                    continue
                overlays[name] = Overlay(name, read_overlay(file, text))
            else:
                whole.add(read_rules(file, text))
        except RulesRefused as refused:
            faults.extend(refused.faults)
    if not faults and not whole.rules:
        raise ConfigError("The rule files hold no rule; add an entry under `rules:`.")
    _refuse(faults)
    books = Rulebooks(dict(texts), compiled(whole, hunch), overlays)
    for name in overlays:
        try:
            books.laid((name,))
        except RulesRefused as refused:
            faults.extend(refused.faults)
    _refuse(faults)
    if len(books.book(()).packed()) > LONGEST_PACKED:
        raise ConfigError("The rules are too large to be handed to calls; remove phrases nobody needs.")
    return books


def _refuse(faults: Iterable[RuleFault]) -> None:
    listed = tuple(faults)
    if listed:
        raise RulesRefused(listed)


def load_rules(folder: Path) -> RuleSet:
    """The rules of a folder without overlays. RulesRefused, ConfigError: file, line, rule, what to change."""
    return RuleSet(rulebooks(read_folder(folder)).book(()))
