"""The hearing chain of one leg: sound in, changes of violations and lapses out.

sound -> gap filler -> voice activity (with what came just before) -> recognisers -> units -> rules
      -> attempts. The chain never raises: an engine that throws or stalls is a lapse and is started again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from uuid import uuid4

import numpy as np

from guardian.core.attempts import Attempts, Look
from guardian.core.config import SpeechConfig
from guardian.core.frames import SPEECH_RATE, AudioChunk
from guardian.core.notes import Lapse, Part
from guardian.core.ports import HearingNotes, Recogniser
from guardian.core.recording import Spoken
from guardian.core.rules import Hit, RuleSet
from guardian.core.tokens import Hypothesis
from guardian.core.units import Unit
from guardian.core.violations import Role, ViolationChange
from guardian.speech.ear import PACE, Ear, Fault, Heard
from guardian.speech.vad import Gate, Vad
from guardian.speech.worker import Moment

PREROLL_S = 0.4
"""Sound kept from before speech was noticed, so that no first syllable is cut."""
SILENCE_S = 0.45
"""Silence that ends an utterance."""
LONGEST_S = 30.0
"""Length at which an utterance is ended though the speaker goes on."""
FILL_S = 0.2
"""Longest gap that is filled with silence; a longer one ends the utterance."""
HAND_S = 0.1
"""Sound that is handed to the engines at once: each has a thread, and every hand-over has its price."""
LOOK_S = 0.3
"""Sound between two looks at words that do not change."""
DEAF_SPAN_S = 5.0
"""Length of the lapses told while nothing listens."""
REST_S = 60.0
"""How long an engine that cannot keep pace is done without."""


@dataclass(frozen=True, slots=True)
class ChainNotes(HearingNotes):
    """What one call of the chain gave.

    speech_ms: how long the call took. finals: utterances that ended, for evidence and transcripts.
    """

    speech_ms: float = 0.0
    finals: tuple[Hypothesis, ...] = ()


@dataclass(slots=True)
class _Notes:
    began: float
    changes: list[ViolationChange] = field(default_factory=list)
    lapses: list[Lapse] = field(default_factory=list)
    finals: list[Hypothesis] = field(default_factory=list)
    said: list[Spoken] = field(default_factory=list)
    heard_s: float = 0.0

    def done(self) -> ChainNotes:
        return ChainNotes(
            tuple(self.changes),
            tuple(self.lapses),
            self.heard_s,
            tuple(self.said),
            (perf_counter() - self.began) * 1000.0,
            tuple(self.finals),
        )


@dataclass(frozen=True, slots=True)
class _Match:
    """What rules found in what an ear had heard."""

    rules: RuleSet
    units: tuple[Unit, ...]
    hits: tuple[Hit, ...]


class HearingChain:
    """Hears one speaker. For one thread; `hear` is synchronous, and waits for no engine that is too slow.

    recognisers: a `guardian.speech.ear.SecondOpinion` among them is the first to be done without.
    """

    def __init__(
        self,
        recognisers: Sequence[Callable[[], Recogniser]],
        rules: RuleSet,
        speaker: Role,
        vad: Vad,
        config: SpeechConfig,
    ) -> None:
        self._ears = [Ear(factory) for factory in recognisers]
        self._rules = rules
        self._speaker = speaker
        self._config = config
        self._gate = Gate(vad, SILENCE_S)
        self._attempts = Attempts(speaker, lambda: f"vio_{uuid4().hex}")
        self._before: deque[AudioChunk] = deque()
        self._held: list[AudioChunk] = []
        """Sound of the utterance that is not handed over yet."""
        self._now: float | None = None
        self._began: float | None = None
        """Media time at which the utterance began, None in silence."""
        self._looked: dict[Ear, float] = {}
        self._matches: dict[Ear, _Match] = {}
        self._deaf_since: float | None = None
        self._owed: list[Lapse] = []
        """Lapses of `start`, told again with the first sound."""
        self.notes: tuple[str, ...] = ()
        """Sentences for people on what listens and what does not; set by whoever opened the chain."""

    @property
    def rules(self) -> RuleSet:
        """The rules it hears by. Others hold from the next look on, for all that is remembered; from any
        thread."""
        return self._rules

    @rules.setter
    def rules(self, rules: RuleSet) -> None:
        self._rules = rules

    @property
    def shadow_hits(self) -> Mapping[str, int]:
        """Attempts counted per rule in shadow. From any thread."""
        return self._attempts.shadow_hits

    @property
    def engines(self) -> dict[str, str]:
        """What listens, e.g. `{"speech-zh": "syllables-zh+vosk-zh"}`; empty until `start`."""
        found: dict[str, str] = {}
        for ear in self._ears:
            if ear.listening:
                key = f"speech-{ear.language}"
                found[key] = f"{found[key]}+{ear.name}" if key in found else ear.name
        return found

    def start(self, now: float = 0.0) -> ChainNotes:
        """Loads the engines before the first sound. Optional: `hear` does it otherwise."""
        notes = _Notes(perf_counter())
        self._start(now, notes)
        self._owed.extend(notes.lapses)
        return notes.done()

    def hear(self, chunk: AudioChunk) -> ChainNotes:
        """Takes the next sound (16 kHz, usually 20 ms). Never raises."""
        notes = _Notes(perf_counter(), lapses=self._owed)
        self._owed = []
        if not len(chunk.samples):
            return notes.done()
        chunk = self._joined(chunk, notes)
        self._now = chunk.t + chunk.seconds
        self._start(chunk.t, notes)
        try:
            self._gate.hear(chunk.samples)
        except Exception as error:  # noqa: BLE001  (a broken VAD must not stop hearing: hear everything)
            self._gate.open = True
            self._lapse(chunk.t, self._now, f"voice activity failed ({type(error).__name__})", notes)
        if self._began is None and self._gate.open:
            self._open(chunk, notes)
        elif self._began is None:
            self._keep(chunk)
            self._take(notes)
        else:
            self._feed(chunk, notes)
            if not self._gate.open or self._now - self._began >= LONGEST_S:
                self._close(notes)
        self._count(chunk, notes)
        return notes.done()

    def finish(self) -> ChainNotes:
        """Ends the utterance, e.g. when the leg has left. The chain can go on afterwards."""
        notes = _Notes(perf_counter())
        if self._began is not None:
            self._close(notes)
        for ear in self._ears:
            self._take_from(ear, notes, ear.settle)
        if self._deaf_since is not None and self._now is not None and self._now > self._deaf_since:
            self._lapse(self._deaf_since, self._now, "no recogniser is listening", notes)
            self._deaf_since = self._now
        return notes.done()

    def _start(self, now: float, notes: _Notes) -> None:
        for ear in self._ears:
            if not ear.listening:
                try:
                    ear.start(now)
                except Fault as fault:
                    self._lapse(now, now, str(fault), notes)

    def _joined(self, chunk: AudioChunk, notes: _Notes) -> AudioChunk:
        """Makes time continuous: a short gap is filled, a long one (or a step back) ends the utterance."""
        if self._now is None:
            return chunk
        gap = chunk.t - self._now
        if abs(gap) < 0.5 / SPEECH_RATE or (-0.02 < gap < 0.005):
            return AudioChunk(chunk.samples, self._now) if self._began is not None else chunk
        if 0 < gap <= FILL_S:
            missing = np.zeros(round(gap * SPEECH_RATE), np.int16)
            return AudioChunk(np.concatenate((missing, chunk.samples)), self._now)
        if self._began is not None:
            self._close(notes)
        self._gate.reset()
        self._before.clear()
        return chunk

    def _keep(self, chunk: AudioChunk) -> None:
        self._before.append(chunk)
        while self._before and self._before[0].t < chunk.t - PREROLL_S:
            self._before.popleft()

    def _open(self, chunk: AudioChunk, notes: _Notes) -> None:
        self._keep(chunk)
        self._began = self._before[0].t
        samples = np.concatenate([kept.samples for kept in self._before])
        self._before.clear()
        self._feed(AudioChunk(samples, self._began), notes)

    def _feed(self, chunk: AudioChunk, notes: _Notes) -> None:
        self._held.append(chunk)
        if chunk.t + chunk.seconds - self._held[0].t >= HAND_S:
            self._hand_over(notes)
        else:
            self._take(notes)
        self._spare(notes)

    def _hand_over(self, notes: _Notes) -> None:
        if not self._held:
            return
        held = AudioChunk(np.concatenate([chunk.samples for chunk in self._held]), self._held[0].t)
        self._held.clear()
        moment = self._moment(held.t + held.seconds, notes)
        for ear in self._ears:
            ear.give(held, moment)
            self._take_from(ear, notes, ear.take)

    def _close(self, notes: _Notes) -> None:
        self._hand_over(notes)
        moment = self._moment(self._now or 0.0, notes)
        for ear in self._ears:
            ear.end(moment)
            self._take_from(ear, notes, ear.take)
        self._began = None

    def _moment(self, now: float, notes: _Notes) -> Moment:
        return Moment(now, self._began or 0.0, notes.began)

    def _take(self, notes: _Notes) -> None:
        """What late ears have found out meanwhile."""
        for ear in self._ears:
            self._take_from(ear, notes, ear.take)

    def _take_from(self, ear: Ear, notes: _Notes, take: Callable[[], Heard | None]) -> None:
        try:
            while (heard := take()) is not None:
                self._heard(ear, heard, notes)
        except Fault as fault:
            self._lost(ear, fault, notes)

    def _heard(self, ear: Ear, heard: Heard, notes: _Notes) -> None:
        moment = heard.moment
        if heard.found is not None and heard.found.tokens:
            said = replace(heard.found, final=heard.ends)
            notes.said.append(Spoken(self._speaker, ear.name, said))
            if heard.ends:
                notes.finals.append(said)
        if heard.ends:
            self._look(ear, heard, notes)
            ear.close()
            self._looked.pop(ear, None)
        elif heard.changed or moment.now - self._looked.get(ear, moment.now - LOOK_S) >= LOOK_S:
            self._looked[ear] = moment.now
            self._look(ear, heard, notes)

    def _spare(self, notes: _Notes) -> None:
        """Does without an engine for a while where all together cannot keep pace: the slowest second opinion,
        else one that cannot keep pace by itself while another can."""
        listening = [ear for ear in self._ears if ear.listening]
        if len(listening) < 2 or sum(ear.factor for ear in listening) <= PACE:
            return
        slow = [ear for ear in listening if ear.factor > PACE]
        least = [ear for ear in listening if ear.second] or (slow if len(slow) < len(listening) else [])
        for ear in sorted(least, key=lambda ear: ear.factor)[-1:]:
            now = self._now or 0.0
            reason = f"{ear.name} is left out for {REST_S:.0f} s, as hearing is too slow with it"
            self._lapse(now, now, reason, notes)
            notes.changes.extend(self._attempts.drop(ear.name, now))
            ear.rest(now + REST_S)

    def _look(self, ear: Ear, heard: Heard, notes: _Notes) -> None:
        moment = heard.moment
        hits = self._matched(ear)
        emitted = moment.now + perf_counter() - moment.handed
        notes.changes.extend(
            self._attempts.see(
                Look(ear.name, ear.language, hits, moment.now, emitted, moment.since, heard.ends)
            )
        )

    def _matched(self, ear: Ear) -> tuple[Hit, ...]:
        """Hits in what this ear has heard; a fifth of all looks find the same words by the same rules."""
        units, rules = ear.units(), self._rules
        last = self._matches.get(ear)
        if last is None or last.rules is not rules or last.units != units:
            last = self._matches[ear] = _Match(rules, units, rules.match(units, self._speaker))
        return last.hits

    def _lost(self, ear: Ear, fault: Fault, notes: _Notes) -> None:
        now = self._now or 0.0
        # While others listen, a second opinion that fails leaves nothing unheard.
        since = now if ear.second or self._began is None else self._began
        self._lapse(since, now, str(fault), notes)
        notes.changes.extend(self._attempts.drop(ear.name, now))
        self._start(now, notes)

    def _count(self, chunk: AudioChunk, notes: _Notes) -> None:
        """Counts heard seconds; tells deafness in spans."""
        end = chunk.t + chunk.seconds
        if any(ear.listening for ear in self._ears):
            notes.heard_s = chunk.seconds
            if self._deaf_since is not None and self._deaf_since < chunk.t:
                self._lapse(self._deaf_since, chunk.t, "no recogniser is listening", notes)
            self._deaf_since = None
            return
        if self._deaf_since is None:
            self._deaf_since = chunk.t
            self._lapse(chunk.t, end, "no recogniser is listening", notes)
            self._deaf_since = end
        elif end - self._deaf_since >= DEAF_SPAN_S:
            self._lapse(self._deaf_since, end, "no recogniser is listening", notes)
            self._deaf_since = end

    def _lapse(self, start: float, end: float, reason: str, notes: _Notes) -> None:
        notes.lapses.append(Lapse(Part.HEARING, str(self._speaker), start, end, reason))
