"""Ring 2: how a call process sees and hears, put together from the models of this machine."""

from __future__ import annotations

import gc
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from guardian.core.calls import CallSpec
from guardian.core.config import WorkConfig
from guardian.core.frames import Mode
from guardian.core.ports import ContactFinder, CurtainMaker, Ears, Protector
from guardian.core.violations import Role
from guardian.rules_in_force import RulesInForce, rules_of

if TYPE_CHECKING:
    from guardian.eyes import Finders

logger = logging.getLogger(__name__)

_ahead: deque[Finders] = deque(maxlen=1)
"""What a spare has opened for the first of its calls: finders follow one picture, and are not shared."""


@lru_cache
def _stays(_what: str) -> None:
    """What is there once this is loaded stays: to look through it for garbage takes 80 ms, and all wait.

    Once for each: what is left of calls that ended meanwhile would stay too.
    """
    gc.freeze()


def load_ahead(config: WorkConfig, rules: str) -> None:
    """Loads what calls share, and finders for the first one. What cannot be loaded is told by the call.

    rules: packed ones that calls will probably be judged by, empty where that is not known.
    """
    from guardian import ears, lookout
    from guardian.models import ModelStore

    store = ModelStore.default()
    steps: tuple[tuple[str, Callable[[], object]], ...] = (
        ("eyes", lambda: _ahead.append(_warmed_finders(config))),
        ("ears", lambda: ears.load_ahead(store, config.speech)),
        ("lookout", lambda: lookout.load_ahead(store, config.contacts)),
        ("rules", lambda: rules_of(rules) if rules else None),
    )
    for what, load in steps:
        try:
            load()
        except Exception as error:  # noqa: BLE001 - whatever a loader raises: calls try again, and tell
            logger.warning("a spare could not load", extra={"what": what, "error": type(error).__name__})
        _stays(what)


def _warmed_finders(config: WorkConfig) -> Finders:
    from guardian.eyes import aside, open_eyes, open_finders
    from guardian.models import ModelStore

    store = ModelStore.default()
    finders = open_finders(store, config.vision, aside)
    open_eyes(store, config.vision, config.default_mode, finders)
    return finders


@dataclass(slots=True)
class Senses:
    """How a call sees and hears. Tests put broken ones in to see that nothing leaks."""

    open_eyes: Callable[[WorkConfig, CallSpec, Mode], Protector]
    open_ears: Callable[[WorkConfig, CallSpec, Role], Ears]
    curtains: Callable[[WorkConfig], CurtainMaker]
    engines: Callable[[], Mapping[str, Any]]
    rules: RulesInForce = field(default_factory=RulesInForce)
    open_lookout: Callable[[WorkConfig, CallSpec, Role], ContactFinder] | None = None


def real_senses() -> Senses:
    """One call's senses, with the models of this machine; loaded in the lanes that use them."""
    from guardian.vision.cover import curtains

    names: dict[str, Any] = {}
    rules = RulesInForce()

    def eyes(config: WorkConfig, _spec: CallSpec, mode: Mode) -> Protector:
        from guardian.eyes import aside, eye_models, open_eyes, open_finders
        from guardian.models import ModelStore

        store = ModelStore.default()
        finders = _ahead.pop() if _ahead else open_finders(store, config.vision, aside)
        chain = open_eyes(store, config.vision, mode, finders)
        names.update(eye_models(store).as_dict())
        _stays("eyes")
        return chain

    def ears(config: WorkConfig, spec: CallSpec, role: Role) -> Ears:
        from guardian.ears import Listener, ears_of
        from guardian.models import ModelStore

        chain = rules.follow(
            lambda now: ears_of(ModelStore.default(), config.speech, spec.languages, Listener(role, now))
        )
        names.update(chain.engines)
        _stays("ears")
        return chain

    def lookout(config: WorkConfig, spec: CallSpec, role: Role) -> ContactFinder:
        from guardian.lookout import WrittenWords, open_lookout
        from guardian.models import ModelStore

        words = rules.follow(lambda now: WrittenWords(now, role))
        merchant = spec.participants.get(Role.MERCHANT, "")
        opened = open_lookout(ModelStore.default(), config.contacts, words, merchant)
        for note in opened.notes:
            logger.warning("pictures are searched for less", extra={"why": note})
        names.update(opened.models)
        _stays("lookout")
        return opened.finder

    return Senses(eyes, ears, lambda config: curtains(config.vision.cards), lambda: names, rules, lookout)
