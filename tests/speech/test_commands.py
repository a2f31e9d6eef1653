"""`guardian listen` and `guardian rules` as somebody at a terminal meets them."""

import json
import subprocess
import sys
import wave

import numpy as np
import pytest

from guardian.cli import main
from guardian.resources import resource

VIOLATION_KEYS = {
    "kind", "id", "file", "status", "rule", "category", "level", "phrase", "heard", "speaker",
    "language", "t_start", "t_end", "t_emitted", "score",
}  # fmt: skip
COVERAGE_KEYS = {"kind", "file", "seconds", "heard", "rtf", "engine", "transcript"}


def guardian(*arguments, stdin=""):
    return subprocess.run(
        [sys.executable, "-m", "guardian", *map(str, arguments)],
        input=stdin.encode(),
        capture_output=True,
        timeout=120,
        check=False,
    )


def rows(done):
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


@pytest.fixture
def here(monkeypatch, capsys):
    """here("listen", path) -> (exit code, stderr), without a process of its own."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["guardian", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().err

    return run


@pytest.fixture
def silence(tmp_path):
    path = tmp_path / "silence.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(np.zeros(8000 * 2, np.int16).tobytes())
    return path


def test_rules_test_answers_every_line_in_order():
    lines = ["短信验证码念给我", "", "Please hold the lamp", "加我微信"]
    answers = rows(guardian("rules", "test", "--json", stdin="\n".join(lines) + "\n"))
    assert [answer["text"] for answer in answers] == lines
    assert [answer["flagged"] for answer in answers] == [True, False, False, True]
    assert {*answers[0]} == {"text", "flagged", "level", "category", "rule", "score", "why"}
    assert answers[0]["level"] == "BLOCK"
    assert answers[3]["category"] == "contact_exchange"


def test_rules_check_accepts_the_shipped_rules_and_names_a_wrong_one(here, tmp_path):
    assert here("rules", "check")[0] in (0, None)
    (tmp_path / "bad.yaml").write_text("rules: [{id: x, category: nope, patterns: [hi]}]")
    code, error = here("rules", "check", tmp_path)
    assert code == 1
    assert "rule x: category" in error
    assert "Traceback" not in error


def test_listening_tells_violations_and_coverage(silence):
    clip = resource("guardian", "demo", "clips", "merchant_solicitation.ogg")
    if not clip.is_file():
        pytest.skip("the demo clip merchant_solicitation.ogg is not here")
    found = rows(guardian("listen", clip, silence, "--language", "en", "--json"))
    violations = [row for row in found if row["kind"] == "violation"]
    coverage = [row for row in found if row["kind"] == "coverage"]
    assert violations
    assert all({*row} == VIOLATION_KEYS for row in violations)
    assert {row["speaker"] for row in violations} == {"merchant"}
    assert [row["file"] for row in coverage] == [str(clip), str(silence)]
    assert all({*row} == COVERAGE_KEYS for row in coverage)
    assert coverage[1]["transcript"] == ""
    assert coverage[1]["heard"] == pytest.approx(2.0, abs=0.05)


def test_what_cannot_be_heard_is_said_in_one_sentence(here, tmp_path, silence):
    text = tmp_path / "notes.wav"
    text.write_text("no sound at all")
    for arguments, says in (
        ([tmp_path / "nothing.wav"], "There is no file"),
        ([text], "no media file"),
        ([tmp_path], "is a folder"),
        ([silence, "--engine", "ears"], "no speech engine"),
        ([silence, "--rules", tmp_path / "none"], "no rules folder"),
    ):
        code, error = here("listen", *arguments)
        assert code == 1
        assert says in error
        assert "Traceback" not in error


def test_wrong_usage_is_exit_two(here, silence):
    for arguments in (
        ["listen"],
        ["listen", silence, "--language", "fr"],
        ["rules", "test", "--speaker", "nobody"],
    ):
        assert here(*arguments)[0] == 2


def test_a_name_with_a_colon_is_a_file(silence, monkeypatch):
    monkeypatch.chdir(silence.parent)
    silence.rename("call:1.wav")
    assert rows(guardian("listen", "call:1.wav", "--json"))[-1]["kind"] == "coverage"


def test_rules_nested_without_end_are_one_sentence(here, tmp_path):
    (tmp_path / "deep.yaml").write_text("[" * 20_000)
    assert here("rules", "check", tmp_path) == (
        1,
        "guardian: deep.yaml line 1: it is nested too deeply; correct it.\n",
    )
