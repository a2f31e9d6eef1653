"""A voice is passed on whatever happens, heard only while that is agreed to, and missed aloud."""

import asyncio
import threading
from dataclasses import dataclass, replace

import numpy as np
import pytest

from guardian.call.sound import Hearing, VoiceWay
from guardian.core.config import SpeechConfig, WorkConfig
from guardian.core.errors import ModelMissing
from guardian.core.frames import AudioChunk
from guardian.core.ports import HearingNotes
from guardian.core.recording import Spoken
from guardian.core.tokens import Hypothesis, Token
from guardian.core.violations import Level, Role, Status, ViolationChange
from guardian.ears import rules_for
from guardian.speech import ear
from guardian.speech.chain import HearingChain
from guardian.speech.vad import LoudnessVad

BEHIND = ("the recogniser is starting", "hearing is behind")
CHANGE = ViolationChange(
    "vio_1", Status.DETECTED, "r", "c", Level.REVIEW, "p", "h", Role.MERCHANT, "en", 0.0, 1.0, 1.0, 0.9
)


@dataclass(frozen=True)
class Sound:
    """A piece of sound of a voice that nobody has to decode."""

    name: str
    seconds: float = 0.02
    lost_s: float = 0.0


class SlowEars:
    """Hears a violation in every chunk, when it is let."""

    def __init__(self):
        self.listening = threading.Event()
        self.go_on = threading.Event()
        self.chunks = 0

    def hear(self, chunk: AudioChunk) -> HearingNotes:
        self.chunks += 1
        self.listening.set()
        assert self.go_on.wait(10)
        return HearingNotes((CHANGE,), (), 0.02)

    def finish(self) -> HearingNotes:
        return HearingNotes((CHANGE,))


class OneChunk:
    """Makes a chunk of a piece; of some it can make nothing."""

    def chunks(self, sound, t):
        if sound.name == "broken":
            raise ValueError
        yield AudioChunk(np.zeros(320, np.int16), t)


class Told:
    """Keeps what hearing tells; the clock is set by hand."""

    def __init__(self, ears):
        self.heard, self.lapses, self.losses = [], [], []
        self.t = 0.0
        self.news = asyncio.Event()
        self.hearing = Hearing(
            open=lambda role: ears,
            heard=self.hears,
            lapsed=self.lapsed,
            missed=lambda role, t_start, t_end: self.losses.append((t_start, t_end)),
            now=lambda: self.t,
            tap=OneChunk,
        )

    def lapsed(self, role, t_start, t_end, reason):
        self.lapses.append((t_start, t_end, reason))
        self.news.set()

    def hears(self, role, notes):
        self.heard.append(notes)
        self.news.set()

    async def until(self, true):
        """Waits for something that is true after one of the things hearing tells."""
        async with asyncio.timeout(10):
            while not true():
                self.news.clear()
                await self.news.wait()

    def voice(self, config=None):
        return VoiceWay(Role.MERCHANT, self.hearing, config or WorkConfig())


def test_what_is_kept_is_every_piece_whoever_listens_and_whatever_was_said():
    told, kept = Told(None), []
    told.hearing = replace(told.hearing, keep=lambda *piece: kept.append(piece))
    spoken = Spoken(Role.MERCHANT, "e", Hypothesis((Token("hello", 0.0, 0.4),), True, "en"))

    class Says(SlowEars):
        def hear(self, chunk):
            return HearingNotes(said=(spoken,))

    told.hearing = replace(told.hearing, open=lambda role: Says())

    async def main():
        voice = told.voice()
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(voice.run())
            told.t = 1.5
            voice.muted = True
            voice.put(Sound("muted"))
            await told.until(lambda: told.heard)
            voice.allowed = False
            voice.put(Sound("not listened to"))
            run.cancel()
        voice.close()

    asyncio.run(main())
    assert kept == [(Role.MERCHANT, Sound(name), 1.5) for name in ("muted", "not listened to")]
    assert told.heard[0].said == (spoken,)


