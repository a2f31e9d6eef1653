"""Whoever writes a rule wrongly is told where and what to change; overlays change rules for some."""

import string
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.core.errors import ConfigError
from guardian.core.masking import masked
from guardian.core.rulebook import RulesRefused, RuleState, unpacked
from guardian.core.rules import RuleSet
from guardian.core.violations import Level, Role
from guardian.ears import rules_for
from guardian.speech.judging import judged
from guardian.speech.rules_folder import load_rules, read_folder, rulebooks
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


def faults_of(texts):
    with pytest.raises(RulesRefused) as refused:
        rulebooks(texts)
    return [(fault.file, fault.line, fault.rule) for fault in refused.value.faults]


def test_a_rule_matches_with_gaps_in_either_language(tmp_path):
    rules = rules_of(tmp_path, GOOD)
    assert ids(rules, "加我 WhatsApp") == [("contact.add", "")]
    assert ids(rules, "便宜点，您有微信吗") == [("contact.add", "")]
    assert not ids(rules, "加上这个再看看微信")


def test_what_is_said_over_and_over_is_looked_through_once(tmp_path):
    """Every step may be at any of 60 places: tried one by one, they would be tried for years."""
    steps = " ~60 ".join(["我"] * 12)
    rules = rules_of(tmp_path, f"rules: [{{id: a.b, category: harassment, patterns: ['{steps} ~60 你']}}]")
    said = "我" * 90
    assert not ids(rules, said)
    assert ids(rules, f"{said}你") == [("a.b", "")]


def test_an_exception_excuses_one_clause_only(tmp_path):
    rules = rules_of(tmp_path, GOOD)
    assert ids(rules, "不能加微信") == [("contact.add", "negated")]
    assert ("contact.add", "") in ids(rules, "不能说话，您加微信")


OTHER = """
terms:
  channel: [微信, whatsapp]
contexts:
  negated: {CONTEXT}
rules:
  - id: contact.add
    category: contact_exchange
    patterns: ["PATTERN"]
    exceptions: [negated]
"""


def context(fields, pattern="加 ~4 {channel}"):
    """Rules with one context and one pattern."""
    return OTHER.replace("CONTEXT", fields).replace("PATTERN", pattern)


def test_a_context_is_none_where_its_words_say_something_else(tmp_path):
    rules = rules_of(
        tmp_path, context('where: before, within: 4, patterns: ["不要"], unless: ["要不要", "不要 ~0 紧"]')
    )
    assert ids(rules, "不要加微信") == [("contact.add", "negated")]
    assert ids(rules, "要不要加微信") == [("contact.add", "")]
    assert ids(rules, "不要紧加微信") == [("contact.add", "")]


def test_a_context_may_reach_over_clauses(tmp_path):
    rules = rules_of(tmp_path, context('where: before, within: 9, clauses: 1, patterns: ["有人!"]'))
    assert ids(rules, "有人找我，说加微信") == [("contact.add", "negated")]
    assert ids(rules, "有人找我，他说，加微信") == [("contact.add", "")]


def test_a_negation_between_the_steps_excuses(tmp_path):
    rules = rules_of(
        tmp_path, context('where: inside, within: 1, patterns: ["不"], unless: ["全部"]', "{channel} ~4 加")
    )
    assert ids(rules, "微信我们不加") == [("contact.add", "negated")]
    assert ids(rules, "微信我们全部加") == [("contact.add", "")]
    assert ids(rules, "不是微信我们加") == [("contact.add", "")]


def test_steps_may_stand_in_any_order_within_a_reach(tmp_path):
    rules = rules_of(tmp_path, context('where: near, within: 0, patterns: ["没有"]', "{channel} &3 便宜"))
    assert ids(rules, "便宜点微信") == ids(rules, "微信更便宜") == [("contact.add", "")]
    assert not ids(rules, "微信您看看有多便宜")


def test_a_phrase_can_be_meant_as_it_is_said(tmp_path):
    text = GOOD.replace('["加 ~2 {channel}", "{channel} & 便宜"]', '["骗子!", "wanted_me!"]')
    rules = rules_of(tmp_path, text)
    for said in ("他是骗子", "he wanted me"):
        assert ids(rules, said)
    for said in ("看片子", "tell me if you want me"):
        assert not ids(rules, said)


def test_a_part_of_a_whole_word_is_not_heard(tmp_path):
    rules = rules_of(tmp_path, GOOD.replace("terms:", "terms:\n  whole: [加湿器]"))
    assert not ids(rules, "加湿器微信")
    assert ids(rules, "加湿地微信")


