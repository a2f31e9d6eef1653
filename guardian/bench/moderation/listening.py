"""One engine hears one sound after the other through the live hearing chain, each as the only one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from guardian.bench.moderation.tapes import Recorder, Tapes
from guardian.core.config import SpeechConfig
from guardian.core.errors import ConfigError, ModelMissing
from guardian.core.frames import AudioChunk
from guardian.core.rulebook import RuleState
from guardian.core.rules import Hit, RuleSet
from guardian.core.tokens import Hypothesis
from guardian.core.units import units_of
from guardian.core.violations import Role, Status, ViolationChange
from guardian.ears import recogniser_of, vad_of
from guardian.models import ModelStore
from guardian.speech.chain import HearingChain

ENGINES = {"zh": ("syllables-zh", "vosk-zh"), "en": ("words-en", "pocketsphinx", "vosk-en")}
"""Engines that may hear a language; those whose weights are not here are left out."""
SPEAKER = Role.MERCHANT
_TRIES = 2
"""A busy machine may have held up the engine; a lapse that comes again is told."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one sound.

    changes: violations as they were told. finals: what was recognised. seconds: of sound. work_s: processor
    time, None where a tape was played. lapses: their reasons.
    """

    changes: tuple[ViolationChange, ...]
    finals: tuple[Hypothesis, ...]
    seconds: float
    work_s: float | None
    lapses: tuple[str, ...]

    @property
    def confirmed(self) -> tuple[ViolationChange, ...]:
        """Violations that stood in the end, as they were confirmed."""
        return tuple(change for change in self.changes if change.status is Status.CONFIRMED)

    @property
    def transcript(self) -> str:
        """All that was recognised; `/` parts utterances."""
        return " / ".join(" ".join(token.text for token in final.tokens) for final in self.finals)


class Listening:
    """An engine with its rules. Raises ModelMissing when its weights are not here."""

    def __init__(self, store: ModelStore, engine: str, rules: RuleSet, tapes: Tapes) -> None:
        self.engine = engine
        self.rules = rules
        self._tapes = tapes
        self._make = recogniser_of(store, SpeechConfig(), engine)
        self._recorder = Recorder(self._make())
        self._vad = vad_of(store)

    def hear(self, sound: Sequence[AudioChunk]) -> Taken:
        """The whole sound, from silence on, in chunks as a call would bring them."""
        digest = digest_of(sound)
        tape = self._tapes.find(self.engine, digest)
        if tape is not None:
            self._recorder.play(tape)
            taken = self._heard(sound)
            if not self._recorder.astray:
                return Taken(taken.changes, taken.finals, taken.seconds, None, taken.lapses)
        for _ in range(_TRIES):
            tape = self._recorder.record()
            taken = self._heard(sound)
            if not taken.lapses:
                self._tapes.keep(self.engine, digest, tape)
                break
            self._recorder = Recorder(self._make())
        return taken

    def hits(self, taken: Taken) -> tuple[Hit, ...]:
        """What the rules in force find in all that was recognised, weak hits too, innocent ones not."""
        tokens = [token for final in taken.finals for token in final.tokens]
        found = self.rules.match(units_of(tokens, self._recorder.language), SPEAKER)
        return tuple(hit for hit in found if not hit.excuse and hit.rule.state is RuleState.LIVE)

    def _heard(self, sound: Iterable[AudioChunk]) -> Taken:
        self._vad.reset()
        chain = HearingChain([lambda: self._recorder], self.rules, SPEAKER, self._vad, SpeechConfig())
        chain.start()
        notes, seconds, began = [], 0.0, time.process_time()
        for chunk in sound:
            notes.append(chain.hear(chunk))
            seconds += chunk.seconds
        notes.append(chain.finish())
        work_s = time.process_time() - began
        return Taken(
            tuple(change for note in notes for change in note.changes),
            tuple(final for note in notes for final in note.finals),
            seconds,
            work_s,
            tuple(lapse.reason for note in notes for lapse in note.lapses),
        )


def listeners(
    store: ModelStore, engines: Iterable[str], rules: RuleSet, tapes: Tapes
) -> tuple[dict[str, Listening], list[str]]:
    """Those of the engines that can listen here, and a sentence for each that cannot."""
    found: dict[str, Listening] = {}
    missing: list[str] = []
    for engine in engines:
        try:
            found[engine] = Listening(store, engine, rules, tapes)
        except (ModelMissing, ConfigError) as error:
            missing.append(f"{engine} was not measured: {error}")
    return found, missing


def digest_of(sound: Iterable[AudioChunk]) -> str:
    """The name of a sound among tapes."""
    digest = hashlib.sha1(usedforsecurity=False)
    for chunk in sound:
        digest.update(f"{chunk.t:.4f}".encode() + chunk.samples.tobytes())
    return digest.hexdigest()
