"""Every page of the console, as everybody meets it: axe finds nothing serious, nothing has to be scrolled
sideways, nothing is refused by the policy and nothing is said on the browser's console.

The pages are those that the routers have: a new one is looked at without being named here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from guardian.bench.review_pages import routes
from guardian.core.people import LANGUAGES
from tests.browser.office import VARIANTS, Office, office, variants
from tests.browser.people import FLAGS

pytestmark = pytest.mark.timeout(300)

SCHEMES = ("light", "dark")
SIZES = ((1280, 900), (375, 667))
SERIOUS = {"serious", "critical"}
PAGES = [
    pytest.param(path, variant, id=f"{path} {' '.join(variant.values())}".strip())
    for path in routes()
    for variant in variants(path)
]
AXE = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  const why = (node) => [...node.any, ...node.all, ...node.none].map((check) => check.message).join("; ");
  return found.violations.map((one) => ({
    id: one.id, impact: one.impact, help: one.help,
    nodes: one.nodes.slice(0, 5).map((node) => `${node.html} -- ${why(node)}`),
  }));
}"""
WIDE = """() => {
  const most = document.documentElement.clientWidth;
  const page = document.documentElement.scrollWidth;
  const over = (one) => one.getBoundingClientRect().right > most + 1;
  const wide = [...document.querySelectorAll("body *")].filter(over);
  return page > most ? [page, ...wide.slice(0, 5).map((one) => one.outerHTML.slice(0, 120))] : [];
}"""


@dataclass
class Looking:
    """Somebody's browser, and what went wrong in it."""

    page: Any
    axe: str
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(message.text)

    def faults(self) -> list[Any]:
        """What axe finds that keeps somebody out."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(self.axe)
        return [one for one in self.page.evaluate(AXE) if one["impact"] in SERIOUS]


@pytest.fixture(scope="module")
def full_office(tmp_path_factory, need):
    need("chromium")
    need("playwright")
    with office(tmp_path_factory.mktemp("office")) as made:
        yield made


@pytest.fixture(scope="module")
def looking(full_office: Office, need, axe):
    """looking("zh") -> the browser of that one of `Office.sessions`; looking("") -> of nobody."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=need("chromium"), args=list(FLAGS))
        open_ones: dict[str, Looking] = {}

        def look(who: str) -> Looking:
            if who not in open_ones:
                context = browser.new_context(base_url=full_office.server.url, reduced_motion="reduce")
                if who:
                    context.add_cookies([full_office.cookie(who)])
                open_ones[who] = Looking(context.new_page(), axe)
            return open_ones[who]

        yield look
        browser.close()


def looked_at(looking: Looking, address: str, status: int = 200) -> None:
    """At both widths, light and dark."""
    page = looking.page
    looking.troubles.clear()
    page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})
    page.emulate_media(color_scheme=SCHEMES[0])
    page.goto(address, wait_until="load")
    assert page.locator("h1").count() == 1, "a page has one heading of the first level"
    assert page.title()
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate(WIDE) == [], f"wider than {width}"
    # Chromium says so of every page that is answered like that.
    assert [one for one in looking.troubles if f"status of {status}" not in one] == []
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            assert looking.faults() == [], f"{address} at {width}, {scheme}"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("path", "variant"), PAGES)
def test_a_page_shuts_nobody_out(looking, full_office, path, variant, language):
    address = full_office.address(path, variant)
    somebody = looking(language)
    if not full_office.is_page(address, language):
        return  # Something that pages fetch.
    looked_at(somebody, address)
    assert somebody.page.evaluate("document.documentElement.lang").startswith(language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_nor_does_the_form_that_strangers_are_led_to(looking, language):
    looked_at(looking(""), f"/review/sign-in?language={language}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_nor_does_the_page_that_says_what_somebody_may_not(looking, full_office, language):
    auditor = f"auditor-{language}"
    refused = [path for path in routes() if "{" not in path and full_office.status(path, auditor) == 403]
    looked_at(looking(auditor), refused[0], 403)


def test_what_stands_for_a_parameter_is_there(full_office):
    assert {name: set(made) for name, made in full_office.objects.items()} == {
        name: set(which) for name, which in VARIANTS.items()
    }
