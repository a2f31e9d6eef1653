"""Rules that are edited while the server runs: what can be used is taken, what cannot changes nothing."""

import os

import pytest

from guardian.core.errors import ConfigError
from guardian.core.rulebook import RulesRefused, label_of, unpacked
from guardian.core.violations import Role
from guardian.rule_keeper import Caller, Edit, RuleKeeper
from guardian.speech.judging import judged

RULES = """
terms: {channel: [微信]}
rules:
  - {id: contact.add, category: contact_exchange, patterns: ["加 ~2 {channel}"]}
"""
ANYBODY = Caller("default")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    return tmp_path


def write(folder, text, name="rules.yaml"):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def flagged(keeper, text, caller=ANYBODY):
    return judged(text, keeper.rule_set(caller), Role.MERCHANT).flagged


def test_an_edit_is_noticed_once_and_holds(folder):
    keeper = RuleKeeper(folder)
    before = label_of(keeper.packed(ANYBODY))
    assert keeper.look() is Edit.NONE
    write(folder, RULES.replace("[微信]", "[微信, 钉钉]"))
    assert not flagged(keeper, "加钉钉")
    assert keeper.look() is Edit.TAKEN
    assert keeper.look() is Edit.NONE
    assert flagged(keeper, "加钉钉")
    assert label_of(keeper.packed(ANYBODY)) != before


def test_an_edit_that_keeps_size_and_time_is_noticed(folder):
    keeper = RuleKeeper(folder)
    stat = (folder / "rules.yaml").stat()
    write(folder, RULES.replace("微信", "钉钉"))
    os.utime(folder / "rules.yaml", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert keeper.look() is Edit.TAKEN


def test_a_touched_file_is_no_edit(folder):
    keeper = RuleKeeper(folder)
    os.utime(folder / "rules.yaml")
    assert keeper.look() is Edit.NONE


def test_a_broken_edit_is_refused_once_and_the_old_rules_stay(folder):
    keeper = RuleKeeper(folder)
    before = keeper.packed(ANYBODY)
    write(folder, RULES + "  - id: x\n")
    assert keeper.look() is Edit.REFUSED
    assert keeper.look() is Edit.NONE
    (fault, *_) = keeper.refusal.faults
    assert (fault.file, fault.line) == ("rules.yaml", 5)
    assert keeper.packed(ANYBODY) == before
    assert flagged(keeper, "加微信")
    write(folder, RULES)
    assert keeper.look() is Edit.NONE
    assert keeper.refusal is None, "the rules in force are those of the folder again"


def test_a_folder_that_is_gone_for_a_while_changes_nothing(folder):
    keeper = RuleKeeper(folder)
    folder.rename(folder.with_name("away"))
    assert keeper.look() is Edit.REFUSED
    assert keeper.look() is Edit.NONE
    assert flagged(keeper, "加微信")
    folder.with_name("away").rename(folder)
    keeper.look()
    assert keeper.refusal is None


def test_overlays_come_and_go(folder):
    keeper = RuleKeeper(folder)
    merchant = Caller("default", "m_7")
    write(folder, "for: {merchants: [m_7]}\nchange: {contact.add: {state: 'off'}}", "overlays/quiet.yaml")
    assert keeper.look() is Edit.TAKEN
    assert unpacked(keeper.packed(merchant)).name == "default+quiet"
    assert not flagged(keeper, "加微信", merchant)
    assert flagged(keeper, "加微信")
    (folder / "overlays" / "quiet.yaml").unlink()
    assert keeper.look() is Edit.TAKEN
    assert flagged(keeper, "加微信", merchant)


def test_of_two_overlays_that_contradict_the_first_holds(folder):
    rule = "rules: [{id: own.rule, category: harassment, patterns: ['%s']}]"
    write(folder, rule % "滚开", "overlays/a.yaml")
    write(folder, rule % "走开", "overlays/b.yaml")
    keeper = RuleKeeper(folder)
    assert keeper.names(Caller("default", "", ("a", "b"))) == ("a",)
    assert keeper.unknown("default", ("a", "c")) == ("c",)


def test_what_is_put_holds_at_once_and_what_is_wrong_is_not_written(folder):
    keeper = RuleKeeper(folder)
    keeper.put("rules.yaml", RULES.replace("[微信]", "[微信, 钉钉]"))
    assert flagged(keeper, "加钉钉")
    assert keeper.look() is Edit.NONE
    with pytest.raises(RulesRefused, match=r"overlays/o\.yaml line 1"):
        keeper.put("overlays/o.yaml", "change: {nothing: {}}")
    assert not (folder / "overlays").exists()
    with pytest.raises(ConfigError):
        keeper.put("rules.yaml", None)
    assert flagged(keeper, "加钉钉")


def test_a_server_does_not_start_with_rules_it_cannot_use(folder):
    write(folder, "rules: [")
    with pytest.raises(RulesRefused):
        RuleKeeper(folder)
