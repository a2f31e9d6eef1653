"""The doors of the console in a real browser: by keys alone, in both languages, on small and dark screens."""

from __future__ import annotations

import re

import pytest

from guardian.core.people import Duty
from guardian.settings import Settings
from tests.browser.people import FLAGS
from tests.fakes.host import FakeHost
from tests.staff import PASSWORD, Staff
from tests.web.conftest import running


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    settings = Settings(data_dir=str(tmp_path_factory.mktemp("office") / "data"), server={"port": 0})
    with running(settings, FakeHost()) as server, Staff(settings) as staff:
        staff.hire(Duty.REVIEWER, name="li.wei", display="Li Wei")
        yield server


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
def visit(chromium, office):
    """visit(path, **context) -> a page in a browser of its own; nothing may be refused by its policy."""
    contexts, troubles = [], []

    def open_page(path, **options):
        contexts.append(chromium.new_context(base_url=office.url, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda m: troubles.append(m.text) if "Content Security" in m.text else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


def test_somebody_signs_in_and_out_by_keys_alone(visit, office):
    page = visit("/review/account")
    assert page.url.startswith(f"{office.url}/review/sign-in?next=")
    page.keyboard.type("li.wei")  # The first field has the focus.
    page.keyboard.press("Tab")
    page.keyboard.type("not the one at all")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    assert "do not fit" in page.get_by_role("alert").inner_text()
    page.get_by_label("Name").fill("li.wei")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/review/account")
    assert page.get_by_role("heading", name="My account").is_visible()
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Sign out").press("Enter")
    page.wait_for_url("**/review/sign-in")
    page.goto("/review/account")
    assert "/review/sign-in" in page.url


def test_a_link_from_another_site_finds_who_is_signed_in(visit, office):
    """The cookie is not sent with it; the form asks from our own page, and goes on."""
    page = visit("/review/sign-in")
    page.get_by_label("Name").fill("li.wei")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile("/review/(?!sign-in)"))
    page.goto("about:blank")
    page.set_content(f'<a href="{office.url}/review/account">case</a>')
    page.get_by_text("case").click()
    page.wait_for_url(re.compile("/review/account$"))
    assert page.get_by_role("heading", name="My account").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_form_fits_small_screens_in_both_languages(visit, scheme, language):
    page = visit(
        f"/review/sign-in?language={language}", viewport={"width": 375, "height": 667}, color_scheme=scheme
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    heading = {"en": "Sign in", "zh": "登录"}[language]
    assert page.get_by_role("heading", name=heading).is_visible()
    for field in page.locator("input:visible, button:visible").all():
        assert field.bounding_box()["height"] >= 44
    ground, ink = page.evaluate("(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))")
    light = sum(map(int, re.findall(r"\d+", ground)[:3])) > sum(map(int, re.findall(r"\d+", ink)[:3]))
    assert light == (scheme == "light")