def test_weak_hits_add_up_side_by_side_and_soon(tmp_path):
    text = """
rules:
  - {id: a.one, category: harassment, weight: 0.35, patterns: ["微信"]}
  - {id: a.two, category: harassment, weight: 0.35, patterns: ["便宜", "微信"]}
"""
    rules = rules_of(tmp_path, text)
    assert judged("微信便宜", rules, Role.MERCHANT).flagged
    assert not judged("微信", rules, Role.MERCHANT).flagged
    assert not judged("微信" + "好" * 30 + "便宜", rules, Role.MERCHANT).flagged


def test_what_only_sounds_alike_adds_up_with_nothing(tmp_path):
    text = """
rules:
  - {id: a.one, category: harassment, weight: 0.4, patterns: ["一个东西"]}
  - {id: a.two, category: harassment, weight: 0.4, patterns: ["私下"]}
"""
    rules = rules_of(tmp_path, text)
    assert judged("一个东西私下", rules, Role.MERCHANT).flagged
    assert len(ids(rules, "一个东西是下")) == 2
    assert not judged("一个东西是下", rules, Role.MERCHANT).flagged


def test_a_rule_for_the_merchant_leaves_the_shopper_alone(tmp_path):
    rules = rules_of(tmp_path, GOOD + "    speaker: merchant\n")
    assert ids(rules, "加微信")
    assert not ids(rules, "加微信", Role.SHOPPER)


def test_a_rule_that_is_off_is_not_tried(tmp_path):
    assert not ids(rules_of(tmp_path, GOOD + "    state: off\n"), "加微信")


def test_a_rule_in_shadow_is_told_and_raises_nothing(tmp_path):
    rules = rules_of(tmp_path, GOOD + "    state: shadow\n")
    assert ids(rules, "加微信") == [("contact.add", "")]
    answer = judged("加微信", rules, Role.MERCHANT)
    assert not answer.flagged
    assert "shadow" in answer.why


def test_a_rule_in_shadow_does_not_help_a_weak_one(tmp_path):
    weak = '  - {id: contact.weak, category: contact_exchange, weight: 0.4, patterns: ["便宜"]}\n'
    assert judged("加微信，便宜", rules_of(tmp_path, GOOD + weak), Role.MERCHANT).flagged
    quiet = GOOD + "    state: shadow\n" + weak
    assert not judged("加微信，便宜", rules_of(tmp_path, quiet), Role.MERCHANT).flagged