def test_nothing_said_is_told_once_consent_is_withdrawn():
    ears = SlowEars()
    told = Told(ears)

    async def main():
        voice = told.voice()
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(voice.run())
            for i in range(10):
                voice.put(Sound(f"piece {i}"))
            await asyncio.to_thread(ears.listening.wait, 10)
            voice.allowed = False
            voice.put(Sound("not heard any more"))
            ears.go_on.set()
            voice.close()
            await run
        names = [(await voice.next_piece(0.01)).name for _ in range(11)]
        assert names == [*(f"piece {i}" for i in range(10)), "not heard any more"], "passed on all the same"

    asyncio.run(main())
    assert told.heard == []
    assert ears.chunks == 1


def test_hearing_that_hangs_never_holds_up_a_voice_and_says_what_it_refused():
    ears = SlowEars()
    told = Told(ears)
    config = replace(WorkConfig(), speech=SpeechConfig(queue_s=0.4))

    async def main():
        voice = told.voice(config)
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(voice.run())
            passed = 0
            for i in range(200):
                told.t = i * 0.02
                voice.put(Sound(f"piece {i}"))
                passed += (await voice.next_piece(1.0)).name == f"piece {i}"
            ears.go_on.set()
            refused_s = 0.02 * sum(reason in BEHIND for _, _, reason in told.lapses)
            await told.until(lambda: voice.account.heard_s > 4.0 - refused_s - 1e-6)
            voice.close()
            await run
        assert passed == 200
        return voice.account

    account = asyncio.run(main())
    assert account.sound_s == pytest.approx(4.0)
    refused = [lapse for lapse in told.lapses if lapse[2] in BEHIND]
    assert len(refused) > 150
    assert account.heard_s == pytest.approx(4.0 - len(refused) * 0.02), "all sound is heard or a lapse"


@pytest.mark.parametrize("seconds", [0.0025, 0.06])
def test_what_may_wait_to_be_heard_is_counted_in_seconds(seconds):
    told = Told(None)
    voice = told.voice()
    count = round(7 / seconds)
    for _ in range(count):
        voice.put(Sound("", seconds))
    assert len(told.lapses) * seconds == pytest.approx(2.0, abs=0.15)
    assert {reason for _, _, reason in told.lapses} == {"the recogniser is starting"}


def test_a_run_of_losses_is_told_and_counted_and_a_single_packet_is_counted():
    told = Told(None)
    voice = told.voice()
    told.t = 10.0
    voice.put(Sound("", lost_s=0.02))
    voice.put(Sound("", lost_s=0.1))
    assert told.losses == [(pytest.approx(9.88), pytest.approx(9.98))]
    assert told.lapses == []
    assert voice.account.lost_s == pytest.approx(0.12)
    assert voice.account.sound_s == pytest.approx(0.16)


def test_a_piece_that_cannot_be_decoded_is_a_lapse_and_costs_nothing_else():
    ears = SlowEars()
    ears.go_on.set()
    told = Told(ears)

    async def main():
        voice = told.voice()
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(voice.run())
            for name in ("a", "broken", "b"):
                voice.put(Sound(name))
            await asyncio.to_thread(ears.listening.wait, 10)
            await told.until(lambda: voice.account.heard_s > 0.039)
            voice.close()
            await run

    asyncio.run(main())
    notes = told.heard
    assert sum(len(note.changes) for note in notes) >= 2
    assert [lapse.reason for note in notes for lapse in note.lapses] == ["hearing failed"]


class Hangs:
    """A recogniser that answers nothing."""

    name, language = "hangs", "zh"

    def __init__(self, end):
        self._end = end

    def hear(self, chunk):
        self._end.wait()

    finish = hear


