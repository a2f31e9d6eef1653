"""The desk in a real browser: a case is played, read, decided by keys alone; two race, one is taken over."""

from __future__ import annotations

import re
import time

import pytest

from guardian.core.people import Duty
from guardian.web.sessions import SESSION
from tests.browser.people import FLAGS
from tests.casework import HIT_S, working
from tests.staff import PASSWORD

pytestmark = pytest.mark.timeout(300)

AT = "document.querySelector('.clip video').currentTime"
HOSTILE = (
    "<img",
    "src=x",
    "onerror=alert(1)>",
    "</script>",
    "<script>alert(2)</script>",
    "{{7*7}}",
    "'\"",
    "‮abc",
)


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    with working(tmp_path_factory.mktemp("desk")) as work:
        yield work


@pytest.fixture(scope="module")
def chromium(need):
    program = need("chromium")
    need("playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def sit(chromium, office):
    """sit(person) -> a page in a browser of their own, signed in; nothing may be refused by its policy."""
    contexts, troubles = [], []

    def open_page(person=None, **options):
        context = chromium.new_context(base_url=office.server.url, **options)
        contexts.append(context)
        if person is not None:
            cookie = {"name": SESSION, "value": office.staff.enter(person), "url": office.server.url}
            context.add_cookies([cookie])
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda m: troubles.append(m.text) if "Content Security" in m.text else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


def until(page, what):
    """Until an expression is true; asked from outside, as our pages let no text become a script.

    What it is about is not there while another page is on its way.
    """
    end = time.monotonic() + 60
    while not page.evaluate(f"(() => {{ try {{ return {what} }} catch {{ return false }} }})()"):
        assert time.monotonic() < end, what
        page.wait_for_timeout(20)


def reviewer(office, *duties, **facts):
    return office.staff.hire(*(duties or (Duty.REVIEWER,)), **facts)


def looked_at(office, case_id):
    return office.boss.get(f"/v1/cases/{case_id}").json()


def test_somebody_signs_in_listens_reads_and_decides_by_keys_alone(office, sit):
    first, second = office.case("keys-1", level="BLOCK"), office.case("keys-2", level="BLOCK", t_start=211.0)
    reviewer(office, name="li.wei", display="Li Wei")
    page = sit()
    page.goto("/review/sign-in")
    page.keyboard.type("li.wei")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/review/queue")
    page.get_by_role("button", name="Start with the next case").press("Enter")
    page.wait_for_url(re.compile("/review/cases/"))
    here = page.url.rpartition("/")[2]
    assert here in (first, second)

    page.keyboard.press("Space")
    until(page, f"{AT} > 0.2")
    until(page, "document.querySelector('.word.now') !== null")
    page.keyboard.press("Space")
    until(page, "document.querySelector('.clip video').paused")
    page.get_by_text("聊").click()
    until(page, f"Math.abs({AT} - 7) < 0.2")
    assert page.locator(".word.now").inner_text() == "聊"
    page.keyboard.press("k")
    until(page, f"Math.abs({AT} - {HIT_S[0] - 1}) < 0.2")
    page.keyboard.press("r")
    until(page, f"{AT} > {HIT_S[0]}")
    assert page.locator(".word.hit").all_inner_texts() == ["加"]
    page.keyboard.press("Space")

    page.keyboard.press("1")
    assert page.locator("[name=verdict]:checked").input_value() == "confirm.explicit"
    page.keyboard.press("1")
    assert page.locator("[name=verdict]:checked").input_value() == "confirm.implied"
    page.keyboard.press("n")
    page.wait_for_url(lambda url: "/review/cases/" in url and here not in url)
    page.wait_for_load_state()
    assert looked_at(office, here)["finding"] == "confirmed"
    there = page.url.rpartition("/")[2]
    page.keyboard.press("e")
    page.keyboard.press("n")
    page.wait_for_url(lambda url: there not in url)
    assert looked_at(office, there)["state"] == "escalated"


def test_the_picture_is_spared_until_it_is_wanted_and_keys_are_off_while_typing(office, sit):
    case = office.case("spared", shown={"kind": "phone", "box": [0.25, 0.5, 0.5, 0.25]})
    page = sit(reviewer(office, display="Zhao"))
    page.goto(f"/review/cases/{case}")
    assert page.locator(".transcript").count() == 0
    page.get_by_role("button", name="Claim").click()
    page.locator(".transcript").wait_for()
    page.wait_for_load_state()  # Keys work once the scripts do.
    blurred = page.locator(".player.blurred")
    assert blurred.count() == 1
    page.keyboard.press("h")
    assert blurred.count() == 0
    note = page.get_by_label("Note")
    note.press_sequentially("he knew 1 n h")
    assert note.input_value() == "he knew 1 n h"
    assert page.locator("[name=verdict]:checked").count() == 0
    assert blurred.count() == 0
    page.locator("h1").click()
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("n")
    page.keyboard.press("Escape")
    page.keyboard.press("Space")
    until(page, "document.querySelector('.clip video').duration > 9")
    assert page.evaluate("document.querySelector('.clip video').muted")
    page.keyboard.press("Space")
    page.keyboard.press("j")
    box = page.locator(".boxes.on rect").first
    box.wait_for()
    frame, marked = page.locator(".screen:has(.boxes.on)").bounding_box(), box.bounding_box()
    assert marked["x"] - frame["x"] == pytest.approx(frame["width"] / 4, abs=4)
    assert marked["height"] == pytest.approx(frame["height"] / 4, abs=4)
    until(
        page,
        "[...document.querySelector('.still canvas').getContext('2d').getImageData(9, 9, 1, 1).data][3] > 0",
    )
    assert page.get_by_text("0:06–0:07").is_visible()
    assert page.get_by_text("Shopper was not heard").is_visible()


def test_of_two_who_want_one_case_one_is_told_who_has_it(office, sit):
    case = office.case("race")
    one, other = (sit(reviewer(office, display=name)) for name in ("Quick", "Slow"))
    for page in (one, other):
        page.goto(f"/review/cases/{case}")
    one.get_by_role("button", name="Claim").click()
    one.locator(".transcript").wait_for()
    one.wait_for_load_state()
    other.get_by_role("button", name="Claim").click()
    other.get_by_text("Quick has claimed the case.").wait_for()
    assert other.locator(".transcript").count() == 0
    one.keyboard.press("2")
    one.get_by_role("button", name="Submit", exact=True).click()
    one.wait_for_url("**/review/queue?said=decided")
    assert looked_at(office, case)["finding"] == "dismissed"


def test_what_was_typed_outlives_a_claim_that_was_lost(office, sit):
    case = office.case("lost")
    page = sit(reviewer(office, display="Wang"))
    page.goto(f"/review/cases/{case}")
    page.get_by_role("button", name="Claim").click()
    page.locator(".transcript").wait_for()
    page.wait_for_load_state()  # Keys work once the scripts do.
    page.keyboard.press("3")
    page.get_by_label("Note").fill("not this <b>rule</b>")
    taken = office.boss.post(f"/v1/cases/{case}/takeover", json={"reason": "gone home"}).json()
    page.locator("h1").click()
    page.keyboard.press("n")
    page.get_by_text("nothing was decided").wait_for()
    assert page.get_by_text("Taken over").is_visible()
    assert page.get_by_label("Note").input_value() == "not this <b>rule</b>"
    assert page.locator("[name=verdict]:checked").input_value() == "dismiss.wrong_selection"
    office.boss.post(f"/v1/cases/{case}/release", json={"lease": taken["lease"]})
    page.reload()  # Sent again: still refused, and still nothing is lost.
    page.get_by_role("button", name="Claim again").click()
    page.get_by_text("The case is yours again").wait_for()
    assert page.get_by_label("Note").input_value() == "not this <b>rule</b>"
    page.get_by_role("button", name="Submit", exact=True).click()
    page.wait_for_url("**/review/queue?said=decided")
    seen = looked_at(office, case)
    assert (seen["finding"], [one["note"] for one in seen["notes"]]) == (
        "dismissed",
        ["not this <b>rule</b>"],
    )


def test_hostile_words_are_words(office, sit):
    case = office.case(
        "hostile", words=HOSTILE, purpose="<script>alert(3)</script>", heard="<img src=x onerror=alert(4)>"
    )
    page = sit(reviewer(office, display="<i>Mallory</i>", language="zh"))
    page.goto(f"/review/cases/{case}")
    page.get_by_role("button", name="认领").click()
    page.locator(".transcript").wait_for()
    page.wait_for_load_state()  # Keys work once the scripts do.
    assert page.locator(".word").all_inner_texts() == list(HOSTILE)
    assert page.locator(".transcript img, .transcript script, main i").count() == 0
    page.get_by_text("<script>alert(3)</script>").wait_for()
    page.get_by_role("button", name="展开").click()
    page.locator("#earlier li").first.wait_for()
    for bad in ("case_1", "%3Cscript%3E", "case_01J9ZK3M8Q6T4V7X2B5N0C1D2E", "..%2f..%2fetc"):
        answer = page.goto(f"/review/cases/{bad}")
        assert answer.status == 404
        assert bad.startswith("..") or page.get_by_text("没有这个案件").first.is_visible()


def test_the_queue_tells_of_new_cases(office, sit):
    page = sit(reviewer(office, display="Chen"))
    page.goto("/review/queue")
    office.case("fresh", words=())
    page.locator(".live a").wait_for()
    assert "new case" in page.locator(".live").inner_text()
    page.get_by_role("link", name="Show").click()
    until(page, "document.querySelector('.live').textContent === ''")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_small_screens(office, sit, language, scheme):
    case = office.case(f"small-{language}-{scheme}")
    page = sit(
        reviewer(office, Duty.SENIOR, language=language),
        viewport={"width": 375, "height": 700},
        color_scheme=scheme,
    )
    for path in ("/review/queue", "/review/queue/dismiss", f"/review/cases/{case}"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, path
    page.locator("[value=claim]").click()
    page.locator(".transcript").wait_for()
    page.wait_for_load_state()  # Keys work once the scripts do.
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
