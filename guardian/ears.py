"""Opens the hearing chain of a leg: weights, recognisers and rules put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path

from guardian.core.config import SpeechConfig
from guardian.core.errors import ConfigError, ModelMissing
from guardian.core.ports import Recogniser
from guardian.core.rules import RuleSet
from guardian.core.violations import Role
from guardian.models import ModelStore
from guardian.resources import rules_folder
from guardian.speech.chain import HearingChain
from guardian.speech.ear import SecondOpinion
from guardian.speech.sphinx import PocketSphinxEn
from guardian.speech.syllables import SYLLABLES_ZH
from guardian.speech.transducer import TransducerRecogniser
from guardian.speech.vad import LoudnessVad, SileroVad, Vad
from guardian.speech.vosk_words import VoskRecogniser
from guardian.speech.words import WORDS_EN
from guardian.unpacked import unpacked

LANGUAGES = ("zh", "en")
ENGINES = ("syllables-zh", "words-en", "vosk-zh", "vosk-en", "pocketsphinx")
"""Engines by name; `auto` takes the best one of each language, and Vosk beside it where its model is."""

_Factory = Callable[[], Recogniser]
_OF_LANGUAGE = {"zh": ("syllables-zh", "vosk-zh"), "en": ("words-en", "vosk-en", "pocketsphinx")}
_VOSK = {"vosk-zh": "zh", "vosk-en": "en"}
_ROLE = {
    "syllables-zh": "syllables-zh",
    "words-en": "words-en",
    "pocketsphinx": "english-embedded",
}
_VOSK_FILES = ("am/final.mdl", "conf/mfcc.conf", "conf/model.conf")


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom a chain hears, and by which rules."""

    speaker: Role
    rules: RuleSet


@lru_cache(maxsize=4)
def _rules_in(folder: Path) -> RuleSet:
    # A call process is handed its rules; the dictionaries of Chinese that files are read with are large.
    from guardian.speech.rules_folder import load_rules

    return load_rules(folder)


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
            factories += _best(store, config, language, notes)
    elif config.engine in ENGINES:
        factories.append(_engine(store, config, config.engine, notes))
    else:
        raise ConfigError(
            f"There is no speech engine {config.engine!r}; use auto or one of {', '.join(ENGINES)}."
        )
    chain = HearingChain(factories, listener.rules, listener.speaker, _vad(store, notes), config)
    chain.notes = tuple(notes)
    chain.start()
    return chain


def load_ahead(store: ModelStore, config: SpeechConfig) -> None:
    """Loads the networks that all voices of a process share. Vosk has processes of its own."""
    for engine in ("syllables-zh", "words-en"):
        with suppress(ModelMissing):
            if config.engine in ("auto", engine):
                _engine(store, config, engine, [])()


def recogniser_of(store: ModelStore, config: SpeechConfig, engine: str) -> Callable[[], Recogniser]:
    """What makes one engine of `ENGINES`, by itself. ModelMissing, ConfigError."""
    return _engine(store, config, engine, [])


def vad_of(store: ModelStore) -> Vad:
    """Voice activity for a chain, as well as the weights here allow."""
    return _vad(store, [])


def vosk_model(store: ModelStore, config: SpeechConfig, language: str) -> Path:
    """The folder of the Vosk model of `zh` or `en`: the configured one, else that of the weights.

    ModelMissing when there is none or the package is not installed; ConfigError when the configured folder
    holds no model.
    """
    if find_spec("vosk") is None:
        raise ModelMissing("Vosk is not installed; run `pip install 'guardian-sidecar[vosk]'`.")
    named = config.vosk_zh_dir if language == "zh" else config.vosk_en_dir
    if named:
        folder = Path(named).expanduser().absolute()
        lacking = next((name for name in _VOSK_FILES if not (folder / name).is_file()), None)
        if lacking is not None:
            raise ConfigError(
                f"The setting `speech.vosk_{language}_dir` names {folder}, which is no Vosk model (it has no "
                f"{lacking}); name the folder of an unpacked one."
            )
        return folder
    return unpacked(store.find(f"transcript-{language}").files["archive"], store.folder)


def _best(store: ModelStore, config: SpeechConfig, language: str, notes: list[str]) -> list[_Factory]:
    """The first engine that can listen for a language, and the second opinion where there is one."""
    if language not in LANGUAGES:
        raise ConfigError(f"There is no recogniser for language {language!r}; use {' or '.join(LANGUAGES)}.")
    found: list[_Factory] = []
    for engine in _OF_LANGUAGE[language]:
        second = bool(found)
        if second and (engine not in _VOSK or config.second_opinion == "off"):
            continue
        try:
            factory = _engine(store, config, engine, notes)
        except (ModelMissing, ConfigError) as error:
            if isinstance(error, ConfigError) or engine not in _VOSK:
                notes.append(str(error))
            continue
        found.append(SecondOpinion(factory) if second else factory)
    if not found:
        notes.append(f"Nothing listens for {language}.")
    return found


def _engine(store: ModelStore, config: SpeechConfig, engine: str, notes: list[str]) -> _Factory:
    if engine in _VOSK:
        language = _VOSK[engine]
        return partial(VoskRecogniser, vosk_model(store, config, language), language)
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