class SaysOneThing:
    """Hears the same words in whatever is said."""

    name, language = "says", "zh"

    def __init__(self):
        self._t = 0.0

    def hear(self, chunk):
        self._t = chunk.t

    def finish(self):
        texts = ("jia1", "wo3", "wei1", "xin4")
        tokens = tuple(
            Token(text, self._t - 0.8 + i * 0.2, self._t - 0.6 + i * 0.2) for i, text in enumerate(texts)
        )
        return Hypothesis(tokens, True, "zh")


class LoudThenQuiet:
    """Turns a piece into a chunk: loud or quiet, as its name says."""

    def chunks(self, sound, t):
        loud = np.resize(np.array([9000, -9000], np.int16), 320)
        yield AudioChunk(loud if sound.name == "loud" else np.zeros(320, np.int16), t)


def test_an_engine_that_hangs_holds_up_neither_the_voice_nor_the_other_engine(monkeypatch):
    for name in ("STALL_S", "PATIENCE_S"):
        monkeypatch.setattr(ear, name, getattr(ear, name) / 5)
    end = threading.Event()
    ears = HearingChain(
        [lambda: Hangs(end), SaysOneThing], rules_for(""), Role.MERCHANT, LoudnessVad(), SpeechConfig()
    )
    told = Told(ears)

    async def main():
        voice = VoiceWay(Role.MERCHANT, replace(told.hearing, tap=LoudThenQuiet), WorkConfig())
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(voice.run())
            for i in range(150):
                told.t = i * 0.02
                name = "loud" if i < 75 else "quiet"
                voice.put(Sound(name))
                assert (await voice.next_piece(1.0)).name == name
            await told.until(lambda: any(notes.lapses for notes in told.heard) and changes())
            voice.close()
            await run

    def changes():
        return [change for notes in told.heard for change in notes.changes]

    try:
        asyncio.run(main())
    finally:
        end.set()
    assert {change.status for change in changes()} == {Status.DETECTED, Status.CONFIRMED}
    reasons = {lapse.reason for notes in told.heard for lapse in notes.lapses}
    assert any("hangs has not answered" in reason for reason in reasons)


def test_what_waited_for_somebody_who_joins_is_not_passed_on():
    told = Told(None)

    async def main():
        voice = told.voice()
        for i in range(300):
            told.t = i * 0.02
            voice.put(Sound(f"piece {i}"))
        assert (await voice.next_piece(0.01)).name in ("piece 289", "piece 290"), "0.2 s old"

    asyncio.run(main())


def test_a_muted_voice_is_heard_and_not_passed_on():
    told = Told(None)

    async def main():
        voice = told.voice()
        voice.muted = True
        voice.put(Sound("x"))
        with pytest.raises(TimeoutError):
            await voice.next_piece(0.01)
        assert voice.account.sound_s == pytest.approx(0.02)

    asyncio.run(main())


def test_a_voice_whose_call_is_over_is_not_asked_for_without_end():
    told = Told(None)

    async def main():
        voice = told.voice()
        voice.close()
        async with asyncio.timeout(5):
            with pytest.raises(TimeoutError):
                await voice.next_piece(0.05)

    asyncio.run(main())


def test_a_recogniser_that_cannot_be_loaded_says_why_and_the_voice_passes(caplog):
    told = Told(None)

    def broken(role):
        raise ModelMissing("The weights of the role speech-en are not here.")

    async def main():
        voice = VoiceWay(Role.MERCHANT, replace(told.hearing, open=broken), WorkConfig())
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(voice.run())
            voice.put(Sound("piece"))
            passed = await voice.next_piece(1.0)
            await told.until(lambda: told.lapses)
            voice.close()
            await run
        return passed

    assert asyncio.run(main()).name == "piece"
    assert told.lapses[0][2] == "the recogniser could not be loaded"
    assert [(r.error, r.why) for r in caplog.records] == [
        ("ModelMissing", "The weights of the role speech-en are not here.")
    ]