def test_a_rule_says_who_owns_it_and_what_it_stands_for(tmp_path):
    (rule,) = rules_of(tmp_path, GOOD + "    owner: trust\n    clause: '2.1'\n    version: 3\n").rules
    assert (rule.owner, rule.clause, rule.version) == ("trust", "2.1", "3")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (GOOD.replace("{channel}", "{chanel}"), 9, "chanel"),
        (GOOD.replace("contact_exchange", "contacts"), 8, "contact.add: category is 'contacts'"),
        (GOOD.replace("exceptions: [negated]", "exceptions: [never]"), 10, "never"),
        (GOOD + "    weight: 3\n", 11, "weight"),
        (GOOD + "    weight: nan\n", 11, "weight"),
        (GOOD + "    colour: red\n", 11, "colour"),
        (GOOD + "    level: PASS\n", 11, "level is 'PASS'"),
        (GOOD + "    owner: []\n", 11, "owner"),
        (GOOD + "    category: harassment\n", 11, "twice"),
        (GOOD.replace("[微信, whatsapp]", "[微信"), 4, "YAML"),
        (GOOD.replace("channel: [微信, whatsapp]", "channel: ['{channel}']"), 3, "names itself"),
        (GOOD.replace("channel: [微信, whatsapp]", "channel: ['{other}']"), 3, "other"),
        (GOOD.replace("channel: [微信, whatsapp]", "channel: []"), 3, "no phrase"),
        (GOOD.replace("加 ~2 {channel}", "加 ~2 {#fax}"), 9, "fax"),
        (GOOD.replace("加 ~2 {channel}", "~2 {channel}"), 9, "no gap can be"),
        (GOOD.replace("加 ~2 {channel}", "加 ~2"), 9, "ends with a gap"),
        (GOOD.replace("微信, whatsapp", "'!!'"), 3, "nobody can say"),
        (GOOD.replace("within: 4", "within: many"), 5, "within"),
        (GOOD.replace("within: 4", "clauses: many"), 5, "clauses"),
        (GOOD.replace("within: 4", "unless: [], within: 4"), 5, "unless"),
        (GOOD.replace("{channel} & 便宜", "{channel} ~2 您 & 便宜"), 9, "&2"),
        (GOOD.replace("{channel} & 便宜", "{channel} 您 & 便宜"), 9, "between all"),
        (GOOD + GOOD[GOOD.index("  - id") :], 11, "twice"),
        ("rules: 5", 1, "list of rules"),
        ("rules: [5]", 1, "- id"),
        ("- just\n- a list", 1, "key: value"),
        ("flags: {}", 1, "flags"),
        ("a: &x [*x]", 1, "anchors"),
        ("rules: !!python/object:x.y {}", 1, "tags"),
        ("terms: {}\n---\nterms: {}", 2, "second document"),
        ("terms: {a: [b], a: [c]}", 1, "twice"),
        ("for: {tenants: [acme]}", 1, "for"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_in_one_sentence(tmp_path, text, line, says):
    with pytest.raises(RulesRefused, match=r"^[^\n]+\.$") as error:
        rules_of(tmp_path, text)
    assert says in str(error.value)
    assert f"rules.yaml line {line}: " in str(error.value)


def test_every_fault_is_told_at_once():
    wrong = GOOD + "    weight: 3\n    colour: red\n"
    assert faults_of({"a.yaml": wrong, "b.yaml": "nonsense"}) == [
        ("a.yaml", 11, "contact.add"),
        ("a.yaml", 12, "contact.add"),
        ("b.yaml", 1, ""),
    ]


def test_two_rules_with_one_id_are_refused_across_files():
    again = 'rules: [{id: contact.add, category: harassment, patterns: ["滚"]}]\n'
    assert faults_of({"a.yaml": GOOD, "b.yaml": again}) == [("b.yaml", 1, "contact.add")]


def test_no_folder_and_an_empty_folder_are_said(tmp_path):
    with pytest.raises(ConfigError, match="no rules folder"):
        load_rules(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"no \*\.yaml"):
        load_rules(tmp_path)
    with pytest.raises(ConfigError, match="hold no rule"):
        rules_of(tmp_path, "terms: {a: [b]}")


def test_a_file_in_another_encoding_is_refused_with_its_line(tmp_path):
    (tmp_path / "rules.yaml").write_bytes(GOOD.encode("gb18030"))
    with pytest.raises(RulesRefused, match="line 3: this is not UTF-8"):
        load_rules(tmp_path)


def test_what_editors_leave_beside_a_file_is_no_rule_file(tmp_path):
    (tmp_path / ".rules.yaml").write_text("rules: [")
    (tmp_path / ".#rules.yaml").symlink_to("nobody@nowhere")
    assert rules_of(tmp_path, GOOD)


# --- overlays -------------------------------------------------------------------------------------

CLUB = """
for: {merchants: [m_7]}
change:
  contact.add: {state: shadow, weight: 0.6, level: BLOCK, exceptions: [club]}
contexts:
  club: {where: near, within: 3, patterns: ["会员"]}
rules:
  - {id: club.card, category: offplatform_trade, patterns: ["会员卡 ~2 充值"]}
"""
TENANT = "for: {tenants: [acme]}\nchange: {contact.add: {state: 'off'}}\n"
NAMED = "change: {contact.add: {level: BLOCK}}\n"


@pytest.fixture(scope="module")
def laid():
    return rulebooks(
        {
            "rules.yaml": GOOD,
            "overlays/club.yaml": CLUB,
            "overlays/acme.yaml": TENANT,
            "overlays/strict.yaml": NAMED,
        }
    )


def test_an_overlay_changes_and_adds_rules_for_some(laid):
    plain, club = RuleSet(laid.book(())), RuleSet(laid.book(("club",)))
    assert [rule.id for rule in plain.rules] == ["contact.add"]
    changed = club.rules[0]
    assert (changed.state, changed.weight, changed.level) == (RuleState.SHADOW, 0.6, Level.BLOCK)
    assert changed.exceptions == ("negated", "club")
    assert judged("会员卡充值", club, Role.MERCHANT).rule == "club.card"
    assert not judged("会员卡充值", plain, Role.MERCHANT).flagged
    assert ids(club, "会员加微信") == [("contact.add", "club")]


def test_overlays_are_chosen_by_tenant_merchant_and_name(laid):
    assert laid.chosen("default", "m_1", ()) == ()
    assert laid.chosen("default", "m_7", ()) == ("club",)
    assert laid.chosen("acme", "m_7", ("strict", "strict", "nothing")) == ("acme", "club", "strict")
    assert laid.chosen("default", "m_1", ("acme",)) == (), "another tenant's overlay cannot be asked for"


def test_the_fingerprint_changes_with_what_the_rules_are_made_of(laid):
    plain, club = laid.book(()), laid.book(("club",))
    assert (plain.name, club.name) == ("default", "default+club")
    assert plain.fingerprint != club.fingerprint
    others = rulebooks({"rules.yaml": GOOD, "overlays/club.yaml": CLUB.replace("0.6", "0.7")})
    assert others.book(()).fingerprint == plain.fingerprint
    assert others.book(("club",)).fingerprint != club.fingerprint
    assert rulebooks({"rules.yaml": GOOD + "\n"}).book(()).fingerprint != plain.fingerprint
    assert masked(plain.label) == plain.label
    assert plain.fingerprint.isalpha(), "figures could be masked in events"


def test_an_overlay_that_extends_a_term_extends_the_terms_that_name_it():
    base = GOOD.replace("channel: [微信, whatsapp]", "channel: ['{own}', whatsapp]\n  own: [微信]")
    books = rulebooks({"rules.yaml": base, "overlays/more.yaml": "terms: {own: [小绿书]}"})
    assert ids(RuleSet(books.book(("more",))), "加小绿书") == [("contact.add", "")]
    assert not ids(RuleSet(books.book(())), "加小绿书")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("change: {contact.ad: {state: live}}", 1),
        ("change:\n  contact.add:\n    state: on", 3),
        ("change: {contact.add: {speaker: any}}", 1),
        ("change: {contact.add: {exceptions: [club]}}", 1),
        ("for: {shops: [a]}", 1),
        ("for: {}", 1),
        ("rules: [{id: contact.add, category: harassment, patterns: [滚]}]", 1),
        ("contexts: {negated: {patterns: [x]}}", 1),
    ],
)
def test_a_wrong_overlay_is_refused_with_its_line(text, line):
    found = faults_of({"rules.yaml": GOOD, "overlays/o.yaml": text})
    assert ("overlays/o.yaml", line) in [(file, at) for file, at, _ in found]


