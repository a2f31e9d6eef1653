"""A newcomer starts the demo, calls on its page, and reviews that call with the account it printed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass

import pytest

from tests.browser.people import FLAGS
from tests.conftest import ROOT

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]
LIMIT_MS = 90_000
PRINTED = re.compile(r"sign in at (http://\S+/review) as (\S+) with the password (\S+)")
ASK = "async (path) => { const answer = await fetch(path); return [answer.status, await answer.json()]; }"


@dataclass
class Demo:
    """What `guardian demo` has printed."""

    url: str
    name: str
    password: str


@pytest.fixture(scope="module")
def demo(tmp_path_factory, need, weights):
    need("chromium")
    need("playwright")
    weights("face")
    weights("person")
    out = tmp_path_factory.mktemp("demo")
    environment = {
        **os.environ,
        # No browser of this machine is opened.
        "BROWSER": "true",
        "PATH": f"{_without_openers(out)}:{os.environ['PATH']}",
        # The one of this test may make it late, which is not what is tested.
        "GUARDIAN_VISION__LATE_S": "2",
    }
    with (out / "printed").open("wb") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "guardian", "demo", f"--out={out / 'made'}"],
            cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed,
        )  # fmt: skip
    try:
        yield _said(process, out / "printed")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM


def _without_openers(folder):
    """A folder with an xdg-open that opens nothing."""
    opener = folder / "programs" / "xdg-open"
    opener.parent.mkdir()
    opener.write_text("#!/bin/sh\n")
    opener.chmod(0o755)
    return opener.parent


def _said(process, printed) -> Demo:
    tick = threading.Event()
    for _ in range(600):
        found = PRINTED.search(printed.read_text("utf-8"))
        if found is not None:
            return Demo(found[1].removesuffix("/review"), found[2], found[3])
        assert process.poll() is None, printed.read_text("utf-8")
        tick.wait(0.1)
    raise AssertionError(printed.read_text("utf-8"))


@pytest.fixture(scope="module")
def page(need, demo):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=need("chromium"), args=list(FLAGS))
        page = browser.new_page(base_url=demo.url, locale="en-US")
        page.set_default_timeout(LIMIT_MS)
        yield page
        browser.close()


def ask(page, path):
    """What is answered to whoever is signed in."""
    status, answer = page.evaluate(ASK, path)
    assert status == 200, answer
    return answer


def until(page, path, found):
    """Waits until `found` finds something in what is answered."""
    for _ in range(LIMIT_MS // 250):
        if found(ask(page, path)):
            return
        page.wait_for_timeout(250)
    raise AssertionError(path)


def played(page):
    """Waits until the clip goes on; by asking, as the policy of the page lets nothing be evaluated in it."""
    for _ in range(LIMIT_MS // 250):
        if page.evaluate("document.querySelector('.clip video').currentTime") > 0.2:
            return
        page.wait_for_timeout(250)
    raise AssertionError("the clip does not play")


def test_the_call_just_made_is_a_case_that_the_newcomer_plays_and_decides(demo, page):
    page.goto("/demo")
    with page.expect_response(lambda answer: answer.url.endswith("/v1/calls")) as admitted:
        page.get_by_role("button", name="Start the call").click()
    call_id = admitted.value.json()["call_id"]
    page.locator("#ticker b").first.wait_for()  # The merchant has asked for another way to be reached.
    page.get_by_role("button", name="Complain").click()
    page.get_by_text("is a case to review now").wait_for()
    page.get_by_role("button", name="Hang up").click()
    page.get_by_text("Hung up").wait_for()
    page.get_by_role("link", name="Review the cases").click()
    page.get_by_label("Name").fill(demo.name)
    page.get_by_label("Password").fill(demo.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/review/queue")
    cases = {case["case_id"]: case["kind"] for case in ask(page, f"/v1/cases?q={call_id}")["cases"]}
    assert set(cases.values()) == {"violation", "complaint"}
    for case_id in cases:
        until(page, f"/v1/cases/{case_id}", lambda case: case["clips"])
    page.get_by_role("button", name="Start with the next case").press("Enter")
    page.wait_for_url("**/review/cases/*")
    here = page.url.rpartition("/")[2]
    assert here in cases
    page.keyboard.press("Space")
    played(page)
    page.keyboard.press("1")
    page.keyboard.press("n")
    page.wait_for_url(lambda url: here not in url)
    page.wait_for_load_state()
    assert ask(page, f"/v1/cases/{here}")["finding"] == "confirmed"
