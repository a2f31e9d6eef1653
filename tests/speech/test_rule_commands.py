"""`guardian rules` as somebody who changes rules meets it."""

import json

import pytest
from typer.testing import CliRunner

from guardian.cli import app
from tests.speech.test_rules_folder import CLUB, GOOD


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rules.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "overlays").mkdir()
    (tmp_path / "overlays" / "club.yaml").write_text(CLUB, encoding="utf-8")
    return tmp_path


def run(*arguments, stdin="", code=0):
    done = CliRunner().invoke(app, ["rules", *map(str, arguments)], input=stdin)
    assert done.exit_code == code, done.output
    return done


def test_check_tells_counts_and_the_fingerprint(folder):
    about = json.loads(run("check", folder, "--json").stdout)
    assert about["usable"]
    assert (about["rules"], about["overlays"], about["states"]["live"]) == (1, 1, 1)
    assert about["fingerprint"] in run("check", folder).stdout


def test_check_lists_every_fault_for_machines_and_for_people(folder):
    (folder / "rules.yaml").write_text(GOOD + "    weight: 3\n    colour: red\n", encoding="utf-8")
    about = json.loads(run("check", folder, "--json", code=1).stdout)
    assert not about["usable"]
    assert [(fault["file"], fault["line"], fault["rule"]) for fault in about["faults"]] == [
        ("rules.yaml", 11, "contact.add"),
        ("rules.yaml", 12, "contact.add"),
    ]
    assert run("check", folder, code=1).stderr.count("rules.yaml line 1") == 2


def test_check_warns_and_the_rules_can_be_used_all_the_same(folder):
    (folder / "more.yaml").write_text("contexts: {alone: {patterns: [一个人]}}", encoding="utf-8")
    assert "warning: more.yaml line 1: context alone" in run("check", folder).stdout
    assert json.loads(run("check", folder, "--json").stdout)["warnings"]


def test_lines_are_judged_with_an_overlay(folder):
    def flagged(*options):
        done = run("test", "--rules", folder, "--json", *options, stdin="会员卡充值\n加微信\n")
        return [json.loads(line)["flagged"] for line in done.stdout.splitlines()]

    assert flagged() == [False, True]
    assert flagged("--overlay", "club") == [True, False]


def test_a_backtest_tells_what_is_new_gone_and_changed(folder, tmp_path):
    new = tmp_path / "new"
    new.mkdir()
    (new / "rules.yaml").write_text(
        GOOD.replace("加 ~2", "搜 ~2").replace("[微信, whatsapp]", "[微信, whatsapp, 钉钉]")
        + "    level: BLOCK\n",
        encoding="utf-8",
    )
    lines = tmp_path / "lines.tsv"
    rows = [("加微信", "violation"), ("搜钉钉", "violation"), ("微信便宜", "benign"), ("你好", "benign")]
    lines.write_text(
        "lang\tphrase\texpected\n" + "".join(f"zh\t{phrase}\t{said}\n" for phrase, said in rows),
        encoding="utf-8",
    )
    found = json.loads(run("backtest", folder, new, lines, "--json").stdout)
    assert [(one["kind"], one["line"]) for one in found["differences"]] == [
        ("gone", 2),
        ("new", 3),
        ("changed", 4),
    ]
    assert (found["new"], found["gone"], found["changed"]) == (1, 1, 1)
    assert (found["before"]["found"], found["after"]["found"], found["after"]["false_alarms"]) == (1, 1, 1)
    shown = run("backtest", folder, new, lines).stdout
    assert "gone    line 2: 加微信  (contact.add -> nothing)" in shown
    assert "new: 2 of 4 lines are flagged; 1 of 2 violations and 1 of 2 innocent lines." in shown


def test_a_backtest_takes_plain_lines_and_the_rules_in_use(folder, tmp_path):
    lines = tmp_path / "lines.txt"
    lines.write_text("加微信\n\n短信验证码念给我\n", encoding="utf-8")
    found = json.loads(run("backtest", "-", folder, lines, "--json").stdout)
    assert (found["before"]["lines"], found["before"]["flagged"]) == (2, 2)
    assert [(one["kind"], one["line"]) for one in found["differences"] if one["kind"] == "gone"] == [
        ("gone", 3)
    ]
