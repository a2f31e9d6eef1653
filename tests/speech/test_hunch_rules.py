"""Hunches go the way of rules: states, overlays, reasons; they neither raise nor clear what is urgent."""

import pytest

from guardian.core.config import SpeechConfig
from guardian.core.rulebook import RulesRefused, RuleState, unpacked
from guardian.core.rules import RuleSet
from guardian.core.violations import Level, Role, Status
from guardian.speech.chain import HearingChain
from guardian.speech.hunch_file import read_weights, written
from guardian.speech.judging import judged
from guardian.speech.rules_folder import rulebooks
from guardian.speech.rules_lint import warnings
from guardian.speech.text import units_of_text
from guardian.speech.vad import LoudnessVad
from tests.speech.test_chain import Says, play, sound

WEIGHTS = """# for people
=categories\tcontact_exchange offplatform_trade
=bias\t-1.0 -1.0
=limit\tzh 1.0
=limit\ten 1.0
=sure\tzh -2.0
=sure\ten -2.0
:chat\twei1 xin4, 'telegram
@chat\t6.0 1.0
'screw\t-6.0 -6.0
'perhap\t3.6 0
"""
RULES = """
contexts:
  unlikely: {where: around, patterns: ["{?innocent}"]}
rules:
  - {id: hunch.contact_exchange, category: contact_exchange, weight: 1, patterns: ["{?contact_exchange}"]}
  - {id: trade.offer, category: offplatform_trade, patterns: ["cheaper"], exceptions: [unlikely]}
  - {id: trade.threat, category: harassment, level: BLOCK, patterns: ["beat_you"], exceptions: [unlikely]}
  - {id: hint.price, category: offplatform_trade, weight: 0.4, patterns: ["discount"]}
"""


def rules_of(rules=RULES, weights=WEIGHTS, overlay=None):
    texts = {"rules.yaml": rules, "hunch.tsv": weights}
    if overlay is not None:
        texts["overlays/some.yaml"] = overlay
    return RuleSet(rulebooks(texts).book(("some",) if overlay is not None else ()))


def answer(text, rules=None):
    return judged(text, rules or rules_of(), Role.MERCHANT)


def test_a_hunch_is_raised_with_its_reasons():
    found = answer("well, on telegram then")
    assert (found.flagged, found.level, found.rule) == (True, Level.REVIEW, "hunch.contact_exchange")
    assert "telegram +6.0" in found.why


def test_it_can_be_put_in_shadow_or_off_and_made_weaker_by_an_overlay():
    for change in ("{state: shadow}", "{state: off}", "{weight: 0.4}"):
        rules = rules_of(overlay=f"for: {{merchants: [m]}}\nchange:\n  hunch.contact_exchange: {change}\n")
        assert not answer("well, on telegram then", rules).flagged, change


def test_an_exception_excuses_it():
    rules = RULES.replace("rules:\n", '  ours: {where: near, patterns: ["our_own"]}\nrules:\n', 1).replace(
        'patterns: ["{?contact_exchange}"]', 'patterns: ["{?contact_exchange}"], exceptions: [ours]'
    )
    assert not answer("on our own telegram then", rules_of(rules)).flagged


def test_what_is_surely_innocent_is_excused_unless_it_is_urgent():
    found = answer("a screw for the screw and a screw is cheaper")
    assert (found.flagged, "excused by unlikely" in found.why) == (False, True)
    assert answer("it is cheaper").flagged
    assert answer("screw the screw or i beat you with a screw").level is Level.BLOCK


def test_a_hint_beside_a_weak_hunch_makes_an_attempt():
    assert not answer("perhaps tomorrow again").flagged
    assert not answer("a discount tomorrow").flagged
    found = answer("perhaps a discount tomorrow")
    assert (found.flagged, found.rule) == (True, "hunch.contact_exchange")


def test_words_on_things_are_judged_without_hunches():
    units = units_of_text("well, on telegram then")
    assert rules_of().match(units, Role.MERCHANT)
    assert rules_of().match_words(units, Role.MERCHANT) == ()


def test_it_is_handed_to_calls_with_the_rules():
    book = rules_of().book
    assert unpacked(book.packed()) == book
    assert (
        rulebooks({"rules.yaml": RULES, "hunch.tsv": WEIGHTS.replace("6.0", "6.1")}).book(()).label
        != book.label
    )


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        ({"rules.yaml": RULES}, "hunch.tsv"),
        (
            {"rules.yaml": RULES.replace("?contact_exchange}", "?theft}"), "hunch.tsv": WEIGHTS},
            "?offplatform_trade",
        ),
        (
            {"rules.yaml": RULES.replace("weight: 1,", "level: BLOCK,"), "hunch.tsv": WEIGHTS},
            "never urgent",
        ),
        ({"rules.yaml": RULES, "hunch.tsv": WEIGHTS + "'x\tmuch 1\n"}, "line 12"),
        ({"rules.yaml": RULES, "hunch.tsv": WEIGHTS + "'x\tnan 1\n"}, "line 12"),
        ({"rules.yaml": RULES, "hunch.tsv": WEIGHTS + "@chat\t1 2 3\n"}, "line 12"),
        ({"rules.yaml": RULES, "hunch.tsv": WEIGHTS.replace("=bias\t-1.0 -1.0\n", "")}, "=bias"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(texts, fault):
    with pytest.raises(RulesRefused) as refused:
        rulebooks(texts)
    assert fault in str(refused.value)


def test_an_overlay_cannot_make_it_urgent():
    with pytest.raises(RulesRefused):
        rules_of(overlay="change:\n  hunch.contact_exchange: {level: BLOCK}\n")


def test_the_file_can_be_written_and_read_again():
    weights = read_weights("hunch.tsv", WEIGHTS)
    assert read_weights("hunch.tsv", written(weights, ["for people"])) == weights


def test_the_lint_finds_nothing_to_look_at():
    assert warnings(rulebooks({"rules.yaml": RULES, "hunch.tsv": WEIGHTS})) == []


def test_in_speech_a_hunch_is_one_violation_however_long_the_talk_goes_on():
    syllables = ["na4", "jiu4", "wei1", "xin4", "ba5", *["ni3", "kan4", "zhe4"] * 12]
    ears = HearingChain([lambda: Says(syllables)], rules_of(), Role.MERCHANT, LoudnessVad(), SpeechConfig())
    changes, lapses, _ = play(ears, sound(9.0), sound(1.0, 9.0, 0))
    assert not lapses
    told = [(change.status, change.rule) for change in changes]
    assert told == [
        (Status.DETECTED, "hunch.contact_exchange"),
        (Status.CONFIRMED, "hunch.contact_exchange"),
    ]
    assert "wei1 xin4" in changes[0].phrase


def test_a_hunch_in_shadow_is_counted():
    rules = rules_of(RULES.replace("weight: 1,", "weight: 1, state: shadow,"))
    assert rules.rules[0].state is RuleState.SHADOW
    ears = HearingChain(
        [lambda: Says(["na4", "wei1", "xin4", "ba5"])], rules, Role.MERCHANT, LoudnessVad(), SpeechConfig()
    )
    changes, _, _ = play(ears, sound(1.5), sound(1.0, 1.5, 0))
    assert not changes
    assert ears.shadow_hits == {"hunch.contact_exchange": 1}
