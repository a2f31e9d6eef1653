"""Makes the pictures of the console in docs/console: `python -m tests.browser.shots`.

Every page of the console with something on it, in both languages; some also dark and on a telephone. A font
with Chinese characters has to be there (Debian: fonts-noto-cjk).
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from guardian.bench.review_pages import routes
from guardian.core.people import LANGUAGES
from tests.browser.office import Office, Sayings, office
from tests.browser.people import FLAGS

FOLDER = Path(__file__).parents[2] / "docs" / "console"
WIDE, TELEPHONE = {"width": 1280, "height": 860}, {"width": 375, "height": 740}
TALL = 1500
"""Lists go on below."""
TWICE = ("/review/queue", "/review/cases/{case_id}")
"""Pages that are shown dark and on a telephone too."""
SHOWN = {"case_id": "mine", "appeal_id": "open", "account_id": "other", "rule_id": "one", "event_id": "dead"}
SAYINGS = Sayings(
    rude="好的",
    name="Chen Yu",
    shopper="shopper-2207",
    merchant="shop-318",
    heard="再不改好评就别想装了",
    remark="The clip begins after the question.",
)


def main() -> None:
    """Writes the pictures anew."""
    from playwright.sync_api import sync_playwright

    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with (
        tempfile.TemporaryDirectory() as folder,
        office(Path(folder), SAYINGS) as made,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=program, args=list(FLAGS))
        for language in LANGUAGES:
            page = _page(browser, made, "")
            page.goto(f"/review/sign-in?language={language}")
            _take(page, "sign-in", language)
            page = _page(browser, made, language)
            for path in routes():
                _shown(page, made, path, language)
        browser.close()


def _page(browser: Any, made: Office, who: str) -> Any:
    context = browser.new_context(base_url=made.server.url, viewport=WIDE, reduced_motion="reduce")
    if who:
        context.add_cookies([made.cookie(who)])
    return context.new_page()


def _shown(page: Any, made: Office, path: str, language: str) -> None:
    names = re.findall(r"{(\w+)}", path)
    address = made.address(path, {name: SHOWN[name] for name in names})
    if path in ("/review", "/review/sign-in") or not made.is_page(address, language):
        return
    name = re.sub(r"/?{\w+}", "-one", path.removeprefix("/review/")).replace("/", "-")
    page.goto(address, wait_until="load")
    if page.locator("#why").count():
        page.locator("#why").fill("handover")
        page.locator("button[value=takeover]").click()
        page.goto(address, wait_until="load")
    _take(page, name, language)
    if path in TWICE:
        page.emulate_media(color_scheme="dark")
        _take(page, f"{name}-dark", language)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(TELEPHONE)
        _take(page, f"{name}-telephone", language)
        page.set_viewport_size(WIDE)


def _take(page: Any, name: str, language: str) -> None:
    page.wait_for_load_state("load")
    page.wait_for_timeout(400)  # Waveforms and first pictures are drawn after the page is there.
    size = page.viewport_size
    height = min(TALL, max(size["height"], page.evaluate("document.documentElement.scrollHeight")))
    page.set_viewport_size({"width": size["width"], "height": height})
    page.screenshot(path=FOLDER / f"{name}.{language}.png")
    page.set_viewport_size(size)


if __name__ == "__main__":
    main()
