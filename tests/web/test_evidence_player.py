"""A reviewer's browser plays a clip from its link, seeking in it, and nobody plays it after that."""

import pytest

from guardian.core.violations import Role
from guardian.evidence.ring import Ring
from tests.evidence.footage import Safe, Shot, filled, pictures, voice
from tests.web.test_evidence import House, link

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

PLAY = """
async (url) => {
  const video = document.createElement("video");
  video.preload = "auto";
  document.body.append(video);
  const said = (name) => new Promise((resolve, reject) => {
    video.addEventListener(name, resolve, { once: true });
    video.addEventListener("error", () => reject(new Error(video.error.message)), { once: true });
  });
  const loaded = said("loadeddata");
  video.src = url;
  await loaded;
  const times = [];
  for (const moment of [video.duration - 1, 0.5, 4]) {
    const there = said("seeked");
    video.currentTime = moment;
    await there;
    times.push(video.currentTime);
  }
  return [video.duration, times, video.videoWidth];
}
"""


@pytest.fixture
def clip(tmp_path):
    """The bytes of a film of 10 s and more, from a key frame on, with both voices."""
    ring = Ring()
    ring.begin()
    video = {role: pictures(Shot("VP8", 12.0)) for role in Role}
    sound = {role: voice(12.0, 440, ((0.0, 12.0),)) for role in Role}
    safe = Safe(tmp_path / "other")
    return safe.read(safe.cut(filled(ring, video, sound), 1.0, 11.0), "media")


def test_chromium_plays_a_link_and_seeks_and_another_session_does_not(serve, tmp_path, need, clip):
    house = House(serve, tmp_path / "data")
    one = house.keep(media=clip)
    with house.client() as client:
        url = link(client, one)
    statuses = []
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=need("chromium"), args=["--no-sandbox"])
        # As the console's session cookie will: every request says who asks.
        who = {"Authorization": f"Bearer {house.keys['acme']}"}
        session, another = (browser.new_context(extra_http_headers=who) for _ in range(2))
        page = session.new_page()
        page.on("response", lambda answer: statuses.append((answer.url, answer.status)))
        page.goto(f"{house.url}/docs")
        duration, times, width = page.evaluate(PLAY, url)
        assert 10 <= duration < 12
        assert times == [pytest.approx(at, abs=0.1) for at in (duration - 1, 0.5, 4)]
        assert width == 320
        assert {status for answered, status in statuses if answered.endswith(url)} == {206}
        stranger = another.new_page()
        assert stranger.goto(f"{house.url}{url}").status == 410
        browser.close()
