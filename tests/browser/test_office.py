"""The office in Chromium: a rule from a proposal to a running call, an appeal from opening to its outcome."""

import os
import re
from pathlib import Path

import pytest

from guardian.core.people import Duty
from guardian.core.rulebook import unpacked
from guardian.web.navigation import PLACES
from tests.browser.people import FLAGS
from tests.staff import PASSWORD
from tests.web.bureau import bureau, until

LIMIT_MS = 30_000
ALL = tuple(duty for duty in Duty if duty is not Duty.AUDITOR)


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    with bureau(tmp_path_factory.mktemp("office")) as made:
        for name, duties, language in (
            ("senior.one", (Duty.SENIOR,), "en"),
            ("senior.two", (Duty.SENIOR,), "en"),
            ("lead", (Duty.RULES,), "en"),
            ("all.en", ALL, "en"),
            ("all.zh", ALL, "zh"),
        ):
            made.staff.hire(*duties, tenant="acme", name=name, display=name.title(), language=language)
        yield made


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
def enter(chromium, office):
    """enter(name, **context) -> a page of somebody who is signed in; nothing may break its policy."""
    contexts, troubles = [], []

    def sign_in(name, **options):
        contexts.append(chromium.new_context(base_url=office.server.url, **options))
        contexts[-1].set_default_timeout(LIMIT_MS)
        page = contexts[-1].new_page()
        page.on("console", lambda m: troubles.append(m.text) if "Content Security" in m.text else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto("/review/sign-in?next=/review/account&language=en")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/review/account")
        return page

    yield sign_in
    for context in contexts:
        context.close()
    assert troubles == []


def test_a_rule_is_proposed_switched_live_and_in_force_in_a_running_call(enter, office):
    office.decided("hum-1", "dismiss", phrase="加湿器微信")
    office.call("goes-on")
    first = office.server.host.rules["goes-on"]
    senior = enter("senior.one")
    senior.goto("/review/report")
    senior.get_by_role("button", name="Propose exception: 加湿器微信").click()
    senior.get_by_role("heading", name="Proposed exception").wait_for()
    senior.get_by_label("What makes it innocent").fill("湿器")
    senior.get_by_role("button", name="Look at its effect").press("Enter")
    senior.get_by_role("cell", name="Dismissed").wait_for()
    assert senior.get_by_role("button", name="Write in shadow").count() == 0
    lead = enter("lead")
    lead.goto("/review/rules/contact.add")
    lead.get_by_label("What makes it innocent").fill("湿器")
    lead.get_by_role("button", name="Propose exception", exact=True).click()
    lead.get_by_label("Why").fill("humidifiers are told of by WeChat")
    lead.get_by_role("button", name="Write in shadow").click()
    lead.get_by_text("The exception is written").wait_for()
    until(lambda: office.server.host.rules["goes-on"] != first, limit_s=5.0)
    shadow = office.server.host.rules["goes-on"]
    twin = [rule for rule in unpacked(shadow).rules if ".with-" in rule.id]
    assert [rule.state for rule in twin] == ["shadow"]
    lead.get_by_role("button", name="Open").click()
    lead.get_by_label("Why").fill("it spares what it should")
    lead.get_by_role("button", name="Put in force").click()
    lead.get_by_text("The exception is written").wait_for()
    until(lambda: office.server.host.rules["goes-on"] != shadow, limit_s=5.0)
    (rule,) = [one for one in unpacked(office.server.host.rules["goes-on"]).rules if one.id == "contact.add"]
    assert len(rule.exceptions) == 2
    lead.goto("/review/rules/payment.wallet")
    lead.get_by_label("Live").check()
    lead.get_by_label("Why").fill("quiet for a week")
    lead.keyboard.press("Enter")
    lead.get_by_text("The rule is switched").wait_for()

    def live():
        rules = unpacked(office.server.host.rules["goes-on"]).rules
        return any(rule.id == "payment.wallet" and rule.state == "live" for rule in rules)

    until(live, limit_s=5.0)


def test_an_appeal_goes_from_opening_to_its_outcome_by_keys(enter, office):
    appeal_id = office.appeal(office.decided("heard-wrong"), "我说的是加湿器")
    page = enter("senior.two")
    page.goto("/review/appeals")
    page.get_by_role("link", name=appeal_id[-6:]).press("Enter")
    page.get_by_text("我说的是加湿器").wait_for()
    assert page.get_by_text("Folded away").is_visible()
    page.get_by_role("button", name="Claim the case").press("Enter")
    page.get_by_label("not real").press("Space")
    page.get_by_role("button", name="Keep my opinion").press("Enter")
    page.get_by_text("said or shown plainly").wait_for()
    page.get_by_label("Overturn").press("Space")
    page.get_by_label("Why").fill("It was the humidifier.")
    page.get_by_label("Facts").fill("We listened again: a humidifier was meant.")
    page.get_by_role("button", name="Decide the appeal").press("Enter")
    page.get_by_text("The appeal is decided").wait_for()
    assert page.get_by_text("We listened again: a humidifier was meant.").is_visible()
    told = office.api("GET", f"/v1/appeals/{appeal_id}").json()
    assert (told["state"], told["outcome"]) == ("decided", "overturned")


def test_the_page_of_live_calls_keeps_itself_up_to_date(enter, office):
    page = enter("all.en")
    page.goto("/review/operations")
    page.get_by_text("Kept up to date").wait_for()
    office.call("comes-later")
    page.get_by_role("rowheader", name="comes-later").wait_for()
    assert office.api("DELETE", "/v1/calls/comes-later").status_code == 204
    page.get_by_role("rowheader", name="comes-later").wait_for(state="detached")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_pages_fit_small_screens_in_both_languages(enter, office, language, scheme):
    case_id = office.decided(f"small-{language}-{scheme}", "dismiss", phrase="加湿器微信")
    appeal_id = office.appeal(case_id)
    (person,) = [one for one in office.staff._people.all("acme") if one.name == "lead"]
    page = enter(f"all.{language}", viewport={"width": 375, "height": 800}, color_scheme=scheme)
    more = (
        f"/review/appeals/{appeal_id}",
        "/review/rules/contact.add",
        f"/review/people/{person.id}",
        "/review/none",
    )
    for path in (*(place.path for place in PLACES), *more):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, path
        assert page.locator("h1").count() == 1, path
        assert page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-CN"}[language]
        unnamed = page.evaluate(
            """[...document.querySelectorAll("input:not([type=hidden]), select, textarea")]
            .filter((field) => field.labels.length === 0).map((field) => field.name)"""
        )
        assert unnamed == [], path
        keep(page, f"{re.sub('[^a-z]+', '-', path[8:])[:24]}-{language}-{scheme}")


def keep(page, name):
    """Pictures to be looked at, where somebody asks for them."""
    folder = os.environ.get("GUARDIAN_SHOTS", "")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)
