"""The try-it page in a real browser, on a real call."""

from contextlib import asynccontextmanager

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


def test_the_page_loads_nothing_from_elsewhere(server):
    page = server.client.get("/demo")
    assert page.status_code == 200
    assert "https://" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for name in ("demo.js", "page.css", "icon.svg"):
        assert server.client.get(f"/static/{name}").status_code == 200
    assert server.client.get("/static/..%2fapp.py").status_code == 404


def test_a_sample_video_is_offered_when_there_is_one(serve, tmp_path, refused):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"0123456789")
    server = serve(server={"demo_sample": str(clip)})
    assert 'data-sample="video"' in server.client.get("/demo").text
    part = server.client.get("/demo/sample", headers={"range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")


def test_the_page_shows_a_protected_call(tmp_path, need, weights):
    chromium = need("chromium")
    weights("face")
    weights("person")
    from guardian.fleet.supervisor import Supervisor
    from guardian.settings import Settings

    pages = pytest.importorskip("tests.web.conftest")

    @asynccontextmanager
    async def real(work, publish):
        async with Supervisor(work, publish) as host:
            yield host

    settings = Settings(data_dir=str(tmp_path / "data"), server={"port": 0})
    with pages.running(settings, real) as server, playwright.sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
        )
        page = browser.new_page(viewport={"width": 390, "height": 844})
        asked, wrong = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.goto(f"{server.url}/demo")
        page.click("#start")
        page.wait_for_selector("#state.armed", timeout=60_000)
        page.wait_for_selector("#safe-facts:has-text('×')", timeout=30_000)
        page.wait_for_selector("#stages td:has-text('total')", timeout=30_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.click("#stop")
        page.wait_for_selector("#start:not([disabled])", timeout=30_000)
        browser.close()
    assert wrong == []
    assert all(url.startswith(server.url) for url in asked)
