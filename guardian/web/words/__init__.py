"""What the console says, in each of its languages: a module for each group of pages."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from guardian.web.words import case, common, desk, judging, office, terms

_MODULES: tuple[ModuleType, ...] = (common, desk, case, judging, office, terms)


def _together(language: str) -> Mapping[str, str]:
    """All words of a language. A word said by two modules would be one or the other by chance."""
    words: dict[str, str] = {}
    for module in _MODULES:
        of_module: dict[str, str] = getattr(module, language)
        if twice := words.keys() & of_module.keys():
            raise ValueError(f"{module.__name__} says again what another module says: {sorted(twice)}.")
        words.update(of_module)
    return words


WORDS: Mapping[str, Mapping[str, str]] = {"en": _together("EN"), "zh": _together("ZH")}
"""By language, then by what is said."""
