"""Rules that change while somebody speaks."""

import pytest

from guardian.core.config import SpeechConfig
from guardian.core.rules import RuleSet
from guardian.core.tokens import Hypothesis, Token
from guardian.core.violations import Role, Status
from guardian.speech.chain import HearingChain
from guardian.speech.rules_folder import rulebooks
from guardian.speech.vad import LoudnessVad
from tests.speech.test_chain import sound

NOTHING = "rules: [{id: other.rule, category: harassment, patterns: [滚开]}]"
ADD = """
rules:
  - {id: contact.add, category: contact_exchange, clause: '2.1', version: '7', patterns: [加我 微信]}
"""
TOGETHER = "rules: [{id: contact.hint, category: contact_exchange, patterns: [微信 & 便宜]}]"
PHRASE = ("jia1", "wo3", "wei1", "xin4")


class SaysInTurn:
    """Says one syllable with every 0.2 s of sound, another phrase in every utterance."""

    name, language = "says", "zh"

    def __init__(self, *phrases):
        self._phrases = list(phrases)
        self._origin = None
        self._heard = ()

    def hear(self, chunk):
        self._origin = chunk.t if self._origin is None else self._origin
        phrase = self._phrases[0] if self._phrases else ()
        due = min(len(phrase), int((chunk.t + chunk.seconds - self._origin) / 0.2))
        if due == len(self._heard):
            return None
        times = [self._origin + n * 0.2 for n in range(due + 1)]
        self._heard = tuple(Token(phrase[n], times[n], times[n + 1]) for n in range(due))
        return Hypothesis(self._heard, False, self.language)

    def finish(self):
        found, self._heard, self._origin = self._heard, (), None
        if self._phrases:
            self._phrases.pop(0)
        return Hypothesis(found, True, self.language) if found else None


def rules(text):
    return RuleSet(rulebooks({"rules.yaml": text}).book(()))


def chain(text, *phrases):
    engine = SaysInTurn(*phrases)
    return HearingChain([lambda: engine], rules(text), Role.MERCHANT, LoudnessVad(), SpeechConfig())


def hear(ears, *parts):
    changes = []
    for part in parts:
        for chunk in part:
            changes += ears.hear(chunk).changes
    return changes


def told(changes):
    return [(change.rule, change.status) for change in changes]


def test_a_new_rule_holds_for_a_phrase_that_is_being_said():
    ears = chain(NOTHING, PHRASE)
    assert not hear(ears, sound(1.0))
    ears.rules = rules(ADD)
    changes = hear(ears, sound(0.8, 1.0), sound(1.5, 1.8, 0))
    assert told(changes) == [("contact.add", Status.DETECTED), ("contact.add", Status.CONFIRMED)]
    assert (changes[0].source.version, changes[0].source.clause) == ("7", "2.1")
    assert changes[0].source.ruleset == ears.rules.book.label


def test_what_was_said_before_a_change_is_remembered():
    ears = chain(NOTHING, PHRASE, ("pian2", "yi5"))
    assert not hear(ears, sound(1.5), sound(2.0, 1.5, 0))
    ears.rules = rules(TOGETHER)
    changes = hear(ears, sound(1.0, 3.5), sound(1.5, 4.5, 0))
    assert told(changes) == [("contact.hint", Status.DETECTED), ("contact.hint", Status.CONFIRMED)]


def test_a_rule_taken_away_in_mid_phrase_takes_back_what_it_told():
    ears = chain(ADD, PHRASE)
    assert told(hear(ears, sound(1.4))) == [("contact.add", Status.DETECTED)]
    ears.rules = rules(NOTHING)
    assert told(hear(ears, sound(0.4, 1.4), sound(1.5, 1.8, 0))) == [("contact.add", Status.RETRACTED)]


def test_a_rule_in_shadow_raises_nothing_and_is_counted_once_an_attempt():
    ears = chain(ADD.replace("clause:", "state: shadow, clause:"), PHRASE, PHRASE)
    assert not hear(ears, sound(2.0), sound(8.0, 2.0, 0), sound(2.0, 10.0), sound(1.5, 12.0, 0))
    assert ears.shadow_hits == {"contact.add": 2}


@pytest.mark.parametrize("state", ["live", "off"])
def test_only_rules_in_shadow_are_counted(state):
    ears = chain(ADD.replace("clause:", f"state: '{state}', clause:"), PHRASE)
    hear(ears, sound(2.0), sound(1.5, 2.0, 0))
    assert ears.shadow_hits == {}
