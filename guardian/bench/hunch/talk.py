"""Natural talk as recognisers hear it: what engines said of recordings in which nobody tries anything."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from guardian.bench.hunch.said import ORDINARY, Said, said_of
from guardian.bench.moderation.listening import SPEAKER, Listening, digest_of
from guardian.bench.moderation.recordings import LANGUAGES, NATURAL, Recording, innocent
from guardian.bench.moderation.sounds import AFTER_S, chunked, followed, samples_of
from guardian.bench.moderation.tapes import Tapes
from guardian.bench.script import Steps
from guardian.core.frames import AudioChunk
from guardian.core.rules import RuleSet
from guardian.core.tokens import Hypothesis, Token
from guardian.core.units import units_of
from guardian.models import ModelStore

ENGINES = {"zh": "syllables-zh", "en": "words-en"}
READ_OUT = "contact.spoken_number"
"""Where this rule finds something, a number was read out: that is no attempt, and nothing to learn from."""


@dataclass(frozen=True, slots=True)
class Talk:
    """One recording as it was heard. half: by 0 limits are chosen, 1 judges them."""

    said: Said
    half: int
    hours: float


def natural(rules: RuleSet, steps: Steps) -> Iterator[Talk]:
    """All recordings of natural talk but those in which numbers are read out. Unavailable, ModelMissing.

    rules: without hunches.
    """
    work = [(language, recording) for language in LANGUAGES for recording in innocent(language, NATURAL)]
    steps.expect(len(work))
    steps.begin("natural talk")
    store, tapes = ModelStore.default(), Tapes.named()
    engines = {language: Listening(store, ENGINES[language], rules, tapes) for language in LANGUAGES}
    for language, recording in work:
        talk = _heard(engines[language], tapes, language, recording)
        if talk is not None:
            yield talk
        steps.done()


def _heard(engine: Listening, tapes: Tapes, language: str, recording: Recording) -> Talk | None:
    sound = chunked(followed(samples_of(recording.path)))
    units = units_of(_tokens(engine, tapes, sound), language)
    hits = engine.rules.match(units, SPEAKER)
    if not units or any(hit.rule.id == READ_OUT and not hit.excuse for hit in hits):
        return None
    half = hashlib.sha256(recording.name.encode()).digest()[0] % 2
    seconds = sum(chunk.seconds for chunk in sound) - AFTER_S
    return Talk(said_of(ORDINARY, language, ORDINARY, units), half, seconds / 3600)


def _tokens(engine: Listening, tapes: Tapes, sound: Sequence[AudioChunk]) -> list[Token]:
    """What was recognised; of a tape at once, else by listening."""
    tape = tapes.find(engine.engine, digest_of(sound))
    found: Sequence[Hypothesis] = engine.hear(sound).finals if tape is None else tuple(tape.answers.values())
    return [token for one in found if one.final for token in one.tokens]


def hours(talks: Sequence[Talk], language: str) -> float:
    """Of a language."""
    return sum(talk.hours for talk in talks if talk.said.language == language)
