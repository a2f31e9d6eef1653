"""Opens the hearing chain of a leg: weights, recognisers and rules put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from guardian.core.config import SpeechConfig
from guardian.core.errors import ConfigError, ModelMissing
from guardian.core.ports import Recogniser
from guardian.core.rules import RuleSet
from guardian.core.violations import Role
from guardian.models import ModelStore
from guardian.resources import resource
from guardian.speech.chain import HearingChain
from guardian.speech.sphinx import PocketSphinxEn
from guardian.speech.syllables import SYLLABLES_ZH
from guardian.speech.transducer import TransducerRecogniser
from guardian.speech.vad import LoudnessVad, SileroVad, Vad
from guardian.speech.words import WORDS_EN

LANGUAGES = ("zh", "en")
ENGINES = ("syllables-zh", "words-en", "pocketsphinx")
"""Engines by name; `auto` takes the best one of each language."""

_Factory = Callable[[], Recogniser]
_OF_LANGUAGE = {"zh": ("syllables-zh",), "en": ("words-en", "pocketsphinx")}
_ROLE = {"syllables-zh": "syllables-zh", "words-en": "words-en", "pocketsphinx": "english-embedded"}


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom a chain hears, and by which rules."""

    speaker: Role
    rules: RuleSet


@lru_cache(maxsize=4)
def _rules_in(folder: Path) -> RuleSet:
    # A call process is handed its rules; the dictionaries of Chinese that files are read with cost 30 MB.
    from guardian.speech.rules_folder import load_rules

    return load_rules(folder)


def rules_folder(rules_dir: str) -> Path:
    """The folder of the rules in use: the one configured, or the one that comes with Guardian."""
    return Path(rules_dir).expanduser() if rules_dir else resource("configs", "rules")


def rules_for(rules_dir: str) -> RuleSet:
    """The rules of a folder, or those that come with Guardian when it is empty. ConfigError."""
    return _rules_in(rules_folder(rules_dir))


def open_ears(
    store: ModelStore, config: SpeechConfig, languages: Sequence[str], speaker: Role
) -> HearingChain:
    """As `ears_of`, by the rules of the configuration. ConfigError when they cannot be used."""
    return ears_of(store, config, languages, Listener(speaker, rules_for(config.rules_dir)))


def ears_of(
    store: ModelStore, config: SpeechConfig, languages: Sequence[str], listener: Listener
) -> HearingChain:
    """A chain that hears `languages` (`zh`, `en`) as well as the weights here allow.

    A language nothing can hear is named in `chain.notes`; a chain without any engine reports lapses.
    ConfigError for unknown languages or engines; ModelMissing when one engine is asked for by name and
    its weights are not here.
    """
    factories: list[_Factory] = []
    notes: list[str] = []
    if config.engine == "auto":
        for language in languages:
            factory = _best(store, language, notes)
            if factory is not None:
                factories.append(factory)
    elif config.engine in ENGINES:
        factories.append(_engine(store, config.engine, notes))
    else:
        raise ConfigError(
            f"There is no speech engine {config.engine!r}; use auto or one of {', '.join(ENGINES)}."
        )
    chain = HearingChain(factories, listener.rules, listener.speaker, _vad(store, notes), config)
    chain.notes = tuple(notes)
    chain.start()
    return chain


def _best(store: ModelStore, language: str, notes: list[str]) -> _Factory | None:
    if language not in LANGUAGES:
        raise ConfigError(f"There is no recogniser for language {language!r}; use {' or '.join(LANGUAGES)}.")
    missing = ""
    for engine in _OF_LANGUAGE[language]:
        try:
            return _engine(store, engine, notes)
        except ModelMissing as error:
            missing = str(error)
            notes.append(missing)
    notes.append(f"Nothing listens for {language}.")
    return None


def _engine(store: ModelStore, engine: str, notes: list[str]) -> _Factory:
    found = store.find(_ROLE[engine])
    if not found.preferred:
        notes.append(found.note)
    if engine == "syllables-zh":
        return partial(TransducerRecogniser, found.files, SYLLABLES_ZH)
    if engine == "words-en":
        return partial(TransducerRecogniser, found.files, WORDS_EN)
    return PocketSphinxEn


def _vad(store: ModelStore, notes: list[str]) -> Vad:
    try:
        return SileroVad(store.find("vad").files["model"])
    except ModelMissing as error:
        notes.append(str(error))
        return LoudnessVad()