def test_the_name_of_an_overlay_can_be_said_in_a_call():
    assert faults_of({"rules.yaml": GOOD, "overlays/a b.yaml": NAMED}) == [("overlays/a b.yaml", 1, "")]


# --- what is handed to calls ----------------------------------------------------------------------


def test_a_book_arrives_as_it_was(laid):
    for names in ((), ("club",), ("acme", "club", "strict")):
        book = laid.book(names)
        assert unpacked(book.packed()) == book
        assert book.packed().isascii()


def test_the_shipped_rules_arrive_as_they_were():
    book = rules_for("").book
    assert unpacked(book.packed()) == book


# --- any text -------------------------------------------------------------------------------------


@given(st.text(max_size=60))
def test_any_text_becomes_units(text):
    units = units_of_text(text)
    assert all(unit.key for unit in units)
    assert [unit.t_start for unit in units] == sorted(unit.t_start for unit in units)


PIECES = [
    *("terms:", "contexts:", "rules:", "change:", "for:", "\n", "  ", "    ", "- id: ", "a.b", "weight: "),
    *("category: harassment", "patterns: ", "['加 ~2 {a}']", "{a}", "a: ", "[b, c]", "exceptions: ", "[n]"),
    *("n: ", "{", "}", "[", "]", ", ", "where: near", "within: 3", "state: ", "off", "&x ", "*x", "!!int "),
    *("---", "#", '"', "'", "|", "微信", "\t", "?", ": ", "~2", "~", "&", "\x00", "\ud800", "1e999", "<<: "),
]


def refusal(texts):
    """The sentence these texts are refused with, or None."""
    try:
        rulebooks(texts).book(())
    except ConfigError as error:
        return str(error)
    return None


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=200),
        st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
        st.text(alphabet=string.printable, max_size=120),
    )
)
def test_any_yaml_text_is_used_or_refused_in_one_sentence(text):
    for file in ("rules.yaml", "overlays/o.yaml"):
        said = refusal({"good.yaml": GOOD, file: text})
        assert said is None or (said.endswith(".") and "\n" not in said)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_used_or_refused(raw):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "good.yaml").write_text(GOOD, encoding="utf-8")
        (Path(folder) / "any.yaml").write_bytes(raw)
        try:
            texts = read_folder(Path(folder))
        except RulesRefused:
            return
        said = refusal(texts)
        assert said is None or said.endswith(".")
