"""An engine that hangs or is too slow costs itself: the others of its leg go on, and the process ends."""

import subprocess
import sys
import threading
import time

import pytest

from guardian.core.config import SpeechConfig
from guardian.core.violations import Role, Status
from guardian.ears import rules_for
from guardian.speech import chain as chains
from guardian.speech import ear as ears
from guardian.speech.chain import HearingChain
from guardian.speech.ear import SecondOpinion
from guardian.speech.vad import LoudnessVad
from tests.speech.test_chain import PHRASE, Says, play, sound

HEARD = [Status.DETECTED, Status.CONFIRMED]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Everything that waits waits a fifth of what it does in a call."""
    for name in ("FIRST_S", "START_S", "STALL_S", "PATIENCE_S", "PACE_OVER_S", "BEHIND_S"):
        monkeypatch.setattr(ears, name, getattr(ears, name) / 5)


@pytest.fixture
def hung():
    """Set at the end, so that what hangs does not stay."""
    end = threading.Event()
    yield end
    end.set()


class Hangs(Says):
    """Answers nothing any more after some sound."""

    name = "hangs"

    def __init__(self, end, after_s=0.5):
        super().__init__(["hang2"])
        self._end, self._left_s = end, after_s

    def hear(self, chunk):
        self._left_s -= chunk.seconds
        if self._left_s < 0:
            self._end.wait()
        return super().hear(chunk)


class Slow(Says):
    """Takes twice the time that the sound lasts."""

    def __init__(self, syllables, name="slow"):
        super().__init__(syllables)
        self.name = name

    def hear(self, chunk):
        time.sleep(2 * chunk.seconds)
        return super().hear(chunk)


def chain(*makers):
    return HearingChain(makers, rules_for(""), Role.MERCHANT, LoudnessVad(), SpeechConfig())


def bursts(count, start=0.0):
    """Two seconds of sound and one of silence, again and again."""
    for i in range(count):
        yield from sound(2, start + 3 * i)
        yield from sound(1, start + 3 * i + 2, 0)


def reasons(lapses):
    return [lapse.reason for lapse in lapses]


def test_an_engine_that_hangs_is_a_lapse_and_a_restart_and_the_other_listens_on(hung):
    made = []

    def make():
        made.append(1)
        return Hangs(hung) if len(made) == 1 else Says(PHRASE)

    changes, lapses, heard = play(
        chain(lambda: Says(PHRASE), make), sound(3), sound(1, 3.0, 0), sound(2, 9.0), sound(1, 11.0, 0)
    )
    assert len(made) == 2
    assert reasons(lapses) == [f"hangs has not answered for {ears.STALL_S:.0f} s"]
    assert [change.status for change in changes if change.t_start < 0.1] == HEARD
    assert [change.status for change in changes if change.t_start > 8.9] == HEARD
    assert heard == pytest.approx(7.0, abs=0.01)


def test_an_engine_that_always_hangs_is_given_up(hung):
    changes, lapses, _ = play(chain(lambda: Hangs(hung), lambda: Says(PHRASE)), bursts(6))
    assert len(lapses) == ears.STALLS
    assert all("has not answered" in reason for reason in reasons(lapses))
    assert reasons(lapses)[-1].endswith("again and is given up")
    assert [change.status for change in changes][:2] == HEARD
    assert {change.status for change in changes} == set(HEARD)


def test_a_leg_whose_only_engine_is_given_up_is_told_to_be_deaf(hung):
    _, lapses, heard = play(chain(lambda: Hangs(hung)), bursts(8))
    assert heard < 24
    deaf = [lapse for lapse in lapses if lapse.reason == "no recogniser is listening"]
    assert heard + sum(lapse.t_end - lapse.t_start for lapse in deaf) == pytest.approx(24, abs=0.1)


def test_an_engine_whose_loading_hangs_holds_up_nobody_for_long(hung):
    def make():
        hung.wait()
        raise AssertionError

    changes, lapses, _ = play(chain(make, lambda: Says(PHRASE)), sound(3), sound(1, 3.0, 0))
    assert [change.status for change in changes] == HEARD
    assert all("could not be made" in reason for reason in reasons(lapses))


def test_what_is_too_slow_is_left_out_the_second_opinion_first(monkeypatch):
    monkeypatch.setattr(chains, "REST_S", 3.0)
    made = []

    def second():
        made.append(1)
        return Slow(["man4"], "second") if len(made) == 1 else Says(PHRASE)

    changes, lapses, heard = play(
        chain(lambda: Says(PHRASE), SecondOpinion(second)), sound(3), sound(1, 3.0, 0), sound(2, 9.0)
    )
    assert reasons(lapses) == ["second is left out for 3 s, as hearing is too slow with it"]
    assert len(made) == 2, "it has another chance after its rest"
    assert [change.status for change in changes] == HEARD + HEARD
    assert heard == pytest.approx(6.0, abs=0.01)


def test_the_second_opinion_goes_when_another_is_slow_for_its_sake():
    _, lapses, _ = play(chain(lambda: Slow(["man4"]), SecondOpinion(lambda: Says(PHRASE))), sound(1.5))
    assert reasons(lapses)[0].startswith("says is left out")


def test_the_only_engine_stays_however_slow():
    changes, lapses, heard = play(chain(lambda: Slow(PHRASE)), sound(1.2), sound(1, 1.2, 0))
    assert not lapses
    assert heard == pytest.approx(2.2, abs=0.01)
    assert [change.status for change in changes] == HEARD


HANG_AND_END = """
import threading, numpy as np
from guardian.core.config import SpeechConfig
from guardian.core.frames import AudioChunk
from guardian.core.violations import Role
from guardian.ears import rules_for
from guardian.speech import ear
from guardian.speech.chain import HearingChain
from guardian.speech.vad import LoudnessVad
ear.STALL_S = ear.PATIENCE_S = 0.1

class Hangs:
    name, language = "hangs", "zh"
    def hear(self, chunk):
        threading.Event().wait()
    finish = hear

chain = HearingChain([Hangs], rules_for(""), Role.MERCHANT, LoudnessVad(), SpeechConfig())
for i in range(100):
    chain.hear(AudioChunk(np.full(320, 9000 * (-1) ** i, np.int16), i * 0.02))
chain.finish()
"""


def test_what_hangs_for_good_does_not_keep_the_process_from_ending():
    done = subprocess.run([sys.executable, "-c", HANG_AND_END], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_chains_that_are_let_go_leave_no_threads():
    def recognisers():
        return [one for one in threading.enumerate() if one.name == "recogniser"]

    before = len(recognisers())
    for _ in range(5):
        play(chain(lambda: Says(PHRASE), lambda: Says(PHRASE)), sound(1))
    for thread in recognisers()[before:]:
        thread.join(5)
    assert len(recognisers()) <= before
