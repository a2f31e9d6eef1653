"""`guardian users`: accounts on the command line, with a server beside it and without."""

import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guardian.cli import app
from guardian.core.errors import GuardianError
from guardian.web.keyfile import KeyFile

WORDS = "correct horse battery"


@pytest.fixture
def users(tmp_path):
    """users("add", ..., typed=password) -> (exit code, what was said); an error's sentence included."""

    def run(*arguments: str, typed: str = "", data: Path = tmp_path / "data") -> tuple[int, str]:
        words = ["users", *arguments, "--data", str(data)]
        done = CliRunner().invoke(app, words, input=typed)
        said = str(done.exception) if isinstance(done.exception, GuardianError) else done.output
        return done.exit_code, said

    return run


def listed(users) -> list[dict]:
    code, said = users("list", "--json")
    assert code == 0
    return [json.loads(line) for line in said.splitlines()]


def test_the_first_account_is_an_admins_and_needs_no_server(users, tmp_path):
    assert users("add", "Li.Wei", typed=f"{WORDS}\n") == (
        0, "li.wei (admin) of local can sign in at /review.\n",
    )  # fmt: skip
    (person,) = listed(users)
    assert (person["name"], person["roles"], person["tenant"]) == ("li.wei", ["admin"], "local")
    assert users("add", "zhang", typed=WORDS)[0] == 2
    code, _ = users(
        "add", "zhang", "--role", "senior", "--role", "rules", "--display", "张伟", "--language", "zh",
        "--zone", "Asia/Shanghai", typed=WORDS,
    )  # fmt: skip
    assert code == 0
    assert listed(users)[1]["roles"] == ["rules", "senior"]
    shown = users("list")[1]
    assert "张伟" in shown
    assert "argon2" not in shown


def test_there_is_no_default_password_and_none_is_an_argument(users):
    code, said = users("add", "li.wei", typed="")
    assert (code, "12 characters" in said) == (1, True)
    assert users("add", "li.wei", "--password", WORDS)[0] == 2
    assert users("add", "li.wei", WORDS)[0] == 2
    assert listed(users) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "../x"), "a-z"),
        (("add", "x", "--role", "auditor", "--role", "admin"), "no other role"),
        (("add", "x", "--zone", "Nowhere"), "IANA"),
        (("add", "x", "--tenant", "A B"), "tenant"),
        (("disable", "nobody"), "no account"),
        (("password", "nobody"), "no account"),
        (("set", "nobody", "--role", "viewer"), "no account"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(users, arguments, said):
    code, told = users(*arguments, typed=WORDS)
    assert (code, said in told) == (1, True), told


def test_a_user_without_a_name_makes_accounts_too(users, monkeypatch):
    """As in a container that runs under a number."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54_321)
    assert users("add", "li.wei", typed=f"{WORDS}\n")[0] == 0


def test_an_account_is_changed_disabled_and_enabled(users):
    users("add", "li.wei", typed=WORDS)
    assert users("set", "li.wei")[0] == 2
    assert users("set", "LI.WEI", "--role", "reviewer", "--display", "[red]Li")[0] == 0
    assert listed(users)[0]["roles"] == ["reviewer"]
    assert "[red]Li" in users("list")[1]
    assert users("disable", "li.wei")[0] == 0
    assert listed(users)[0]["disabled_at"]
    assert users("enable", "li.wei")[0] == 0
    assert users("password", "li.wei", typed="another good password")[0] == 0
    assert users("password", "li.wei", typed="short")[0] == 1


def test_the_tenant_is_that_of_the_keys(users, tmp_path):
    keys = KeyFile(tmp_path / "data" / "api_keys.json")
    keys.add("acme")
    users("add", "one", typed=WORDS)
    keys.add("rival")
    code, said = users("add", "two", typed=WORDS)
    assert (code, "acme, rival" in said) == (1, True)
    assert users("add", "two", "--tenant", "rival", typed=WORDS)[0] == 0
    assert [person["tenant"] for person in listed(users)] == ["acme", "rival"]


def test_accounts_lie_where_the_settings_say(postgres, tmp_path):
    config = tmp_path / "mine.toml"
    config.write_text(f'data_dir = "{tmp_path / "data"}"\n[store]\nurl = "{postgres.database()}"\n')
    words = ["--config", str(config)]
    made = CliRunner().invoke(app, ["users", "add", "li.wei", *words], input=WORDS)
    assert made.exit_code == 0, made.output
    assert not (tmp_path / "data" / "guardian.db").exists()
    assert CliRunner().invoke(app, ["users", "disable", "li.wei", *words]).exit_code == 0
    (row,) = CliRunner().invoke(app, ["users", "list", "--json", *words]).output.splitlines()
    assert json.loads(row)["disabled_at"]


def test_a_password_at_the_keyboard_is_not_shown_and_asked_for_twice(tmp_path):
    main, other = pty.openpty()
    # A terminal of its own: where there is one, passwords are read from it and not from stdin.
    begin = (
        "import fcntl, runpy, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        "runpy.run_module('guardian', run_name='__main__')"
    )
    arguments = ["users", "add", "li.wei", "--data", str(tmp_path / "data")]
    process = subprocess.Popen(
        [sys.executable, "-c", begin, *arguments],
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
    )
    os.close(other)
    try:
        screen = heard(main, "assword:")
        hidden(main)
        os.write(main, f"{WORDS}\n".encode())
        screen += heard(main, "confirmation:")
        hidden(main)
        os.write(main, f"{WORDS}\n".encode())
        screen += heard(main, "can sign in")
        assert process.wait(60) == 0, screen
    finally:
        process.kill()
        process.wait(20)
        os.close(main)
    assert WORDS not in screen


def hidden(terminal: int) -> None:
    """Waits until what is typed is not shown: what is typed between the question and that is lost."""
    deadline = time.monotonic() + 60
    while termios.tcgetattr(terminal)[3] & termios.ECHO:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def heard(terminal: int, until: str) -> str:
    """What is shown, up to these words."""
    screen = ""
    while until not in screen:
        assert select.select([terminal], [], [], 60)[0], screen
        screen += os.read(terminal, 1000).decode()
    return screen
