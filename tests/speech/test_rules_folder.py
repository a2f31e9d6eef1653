"""Whoever writes a rule wrongly is told where and what to change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.core.errors import ConfigError
from guardian.core.violations import Role
from guardian.speech.rules_folder import load_rules
from guardian.speech.text import units_of_text

GOOD = """
terms:
  channel: [微信, whatsapp]
contexts:
  negated: {where: before, within: 4, patterns: ["不能|don't"]}
rules:
  - id: contact.add
    category: contact_exchange
    patterns: ["加 ~2 {channel}", "{channel} & 便宜"]
    exceptions: [negated]
"""


def rules_of(tmp_path, text):
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    return load_rules(tmp_path)


def ids(rules, text, speaker=Role.MERCHANT):
    return [(hit.rule.id, hit.excuse) for hit in rules.match(units_of_text(text), speaker)]


def test_a_rule_matches_with_gaps_in_either_language(tmp_path):
    rules = rules_of(tmp_path, GOOD)
    assert ids(rules, "加我 WhatsApp") == [("contact.add", "")]
    assert ids(rules, "便宜点，您有微信吗") == [("contact.add", "")]
    assert not ids(rules, "加上这个再看看微信")


def test_an_exception_excuses_one_clause_only(tmp_path):
    rules = rules_of(tmp_path, GOOD)
    assert ids(rules, "不能加微信") == [("contact.add", "negated")]
    assert ("contact.add", "") in ids(rules, "不能说话，您加微信")


def test_a_rule_for_the_merchant_leaves_the_shopper_alone(tmp_path):
    rules = rules_of(tmp_path, GOOD + "    speaker: merchant\n")
    assert ids(rules, "加微信")
    assert not ids(rules, "加微信", Role.SHOPPER)


def test_a_rule_that_is_off_is_not_tried(tmp_path):
    assert not ids(rules_of(tmp_path, GOOD + "    state: off\n"), "加微信")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("{channel}", "{chanel}"), "chanel"),
        (GOOD.replace("contact_exchange", "contacts"), "contact.add: category is 'contacts'"),
        (GOOD.replace("exceptions: [negated]", "exceptions: [never]"), "never"),
        (GOOD + "    weight: 3\n", "weight"),
        (GOOD + "    colour: red\n", "colour"),
        (GOOD.replace("[微信, whatsapp]", "[微信"), "line"),
        (GOOD.replace("channel: [微信, whatsapp]", "channel: ['{channel}']"), "names itself"),
        (GOOD.replace("加 ~2 {channel}", "加 ~2 {#fax}"), "fax"),
        (GOOD.replace("微信, whatsapp", "'!!'"), "nobody can say"),
        ("rules: 5", "list of rules"),
        ("terms: {}", "no rule"),
        ("- just\n- a list", "rules.yaml"),
        ("flags: {}", "flags"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path, text, says):
    with pytest.raises(ConfigError, match=r"^[^\n]+\.$") as error:
        rules_of(tmp_path, text)
    assert says in str(error.value)


def test_two_rules_with_one_id_are_refused(tmp_path):
    again = GOOD + '  - {id: contact.add, category: harassment, patterns: ["滚"]}\n'
    with pytest.raises(ConfigError, match="twice"):
        rules_of(tmp_path, again)


def test_no_folder_and_an_empty_folder_are_said(tmp_path):
    with pytest.raises(ConfigError, match="no rules folder"):
        load_rules(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"no \*\.yaml"):
        load_rules(tmp_path)


@given(st.text(max_size=60))
def test_any_text_becomes_units(text):
    units = units_of_text(text)
    assert all(unit.key for unit in units)
    assert [unit.t_start for unit in units] == sorted(unit.t_start for unit in units)
